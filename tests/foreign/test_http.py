"""HTTP as ordinary clients speak it: publish, read, poll, stream, ask about methods and origins."""

import http.client
import json
import threading

import httpx
import pytest

from peers import EventStream, Native, Raw, curl, history, post, read_chunk, read_head, request, request_bytes

HTML = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]


@pytest.mark.parametrize(
    ("content_type", "body", "field", "heard"),
    [
        (None, "plain", "data", "plain"),
        ("text/plain", '{"not":"parsed"}', "data", '{"not":"parsed"}'),
        ("text/plain; charset=utf-8", "Grüße", "data", "Grüße"),
        ("application/x-www-form-urlencoded", "a=1&b=%20", "data", "a=1&b=%20"),
        ("application/json", '{"x": 1}', "data", {"x": 1}),
        ("Application/JSON; charset=utf-8", "[1,2]", "data", [1, 2]),
        ("application/vnd.api+json", "null", "data", None),
        ("application/octet-stream", b"\x00\xff", "base64", "AP8="),
        ("image/png", b"\x89PNG", "base64", "iVBORw=="),
    ],
)
def test_the_content_type_says_what_a_post_is(server, room, closing, content_type, body, field, heard):
    listener = closing.add(Native(server))
    listener.ask(join=room)
    post(server, room, body, *([("Content-Type", content_type)] if content_type else []))
    assert listener.message()[field] == heard


def test_curl_posts_a_form_type_and_it_stays_text(server, room):
    code, said = curl(server, f"/r/{room}?as=ana&event=note", "-d", "a=1&b=2")
    assert code == 0
    message = history(server, room)["messages"][0]
    assert (message["from"], message["event"], message["data"]) == ("ana", "note", "a=1&b=2")
    assert json.loads(said) == {"at": message["at"]}


def test_chunked_bodies_and_expect_continue(server, room):
    code, _ = curl(server, f"/r/{room}", "-H", "Transfer-Encoding: chunked", "-d", "in chunks")
    assert code == 0
    code, _ = curl(server, f"/r/{room}", "-H", "Expect: 100-continue", "-d", "after 100")
    assert code == 0
    raw = Raw(server)
    raw.send(f"POST /r/{room} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in ("3\r\none\r\n", "1;name=value\r\n \r\n", '3;q="a b"\r\ntwo\r\n', "0\r\nTrailer: x\r\n\r\n"):
        raw.send(piece)
    assert raw.response().status == 200
    raw.close()
    assert [message["data"] for message in history(server, room)["messages"]] == ["in chunks", "after 100", "one two"]


@pytest.mark.parametrize(("headers", "body"), [([("Content-Type", "application/json")], "{not json"), ([], b"\xff\xfe not text"), ([("Content-Type", "application/json")], "")])
def test_a_body_that_is_not_what_it_says_is_refused(server, room, headers, body):
    request(server, "POST", f"/r/{room}", headers, body).assert_problem(400)
    assert history(server, room)["messages"] == []


def test_a_body_over_the_limit_is_413_whatever_its_framing(server, room):
    big = b"x" * 70_000
    request(server, "POST", f"/r/{room}", [], big).assert_problem(413)
    raw = Raw(server)
    raw.send_as_far_as_possible(f"POST /r/{room} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n".encode() + big + b"\r\n0\r\n\r\n")
    raw.response().assert_problem(413)
    raw.close()
    raw = Raw(server)
    raw.send(f"POST /r/{room} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\n")
    raw.response().assert_problem(413)
    raw.close()
    assert post(server, room, b"y" * 65_536)


def test_history_is_json_at_once_and_resumes_by_since(server, room):
    empty = history(server, room)
    assert empty["messages"] == [] and empty["complete"] is True and empty["room"] == room
    positions = [post(server, room, str(n)) for n in range(5)]
    whole = history(server, room)
    assert [message["at"] for message in whole["messages"]] == positions
    assert whole["at"] == positions[-1]
    rest = history(server, room, f"&since={positions[2]}")
    assert [message["data"] for message in rest["messages"]] == ["3", "4"] and rest["complete"] is True
    page = history(server, room, f"&since={positions[0]}&limit=2")
    assert [message["data"] for message in page["messages"]] == ["1", "2"] and page["at"] == positions[2]
    lost = history(server, room, "&since=nobody-knows-this")
    assert lost["complete"] is False and "from" in lost
    bare = request(server, "GET", f"/r/{room}", [("Accept", "*/*")])
    assert bare.json()["messages"] == whole["messages"]
    assert bare.header("content-type").split(";")[0] == "application/json"


def test_a_long_poll_waits_for_what_comes(server, room):
    at = post(server, room, "first")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(httpx.get(f"{server.http}/r/{room}?since={at}&wait=8", timeout=12).json()))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive(), answers
    second = post(server, room, "second")
    waiting.join(5)
    assert [message["data"] for message in answers[0]["messages"]] == ["second"]
    assert answers[0]["at"] == second


