"""`taut connect` through proxies: CONNECT and SOCKS5, with and without a password, and such as say no."""

import pytest

from commands import run
from servers import Proxy, Serving, echo


@pytest.fixture
def server(closing):
    return closing.add(Serving(echo))


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize("password", [None, "hush"])
def test_bytes_go_through(closing, server, kind, password):
    proxy = closing.add(Proxy(kind, password))
    code, out, said = run("connect", "-v", "--proxy", proxy.url, f"tcp://localhost:{server.port}", stdin=b"through a proxy\n")
    assert (code, out) == (0, b"through a proxy\n"), said
    assert "hush" not in said, said
    asked = str(proxy.asked[-1])
    # Who looks the name up is what the two kinds of SOCKS differ in.
    assert ("localhost" in asked) == (kind != "socks5"), asked


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_a_proxy_that_says_no_is_4(closing, server, kind):
    proxy = closing.add(Proxy(kind, refuses=True))
    code, out, said = run("connect", "--proxy", proxy.url, server.url, stdin=b"x")
    assert (code, out) == (4, b"") and "proxy" in said, (code, said)


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_a_wrong_password_is_4(closing, server, kind):
    proxy = closing.add(Proxy(kind, "hush"))
    code, _, said = run("connect", "--proxy", proxy.url.replace("hush", "wrong"), server.url, stdin=b"x")
    assert code == 4 and "wrong" not in said, (code, said)


def test_no_proxy_there_is_3(server, closing):
    gone = Proxy("http")
    gone.close()
    code, _, said = run("connect", "--proxy", gone.url, server.url)
    assert code == 3 and "proxy" in said.lower(), (code, said)
