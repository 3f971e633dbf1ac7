"""No sticky sessions: requests of one Socket.IO session come by connections that land on any core, and it makes no difference."""

import json
import time

import pytest

from peers import Raw, post, read_head, request, request_bytes
from socketio_clients import TRANSPORTS, Agent, JsClient, PythonClient
from socketio_wire import POLLING, Polling, Wire, assert_refused

CORES = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    import taut

    running = taut.Server(tmp_path_factory.mktemp("cores"), arguments=["--cores", str(CORES)])
    yield running
    try:
        running.assert_healthy()
    finally:
        assert running.stop() == 0, running.said()[-3000:]


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


def heard(session, count):
    return [json.loads(session.packet().split(",", 1)[1])[1] for _ in range(count)]


def test_sessions_whose_requests_land_anywhere(server, room):
    sessions = [Polling(server) for _ in range(2 * CORES)]
    for session in sessions:
        session.enter(f"/{room},")
    for number in range(10):
        speaker = sessions[number % len(sessions)]
        speaker.say(f'42/{room},["n",{number}]')
        for session in sessions:
            if session is not speaker:
                assert heard(session, 1) == [number]
    assert len({session.sid for session in sessions}) == len(sessions)


def test_a_poll_that_waits_elsewhere_is_answered(server, room, closing):
    for number in range(3 * CORES):
        session = Polling(server)
        session.enter(f"/{room},")
        waiting = session.begin_poll(closing)
        waiting.quiet(0.05)
        post(server, room, f"message {number}")
        answer = waiting.response()
        assert f'["message","message {number}","' in answer.body.decode()
        session.post("1")


def test_packets_keep_their_order_whatever_the_core(server, room):
    one, other = Polling(server), Polling(server)
    one.enter(f"/{room},")
    other.enter(f"/{room},")
    for number in range(0, 60, 3):
        one.say(*[f'42/{room},["n",{number + more}]' for more in range(3)])
    assert heard(other, 60) == list(range(60))


def test_an_upgrade_lands_anywhere(server, room, closing):
    for number in range(3 * CORES):
        session = Polling(server)
        session.enter(f"/{room},")
        wire = closing.add(Wire(server, session.sid))
        waiting = session.begin_poll(closing)
        wire.send("2probe")
        assert wire.packet() == "3probe"
        assert waiting.response().body == b"6"
        assert session.poll().body == b"6"
        wire.send("5", f'42/{room},0["up"]')
        assert wire.packet().startswith(f'43/{room},0[{{"ok":"publish"')
        post(server, room, f"message {number}")
        assert wire.packet().startswith(f'42/{room},["message","message {number}","')
        assert_refused(session.poll(), 3, "Bad request")
        wire.close()


def test_rules_hold_across_cores(server, closing):
    for _ in range(2 * CORES):
        session = Polling(server)
        session.enter()
        first = session.begin_poll(closing)
        first.quiet(0.05)
        assert session.poll().status in (400, 500)
        assert first.response().body == b"1"
        assert session.is_gone()
    for _ in range(2 * CORES):
        session = Polling(server)
        session.enter()
        waiting = session.begin_poll(closing)
        waiting.quiet(0.05)
        waiting.vanish()
        for _ in range(100):
            answer = session.post("3")
            if answer.status == 400:
                break
        assert_refused(answer, 1, "Session ID unknown")


def test_a_session_that_names_a_core_that_is_not_there(server):
    session = Polling(server)
    session.enter()
    for position in range(len(session.sid)):
        for letter in "AZaz09_-":
            sid = session.sid[:position] + letter + session.sid[position + 1 :]
            if sid != session.sid:
                assert_refused(request(server, "GET", f"{POLLING}&sid={sid}"), 1, "Session ID unknown")
    session.say('420["who","lobby"]')
    while not (packet := session.packet()).startswith("430"):
        pass
    assert '"ok":"who"' in packet


def test_many_requests_on_one_connection(server, room, closing):
    session = Polling(server)
    session.enter(f"/{room},")
    raw = session.begin_poll(closing)
    for number in range(20):
        post(server, room, str(number))
        assert f'["message","{number}","' in raw.response().body.decode()
        raw.send(request_bytes(server, "GET", session.target))