def test_a_long_poll_with_news_answers_at_once_and_without_news_ends_empty(server, room):
    at = post(server, room, "first")
    post(server, room, "second")
    assert len(httpx.get(f"{server.http}/r/{room}?since={at}&wait=30", timeout=5).json()["messages"]) == 1
    end = history(server, room)["at"]
    answer = httpx.get(f"{server.http}/r/{room}?since={end}&wait=1", timeout=5).json()
    assert answer["messages"] == [] and answer["complete"] is True and answer["at"] == end


def test_a_stream_of_lines(server, room, closing):
    raw = closing.add(Raw(server))
    raw.send(request_bytes(server, "GET", f"/r/{room}?rewind=10", [("Accept", "application/x-ndjson")]))
    head = read_head(raw)
    assert head.status == 200 and head.header("content-type").split(";")[0] == "application/x-ndjson"
    post(server, room, "eins\nzwei")
    seen = b""
    while b"eins" not in seen:
        seen += read_chunk(raw) if head.header("transfer-encoding") else raw.until(b"\n")
    message = next(unit for unit in map(json.loads, seen.splitlines()) if "data" in unit)
    assert message["data"] == "eins\nzwei" and message["room"] == room


def test_an_idempotency_key_makes_a_post_safe_to_repeat(server, room):
    key = ("Idempotency-Key", "order-1")
    at = post(server, room, "once", key)
    again = request(server, "POST", f"/r/{room}", [key], "once")
    assert again.status == 200 and again.json()["at"] == at
    request(server, "POST", f"/r/{room}", [key], "another").assert_problem() in (409, 422)
    assert request(server, "POST", f"/r/{room}", [key], "another").status in (409, 422)
    assert len(history(server, room)["messages"]) == 1


def test_who_is_here(server, room, closing):
    member = closing.add(Native(server))
    member.ask(join=room, **{"as": "ana"})
    who = request(server, "GET", f"/r/{room}?who").json()
    assert who["count"] == 1 and who["members"][0]["name"] == "ana" and who["members"][0]["door"]


def test_the_page_comes_to_browsers_only(server, room):
    for target in ("/", f"/r/{room}"):
        page = request(server, "GET", target, HTML)
        assert page.status == 200 and page.header("content-type") == "text/html; charset=utf-8", page
        assert b"<title>Taut</title>" in page.body
        assert (page.header("x-content-type-options") or "").lower() == "nosniff"
        if target != "/":
            assert "accept" in (page.header("vary") or "").lower(), "a cache must not give the page to a program"
    icon = request(server, "GET", "/favicon.svg")
    assert icon.status == 200 and icon.header("content-type").startswith("image/svg+xml")


@pytest.mark.parametrize("target", ["/", "/r/lobby", "/r/lobby?history", "/r/lobby?who", "/favicon.svg", "/nothing", "/ws", "/events?room=lobby"])
@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/event-stream"])
def test_head_is_get_without_the_body(server, target, accept):
    raw = Raw(server)
    raw.send(request_bytes(server, "HEAD", target, [("Accept", accept)]))
    head = read_head(raw)
    get = Raw(server)
    get.send(request_bytes(server, "GET", target, [("Accept", accept)]))
    same = read_head(get)
    get.close()
    assert head.status == same.status
    for name in ("content-type", "content-length", "allow"):
        if same.header(name) is not None:
            assert head.header(name) == same.header(name), name
    # A body after HEAD would be taken for the next answer.
    if (head.header("connection") or "").lower() == "close":
        assert raw.rest() == b""
    else:
        raw.send(request_bytes(server, "HEAD", "/favicon.svg", [("Connection", "close")]))
        assert raw.rest().startswith(b"HTTP/1.1 200")
    raw.close()


@pytest.mark.parametrize("target", ["/r/lobby", "/", "/events", "*"])
def test_options_tells_the_methods(server, target):
    answer = request(server, "OPTIONS", target)
    assert answer.status in (200, 204)
    assert {"GET", "HEAD", "OPTIONS"} <= {method.strip() for method in answer.header("allow").split(",")}


def test_pages_of_this_machine_may_ask_from_another_port(server):
    origin = ("Origin", "http://localhost:5173")
    preflight = request(server, "OPTIONS", "/r/lobby", [origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type, idempotency-key")])
    assert preflight.status in (200, 204)
    assert preflight.header("access-control-allow-origin") in ("http://localhost:5173", "*")
    assert "POST" in preflight.header("access-control-allow-methods")
    allowed = preflight.header("access-control-allow-headers").lower()
    assert "content-type" in allowed and "idempotency-key" in allowed
    for answer in (request(server, "GET", "/r/lobby?history", [origin]), request(server, "POST", "/r/lobby", [origin], "x")):
        assert answer.header("access-control-allow-origin") in ("http://localhost:5173", "*")
        if answer.header("access-control-allow-origin") != "*":
            assert "origin" in (answer.header("vary") or "").lower()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/r/", 400),
        ("GET", "/r/a//b", 400),
        ("GET", "/r/a/../b", 400),
        ("GET", "/r/a%2Fb", 400),
        ("GET", "/r/a%00b", 400),
        ("GET", "/r/%ff", 400),
        ("GET", "/r/a%zz", 400),
        ("GET", "/r/a+b", 400),
        ("GET", "/r/a%23b", 400),
        ("GET", "/r/" + "x" * 256, 400),
        ("GET", "/r/%24sys", 400),
        ("GET", "/r/lobby?rewind=many", 400),
        ("GET", "/r/lobby?as=%00", 400),
        ("GET", "/events", 400),
        ("PATCH", "/r/lobby", 405), ("DELETE", "/r/lobby", 400),
        ("PUT", "/r/lobby", 400),
        ("PATCH", "/", 405),
        ("POST", "/", 405),
        ("POST", "/events?room=lobby", 405),
        ("BREW", "/r/lobby", 501),
        ("GET", "/ws", 426),
    ],
)
def test_a_refusal_says_what_to_do(server, method, target, status):
    answer = request(server, method, target, [], "" if method in ("POST", "PUT", "PATCH") else None)
    if target in ("/r/%24sys",):
        assert answer.status in (400, 403), answer
        return
    answer.assert_problem(status)
    if status == 405:
        assert answer.header("allow")
    if status == 426:
        assert answer.header("sec-websocket-version") == "13"
        assert "upgrade" in answer.header("connection").lower() and "websocket" in answer.header("upgrade").lower()


