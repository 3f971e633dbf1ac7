"""Readers of Socket.IO that do not keep up fall under the lag policy of the room like any other; and what is volatile is the lane `latest`."""

import json

import pytest

from peers import Native, Raw, frame, post, request, request_bytes
from socketio_clients import TRANSPORTS, Agent, JsClient
from socketio_wire import Polling, Wire

MIB = 1 << 20
BODY = "x" * 50_000


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


class Slow(Wire):
    """A WebSocket whose peer stops to read; its buffer is small, so that the server notices soon."""

    def __init__(self, server, namespace):
        import peers

        whole = peers.Raw
        peers.Raw = lambda server: whole(server, receive_buffer=4096)
        try:
            super().__init__(server)
        finally:
            peers.Raw = whole
        self.enter(namespace)


def rules(policy, more=""):
    return f'[[rooms]]\nmatch = "**"\nlag = {{ policy = "{policy}", bytes_max = 262_144 }}\n{more}'


def flood(server, room, count, closing):
    """400 are more than a room keeps for a core that was held up, where a reader would find all of it."""
    speaker = closing.add(Native(server))
    for number in range(count):
        assert "at" in speaker.ask(publish=room, data=f"{number} {BODY}", key=f"k{number % 3}")


def events(session, room, last):
    """What comes, as numbers and "gap", up to the last number."""
    seen = []
    while not seen or seen[-1] != last:
        packet = session.packet()
        if packet == "6":
            continue
        assert packet.startswith(f"42/{room},"), packet[:200]
        args = json.loads(packet.split(",", 1)[1])
        if args[0] == "taut:gap":
            assert {"room", "after", "at"} <= set(args[1]), args
            seen.append("gap")
        else:
            assert isinstance(args[-1], str) and len(args[-1]) < 100
            seen.append(int(args[1].split()[0]))
    return seen


def reader(kind, server, room, closing):
    if kind == "websocket":
        return closing.add(Slow(server, f"/{room},"))
    session = Polling(server)
    session.enter(f"/{room},")
    return session


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_resume_catches_up_and_misses_nothing(start, room, closing, kind):
    server = start(rules("resume"), ["--memory"])
    slow = reader(kind, server, room, closing)
    before = server.resident_bytes()
    flood(server, room, 100, closing)
    assert server.resident_bytes() - before < 40 * MIB
    assert events(slow, room, 99) == list(range(100))


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_resume_says_what_history_no_longer_holds(start, room, closing, kind):
    server = start(rules("resume"), ["--memory"])
    slow = reader(kind, server, room, closing)
    before = server.resident_bytes()
    flood(server, room, 400, closing)
    assert server.resident_bytes() - before < 48 * MIB
    seen = events(slow, room, 399)
    assert "gap" in seen
    assert_only_gaps_are_missing(seen)


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_drop_says_the_gap_and_goes_on(start, room, closing, kind):
    server = start(rules("drop"), ["--memory"])
    slow = reader(kind, server, room, closing)
    flood(server, room, 400, closing)
    seen = events(slow, room, 399)
    assert "gap" in seen and len(seen) < 400
    assert_only_gaps_are_missing(seen)


def assert_only_gaps_are_missing(seen):
    last, gap = -1, False
    for one in seen:
        if one == "gap":
            gap = True
        else:
            assert one == last + 1 or (gap and one > last), seen
            last, gap = one, False


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_conflate_leaves_the_newest_of_each_key(start, room, closing, kind):
    server = start(rules("conflate"), ["--memory"])
    slow = reader(kind, server, room, closing)
    flood(server, room, 400, closing)
    seen = [one for one in events(slow, room, 399) if one != "gap"]
    assert len(seen) < 400 and seen == sorted(set(seen))
    assert {397, 398, 399} <= set(seen)


@pytest.mark.parametrize("kind", ["websocket", "polling"])
def test_disconnect_ends_it(start, room, closing, kind):
    server = start(rules("disconnect"), ["--memory"])
    slow = reader(kind, server, room, closing)
    flood(server, room, 400, closing)
    if kind == "websocket":
        _, packets = slow.ended(30)
        assert len(packets) < 400
    else:
        for _ in range(400):
            if slow.poll().status == 400:
                break
        assert slow.is_gone()
    assert request(server, "GET", f"/r/{room}?who").json()["count"] <= 1


def test_nobody_else_waits_for_a_slow_reader(start, room, closing, agent):
    server = start(rules("resume"), ["--memory"])
    slow = closing.add(Slow(server, f"/{room},"))
    quick = closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS["websocket"]))
    quick.connected()
    for number in range(100):
        post(server, room, f"{number} {BODY}")
        assert quick.event()[1][0].startswith(f"{number} ")
    slow.close()


def test_a_session_that_never_polls_is_bounded(start, room, closing):
    server = start(arguments=["--memory"])
    for _ in range(20):
        Polling(server).enter(f"/{room},")
    before = server.resident_bytes()
    flood(server, room, 300, closing)
    assert server.resident_bytes() - before < 40 * MIB, "what waits is in the room, once"


def test_answers_to_a_client_that_does_not_read_are_bounded(start, room, closing):
    server = start(arguments=["--memory"])
    for _ in range(17):
        post(server, room, "x" * 60_000)
    slow = closing.add(Slow(server, ""))
    before, sent = server.resident_bytes(), 0
    slow.raw.socket.settimeout(2)
    question = frame(1, f'420["history","{room}",{{"rewind":1000}}]'.encode()) * 500
    with pytest.raises((TimeoutError, BrokenPipeError, ConnectionResetError)):
        while sent < 64 * MIB:
            slow.raw.socket.sendall(question)
            sent += len(question)
    assert server.resident_bytes() - before < 24 * MIB
    server.assert_healthy()


def test_answers_wait_until_they_are_polled_for(start, room, closing):
    server = start(arguments=["--memory"])
    for _ in range(17):
        post(server, room, "x" * 60_000)
    session, count = Polling(server), 300
    session.enter()
    before = server.resident_bytes()
    question = f'420["history","{room}",{{"rewind":1000}}]'
    raw = closing.add(Raw(server)).send(request_bytes(server, "POST", session.target, body="\x1e".join([question] * count)))
    raw.quiet(1)  # the rest of the body is not taken before the first answers are
    assert server.resident_bytes() - before < 24 * MIB
    answers = 0
    while answers < count:
        answers += session.packet().startswith("430[")
    answer = raw.response()
    assert (answer.status, answer.body) == (200, b"ok")


# ---- volatile


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_volatile_reaches_others(server, room, agent, closing, transport):
    one = closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS[transport]))
    other = closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS[transport]))
    one.connected()
    other.connected()
    # A client may drop what is volatile by itself while its transport is busy, so it says it until it is heard.
    for _ in range(500):
        one.emit("tick", 1, volatile=True)
        if other.heard():
            break
    name, args = other.event()
    assert (name, args[0]) == ("tick", 1) and isinstance(args[-1], str)
    one.ask("tock", 2)
    while name != "tock":
        name, args = other.event()
    assert args[0] == 2
