"""Webhooks: the application is asked before a message is taken, and before somebody comes in. It may be slow, dead, or talk nonsense, and nobody else must feel it."""

import hashlib
import hmac
import http.server
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from peers import EventStream, Native, Raw, curl, history, nc, post, request, request_bytes
from servers import Certificates
from socketio_clients import Agent, JsClient, PythonClient
from taut import BINARY, ROOT, Server, free_port
from test_auth import SECRET as TOKEN_SECRET
from test_auth import token
from test_serve_udp import Device

SECRET = "a secret of an application, long enough"


class Application:
    """An HTTP server that decides; `decide` is called with the question and gives (status, body bytes, seconds to wait)."""

    def __init__(self, tls=None):
        self.asked, self.connections, self.wrong = [], 0, []
        self.busy, self.busiest = 0, 0
        self.decide = lambda asked: (200, b'{"allow":true}', 0)
        self.lock = threading.Lock()
        application = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with application.lock:
                    application.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                application.check(self.headers["taut-signature"], body)
                asked = json.loads(body)
                with application.lock:
                    application.asked.append(asked)
                    application.busy += 1
                    application.busiest = max(application.busiest, application.busy)
                status, answer, seconds = application.decide(asked)
                time.sleep(seconds)
                with application.lock:
                    application.busy -= 1
                try:
                    self.send_response(status)
                    if status == 302:
                        self.send_header("location", "/elsewhere")
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass

            def do_GET(self):
                application.wrong.append("a redirect was followed")

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def check(self, header, body):
        seconds, digits = header.removeprefix("t=").split(",v1=")
        expected = hmac.new(SECRET.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(digits, expected) or abs(time.time() - int(seconds)) > 60:
            self.wrong.append(header)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def config(port, cores, **more):
    lines = {"event": '"publish"', "match": '"orders/**"', "url": f'"http://127.0.0.1:{port}/taut"', "secret": f'"{SECRET}"', "deadline_ms": 3000, **more}
    return f"cores = {cores}\n[[webhooks]]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())


@pytest.fixture
def application():
    running = Application()
    yield running
    running.close()
    assert running.wrong == []


@pytest.fixture(params=[1, 2])
def server(request, tmp_path, application):
    running = Server(tmp_path, config(application.port, request.param))
    yield running
    running.assert_healthy()
    assert running.stop() == 0


def data(server, room):
    return [message["data"] for message in history(server, room)["messages"]]


def test_it_is_asked_with_all_that_there_is_and_other_rooms_are_not_its_business(server, application):
    post(server, "orders/1", '{"n":1}', ("Content-Type", "application/json"), query="?as=ana&event=order&key=k")
    post(server, "lobby", "free")
    assert len(application.asked) == 1
    asked = application.asked[0]
    assert (asked["event"], asked["room"], asked["as"], asked["door"]) == ("publish", "orders/1", "ana", "http")
    assert asked["messages"] == [{"event": "order", "key": "k", "data": {"n": 1}}]
    assert asked["conn"].startswith("c")


def test_it_refuses_with_its_own_words_and_rewrites(server, application, closing):
    def decide(asked):
        said = asked["messages"][0]["data"]
        if said == "bad":
            return 200, json.dumps({"allow": False, "reason": "no\x1b[2J bad words"}).encode(), 0
        return 200, json.dumps({"allow": True, "messages": [{"data": m["data"].upper()} for m in asked["messages"]]}).encode(), 0

    application.decide = decide
    problem = request(server, "POST", "/r/orders/2", (), "bad").assert_problem(403)
    assert problem["detail"] == "no[2J bad words"
    native = closing.add(Native(server))
    answer = native.ask(publish="orders/2", data="bad")
    assert answer["error"] == "forbidden"
    native.ask(publish="orders/2", data="good")
    post(server, "orders/2", '[{"data":"a"},{"data":"b"}]', ("Content-Type", "application/json"), query="?batch")
    assert data(server, "orders/2") == ["GOOD", "A", "B"]


def test_the_order_of_a_conns_messages_is_kept_and_others_do_not_wait(server, application, closing):
    application.decide = lambda asked: (200, b"", 0.05 if asked["messages"][0]["data"] % 2 else 0)
    native = closing.add(Native(server))
    for number in range(30):
        native.send(publish="orders/3", data=number)
        native.send(publish="orders-not", data=number)
    native.send(ping=True, ref="end")
    other = closing.add(Native(server))
    other.ask(publish="lobby", data="not behind them")
    while native.unit().get("ref") != "end":
        pass
    deadline = time.monotonic() + 20
    while len(data(server, "orders/3")) < 30 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert data(server, "orders/3") == list(range(30))
    assert data(server, "orders-not") == list(range(30))


def test_many_at_once_are_bounded_and_connections_are_kept(server, application, closing):
    application.decide = lambda asked: (200, b'{"allow":true}', 0.02)
    natives = [closing.add(Native(server)) for _ in range(40)]
    for native in natives:
        for number in range(3):
            native.send(publish="orders/many", data=number, ref=number)
    for native in natives:
        for number in range(3):
            assert native.unit()["ref"] == number
    assert len(application.asked) == 120
    assert application.busiest <= 4 and application.connections <= 8
    assert len(data(server, "orders/many")) == 120


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (302, b""), (200, b"not json"), (200, b"{}"), (200, b'{"allow":"yes"}'), (200, b'{"allow":true,"messages":[]}'), (200, b" " * (2 << 20)), (404, b'{"allow":true}')],
)
def test_nonsense_is_a_failure_and_refuses_unless_the_setting_says_otherwise(tmp_path, application, status, body):
    application.decide = lambda asked: (status, body, 0)
    for on_failure, expected in [("refuse", 503), ("allow", 200)]:
        running = Server(tmp_path, config(application.port, 1, on_failure=f'"{on_failure}"'))
        assert request(running, "POST", "/r/orders/x", (), "x").status == expected
        running.assert_healthy()
        assert SECRET not in running.said()
        assert running.stop() == 0


