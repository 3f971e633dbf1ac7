"""What HTTP/1.1 servers get wrong (RFC 9110, RFC 9112): each refused, the connection closed, on every path alike, and nobody else notices."""

import pytest

from commands import run
from peers import Raw, history, request

HOST = "Host: localhost\r\n"
PATHS = ["/", "/r/lobby", "/nothing", "/events?room=lobby"]
BAD = {400}

# name → (request with PATH for the path, allowed statuses)
CASES = {
    "no Host": ("GET PATH HTTP/1.1\r\n\r\n", BAD),
    "two Hosts": ("GET PATH HTTP/1.1\r\nHost: localhost\r\nHost: example.com\r\n\r\n", BAD),
    "two Hosts alike": ("GET PATH HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", BAD),
    "Host with userinfo": ("GET PATH HTTP/1.1\r\nHost: a@localhost\r\n\r\n", BAD),
    "Host with a path": ("GET PATH HTTP/1.1\r\nHost: localhost/x\r\n\r\n", BAD),
    "Host with a comma": ("GET PATH HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n", BAD),
    "Host with a bad port": ("GET PATH HTTP/1.1\r\nHost: localhost:80a\r\n\r\n", BAD),
    "Host with a space": ("GET PATH HTTP/1.1\r\nHost: local host\r\n\r\n", BAD),
    "empty Host": ("GET PATH HTTP/1.1\r\nHost:\r\n\r\n", BAD),
    "GET *": ("GET * HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "empty Transfer-Encoding": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding:\r\n\r\n", BAD | {501}),
    "length and chunks": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    "chunks and length": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD),
    "chunks in HTTP/1.0": ("POST PATH HTTP/1.0\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    "unknown coding": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", BAD | {501}),
    "chunked twice": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", BAD | {501}),
    "chunked not last": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", BAD | {501}),
    "xchunked": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", BAD | {501}),
    "chunked in two fields": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", BAD | {501}),
    "vertical tab before chunked": ("POST PATH HTTP/1.1\r\n" + HOST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", BAD | {501}),
    "length with a sign": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: +5\r\n\r\nhello", BAD),
    "negative length": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: -5\r\n\r\nhello", BAD),
    "two lengths": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD),
    "two lengths alike": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", BAD),
    "a list of lengths": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 5, 5\r\n\r\nhello", BAD),
    "hexadecimal length": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 0x5\r\n\r\nhello", BAD),
    "empty length": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length:\r\n\r\n", BAD),
    "length over 64 bits": ("POST PATH HTTP/1.1\r\n" + HOST + "Content-Length: 99999999999999999999999\r\n\r\n", BAD | {413}),
    "folded header": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A: b\r\n c\r\n\r\n", BAD),
    "folded first header": ("GET PATH HTTP/1.1\r\n Host: localhost\r\n\r\n", BAD),
    "space before colon": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A : b\r\n\r\n", BAD),
    "space in a name": ("GET PATH HTTP/1.1\r\n" + HOST + "X A: b\r\n\r\n", BAD),
    "empty name": ("GET PATH HTTP/1.1\r\n" + HOST + ": b\r\n\r\n", BAD),
    "no colon": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A\r\n\r\n", BAD),
    "name not a token": ("GET PATH HTTP/1.1\r\n" + HOST + "X(A): b\r\n\r\n", BAD),
    "NUL in a value": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A: b\0c\r\n\r\n", BAD),
    "control in a value": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A: b\x01c\r\n\r\n", BAD),
    "bare CR in a value": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A: b\rc\r\n\r\n", BAD),
    "bare LF line ends": ("GET PATH HTTP/1.1\nHost: localhost\n\n", BAD),
    "one bare LF": ("GET PATH HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n", BAD),
    "non-ASCII target": ("GET PATHé HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "control in target": ("GET PATH\x01 HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "fragment in target": ("GET PATH#top HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "target without a slash": ("GET nothing HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "absolute target of another host": ("GET http://example.com/ HTTP/1.1\r\n" + HOST + "\r\n", BAD | {403, 421}),
    "two spaces": ("GET  PATH HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "version too new": ("GET PATH HTTP/9.9\r\n" + HOST + "\r\n", {505}),
    "HTTP/2.0 as a line": ("GET PATH HTTP/2.0\r\n" + HOST + "\r\n", {505}),
    "CONNECT": ("CONNECT localhost:80 HTTP/1.1\r\n" + HOST + "\r\n", {405, 501}),
    "method not a token": ("G@T PATH HTTP/1.1\r\n" + HOST + "\r\n", BAD),
    "header name of 100 KB": ("GET PATH HTTP/1.1\r\n" + HOST + "X" * 100_000 + ": b\r\n\r\n", {431}),
    "header value of 100 KB": ("GET PATH HTTP/1.1\r\n" + HOST + "X-A: " + "b" * 100_000 + "\r\n\r\n", {431}),
    "1,000 headers": ("GET PATH HTTP/1.1\r\n" + HOST + "".join(f"X-{n}: y\r\n" for n in range(1000)) + "\r\n", {431}),
    "method of 100 KB": ("X" * 100_000 + " PATH HTTP/1.1\r\n" + HOST + "\r\n", {501, 400}),
    "target of 100 KB": ("GET PATH?" + "x" * 100_000 + " HTTP/1.1\r\n" + HOST + "\r\n", {414}),
    "unknown expectation": ("POST PATH HTTP/1.1\r\n" + HOST + "Expect: the-unexpected\r\nContent-Length: 1\r\n\r\nx", {417}),
}

CHUNKED = "POST /r/smuggling HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = {
    "bare semicolon": "5;\r\nhello\r\n0\r\n\r\n",
    "extension not a token": "5;a b\r\nhello\r\n0\r\n\r\n",
    "extension with a control": "5;a=\x01\r\nhello\r\n0\r\n\r\n",
    "extension with a bare LF": "5;a=b\nhello\r\n0\r\n\r\n",
    "extension with a bare CR": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "unclosed quote": '5;a="b\r\nhello\r\n0\r\n\r\n',
    "space after the size": "5 \r\nhello\r\n0\r\n\r\n",
    "tab after the size": "5\t\r\nhello\r\n0\r\n\r\n",
    "space before the size": " 5\r\nhello\r\n0\r\n\r\n",
    "prefix": "0x5\r\nhello\r\n0\r\n\r\n",
    "sign": "+5\r\nhello\r\n0\r\n\r\n",
    "negative": "-5\r\nhello\r\n0\r\n\r\n",
    "no size": "\r\nhello\r\n0\r\n\r\n",
    "not hexadecimal": "g\r\nhello\r\n0\r\n\r\n",
    "size over 64 bits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": "5\nhello\r\n0\r\n\r\n",
    "bare LF after the data": "5\r\nhello\n0\r\n\r\n",
    "data longer than its size": "5\r\nhello!\r\n0\r\n\r\n",
    "endless size line": "0" * 70_000 + "5\r\nhello\r\n0\r\n\r\n",
    "bad trailer": "5\r\nhello\r\n0\r\nBad Trailer: x\r\n\r\n",
    "bare LF trailer": "5\r\nhello\r\n0\r\nTrailer: x\n\n",
}


def refused(server, data, statuses):
    """Sends what nobody should, with an honest request behind it that must not be answered."""
    raw = Raw(server)
    try:
        raw.send_as_far_as_possible(data.encode("utf-8") + b"GET /favicon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = raw.response()
        assert answer.status in statuses, answer
        assert raw.rest().count(b"HTTP/1.") == 0, "the connection went on after a violation"
        return answer
    finally:
        raw.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", CASES)
def test_refused_and_closed(server, name, path):
    data, statuses = CASES[name]
    if path != PATHS[0] and "PATH" not in data:
        return
    if "é" in data or "#" in data or "?" in data.split("\r\n")[0]:
        path = path.split("?")[0]
    answer = refused(server, data.replace("PATH", path), statuses)
    answer.assert_problem()
    assert (answer.header("connection") or "").lower() == "close"


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_are_strict(server, name):
    refused(server, CHUNKED + CHUNKS[name], {400, 413, 431})
    assert history(server, "smuggling")["messages"] == []


@pytest.mark.parametrize("line", ["GET / http/1.1", "GET / HTTP/01.1", "GET / HTTP/1.1 ", "GET /", "GET / HTTP/1.x", "hello"])
def test_what_would_be_text_on_a_fresh_connection_is_no_request_on_one_that_speaks_http(server, line):
    raw = Raw(server)
    raw.send("GET /favicon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert raw.response().status == 200
    raw.send(f"{line}\r\nHost: localhost\r\n\r\n")
    assert raw.response().status in (400, 505)
    assert raw.rest() == b""
    raw.close()


def test_a_violation_is_logged_with_its_clause(server):
    refused(server, "GET / HTTP/1.1\r\n\r\n", {400})
    assert "RFC 9112" in server.said() or "RFC 9110" in server.said(), server.said()[-2000:]


@pytest.mark.parametrize("target", ["http://localhost/r/lobby?history", "/r/lobby?history"])
def test_what_is_unusual_but_right_is_served(server, target):
    for data in (
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f"\r\n\r\nGET {target} HTTP/1.1\r\nhOST:localhost   \r\nCONNECTION: \tClose\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nHost: LOCALHOST\r\nX-A: \r\nX-A: \x80\xff\r\nConnection: x, close\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 000\r\nConnection: close\r\n\r\n",
    ):
        raw = Raw(server)
        raw.send(data.encode("latin-1"))
        answer = raw.response()
        raw.close()
        assert answer.status == 200, (data, answer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost:99", "app.localhost"])
def test_loopback_names_are_this_server(server, host):
    raw = Raw(server)
    raw.send(f"GET /r/lobby?history HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert raw.response().status == 200
    raw.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["example.com", "evil.localhost.example.com", "169.254.169.254", "[2001:db8::1]"])
def test_another_host_is_refused_because_of_rebinding(server, host, path):
    raw = Raw(server)
    raw.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    problem = raw.response().assert_problem(403)
    assert "host" in problem["detail"], "it says which setting would allow it"
    raw.close()


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://localhost.example.com", "file://"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_from_elsewhere_are_refused(server, origin, method):
    answer = request(server, method, "/r/lobby", [("Origin", origin), ("Accept", "text/event-stream")], "x" if method == "POST" else None)
    assert "origin" in answer.assert_problem(403)["detail"]
    assert answer.header("access-control-allow-origin") is None


def test_configured_hosts_and_origins_are_let_in(start):
    server = start('hosts = ["taut.example"]\norigins = ["https://app.example"]\n')
    raw = Raw(server)
    raw.send("GET /r/lobby?history HTTP/1.1\r\nHost: taut.example\r\nOrigin: https://app.example\r\n\r\n")
    answer = raw.response()
    assert answer.status == 200 and answer.header("access-control-allow-origin") == "https://app.example"
    raw.close()


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_pages_without_an_origin_of_their_own_are_not_told_to_be_let_in(server, origin):
    detail = request(server, "GET", "/r/lobby", [("Origin", origin)]).assert_problem(403)["detail"]
    assert "origins = " not in detail and "--files" in detail
    checked = run("check", "--origins", origin)
    assert checked[0] != 0 and "is not allowed" in checked[2]


@pytest.mark.parametrize("origin", ["capacitor://localhost", "tauri://localhost", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb"])
def test_pages_of_apps_and_extensions_can_be_let_in(server, start, origin):
    detail = request(server, "GET", "/r/lobby?history", [("Origin", origin)]).assert_problem(403)["detail"]
    assert f'origins = ["{origin}"]' in detail
    answer = request(start(arguments=["--origins", origin]), "GET", "/r/lobby?history", [("Origin", origin)])
    assert answer.status == 200 and answer.header("access-control-allow-origin") == origin