def test_page_then_post_then_stream_on_one_connection(server, room):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", f"/r/{room}", headers={"Accept": "text/html"})
    page = connection.getresponse()
    assert page.status == 200 and page.read()
    local = connection.sock.getsockname()
    connection.request("POST", f"/r/{room}", body="one connection")
    said = connection.getresponse()
    at = json.loads(said.read())["at"]
    connection.request("GET", f"/r/{room}?history")
    assert json.loads(connection.getresponse().read())["messages"][0]["at"] == at
    connection.request("GET", f"/r/{room}?rewind=1", headers={"Accept": "text/event-stream"})
    stream = connection.getresponse()
    seen = b""
    while b"one connection" not in seen:
        seen += stream.read1()
    assert connection.sock is None or connection.sock.getsockname() == local
    connection.close()


def test_pipelined_requests_are_answered_in_order(server, room):
    raw = Raw(server)
    raw.send(b"".join(request_bytes(server, "POST", f"/r/{room}", [], str(n)) for n in range(20)) + request_bytes(server, "GET", f"/r/{room}?history", [("Connection", "close")]))
    positions = [raw.response().json()["at"] for _ in range(20)]
    assert [message["at"] for message in raw.response().json()["messages"]] == positions
    assert raw.rest() == b""
    raw.close()


def test_a_request_may_come_byte_by_byte(server, room):
    raw = Raw(server)
    for byte in request_bytes(server, "POST", f"/r/{room}", [], "slowly"):
        raw.send(bytes([byte]))
    assert raw.response().status == 200
    raw.close()


def test_a_get_with_a_body_does_not_let_its_body_speak(server, room):
    smuggled = request_bytes(server, "POST", f"/r/{room}", [], "smuggled")
    for target in (f"/r/{room}?history", f"/r/{room}?who", "/favicon.svg", "/r/lobby?history&since=x&wait=1"):
        raw = Raw(server)
        raw.send(request_bytes(server, "GET", target, [], smuggled))
        assert raw.response().status in (200, 400)
        raw.send_as_far_as_possible(request_bytes(server, "GET", "/favicon.svg", [("Connection", "close")]))
        rest = raw.rest()
        assert rest.count(b"HTTP/1.1") <= 1, rest
        raw.close()
    assert history(server, room)["messages"] == []


def test_http_1_0_is_answered_and_closed(server, room):
    raw = Raw(server)
    raw.send(f"POST /r/{room} HTTP/1.0\r\nContent-Length: 3\r\n\r\nold")
    assert raw.response().status == 200
    assert raw.rest() == b""
    raw.close()
    raw = Raw(server)
    raw.send(f"GET /r/{room}?rewind=1 HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
    head = read_head(raw)
    assert head.status == 200 and head.header("transfer-encoding") is None, "HTTP/1.0 knows no chunks"
    raw.until(b"data: old\n")
    raw.close()


def test_connection_close_closes(server):
    raw = Raw(server)
    raw.send(request_bytes(server, "GET", "/r/lobby?history", [("Connection", "close")]))
    answer = raw.response()
    assert answer.status == 200 and answer.header("connection").lower() == "close"
    assert raw.rest() == b""
    raw.close()


def test_every_answer_has_a_date_and_dynamic_ones_are_not_cached(server):
    answer = request(server, "GET", "/r/lobby?history")
    assert answer.header("date").endswith(" GMT")
    assert answer.header("cache-control") in ("no-store", "no-cache")


def test_a_foreign_upgrade_is_ignored(server):
    answer = request(server, "GET", "/r/lobby?history", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert answer.status == 200


def test_the_client_may_leave_while_a_poll_waits(server, room, closing):
    for _ in range(20):
        raw = Raw(server)
        raw.send(request_bytes(server, "GET", f"/r/{room}?since=x&wait=30"))
        raw.vanish()
    stream = closing.add(EventStream(server, f"/r/{room}"))
    post(server, room, "still here")
    assert stream.event()[1] == "still here"