def test_a_slow_one_is_late_and_a_dead_one_is_left_alone(tmp_path, application):
    application.decide = lambda asked: (200, b'{"allow":true}', 5)
    running = Server(tmp_path, config(application.port, 2, deadline_ms=200))
    response = request(running, "POST", "/r/orders/slow", (), "x")
    response.assert_problem(503)
    assert response.header("retry-after")
    assert request(running, "POST", "/r/lobby", (), "x").status == 200
    assert running.stop() == 0
    dead = Server(tmp_path, config(free_port(), 2, deadline_ms=200))
    for _ in range(20):
        request(dead, "POST", "/r/orders/dead", (), "x").assert_problem(503)
    assert dead.said().count("a webhook failed") < 10
    dead.assert_healthy()
    assert dead.stop() == 0


def test_who_goes_meanwhile_says_nothing(server, application, closing):
    gate = threading.Event()

    def decide(asked):
        gate.wait(10)
        return 200, b"", 0

    application.decide = decide
    native = Native(server)
    native.send(publish="orders/gone", data="x")
    deadline = time.monotonic() + 10
    while not application.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    native.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    native.close()
    assert request(server, "POST", "/r/lobby", (), "x").status == 200
    gate.set()
    server.assert_healthy()


# ---- connect: newcomers are put before the application


def connect_config(port, cores=2, before="", after="", **more):
    lines = {"event": '"connect"', "url": f'"http://127.0.0.1:{port}/taut"', "secret": f'"{SECRET}"', "deadline_ms": 3000, **more}
    return f"cores = {cores}\n{before}\n[[webhooks]]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()) + after


SESSIONS = {"sid=of-ana": "ana", "sid=of-bo": "bo"}
ROLES = '\n[roles.member]\n"**" = "join publish history state who"\n"den" = "-*"\n'


def by_cookie(asked):
    """As an application with sessions does: who has one is somebody, who has none is nobody."""
    user = SESSIONS.get(asked.get("headers", {}).get("cookie")) or {"ticket-of-ana": "ana"}.get(asked.get("token") or (asked.get("auth") or {}).get("ticket"))
    if user:
        return 200, json.dumps({"allow": True, "user": user, "name": user.title(), "roles": ["member"]}).encode(), 0
    return 200, json.dumps({"allow": False, "reason": "log in first", "status": 401, "data": {"login": "/login"}}).encode(), 0


