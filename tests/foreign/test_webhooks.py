"""Webhooks: the application is asked before a message is taken. It may be slow, dead, or talk nonsense, and nobody else must feel it."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from peers import Native, history, post, request
from taut import Server, free_port

SECRET = "a secret of an application, long enough"


class Application:
    """An HTTP server that decides; `decide` is called with the question and gives (status, body bytes, seconds to wait)."""

    def __init__(self):
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
    native.raw.socket.setsockopt(__import__("socket").SOL_SOCKET, __import__("socket").SO_LINGER, b"\1\0\0\0\0\0\0\0")
    native.close()
    assert request(server, "POST", "/r/lobby", (), "x").status == 200
    gate.set()
    server.assert_healthy()
