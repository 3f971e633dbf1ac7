"""Who says much at once: a burst is slowed down by its transport, and neither its own door nor who reads along loses a message by the server's haste. Who does not
listen falls under the lag policy, and holds nobody up."""

import json
import re
import ssl
import threading
import time

import pytest
from websockets.sync.client import connect

from peers import Raw, frame, history, raw_websocket, request, request_bytes
from socketio_clients import Agent, JsClient

MANY = 30_000
LARGE = 8_192
ECHO = '[[rooms]]\nmatch = "**"\necho = true\n'
NUMBERED = re.compile(rb"#(\d{7});")
CLOSED = re.compile(rb"\x88(.)(\x0f.)[a-z ;0-9-]*$", re.DOTALL)


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


def body(number, size=10):
    return f"#{number:07};".ljust(size, "x")


def frames(count, size=10):
    # Masked with zeros: Python masks slowly, and a burst is what this is about.
    return b"".join(frame(1, body(number, size).encode(), mask=None)[:1] + masked(body(number, size).encode()) for number in range(count))


def masked(payload):
    sizes = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return sizes + b"\0\0\0\0" + payload


class Heard:
    """What comes of numbered messages, whatever door wraps them."""

    def __init__(self, raw, count, patience_s=60):
        self.raw, self.count = raw, count
        self.numbers, self.gaps, self.data, self.rest, self.told = [], 0, b"", b"", b""
        raw.socket.settimeout(patience_s)

    def take(self, bytes_max=65_536):
        """One read; false when the connection has ended."""
        data = self.raw.socket.recv(bytes_max)
        self.data, text = data, self.rest + data
        ends = 0
        for found in NUMBERED.finditer(text):
            self.numbers.append(int(found[1]))
            ends = found.end()
        self.rest = text[max(ends, len(text) - 16) :]
        self.gaps += text.count(b'"gap"')
        self.told = (self.told + data)[-2_000:]
        return bool(data)

    def all(self):
        while (not self.numbers or self.numbers[-1] != self.count - 1) and self.take():
            pass
        return self.numbers

    def code(self):
        """With what the connection was closed."""
        while self.take():
            pass
        found = CLOSED.search(self.told)
        return found and int.from_bytes(found[2], "big")


def reading(raw, count):
    """Reads beside the test; gives what it will have read."""
    heard = Heard(raw, count)
    thread = threading.Thread(target=heard.all, daemon=True)
    thread.start()
    return heard, thread


def member(door, server, room, closing):
    """A connection that is in the room and hears what is said there."""
    if door == "websocket":
        return closing.add(raw_websocket(server, f"/r/{room}"))
    if door == "native":
        raw = closing.add(raw_websocket(server, "/ws", ("Sec-WebSocket-Protocol", "taut")))
        raw.send(frame(1, json.dumps({"join": room}).encode())).until(b'"ok":"join"')
        return raw
    raw = closing.add(Raw(server))
    if door == "lines":
        raw.send(json.dumps({"join": room}) + "\n").until(b'"ok":"join"')
    elif door == "text":
        raw.send(f"/join {room}\n").until(room.encode())
    else:
        raw.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "text/event-stream")])).until(b"\r\n\r\n")
    return raw


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("door", ["websocket", "native", "lines", "text", "sse"])
def test_who_reads_along_hears_all_of_a_burst(start, room, closing, door, kept, cores):
    server = start(arguments=["--cores", str(cores), *([] if kept else ["--memory"])])
    # Of several, some are on the core of the publisher and some on another one, and the room's home is one of the two.
    crowd = [reading(member(door, server, room, closing), MANY) for _ in range(3)]
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker.send(frames(MANY) + frame(9, b"still there?"))
    for heard, thread in crowd:
        thread.join(100)
        assert heard.numbers == list(range(MANY)), heard.told[-300:]
    # And the publisher, which hears nothing of it, has lost nothing either.
    speaker.until(b"still there?")
    assert b"\x88" not in speaker.buffer


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("size, count", [(10, MANY), (LARGE, 3_000)])
def test_who_hears_itself_is_slowed_down_and_loses_nothing(start, room, closing, size, count, cores):
    server = start(ECHO, ["--memory", "--cores", str(cores)])
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    threading.Thread(target=speaker.socket.sendall, args=(frames(count, size),), daemon=True).start()
    heard = Heard(speaker, count)
    while len(heard.numbers) < count and heard.take(4_096):
        pass
    assert heard.numbers == list(range(count)), heard.told[-100:]
    # It is heard as before.
    speaker.send(frame(9, b"still there?"))
    while b"still there?" not in heard.told and heard.take():
        pass
    assert server.resident_bytes() < 200 << 20