def guests_may(asked):
    """The same, but who is nobody may listen in the lobby."""
    status, answer, seconds = by_cookie(asked)
    if b"log in first" in answer:
        answer = json.dumps({"allow": True, "grants": {"lobby": "join"}}).encode()
    return status, answer, seconds


COOKIE = ("Cookie", "sid=of-ana")


def cookie(server, *more):
    """As a browser says it on a page of this very server."""
    return (COOKIE, ("Origin", server.http), *more)


def assert_alive(server):
    """As `assert_healthy`, of a server that lets nobody in who only asks."""
    assert server.is_running(), server.said()[-3000:]
    assert request(server, "GET", "/health/live").status == 200
    assert "panicked" not in server.said(), server.said()[-3000:]


@pytest.fixture(params=[1, 2])
def guarded(request, tmp_path, application):
    application.decide = by_cookie
    running = Server(tmp_path, connect_config(application.port, request.param, after=ROLES))
    yield running
    assert_alive(running)
    assert SECRET not in running.said() and "of-ana" not in running.said() and "ticket-of" not in running.said()
    assert running.stop() == 0


def test_a_request_is_refused_as_the_application_says_and_let_in_as_whom_it_says(guarded, application):
    problem = request(guarded, "GET", "/r/lobby?history").assert_problem(401)
    assert (problem["detail"], problem["code"]) == ("log in first", "unauthorized")
    target = "/r/lobby?token=never-shown-here&key=k&room=x"
    assert request(guarded, "POST", target, cookie(guarded, ("User-Agent", "tests"), ("X-Tenant", "blue"), ("Accept", "*/*")), "hello").status == 200
    asked = application.asked[-1]
    assert (asked["event"], asked["door"], asked["address"], asked["method"], asked["path"], asked["rooms"]) == ("connect", "http", "127.0.0.1", "POST", "/r/lobby", ["lobby"])
    assert asked["query"] == "key=k&room=x" and asked["token"] == "never-shown-here" and asked["user"] is None
    assert asked["headers"]["cookie"] == "sid=of-ana" and asked["headers"]["user-agent"] == "tests" and asked["headers"]["x-tenant"] == "blue"
    assert "accept" not in asked["headers"] and asked["conn"].startswith("c")
    messages = request(guarded, "GET", "/r/lobby?history", cookie(guarded)).json()["messages"]
    assert [(message["data"], message["by"]["user"]) for message in messages] == [("hello", "ana")]
    # What the role does not allow is refused by the server itself.
    request(guarded, "POST", "/r/den", cookie(guarded), "x").assert_problem(403)
    for path in ["/", "/health/live", "/favicon.svg"]:
        assert request(guarded, "GET", path).status == 200


def test_each_request_stands_for_itself_and_the_same_one_is_asked_about_once(guarded, application, closing):
    raw = closing.add(Raw(guarded))

    def get(target, *headers):
        raw.send(request_bytes(guarded, "GET", target, headers))
        return raw.response().status

    mine = cookie(guarded)
    assert get("/r/lobby?history", *mine) == 200
    asked = len(application.asked)
    assert [get(f"/r/lobby?history&since=0-{number}", *mine) for number in range(5)] == [200] * 5
    assert len(application.asked) == asked
    assert get("/r/lobby?history") == 401
    assert get("/r/lobby?history", *mine) == 200
    assert get("/r/other?history", *mine) == 200
    assert get("/r/lobby?history", ("Cookie", "sid=of-bo"), mine[1]) == 200
    assert len(application.asked) == asked + 4
    # Pipelined behind one that waits.
    raw.send(request_bytes(guarded, "GET", "/r/a?history", mine) + request_bytes(guarded, "GET", "/r/den?history", mine) + request_bytes(guarded, "GET", "/r/b?history"))
    assert [raw.response().status for _ in range(3)] == [200, 403, 401]


