"""`taut connect http://` to nginx from Debian, to Python and to `taut serve`."""

import pytest

from commands import Command, run
from nginx import Nginx
from peers import post
from servers import Serving, http_head


@pytest.fixture
def nginx(closing, tmp_path):
    web = closing.add(Nginx(tmp_path))
    web.write("a.txt", b"0123456789")
    return web


def answers(data):
    def talk(connection):
        http_head(connection)
        connection.sendall(data)

    return talk


def test_a_file_of_nginx(nginx):
    code, out, said = run("connect", f"{nginx.http}/a.txt")
    assert code == 0, said
    head, _, body = out.partition(b"\r\n\r\n") if b"\r\n\r\n" in out else out.partition(b"\n\n")
    assert b"200" in head + said.encode() and out.endswith(b"0123456789")


def test_a_range_of_a_file(nginx):
    code, out, said = run("connect", "-H", "Range: bytes=2-4", f"{nginx.http}/a.txt")
    assert code == 0 and out.rstrip().endswith(b"234") and b"206" in out + said.encode(), said


def test_methods_fields_and_bodies(nginx):
    code, out, said = run("connect", "-X", "PUT", "-H", "X-Test: yes", "-H", "Content-Type: text/x", "-d", "body", f"{nginx.http}/post")
    assert code == 0 and out.endswith(b"PUT text/x yes"), (out, said)
    assert b"POST" in run("connect", "-d", "body", f"{nginx.http}/post")[1]


def test_an_error_status_is_4(nginx):
    for path, status in [("/nothing", b"404"), ("/refused", b"403")]:
        code, out, said = run("connect", f"{nginx.http}{path}")
        assert code == 4 and status in out + said.encode(), said


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
    ],
)
def test_bodies_however_they_end(closing, answer):
    server = closing.add(Serving(answers(answer)))
    code, out, said = run("connect", f"http://127.0.0.1:{server.port}/")
    assert code == 0 and out.endswith(b"body"), (out, said)


def test_events_come_as_they_are_said(server, room, closing):
    command = closing.add(Command("connect", "-H", "Accept: text/event-stream", f"{server.http}/r/{room}"))
    command.out.until(b"id")
    post(server, room, "live")
    command.out.until(b"live")


def test_a_password_in_the_url_is_basic_authorization(closing):
    heads = []

    def talk(connection):
        heads.append(http_head(connection))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = closing.add(Serving(talk))
    code, _, said = run("connect", "-v", f"http://ana:hush@127.0.0.1:{server.port}/x")
    assert code == 0 and "uthorization: Basic YW5hOmh1c2g=" in heads[0], heads
    assert "hush" not in said and "YW5hOmh1c2g=" not in said


def test_a_token_goes_where_the_protocol_has_a_place_for_it(closing, tmp_path):
    heads = []

    def talk(connection):
        heads.append(http_head(connection))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    file = tmp_path / "token"
    file.write_text("a.b-c.d_e\n")
    for scheme in ("http", "ws"):
        server = closing.add(Serving(talk))
        for words in (["--token", "a.b-c.d_e"], ["--token-file", str(file)]):
            heads.clear()
            code, out, said = run("connect", "-v", *words, f"{scheme}://127.0.0.1:{server.port}/")
            assert code == 4, said
            assert "authorization: bearer a.b-c.d_e" in heads[0].lower().split("\r\n"), heads
            assert "a.b-c.d_e" not in said


@pytest.mark.parametrize(
    ("words", "url", "why"),
    [
        (["--token", "t"], "tcp://127.0.0.1:1", "/auth TOKEN"),
        (["--token", "t"], "udp://127.0.0.1:1", '{"auth":"TOKEN"}'),
        (["--token", "t"], "tls://127.0.0.1:1", "/auth TOKEN"),
        (["--token", "two words"], "http://127.0.0.1:1", "one word"),
        (["--token", "t", "-H", "Authorization: Basic eDp5"], "http://127.0.0.1:1", "twice"),
        (["--token", "t", "--token-file", "f"], "http://127.0.0.1:1", "cannot be used with"),
        (["--token-file", "/nowhere/token"], "http://127.0.0.1:1", "/nowhere/token"),
    ],
)
def test_a_token_that_cannot_be_shown_is_refused_before_anything_is_sent(words, url, why):
    code, out, said = run("connect", *words, url)
    assert code == 2 and why in said, (code, said)