def test_who_says_all_before_it_listens_falls_under_the_lag_policy(start, room, closing):
    """Both ways of its connection are full then. After a time without progress it is read again, so that it comes to listen; what was lost to it is told."""
    server = start(f"{ECHO}lag = {{ stall_ms_max = 500 }}\n", ["--memory"])
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker.socket.settimeout(60)
    speaker.send(frames(3_000, LARGE))
    heard = Heard(speaker, 3_000)
    assert heard.code() == 4008
    assert heard.numbers == list(range(len(heard.numbers))) and len(heard.numbers) < 3_000
    server.assert_healthy()


def test_a_door_with_words_says_what_was_lost_and_everything_is_taken(start, room, closing):
    server = start(f"{ECHO}lag = {{ stall_ms_max = 500 }}\nhistory = {{ messages_max = 50 }}\n", ["--memory"])
    speaker = member("lines", server, room, closing)
    speaker.socket.settimeout(60)
    said = "".join(json.dumps({"publish": room, "data": body(number, 2 * LARGE)}) + "\n" for number in range(1_200))
    # Its answers are fewer bytes than may wait for it: else it would not be read on.
    speaker.send(said)
    heard = Heard(speaker, 1_200)
    came = bytearray()
    while heard.numbers[-1:] != [1_199] or came.count(b'"ok":"publish"') < 1_200:
        assert heard.take()
        came += heard.data
    assert heard.gaps > 0 and heard.numbers == sorted(set(heard.numbers)) and len(heard.numbers) < 1_200


def test_two_that_never_listen_do_not_wait_for_each_other(start, room, closing):
    server = start(f"{ECHO}lag = {{ stall_ms_max = 500 }}\n", ["--memory"])
    both = [closing.add(raw_websocket(server, f"/r/{room}")) for _ in range(2)]
    threads = []
    for raw in both:
        raw.socket.settimeout(60)
        threads.append(threading.Thread(target=raw.socket.sendall, args=(frames(2_000, LARGE),)))
        threads[-1].start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    assert [Heard(raw, 2_000).code() for raw in both] == [4008, 4008]
    server.assert_healthy()


def test_where_history_holds_it_who_says_all_first_hears_all_then(start, room, closing):
    server = start(f"{ECHO}history = {{ messages_max = 100_000, bytes_max = 1_073_741_824 }}\n")
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker.socket.settimeout(60)
    speaker.send(frames(3_000, LARGE))
    assert Heard(speaker, 3_000).all() == list(range(3_000))
    assert server.resident_bytes() < 300 << 20


@pytest.mark.parametrize("policy", ["resume", "drop", "conflate"])
def test_who_never_reads_holds_nobody_up_and_is_told(start, room, closing, policy):
    server = start(f'[[rooms]]\nmatch = "**"\nlag = {{ policy = "{policy}" }}\nhistory = {{ messages_max = 100 }}\n', ["--memory", "--cores", "2"])
    deaf = [member("lines", server, room, closing) for _ in range(2)]
    # Then each of them is behind by more than its socket takes.
    size, count = 60_000, 500
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker.socket.settimeout(60)
    speaker.send(frames(count, size) + frame(9, b"still there?")).until(b"still there?", 60)
    for raw in deaf:
        heard = Heard(raw, count)
        assert heard.all()[-1] == count - 1
        assert len(heard.numbers) < count and heard.gaps > 0