def test_a_cookie_that_a_foreign_page_may_have_caused_is_not_sent(guarded, application):
    assert request(guarded, "GET", "/r/lobby?history", (COOKIE, ("Sec-Fetch-Site", "cross-site"))).status == 401
    assert "cookie" not in application.asked[-1]["headers"]
    asked = len(application.asked)
    assert request(guarded, "POST", "/r/lobby", (COOKIE, ("Origin", "https://evil.example")), "x").status == 403
    assert len(application.asked) == asked


def test_a_websocket_is_refused_at_its_handshake_or_is_the_user_from_its_first_word(guarded, application, closing):
    for path in ["/r/lobby", "/ws"]:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{guarded.ws}{path}", subprotocols=["taut"])
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["detail"] == "log in first"
    member = closing.enter_context(connect(f"{guarded.ws}/ws", subprotocols=["taut"], additional_headers=[COOKIE], origin=guarded.http))
    member.send(json.dumps({"join": "lobby", "ref": 1}))
    assert json.loads(member.recv(10))["ok"] == "join"
    assert (application.asked[-1]["door"], application.asked[-1]["path"]) == ("websocket", "/ws")
    payload = closing.enter_context(connect(f"{guarded.ws}/r/lobby", additional_headers=[COOKIE], origin=guarded.http))
    payload.send("hello")
    while "data" not in (message := json.loads(member.recv(10))):
        pass
    assert (message["data"], message["by"]["user"], message["from"]) == ("hello", "ana", "Ana")
    assert application.asked[-1]["rooms"] == ["lobby"]


def test_streams_and_curl(guarded, application, closing):
    code, output = curl(guarded, "/r/lobby", "-i", "-H", "Accept: text/event-stream")
    assert code == 0 and "401" in output and "log in first" in output
    stream = closing.add(EventStream(guarded, "/r/lobby", *cookie(guarded)))
    assert application.asked[-1]["door"] == "sse"
    post_of_ana = request(guarded, "POST", "/r/lobby", cookie(guarded), "over curl")
    assert post_of_ana.status == 200
    assert "over curl" in stream.event()[1]


def test_lines_and_people_show_a_token_that_only_the_application_knows(tmp_path, application, closing):
    application.decide = guests_may
    running = Server(tmp_path, connect_config(application.port, after=ROLES), ("--listen", "text://127.0.0.1:0"))
    native = closing.add(Native(running))
    assert native.ask(join="lobby")["ok"] == "join"
    assert native.ask(publish="lobby", data="x")["error"] in ("forbidden", "unauthorized")
    assert native.ask(auth="ticket-of-nobody")["ok"] == "auth"
    assert native.ask(publish="lobby", data="x")["error"] in ("forbidden", "unauthorized")
    answer = native.ask(auth="ticket-of-ana")
    assert (answer["ok"], answer["user"]) == ("auth", "ana"), answer
    asked = application.asked[-1]
    assert (asked["door"], asked["token"], asked["address"], "headers" in asked) == ("lines", "ticket-of-ana", "127.0.0.1", False)
    assert native.ask(publish="lobby", data="hello")["ok"] == "publish"
    person = closing.add(nc(running))
    person.type("hello?").until("publish")
    person.type("/auth ticket-of-ana").until("ana")
    person.type("said by ana")
    deadline = time.monotonic() + 10
    while "said by ana" not in [message["data"] for message in request(running, "GET", "/r/lobby?history", cookie(running)).json()["messages"]]:
        assert time.monotonic() < deadline
    assert_alive(running)
    assert running.stop() == 0


def test_lines_people_and_datagrams_are_told_why_not_in_their_own_words(tmp_path, application, closing):
    application.decide = by_cookie
    path = str(tmp_path / "sock")
    running = Server(tmp_path, connect_config(application.port, after=ROLES), ("--listen", f"unix://{path}", "--listen", "udp://127.0.0.1:0"))
    native = closing.add(Native(running))
    native.send(join="lobby", ref=1)
    bye = native.unit()
    assert (bye["bye"], bye["text"]) == ("refused", "log in first")
    assert native.raw.rest() == b""
    person = closing.add(nc(running))
    person.type("hello")
    assert "log in first" in person.ended()
    local = closing.add(Native(running, at=path))
    local.send(ping=True)
    assert local.unit()["text"] == "log in first"
    assert application.asked[-1]["address"] is None
    device = closing.add(Device(running))
    device.send(publish="lobby", data="fire and forget", ref="long enough for a challenge")
    challenge = device.unit()["prove"]
    device.send(publish="lobby", data="x", proof=challenge, ref=1)
    assert device.unit()["text"] == "log in first"
    assert application.asked[-1]["door"] == "udp"
    assert application.asked[-1]["address"] == "127.0.0.1"
    application.decide = lambda asked: (200, b"", 0)
    other = closing.add(Device(running))
    other.join("lobby")
    assert data(running, "lobby") == []
    assert_alive(running)
    assert running.stop() == 0


