"""Clients behind an HTTP proxy: `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` count from listed proxies, request by request, and from nobody else."""

import json
import socket
import ssl
import time
import urllib.request

import pytest
from websockets.sync.client import connect as websocket

from peers import EventStream, Raw, read_head, request_bytes
from taut import free_port
from test_api import make_key
from test_limits import From, ask, wait_s
from test_tls import certificates, pair  # noqa: F401

KEY, DIGEST = make_key()
CLIENT = ("X-Forwarded-For", "192.0.2.1")
OTHER = ("X-Forwarded-For", "192.0.2.2")


def config(proxies="127.0.0.1", more=""):
    return f'[auth]\nproxies = ["{proxies}"]\napi_keys = ["{DIGEST}"]\n{more}'


def address(server, room):
    """Where the one Conn in the room comes from, without its port."""
    asked = urllib.request.Request(f"{server.http}/api/conns?room={room}", headers={"Authorization": f"Bearer {KEY}"})
    deadline = time.monotonic() + 10
    # The handshake is answered before the room has answered.
    while not (conns := json.load(urllib.request.urlopen(asked, timeout=10))["conns"]):
        assert time.monotonic() < deadline, "nobody came into the room"
        time.sleep(0.05)
    assert len(conns) == 1, conns
    return conns[0]["address"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([CLIENT], "192.0.2.1"),
        ([("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 127.0.0.1")], "192.0.2.1"),
        ([("X-Forwarded-For", "6.6.6.6"), CLIENT], "192.0.2.1"),
        ([("X-Forwarded-For", "[2001:db8::1]:4711")], "2001:db8::1"),
        ([("Forwarded", 'for=6.6.6.6, For="192.0.2.1:4711";proto=https')], "192.0.2.1"),
        ([("Forwarded", 'for="[2001:db8::1]"'), ("Forwarded", "for=127.0.0.1;by=_x")], "2001:db8::1"),
        ([("X-Forwarded-For", "192.0.2.1, unknown")], None),
        ([("Forwarded", "for=_hidden")], None),
        ([], None),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_listed_proxy(start, room, headers, expected):
    server = start(config())
    with websocket(f"{server.ws}/r/{room}", additional_headers=headers):
        found = address(server, room)
        assert found == expected or (expected is None and found.startswith("127.0.0.1:"))


def test_from_whoever_is_not_listed_they_are_ignored(start, room):
    server = start(config("10.0.0.0/8"))
    with websocket(f"{server.ws}/r/{room}", additional_headers=[CLIENT, ("Forwarded", "for=6.6.6.6")]):
        assert address(server, room).startswith("127.0.0.1:")


def test_every_door_that_is_opened_by_a_request_has_the_client_s_address(start, room, closing):
    server = start(config(), ["--log-level", "info"])
    with websocket(f"{server.ws}/r/{room}/native", subprotocols=["taut"], additional_headers=[CLIENT]):
        assert address(server, f"{room}/native") == "192.0.2.1"
    closing.add(EventStream(server, f"/r/{room}/sse", CLIENT))
    assert address(server, f"{room}/sse") == "192.0.2.1"
    # A session that polls has no socket of its own.
    raw = closing.add(Raw(server))
    opened = ask(raw, server, "GET", "/socket.io/?EIO=4&transport=polling", [CLIENT])
    sid = json.loads(opened.body[1:])["sid"]
    assert ask(raw, server, "POST", f"/socket.io/?EIO=4&transport=polling&sid={sid}", [CLIENT], f"40/{room}/io,").status == 200
    assert ask(raw, server, "GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}", [CLIENT]).status == 200
    assert address(server, f"{room}/io") == "192.0.2.1"
    # Log lines name it, too.
    raw.send(request_bytes(server, "GET", f"/r/{room}", [("Origin", "https://elsewhere.example"), CLIENT]))
    assert raw.response("GET").status == 403
    assert any("origin-refused" in line and "192.0.2.1" in line for line in server.said().splitlines()), server.said()


@pytest.mark.parametrize(
    "headers",
    [
        [CLIENT, ("Forwarded", "for=192.0.2.1")],
        [("Forwarded", 'for="192.0.2.1')],
        [("Forwarded", "for=192.0.2.1 for=6.6.6.6")],
        [("Forwarded", 'x=", for="192.0.2.1"')],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(start, room, headers):
    server = start(config())
    raw = Raw(server)
    problem = ask(raw, server, "GET", f"/r/{room}", headers).assert_problem(400)
    assert problem["code"] == "bad-request" and "Forwarded" in problem["detail"]
    raw.close()


def test_each_request_of_a_kept_connection_uses_up_what_is_its_client_s(start, room):
    server = start(config(more='[limits]\nexempt = ["127.0.0.1"]\n[limits.address]\nmessages_per_s = 1\nmessages_burst = 4\n'))
    proxy = From(server, "127.0.0.1")

    def post(*headers):
        return ask(proxy, server, "POST", f"/r/{room}", headers, "x")

    let_through = [post(CLIENT).status for _ in range(12)]
    assert let_through[:4] == [200] * 4 and 429 in let_through, let_through
    wait_s(next(answer for answer in (post(CLIENT) for _ in range(100)) if answer.status == 429))
    # Another client, on the same connection; and who is forged to the left of it.
    assert post(OTHER).status == 200
    assert post(("X-Forwarded-For", "192.0.2.1, 192.0.2.2")).status == 200
    # The proxy's own are exempt.
    assert [post().status for _ in range(20)] == [200] * 20
    proxy.close()


def test_connections_count_as_their_client_s(start, room):
    server = start(config(more='[limits]\nexempt = ["127.0.0.1"]\n[limits.address]\nconns_max = 2\n'))
    held = [EventStream(server, f"/r/{room}", CLIENT) for _ in range(2)]
    raw = Raw(server)
    wait_s(ask(raw, server, "GET", f"/r/{room}", [CLIENT]))
    raw.close()
    raw = Raw(server)
    assert ask(raw, server, "GET", f"/r/{room}", [OTHER]).status == 200
    raw.close()
    for stream in held:
        stream.raw.close()


def test_a_proxy_says_that_the_client_used_tls(start, room, certificates):  # noqa: F811
    server = start(config(), [*pair(certificates), "--tls-required"])
    https = ("X-Forwarded-Proto", "https")

    def said(*headers):
        raw = Raw(server)
        raw.send(request_bytes(server, "POST", f"/r/{room}", headers, "x"))
        head = read_head(raw)
        raw.close()
        return head.status

    assert said(CLIENT, https) == 200
    assert said(("Forwarded", "for=192.0.2.1;proto=https"),) == 200
    for headers in ([], [CLIENT], [https], [CLIENT, ("X-Forwarded-Proto", "http")], [("Forwarded", "for=192.0.2.1"), https], [("X-Forwarded-For", "unknown"), https]):
        assert said(*headers) == 403, headers
    # Each request for itself.
    raw = Raw(server)
    assert ask(raw, server, "POST", f"/r/{room}", [CLIENT, https], "x").status == 200
    assert ask(raw, server, "POST", f"/r/{room}", [CLIENT], "x").assert_problem(403)["code"] == "tls-required"
    raw.close()
    trusting = ssl.create_default_context(cafile=certificates.ca)
    with websocket(f"wss://localhost:{server.port}/r/{room}", ssl=trusting):
        pass


def test_elsewhere_nobody_says_so(start, room, certificates):  # noqa: F811
    server = start(config("10.0.0.0/8"), [*pair(certificates), "--tls-required"])
    raw = Raw(server)
    raw.send(request_bytes(server, "POST", f"/r/{room}", [CLIENT, ("X-Forwarded-Proto", "https")], "x"))
    assert read_head(raw).status == 403
    raw.close()


@pytest.mark.parametrize("required", [False, True])
def test_tls_follows_the_header_of_the_proxy_protocol(start, room, certificates, required):  # noqa: F811
    proxied = free_port()
    server = start(config(), ["--listen", f"proxy://127.0.0.1:{proxied}", *pair(certificates), *(["--tls-required"] if required else [])])
    trusting = ssl.create_default_context(cafile=certificates.ca)

    def come(header):
        raw = socket.create_connection(("127.0.0.1", proxied), 10)
        raw.sendall(header)
        return raw

    raw = come(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n")
    with websocket(f"wss://localhost:{proxied}/r/{room}", sock=raw, ssl=trusting, server_hostname="localhost", additional_headers=[OTHER]):
        asked = urllib.request.Request(f"https://localhost:{server.port}/api/conns?room={room}", headers={"Authorization": f"Bearer {KEY}"})
        conns = json.load(urllib.request.urlopen(asked, timeout=10, context=trusting))["conns"]
        # The client is no proxy, whatever it writes.
        assert [conn["address"] for conn in conns] == ["203.0.113.9"]
    raw = come(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = b""
    while more := raw.recv(65536):
        answer += more
    assert answer.split(b" ")[1] == (b"307" if required else b"200"), answer
    # Without the header there is no way in.
    with pytest.raises((ssl.SSLError, OSError)):
        trusting.wrap_socket(come(b""), server_hostname="localhost")