@pytest.mark.parametrize("cores", [1, 2])
def test_a_python_loop_that_sends_and_then_receives(start, room, cores):
    server = start(ECHO, ["--memory", "--cores", str(cores)])
    with connect(f"{server.ws}/r/{room}", compression=None) as speaker:
        for number in range(20_000):
            speaker.send(body(number))
        assert [speaker.recv(30) for _ in range(20_000)] == [body(number) for number in range(20_000)]


def test_a_burst_of_lines_is_answered_whole(start, room, closing):
    server = start(arguments=["--memory", "--cores", "2"])
    heard, thread = reading(member("lines", server, room, closing), MANY)
    speaker = closing.add(Raw(server))
    said = "".join(json.dumps({"publish": room, "data": body(number), "ref": number}) + "\n" for number in range(MANY))
    threading.Thread(target=speaker.socket.sendall, args=(said.encode(),), daemon=True).start()
    answers = speaker.until(f'"ref":{MANY - 1}'.encode(), 90)
    assert answers.count(b'"ok":"publish"') == MANY and b'"error"' not in answers
    thread.join(90)
    assert heard.numbers == list(range(MANY))


def test_a_burst_over_tls(start, tmp_path, room, closing):
    server = start(arguments=["--cores", "2", "--tls-self-signed", "--data", str(tmp_path / "data")])
    heard, thread = reading(member("websocket", server, room, closing), MANY)
    context = ssl._create_unverified_context()
    with connect(f"wss://127.0.0.1:{server.port}/r/{room}", ssl=context, compression=None) as speaker:
        for number in range(MANY):
            speaker.send(body(number))
        thread.join(90)
    assert heard.numbers == list(range(MANY)), heard.told[-200:]


def test_batches_over_http_in_one_go(start, room, closing):
    server = start(arguments=["--memory", "--cores", "2"])
    heard, thread = reading(member("sse", server, room, closing), 10_240)
    for first in range(0, 10_240, 256):
        lines = "".join(json.dumps({"data": body(number)}) + "\n" for number in range(first, first + 256))
        assert request(server, "POST", f"/r/{room}?batch", [("Content-Type", "application/x-ndjson")], lines).status == 200
    thread.join(60)
    assert heard.numbers == list(range(10_240))


@pytest.mark.parametrize("transports, echo", [(["websocket"], False), (["websocket"], True), (["polling"], False), (None, False)])
def test_a_burst_of_socketio(start, room, closing, agent, transports, echo):
    server = start(ECHO if echo else "", ["--memory", "--cores", "2"])
    listener = closing.add(JsClient(agent, server.http, f"/{room}", ["websocket"]))
    speaker = closing.add(JsClient(agent, server.http, f"/{room}", transports))
    listener.connected(), speaker.connected()
    answers = speaker.burst([["message", body(number)] for number in range(10_000)])
    assert all(answer["ok"] == "publish" for answer in answers) and len(answers) == 10_000
    for client in [listener, *([speaker] if echo else [])]:
        assert [client.event(30)[1][0] for _ in range(10_000)] == [body(number) for number in range(10_000)]


def test_who_talks_and_never_listens_stalls_all_the_same(start, room, closing):
    """Each line that it says had put the clock back that watches whether it takes anything."""
    server = start('[[rooms]]\nmatch = "**"\nlag = { policy = "disconnect", bytes_max = 1_073_741_824, stall_ms_max = 1_000 }\n', ["--memory"])
    deaf = member("lines", server, room, closing)
    speaker = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker.send(frames(300, 60_000) + frame(9, b"said")).until(b"said", 60)
    deadline = time.monotonic() + 60
    while request(server, "GET", f"/r/{room}?who").json()["count"] > 1:
        assert time.monotonic() < deadline, "it is still there"
        deaf.send_as_far_as_possible(b'{"ping":true}\n')
        time.sleep(0.1)