def test_half_a_line_and_its_end_come_in_no_earlier(tmp_path, application, closing):
    gate = threading.Event()

    def decide(asked):
        gate.wait(10)
        return by_cookie(asked) if asked["address"] and not application.open else (200, b"", 0)

    application.open, application.decide = False, decide
    running = Server(tmp_path, connect_config(application.port, after=ROLES))
    last_words = [b'{"publish":"lobby","data":"early","ref":1}', b"early"]
    for is_open in [False, True]:
        application.open = is_open
        gate.clear()
        before = len(application.asked)
        peers = [closing.add(Raw(running)).send(words).finish() for words in last_words]
        deadline = time.monotonic() + 10
        while len(application.asked) < before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gate.set()
        for peer in peers if not is_open else peers[:1]:
            rest = peer.rest() if not is_open else peer.until(b"\n")
            assert (b'"ok":"publish"' if is_open else b"log in first") in rest, rest
        deadline = time.monotonic() + 10
        application.open = True
        while data(running, "lobby") != (["early", "early"] if is_open else []):
            assert time.monotonic() < deadline, data(running, "lobby")
            time.sleep(0.05)
    assert_alive(running)
    assert running.stop() == 0


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_namespace_of_socket_io_is_let_in_as_by_a_middleware(guarded, application, closing, transport):
    refused = closing.add(PythonClient(guarded.http, transports=[transport], auth={"ticket": "wrong"}))
    error = refused.refused()
    assert (error["message"], error["data"]) == ("log in first", {"login": "/login"}), error
    client = closing.add(PythonClient(f"{guarded.http}?flavour=mint", transports=[transport], namespace="/room/7", auth={"ticket": "ticket-of-ana"}))
    client.connected()
    asked = application.asked[-1]
    assert (asked["door"], asked["namespace"], asked["rooms"], asked["auth"]) == ("socketio", "/room/7", ["room/7"], {"ticket": "ticket-of-ana"})
    assert asked["path"] == "/socket.io/" and "flavour=mint" in asked["query"] and asked["headers"]["host"]
    assert asked["address"] == "127.0.0.1"
    client.emit("greet", "hello")
    deadline = time.monotonic() + 10
    while not (messages := request(guarded, "GET", "/r/room/7?history", cookie(guarded)).json()["messages"]):
        assert time.monotonic() < deadline
    assert messages[0]["by"]["user"] == "ana"


def test_npm_clients_are_told_by_connect_error(guarded, closing):
    agent = closing.add(Agent("node", "latest"))
    refused = closing.add(JsClient(agent, guarded.http, auth={"ticket": "wrong"}))
    error = refused.refused()
    assert "log in first" in json.dumps(error) and "/login" in json.dumps(error), error
    client = closing.add(JsClient(agent, guarded.http, auth={"ticket": "ticket-of-ana"}))
    client.connected()


