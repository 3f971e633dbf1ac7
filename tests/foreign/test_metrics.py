"""`/metrics` as Prometheus reads it: with Prometheus' own parser, and its own checker where that is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from peers import EventStream, Native, Raw, nc, post, request, request_bytes
from taut import free_port
from test_webhooks import application  # noqa: F401
from test_webhooks import config as webhook


class Metrics:
    """A server that tells its metrics."""

    def __init__(self, start, config="", arguments=()):
        self.port = free_port()
        self.server = start(config, ["--metrics-listen", f"127.0.0.1:{self.port}", *arguments])

    def get(self, headers=(), method="GET", path="/metrics", host=None):
        raw = Raw(self.server, at=("127.0.0.1", self.port))
        try:
            head = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *(f"{k}: {v}" for k, v in headers)]
            raw.send("\r\n".join(head) + "\r\n\r\n")
            return raw.response(method)
        finally:
            raw.close()

    def text(self, headers=()):
        response = self.get(headers)
        assert response.status == 200, response
        assert response.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        return response.body.decode()

    def samples(self):
        """Every sample, by name and sorted labels."""
        families = list(text_string_to_metric_families(self.text()))
        found = {}
        for family in families:
            assert family.documentation, family.name
            assert family.type in ("counter", "gauge", "histogram"), family
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                assert key not in found, f"{key} stands there twice"
                found[key] = sample.value
        return found

    def value(self, name, **labels):
        return self.samples().get((name, *sorted(labels.items())), 0)

    def until(self, wanted, name, **labels):
        """Waits for a value: what a peer has done is counted a moment later."""
        deadline = time.monotonic() + 10
        while (found := self.value(name, **labels)) != wanted:
            assert time.monotonic() < deadline, f"{name}{labels} is {found}, not {wanted}"
            time.sleep(0.05)


@pytest.fixture
def metrics(start):
    return Metrics(start)


def test_every_door_counts_its_conns_and_what_they_say_and_hear(metrics, room, closing):
    server = metrics.server
    socketed = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    native = closing.add(Native(server))
    native.ask(join=room)
    stream = closing.add(EventStream(server, f"/r/{room}"))
    stream.block()
    lines = closing.add(Raw(server))
    lines.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "application/x-ndjson")]))
    lines.until(b'"ok":"join"')
    person = closing.add(nc(server))
    person.type(f"/join {room}").type("/who").until("(text)")
    untouched = closing.add(Raw(server))

    for number in range(10):
        post(server, room, f"message {number}")
    socketed.send("from the socket")
    for _ in range(10):
        assert socketed.recv(10)

    for door in ("websocket", "lines", "sse", "ndjson", "text", "none"):
        metrics.until(1, "taut_conns", door=door)
    metrics.until(10, "taut_messages_received_total", door="http")
    metrics.until(1, "taut_messages_received_total", door="websocket")
    metrics.until(10, "taut_messages_sent_total", door="websocket")
    for door in ("lines", "sse", "ndjson", "text"):
        metrics.until(11, "taut_messages_sent_total", door=door)
    found = metrics.samples()
    for door in ("websocket", "lines", "sse", "ndjson", "text", "http"):
        assert found["taut_sent_bytes_total", ("door", door)] > 0, door
    for door in ("lines", "text", "websocket", "http"):
        assert found["taut_received_bytes_total", ("door", door)] > 0, door
    assert found["taut_rooms",] >= 1
    assert found["taut_log_bytes",] > 0
    assert found["taut_fanout_seconds_count",] >= 1
    assert found["taut_store_append_seconds_count",] >= 1
    assert found["taut_store_bytes",] > 0
    assert found["taut_ready",] == 1
    assert found["taut_cores_silent",] == 0
    assert found["process_resident_memory_bytes",] > 1 << 20
    assert found["process_max_fds",] >= found["process_open_fds",] > 5
    assert found["process_cpu_seconds_total",] >= 0
    untouched.close()
    metrics.until(0, "taut_conns", door="none")


def test_datagrams_and_socketio_have_their_doors(start, room):
    import socketio

    port = free_port()
    metrics = Metrics(start, arguments=["--listen", f"udp://127.0.0.1:{port}"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.connect(("127.0.0.1", port))
        peer.send(b'{"publish":"%s","data":"x","ref":1}' % room.encode() + b" " * 100)
        assert b'"ok"' in peer.recv(2000)
    metrics.until(1, "taut_messages_received_total", door="udp")
    with socketio.SimpleClient() as client:
        client.connect(metrics.server.http, namespace=f"/r/{room}", transports=["websocket"])
        metrics.until(1, "taut_conns", door="socketio")
        client.emit("said", "x")
        metrics.until(1, "taut_messages_received_total", door="socketio")
    metrics.until(0, "taut_conns", door="socketio")


def test_ends_refusals_and_gaps_are_counted_by_their_words(metrics, room, closing):
    native = closing.add(Native(metrics.server))
    native.raw.send('{"jion":"x"}\n')
    native.raw.send('{"leave":"never/joined"}\n')
    native.raw.until(b"not-joined")
    metrics.until(1, "taut_refusals_total", code="no-verb")
    metrics.until(1, "taut_refusals_total", code="not-joined")
    broken = Raw(metrics.server).send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    broken.rest()
    metrics.until(1, "taut_refusals_total", code="bad-request")
    with connect(f"{metrics.server.ws}/r/{room}") as socketed:
        socketed.close(1000)
    metrics.until(1, "taut_closes_total", door="websocket", reason="bye")
    gone = Raw(metrics.server)
    gone.send('{"join":"%s"}\n' % room)
    gone.until(b"\n")
    gone.vanish()
    metrics.until(1, "taut_closes_total", door="lines", reason="vanished")


def test_readers_behind_are_counted_while_they_are(metrics, room, closing):
    deaf = closing.add(Raw(metrics.server, receive_buffer=4096))
    deaf.send(request_bytes(metrics.server, "GET", f"/r/{room}", [("Accept", "text/event-stream")]))
    deaf.until(b"id: ")
    for _ in range(100):
        post(metrics.server, room, "x" * 60_000)
    metrics.until(1, "taut_readers_behind")
    deaf.close()
    metrics.until(0, "taut_readers_behind")


@pytest.mark.parametrize("cores", [1, 4])
def test_polls_count_as_http_wherever_their_session_is(start, room, cores):
    import socketio

    metrics = Metrics(start, arguments=["--cores", str(cores)])
    for _ in range(4):
        with socketio.SimpleClient() as client:
            client.connect(metrics.server.http, namespace=f"/r/{room}", transports=["polling"])
            client.call("said", "x", timeout=20)
    metrics.until(4, "taut_messages_received_total", door="socketio")
    metrics.until(0, "taut_conns", door="http")
    found = metrics.samples()
    assert found["taut_received_bytes_total", ("door", "none")] == 0
    opened = found["taut_conns_opened_total", ("door", "http")]
    assert opened == sum(count for key, count in found.items() if key[0] == "taut_closes_total" and ("door", "http") in key)


def test_a_client_of_http_says_goodbye_between_two_requests(metrics, room):
    post(metrics.server, room, "x")
    metrics.until(0, "taut_conns", door="http")
    before = metrics.samples()
    kept = Raw(metrics.server).send(request_bytes(metrics.server, "GET", f"/r/{room}"))
    assert kept.response().status == 200
    kept.close()
    metrics.until(before["taut_closes_total", ("door", "http"), ("reason", "bye")] + 1, "taut_closes_total", door="http", reason="bye")
    half = Raw(metrics.server).send(request_bytes(metrics.server, "GET", f"/r/{room}"))
    assert half.response().status == 200
    half.send("GET /r/")
    time.sleep(0.1)
    half.close()
    metrics.until(1, "taut_closes_total", door="http", reason="vanished")


def test_what_readiness_says_is_no_refusal_and_stands_in_the_metrics(start):
    metrics = Metrics(start, "[limits]\nmemory_bytes_max = 4096\n")
    metrics.until(0, "taut_ready")
    response = request(metrics.server, "GET", "/r/lobby")
    response.assert_problem(503)
    assert metrics.value("taut_connections_turned_away_total", reason="memory") >= 1
    assert metrics.value("taut_connections_turned_away_total", reason="full") == 0
    refused = metrics.value("taut_refusals_total", code="full")
    assert metrics.value("process_start_time_seconds") == pytest.approx(time.time(), abs=600)
    drained = Metrics(start, "[limits]\nconns_max = 1\n")
    kept = Raw(drained.server).send(request_bytes(drained.server, "GET", "/health/ready"))
    assert kept.response().status == 503
    assert drained.value("taut_ready") == 0
    kept.close()
    drained.until(1, "taut_ready")
    assert drained.value("taut_refusals_total", code="full") == 0
    assert refused >= 1


def test_an_address_with_too_many_connections_is_counted(start):
    metrics = Metrics(start, "[limits]\nexempt = []\n[limits.address]\nconns_max = 2\n")
    peers = [Raw(metrics.server) for _ in range(6)]
    deadline = time.monotonic() + 10
    while metrics.value("taut_connections_turned_away_total", reason="address") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert metrics.value("taut_ready") == 1
    for peer in peers:
        peer.close()


def test_whoever_is_turned_away_is_counted(start):
    metrics = Metrics(start, "[limits]\nconns_max = 2\n")
    peers = [Raw(metrics.server) for _ in range(5)]
    deadline = time.monotonic() + 10
    while metrics.value("taut_connections_turned_away_total", reason="full") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for peer in peers:
        peer.close()


def test_questions_for_the_application_are_counted_by_their_outcome(start, application):  # noqa: F811
    metrics = Metrics(start, webhook(application.port, 1))
    post(metrics.server, "orders/1", "taken")
    application.decide = lambda asked: (500, b"", 0)
    request(metrics.server, "POST", "/r/orders/1", (), "lost").assert_problem(503)
    of_orders = {"webhook": "0", "event": "publish"}
    metrics.until(1, "taut_webhook_questions_total", outcome="answered", **of_orders)
    metrics.until(1, "taut_webhook_questions_total", outcome="failed", **of_orders)
    # After five failures in a row nobody is asked for a while.
    for _ in range(9):
        request(metrics.server, "POST", "/r/orders/1", (), "lost")
    asked = metrics.value("taut_webhook_questions_total", outcome="failed", **of_orders)
    assert metrics.value("taut_webhook_questions_total", outcome="unasked", **of_orders) == 10 - asked > 0
    assert metrics.value("taut_webhook_waiting", **of_orders) == 0


def test_the_page_is_bounded_and_names_nothing_that_a_peer_chose(metrics, closing):
    before = len(metrics.text())
    native = closing.add(Native(metrics.server))
    for number in range(200):
        native.raw.send('{"publish":"chosen/%d","data":1,"as":"chosen-%d"}\n{"chosen%d":1}\n' % (number, number, number))
    metrics.until(200, "taut_messages_received_total", door="lines")
    metrics.until(200, "taut_refusals_total", code="no-verb")
    text = metrics.text()
    assert "chosen" not in text
    assert len(text) < before + 1000


def test_promtool_has_nothing_to_say(metrics, room):
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool (Debian's package prometheus) is not installed; the parser of Prometheus' own client library has read the page all the same")
    post(metrics.server, room, "x")
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics.text(), capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0 and not checked.stderr and not checked.stdout, checked


def test_the_doors_say_nothing_of_it(metrics):
    raw = Raw(metrics.server).send(request_bytes(metrics.server, "GET", "/metrics"))
    response = raw.response()
    raw.close()
    assert response.status == 404


def test_it_is_off_by_default_and_needs_a_key_where_others_reach_it(start, tmp_path):
    with pytest.raises(AssertionError, match="metrics.key_file"):
        start("", ["--metrics-listen", f"0.0.0.0:{free_port()}"])
    key = tmp_path / "key"
    key.write_text("short\n")
    with pytest.raises(AssertionError, match="16 characters"):
        start("", ["--metrics-listen", f"0.0.0.0:{free_port()}", "--metrics-key-file", str(key)])
    key.write_text("k" * 32 + "\n")
    metrics = Metrics.__new__(Metrics)
    metrics.port = free_port()
    metrics.server = start("", ["--metrics-listen", f"0.0.0.0:{metrics.port}", "--metrics-key-file", str(key)])
    for headers in ([], [("Authorization", "Bearer " + "x" * 32)], [("Authorization", "Basic " + "k" * 32)], [("Authorization", "k" * 32)]):
        response = metrics.get(headers)
        assert response.status == 401, response
        assert response.header("www-authenticate") == "Bearer"
        assert b"taut_" not in response.body
    assert "taut_conns" in metrics.text([("Authorization", "Bearer " + "k" * 32)])
    assert "kkkk" not in metrics.server.said()


def test_a_page_whose_name_was_bent_to_it_reads_nothing(metrics):
    assert metrics.get(host="evil.example").status == 403
    assert metrics.get([("Origin", "https://evil.example")]).status == 403
    assert metrics.get(host=f"localhost:{metrics.port}").status == 200


def test_only_that_page_is_there_and_only_to_be_read(metrics):
    assert metrics.get(path="/").status == 404
    assert metrics.get(path="/r/lobby").status == 404
    assert metrics.get(method="DELETE").status == 405
    head = metrics.get(method="HEAD")
    assert head.status == 200 and head.body == b"" and int(head.header("content-length")) > 1000


def test_slow_and_many_scrapes_hold_nothing_up(metrics, closing):
    at = ("127.0.0.1", metrics.port)
    slow = [closing.add(Raw(metrics.server, at=at)).send("GET /met") for _ in range(20)]
    # At most eight have a place, and each loses it soon.
    deadline = time.monotonic() + 20
    while True:
        try:
            assert metrics.get().status == 200
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    for peer in slow:
        assert peer.rest(15) == b""
    long = closing.add(Raw(metrics.server, at=at)).send_as_far_as_possible(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000)
    assert b" 431 " in long.rest()[:30]
    metrics.server.assert_healthy()


def test_a_shutdown_is_seen_to_its_end(start, room):
    metrics = Metrics(start, "[limits]\ndrain_ms_max = 3000\n")
    deaf = Raw(metrics.server, receive_buffer=4096)
    deaf.send(request_bytes(metrics.server, "GET", f"/r/{room}", [("Accept", "text/event-stream")]))
    deaf.until(b"id: ")
    for _ in range(100):
        post(metrics.server, room, "x" * 60_000)
    metrics.server.process.send_signal(signal.SIGTERM)
    metrics.until(0, "taut_ready")
    deaf.close()
    assert metrics.server.process.wait(20) == 0


def test_scraping_without_end_loses_nobody_a_message(metrics, room, closing):
    native = closing.add(Native(metrics.server))
    native.ask(join=room)
    for number in range(200):
        post(metrics.server, room, str(number))
        if number % 5 == 0:
            metrics.text()
    heard = []
    while len(heard) < 200:
        unit = native.unit()
        if "data" in unit:
            heard.append(unit["data"])
    assert heard == [str(number) for number in range(200)]