@pytest.mark.parametrize("how", ["in pieces", "in chunks", "by permission"])
def test_bodies_that_come_slowly(server, room, closing, how):
    listener = Polling(server)
    listener.enter(f"/{room},")
    raw = closing.add(Raw(server))
    for number in range(3 * CORES):
        session = Polling(server)
        session.enter(f"/{room},")
        whole = f'42/{room},["n",{number},"{"x" * 5000}"]'.encode()
        head = f"POST {session.target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        pieces = [whole[:10], whole[10:3000], whole[3000:-1], whole[-1:]]
        if how == "in chunks":
            raw.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            pieces = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces] + [b"0\r\n\r\n"]
        elif how == "by permission":
            raw.send(head + f"Content-Length: {len(whole)}\r\nExpect: 100-continue\r\n\r\n")
            assert read_head(raw).status == 100
        else:
            raw.send(head + f"Content-Length: {len(whole)}\r\n\r\n")
        for piece in pieces:
            time.sleep(0.003)
            raw.send(piece)
        answer = raw.response()
        assert (answer.status, answer.body) == (200, b"ok"), answer
        assert heard(listener, 1) == [number]


def test_requests_of_several_sessions_in_one_write(server, room, closing):
    """A proxy may send them all by one connection, one behind the other, whatever core each session lives on."""
    sessions = [Polling(server) for _ in range(3 * CORES)]
    for session in sessions:
        session.enter(f"/{room},")
    raw = closing.add(Raw(server))
    for number in range(5):
        raw.send(b"".join(request_bytes(server, "POST", session.target, body=f'42/{room},["n",{index},{number}]') for index, session in enumerate(sessions)))
        for _ in sessions:
            answer = raw.response()
            assert (answer.status, answer.body) == (200, b"ok")
    expected = {(index, number) for index in range(len(sessions)) for number in range(5)}
    came = [set() for _ in sessions]
    while any(len(one) < len(expected) - 5 for one in came):
        open_ones = [index for index, one in enumerate(came) if len(one) < len(expected) - 5]
        raw.send(b"".join(request_bytes(server, "GET", sessions[index].target) for index in open_ones))
        for index in open_ones:
            answer = raw.response()
            assert answer.status == 200, answer
            for packet in answer.body.decode().split("\x1e"):
                name, speaker, number, _ = json.loads(packet.split(",", 1)[1])
                assert name == "n" and (speaker, number) not in came[index]
                came[index].add((speaker, number))
    for index, one in enumerate(came):
        assert one == {pair for pair in expected if pair[0] != index}
    assert raw.send(request_bytes(server, "GET", f"/r/{room}?who")).response().json()["count"] == len(sessions), "and other requests pass in between"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_clients_that_know_nothing_of_it(server, room, agent, closing, transport):
    clients = []
    for _ in range(2 * CORES):
        client = closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS[transport], extraHeaders={"Connection": "close"}))
        client.connected()
        clients.append(client)
    python = closing.add(PythonClient(server.http, f"/r/{room}", TRANSPORTS[transport]))
    python.connected()
    clients.append(python)
    for speaker in clients:
        at = speaker.ask("hello", "from", {"blob": b"\x00"})["at"]
        for client in clients:
            if client is not speaker:
                assert client.event() == ("hello", ["from", {"blob": b"\x00"}, at])


def test_recovery_lands_anywhere(server, room, agent, closing):
    client = closing.add(JsClient(agent, server.http, f"/r/{room}", ["websocket"]))
    before = client.connected()
    for number in range(3 * CORES):
        client.drop()
        client.disconnected()
        now = client.connected()
        assert (now["recovered"], now["id"]) == (True, before["id"])
        post(server, room, str(number))
        assert client.event()[1][0] == str(number)
    assert client.heard() == []


def test_several_rooms_are_recovered_on_another_core(server, room, agent, closing):
    client = closing.add(JsClient(agent, server.http, "/", ["websocket"]))
    before = client.connected()
    rooms = [f"{room}/{number}" for number in range(CORES)]
    for one in rooms:
        assert client.ask("join", one)["ok"] == "join"
    for _ in range(2 * CORES):
        client.drop()
        client.disconnected()
        now = client.connected()
        assert (now["recovered"], now["id"]) == (True, before["id"])
        for one in rooms:
            post(server, one, "x", query="?event=tick")
        came = set()
        while len(came) < len(rooms):
            name, args = client.event()
            if name == "tick":
                came.add(args[1]["room"])