def test_what_the_server_knows_of_a_token_is_told_and_the_application_has_the_last_word(tmp_path, application, closing):
    running = Server(tmp_path, connect_config(application.port, before='auth = { secret = "' + TOKEN_SECRET + '", leeway_ms = 0 }', after=ROLES))
    application.decide = lambda asked: (200, json.dumps({"allow": True, "user": "anna"} if asked["user"] == "ana" else {"allow": True}).encode(), 0)
    bearer = ("Authorization", f"Bearer {token('ana', grants={'lobby': 'join publish history'})}")
    assert request(running, "POST", "/r/lobby", (bearer,), "x").status == 200
    asked = application.asked[-1]
    assert asked["user"] == "ana" and asked["claims"]["sub"] == "ana" and asked["claims"]["taut"]["grants"]
    assert "token" not in asked
    assert request(running, "GET", "/r/lobby?history", (bearer,)).json()["messages"][0]["by"]["user"] == "anna"
    request(running, "POST", "/r/den", (bearer,), "x").assert_problem(403)
    # Nobody who shows nothing may do anything here, and a yes does not change that.
    request(running, "POST", "/r/lobby", (), "x").assert_problem(401)
    asked = len(application.asked)
    request(running, "POST", "/r/lobby", (("Authorization", "Bearer a.b.c"),), "x").assert_problem(401)
    assert len(application.asked) == asked
    native = closing.add(Native(running))
    answer = native.ask(auth=token("ana", grants={"lobby": "*"}))
    assert (answer["user"], application.asked[-1]["claims"]["sub"]) == ("anna", "ana")
    client = closing.add(PythonClient(running.http, auth={"token": token("ana", grants={"lobby": "*"})}))
    client.connected()
    assert application.asked[-1]["claims"]["sub"] == "ana"
    assert_alive(running)
    assert running.stop() == 0


def test_a_conn_ends_when_its_time_is_up_and_a_new_question_keeps_it(tmp_path, application, closing):
    application.decide = lambda asked: (200, b'{"allow":true,"user":"ana","grants":{"**":"*"},"expires_s":' + (b"60" if asked.get("token") == "again" else b"2") + b"}", 0)
    running = Server(tmp_path, connect_config(application.port))
    ends, stays = closing.add(Native(running)), closing.add(Native(running))
    assert ends.ask(join="lobby")["ok"] == "join"
    assert stays.ask(join="other")["ok"] == "join"
    assert stays.ask(auth="again")["ok"] == "auth"
    bye = ends.unit(20)
    assert bye["bye"] == "expired"
    assert stays.ask(publish="other", data=1)["ok"] == "publish"
    assert_alive(running)
    assert running.stop() == 0


def test_a_reload_changes_nothing_of_what_the_application_has_said(tmp_path, application, closing):
    application.decide = guests_may
    running = Server(tmp_path, connect_config(application.port, after=ROLES))
    ana, guest = closing.add(Native(running)), closing.add(Native(running))
    assert ana.ask(auth="ticket-of-ana")["ok"] == "auth"
    assert guest.ask(join="lobby")["ok"] == "join"
    path = tmp_path / f"taut-{running.port}.toml"
    path.write_text(path.read_text().replace(ROLES, ROLES + '"cellar" = "-*"\n'))
    running.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "reload" not in running.said():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    assert ana.ask(publish="cellar", data=1)["ok"] == "publish"
    assert ana.ask(publish="den", data=1)["error"] == "forbidden"
    assert guest.ask(publish="lobby", data=1)["error"] in ("forbidden", "unauthorized")
    request(running, "POST", "/r/cellar", cookie(running), "x").assert_problem(403)
    assert_alive(running)
    assert running.stop() == 0


def test_requests_of_http_2_are_asked_about_as_well(tmp_path, application):
    application.decide = by_cookie
    running = Server(tmp_path, connect_config(application.port, after=ROLES), ("--tls-self-signed",))
    for headers, status in [((), "401"), (("-H", "Cookie: sid=of-ana"), "200"), ((), "401")]:
        done = subprocess.run(["curl", "-sk", "--http2", "-m", "10", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *headers, f"https://localhost:{running.port}/r/lobby?history"], capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout == f"2 {status}", done
    assert [asked["address"] in ("127.0.0.1", "::1") for asked in application.asked] == [True] * len(application.asked)
    assert_alive(running)
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (200, b"not json"),
        (200, b'{"allow":true,"roles":["none-such"]}'),
        (200, b'{"allow":true,"grants":{"a//b":"join"}}'),
        (200, b'{"allow":true,"user":""}'),
        (200, b'{"allow":true,"name":"a:b"}'),
        (200, b'{"allow":true,"admin":true}'),
        (200, b'{"allow":false,"status":200}'),
    ],
)
def test_an_answer_about_a_newcomer_that_makes_no_sense_is_a_failure(tmp_path, application, closing, status, body):
    application.decide = lambda asked: (status, body, 0)
    for on_failure, expected in [("refuse", 503), ("allow", 200)]:
        running = Server(tmp_path, connect_config(application.port, 1, on_failure=f'"{on_failure}"'))
        response = request(running, "POST", "/r/lobby", (), "x")
        assert response.status == expected, response
        native = closing.add(Native(running))
        native.send(join="lobby", ref=1)
        unit = native.unit()
        assert unit.get("bye") == "unavailable" if on_failure == "refuse" else unit["ok"] == "join", unit
        native.close()
        assert_alive(running)
        assert running.stop() == 0


def test_a_slow_application_holds_up_nobody_but_those_it_is_asked_about(tmp_path, application, closing):
    gate = threading.Event()

    def decide(asked):
        if asked.get("headers", {}).get("x-slow") or asked["door"] != "http":
            gate.wait(10)
        return 200, b"", 0

    application.decide = decide
    running = Server(tmp_path, connect_config(application.port, 1, concurrency=2, queue_max=3, deadline_ms=20_000))
    waiting = [closing.add(Native(running)) for _ in range(5)]
    for one in waiting[:2]:
        one.send(ping=True, ref=1)
    deadline = time.monotonic() + 10
    while len(application.asked) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Two are asked about, three wait, and no further one may.
    for one in waiting[2:]:
        one.send(ping=True, ref=1)
    time.sleep(0.5)
    late = closing.add(Native(running))
    late.send(ping=True, ref=1)
    assert late.unit()["bye"] == "unavailable"
    # What one that waits sends stays unread.
    flood = b'{"ping":true}\n' * 50_000
    waiting[0].raw.socket.settimeout(2)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            waiting[0].raw.socket.sendall(flood)
    assert request(running, "GET", "/health/live").status == 200
    waiting[1].raw.vanish()
    gate.set()
    for one in waiting[2:]:
        assert one.unit()["ref"] == 1
    assert_alive(running)
    assert running.stop() == 0


def test_a_newcomer_waits_no_longer_than_the_deadline(tmp_path, application, closing):
    application.decide = lambda asked: (200, b"", 5)
    running = Server(tmp_path, connect_config(application.port, deadline_ms=200))
    native = closing.add(Native(running))
    native.send(join="lobby")
    assert native.unit()["bye"] == "unavailable"
    response = request(running, "GET", "/r/lobby?history")
    response.assert_problem(503)
    assert response.header("retry-after")
    client = closing.add(PythonClient(running.http))
    assert client.refused()["message"]
    assert_alive(running)
    assert running.stop() == 0


# ---- https


@pytest.mark.parametrize("event", ["publish", "connect"])
def test_https_is_judged_by_the_authority_that_is_named(tmp_path, event):
    certificates = Certificates(tmp_path)
    (other := tmp_path / "other").mkdir()
    stranger = Certificates(other)
    application = Application(certificates.signed())
    elsewhere = Application(certificates.signed("elsewhere", "DNS:elsewhere.example"))
    about = {"match": '"**"'} if event == "publish" else {}
    made = config if event == "publish" else connect_config
    cases = [
        (application, certificates.ca, 200, None),
        (application, stranger.ca, 503, "invalid peer certificate"),
        (application, None, 503, "UnknownIssuer"),
        (elsewhere, certificates.ca, 503, "elsewhere.example"),
    ]
    for asked, authority, status, why in cases:
        named = {"ca_file": f'"{authority}"'} if authority else {}
        running = Server(tmp_path, made(asked.port, 1, url=f'"https://localhost:{asked.port}/taut"', **about, **named))
        response = request(running, "POST", "/r/lobby", (), "x")
        assert response.status == status, running.said()
        if why:
            assert why in running.said() and "ca_file" in running.said(), running.said()
        assert running.stop() == 0
    assert elsewhere.asked == []
    elsewhere.close()
    assert len(application.asked) == 1 and application.wrong == []
    application.close()


def test_check_shows_the_webhook_and_what_is_wrong_with_it(tmp_path):
    certificates = Certificates(tmp_path)

    def check(text):
        path = tmp_path / "check.toml"
        path.write_text(text)
        done = subprocess.run([str(BINARY), "check", "--config", str(path)], capture_output=True, text=True, timeout=20, check=False)
        assert SECRET not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    code, shown = check(connect_config(9, ca_file=f'"{certificates.ca}"'))
    assert code == 0 and '"connect"' in shown and "ca_file" in shown and "secret is set" in shown, shown
    wrong = [
        (connect_config(9, url='"http://app.example/"'), "allow_http"),
        (connect_config(9, match='"**"'), "leave `match` out"),
        (connect_config(9, deadline_ms=30_000), "20000"),
        (connect_config(9, ca_file='"/nowhere"'), "/nowhere"),
        (connect_config(9, ca_file=f'"{tmp_path}/check.toml"'), "no certificate"),
        (connect_config(9) + connect_config(9).split("\n", 1)[1], "already"),
    ]
    for text, why in wrong:
        code, shown = check(text)
        assert code != 0 and why in shown, shown
    code, shown = check(connect_config(9, url='"http://app.example/"', allow_http="true"))
    assert code == 0 and "allow_http" in shown


def test_the_example_of_the_documentation_answers_both(tmp_path, closing):
    text = (ROOT / "docs/api.md").read_text()
    (tmp_path / "app.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    (tmp_path / "webhook.secret").write_text(SECRET)
    port = free_port()
    app = subprocess.Popen([sys.executable, "app.py", str(port)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    closing.callback(app.wait)
    closing.callback(app.kill)
    wait_for_port(port)
    publish = f'\n[[webhooks]]\nevent = "publish"\nmatch = "orders/**"\nurl = "http://127.0.0.1:{port}/"\nsecret = "{SECRET}"\n'
    running = Server(tmp_path, connect_config(port, after=publish))
    request(running, "POST", "/r/orders/1", (), "two").assert_problem(401)
    ana = (("Cookie", "session=s3cr3t-of-ana"), ("Origin", running.http))
    assert request(running, "POST", "/r/orders/1", ana, "two").status == 200
    assert request(running, "POST", "/r/orders/1", ana, "sold").status == 403
    messages = request(running, "GET", "/r/orders/1?history", ana).json()["messages"]
    assert [(message["data"], message["by"]["user"]) for message in messages] == [("TWO", "ana")]
    forged = urllib.request.Request(f"http://127.0.0.1:{port}/", b"{}", {"Taut-Signature": "t=1,v1=00"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(forged, timeout=10)
    assert refused.value.code == 401
    assert running.stop() == 0


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("library", ["node", "python"])
def test_several_arguments_of_socket_io_are_rewritten_as_several(server, application, closing, library):
    """What is asked about may be said back as it was asked, changed or not; a deletion, too."""

    def decide(asked):
        for message in asked["messages"]:
            if "args" in message:
                message["args"] = [*message["args"][:1], {"base64": "AAEC"}, "by the application"]
        return 200, json.dumps({"allow": True, "messages": asked["messages"]}).encode(), 0

    application.decide = decide
    agent = closing.add(Agent("node", "latest")) if library == "node" else None
    client = closing.add(JsClient(agent, server.http, "/orders/9") if agent else PythonClient(server.http, "/orders/9"))
    client.connected()
    listener = closing.add(Native(server))
    assert listener.ask(join="orders/9")["ok"] == "join"
    client.emit("order", 1, 2)
    assert listener.message()["args"] == [1, {"base64": "AAEC"}, "by the application"]
    listener.ask(set="orders/9", key="k", data="v")
    assert request(server, "DELETE", "/r/orders/9?key=k").status == 200
    assert application.asked[-1]["messages"][0]["delete"] is True


def test_a_payload_websocket_is_closed_with_the_application_s_words(server, application):
    application.decide = lambda asked: (200, '{"allow":false,"reason":"sold out, sorry — try tomorrow"}'.encode(), 0)
    with connect(f"{server.ws}/r/orders/4") as client:
        client.send("two")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "sold out, sorry — try tomorrow")
    application.decide = lambda asked: (500, b"", 0)
    with connect(f"{server.ws}/r/orders/4") as client:
        client.send("two")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert "unavailable" in closed.value.rcvd.reason, closed.value.rcvd
