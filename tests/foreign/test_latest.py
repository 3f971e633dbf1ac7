"""The lane `latest`: heard at every door, kept nowhere, and of each key only the newest matters."""

import json
import time

import pytest
from websockets.sync.client import connect

from commands import Command
from peers import EventStream, Native, Program, Raw, curl, history, nc, post, raw_websocket, read_frame, read_head, request, request_bytes
from socketio_wire import Polling, Wire
from taut import BINARY, Server
from test_serve_udp import UDP, Device

MIB = 1 << 20
CORES = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Several cores, so that some members are at a room's home and some are not; their members are spread over all of them."""
    running = Server(tmp_path_factory.mktemp("taut"), '[[rooms]]\nmatch = "echo/**"\necho = true\n', [*UDP, "--cores", str(CORES)])
    yield running
    try:
        running.assert_healthy()
    finally:
        code = running.stop()
    assert code == 0, running.said()[-3000:]


def member(server, room, closing, **fields):
    program = closing.add(Native(server, receive_buffer=fields.pop("receive_buffer", None)))
    answer = program.ask(join=room, **fields)
    assert answer["ok"] == "join", answer
    return program


def say(speaker, room, data, **fields):
    answer = speaker.ask(publish=room, data=data, lane="latest", **fields)
    assert answer == {"ok": "publish", "ref": 7, "lane": "latest"}


def ndjson(server, target):
    raw = Raw(server)
    raw.send(request_bytes(server, "GET", target, [("Accept", "application/x-ndjson"), ("Connection", "close")]).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert read_head(raw).status == 200
    assert json.loads(raw.until(b"\n"))["ok"] == "join"
    return raw


def test_every_door_hears_it_and_no_door_has_a_position_for_it(server, room, closing):
    lines = member(server, room, closing)
    native = closing.enter_context(connect(f"{server.ws}/r/{room}", subprotocols=["taut"]))
    assert json.loads(native.recv(5))["ok"] == "join"
    payload = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    person = closing.add(nc(server))
    person.type(f"/join {room}").until("in ")
    stream = closing.add(EventStream(server, f"/r/{room}"))
    assert [field for field, _ in stream.block()] == ["id"]
    begun = stream.last_id
    events = closing.add(EventStream(server, f"/events?room={room}&room={room}/b"))
    assert [field for field, _ in events.block()] == ["id"]
    table = closing.add(ndjson(server, f"/r/{room}"))
    device = closing.add(Device(server))
    device.join(room)
    printer = closing.add(Program(BINARY, "sub", room, "--json", "--url", server.http))
    while request(server, "GET", f"/r/{room}?who&counts").json()["count"] < 9:
        time.sleep(0.02)
    speaker = closing.add(Native(server))
    say(speaker, room, {"x": 1.50}, key="ana", event="cursor", **{"as": "ana"})
    for unit in [lines.message(), json.loads(native.recv(5)), json.loads(table.until(b"\n")), device.message(), json.loads(printer.until("\n"))]:
        assert list(unit) == ["room", "lane", "from", "event", "key", "time", "data"], unit
        assert (unit["room"], unit["lane"], unit["from"], unit["event"], unit["key"], unit["data"]) == (room, "latest", "ana", "cursor", "ana", {"x": 1.5})
    assert payload.recv(5) in ('{"x": 1.5}', '{"x":1.50}', '{"x": 1.50}')
    person.until('ana [cursor]: {"x": 1.5}\n')
    assert stream.block() == [("event", "cursor"), ("data", '{"x": 1.5}')]
    assert stream.last_id == begun
    fields = dict(events.block())
    assert fields["event"] == "cursor" and "id" not in fields and json.loads(fields["data"])["lane"] == "latest"
    # Nothing of it is kept, and no number was taken.
    assert history(server, room)["messages"] == []
    assert request(server, "GET", f"/r/{room}?state").json()["state"] == []
    at = post(server, room, "numbered")
    assert at.rsplit("-", 1)[0] == begun.rsplit("-", 1)[0]
    assert int(at.rsplit("-", 1)[1]) == int(begun.rsplit("-", 1)[1]) + 1
    assert stream.event() == ("message", "numbered", at)
    assert lines.message()["at"] == at


def test_every_door_says_it(server, room, closing):
    listener = member(server, room, closing)
    socket = closing.enter_context(connect(f"{server.ws}/ws"))
    socket.send(json.dumps({"publish": room, "data": "socket", "lane": "latest"}))
    assert json.loads(socket.recv(5)) == {"ok": "publish", "lane": "latest"}
    assert listener.message()["data"] == "socket"
    answer = request(server, "POST", f"/r/{room}?lane=latest&as=shell&event=tick&key=k", body="posted")
    assert answer.status == 202 and answer.json() == {"lane": "latest"}
    heard = listener.message()
    assert (heard["data"], heard["from"], heard["event"], heard["key"], heard["lane"]) == ("posted", "shell", "tick", "k", "latest")
    assert curl(server, f"/r/{room}?lane=reliable", "-d", "x")[0] == 0 and "at" in listener.message()
    device = closing.add(Device(server))
    device.send(publish=room, data="unproven", lane="latest")
    assert listener.message()["data"] == "unproven"
    assert device.ask(publish=room, data="asked for", lane="latest") == {"ok": "publish", "ref": 7, "lane": "latest"}
    assert listener.message()["data"] == "asked for"
    command = Command("pub", room, "from the shell", "--lane", "latest", "--as", "ana", "--url", server.http)
    assert command.ended()[0] == 0
    heard = listener.message()
    assert (heard["data"], heard["lane"]) == ("from the shell", "latest")


def test_taut_sub_shows_it_to_people(server, room, closing):
    printer = closing.add(Program(BINARY, "sub", room, "--url", server.http))
    while request(server, "GET", f"/r/{room}?who").json()["count"] < 1:
        time.sleep(0.02)
    assert request(server, "POST", f"/r/{room}?lane=latest&as=ana", body="now").status == 202
    printer.until("ana: now\n")


@pytest.mark.parametrize("room_name", ["", "echo/"])
def test_who_says_it_hears_it_only_where_the_room_echoes(server, room, closing, room_name):
    room = room_name + room
    speakers = [member(server, room, closing) for _ in range(2 * CORES)]
    for number, speaker in enumerate(speakers):
        speaker.send(publish=room, data=number, key=f"k{number}", lane="latest")
    speakers[0].send(publish=room, data="the end")
    wanted = set(range(len(speakers)))
    for number, speaker in enumerate(speakers):
        due = wanted if room_name else wanted - {number}
        heard, said = set(), 0
        while heard != due or not said:
            unit = speaker.unit()
            if "ok" in unit:
                said += 1
            elif unit.get("lane") == "latest":
                assert unit["data"] not in heard, unit
                heard.add(unit["data"])
    for speaker in speakers[1:]:
        # Nothing of its own is on its way either.
        speaker.send(ping=True, ref="last")
        while (unit := speaker.unit()).get("ref") != "last":
            assert unit.get("data") == "the end" or "ok" in unit, unit


def test_both_lanes_reach_everybody_in_one_room(server, room, closing):
    members = [member(server, room, closing) for _ in range(2 * CORES)]
    speaker = closing.add(Native(server))
    for number in range(200):
        speaker.send(publish=room, data=number)
        speaker.send(publish=room, data=number, key="k", lane="latest")
    for one in members:
        reliable, last = [], -1
        while len(reliable) < 200 or last < 199:
            unit = one.message()
            if unit.get("lane") == "latest":
                assert unit["data"] > last, unit
                last = unit["data"]
            else:
                reliable.append(unit["data"])
        assert reliable == list(range(200))


def test_of_what_comes_at_once_the_newest_of_each_key_is_heard(server, room, closing):
    listener = member(server, room, closing)
    speaker = closing.add(Native(server))
    units = [{"publish": room, "data": number, "key": f"k{number % 7}", "lane": "latest"} for number in range(1400)]
    units += [{"publish": room, "data": number, "event": f"e{number % 3}", "lane": "latest"} for number in range(300)]
    speaker.raw.send("".join(json.dumps(unit) + "\n" for unit in units))
    newest = {}
    due = {f"k{number}": 1393 + number for number in range(7)} | {f"e{number}": 297 + number for number in range(3)}
    while newest != due:
        unit = listener.message()
        label = unit.get("key", unit["event"])
        assert unit["data"] > newest.get(label, -1), f"{unit} came after {newest[label]}"
        newest[label] = unit["data"]


def test_a_reader_that_stops_gets_only_the_newest_of_each_key(start, closing):
    server = start(arguments=["--memory", "--cores", "2"])
    # Rooms with a home on either core, and readers by doors that write in different ways.
    for room in ["r/1", "r/2", "r/3"]:
        deaf = [member(server, room, closing, receive_buffer=4096) for _ in range(4)]
        deaf_stream = EventStream.__new__(EventStream)
        deaf_stream.raw = closing.add(Raw(server, receive_buffer=4096))
        deaf_stream.raw.send(request_bytes(server, "GET", f"/events?room={room}", [("Accept", "text/event-stream")]))
        deaf_stream._begin()
        deaf_stream.block()
        speaker = closing.add(Native(server))
        before, padding = server.resident_bytes(), "x" * 20_000
        rounds = 1500
        for number in range(rounds):
            say(speaker, room, f"{number} {padding}", key=f"k{number % 5}")
        grown = server.resident_bytes() - before
        assert grown < 16 * MIB, f"{grown / MIB:.0f} MiB for readers that do not read"
        due = {f"k{number % 5}": number for number in range(rounds - 5, rounds)}
        for one in deaf:
            newest, count = {}, 0
            while newest != due:
                unit = one.message()
                number, count = int(unit["data"].split()[0]), count + 1
                assert len(unit["data"]) == len(f"{number} {padding}")
                assert number > newest.get(unit["key"], -1), f"{number} came after {newest[unit['key']]}"
                newest[unit["key"]] = number
            assert count < rounds, "it has missed nothing although it did not read"
        newest = {}
        while newest != due:
            unit = json.loads(deaf_stream.event()[1])
            number = int(unit["data"].split()[0])
            assert number > newest.get(unit["key"], -1)
            newest[unit["key"]] = number


def test_a_reader_that_stops_holds_up_nobody_and_keys_are_bounded(start, closing, room):
    server = start('[hub]\nlatest_keys_max = 10\n', arguments=["--memory", "--cores", "2"])
    deaf = member(server, room, closing, receive_buffer=4096)
    good = member(server, room, closing)
    speaker = closing.add(Native(server))
    padding = "x" * 20_000
    for number in range(400):
        say(speaker, room, f"{number} {padding}", key=f"k{number}")
        assert good.message()["key"] == f"k{number}"
    numbers = []
    while not numbers or numbers[-1] < 399:
        numbers.append(int(deaf.message()["data"].split()[0]))
    assert numbers == sorted(numbers)
    # What its kernel had taken, and then no more than is held.
    skipped = max(after - before for before, after in zip(numbers, numbers[1:]))
    assert skipped > 1 and 399 - 10 in range(numbers[0], 400)
    assert len([number for number in numbers if number >= 390]) == 10


def test_no_poll_ends_for_it(server, room, closing):
    at = post(server, room, "first")
    poll = closing.add(Raw(server))
    poll.send(request_bytes(server, "GET", f"/r/{room}?since={at}&wait=20"))
    while request(server, "GET", f"/r/{room}?who").json()["count"] < 1:
        time.sleep(0.02)
    speaker = closing.add(Native(server))
    for number in range(20):
        say(speaker, room, number)
    poll.quiet()
    second = post(server, room, "second")
    answer = poll.response()
    assert [message["data"] for message in answer.json()["messages"]] == ["second"] and answer.json()["at"] == second


def test_nothing_comes_before_the_answer_to_a_join_or_behind_that_to_a_leave(server, room, closing):
    speaker = closing.add(Native(server))
    guest = closing.add(Native(server))
    joined, last, heard = False, "leave", 0
    for number in range(600):
        speaker.send(publish=room, data=number, key=f"k{number % 3}", lane="latest")
        if number % 20 == 10:
            guest.send(**{("join" if last == "leave" else "leave"): room})
            last = "join" if last == "leave" else "leave"
    answers = 0
    while answers < 600 / 20:
        unit = guest.unit()
        if unit.get("ok") in ("join", "leave"):
            joined, answers = unit["ok"] == "join", answers + 1
        else:
            assert joined, f"{unit} came to a Conn that is not in the room"
            heard += 1
    assert not joined
    for number in range(50):
        say_quietly(speaker, room, number)
    guest.raw.quiet()


def say_quietly(speaker, room, data):
    """Says it and reads whatever answers there are."""
    speaker.send(publish=room, data=data, lane="latest", ref="quietly")
    while speaker.unit().get("ref") != "quietly":
        pass


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"id": "a"}, "bad-field", '"id"'),
        ({"key": "k", "ttl_ms": 5}, "bad-field", '"ttl_ms"'),
        ({"key": "k", "expect": None}, "bad-field", '"expect"'),
        ({"lane": "fast"}, "bad-field", '"reliable" or "latest"'),
        ({"lane": 7}, "bad-field", '"lane"'),
        ({"data": "x" * 20_000}, "message-too-large", "20000"),
        ({"event": "taut:x"}, "bad-field", "taut:"),
        ({"publish": "$x"}, "reserved-name", "$"),
        ({"publish": "a//b"}, "bad-room", "segment"),
    ],
    ids=lambda value: json.dumps(value)[:30],
)
def test_what_the_lane_cannot_do_is_refused_in_plain_words(start, room, closing, fields, code, word):
    server = start('[[rooms]]\nmatch = "**"\nmessage_bytes_max = 10_000\n', arguments=["--memory"])
    listener = member(server, room, closing)
    speaker = closing.add(Native(server))
    answer = speaker.ask(**({"publish": room, "data": 1, "lane": "latest"} | fields))
    assert answer["error"] == code and word in answer["text"], answer
    say(speaker, room, "still there")
    assert listener.message()["data"] == "still there"


def test_a_batch_does_not_go_by_it(server, room, closing):
    answer = closing.add(Native(server)).ask(publish=room, batch=[{"data": 1}], lane="latest")
    assert answer["error"] == "bad-field" and "batch" in answer["text"]


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("POST", "?lane=latest", [("Idempotency-Key", "a")]),
        ("POST", "?lane=latest&key=k&ttl=5s", []),
        ("POST", "?lane=latest&key=k&expect=", []),
        ("POST", "?lane=latest&key=k", [("If-None-Match", "*")]),
        ("POST", "?lane=latest&batch", [("Content-Type", "application/json")]),
        ("POST", "?lane=fast", []),
        ("PUT", "?lane=latest&key=k", []),
    ],
    ids=str,
)
def test_over_http_too(server, room, method, query, headers):
    answer = request(server, method, f"/r/{room}{query}", headers, body="[]")
    assert answer.assert_problem(400)["code"] in ("bad-field", "bad-query")
    assert history(server, room)["messages"] == []


def test_a_message_too_long_for_a_datagram_is_announced_without_a_position(server, room, closing):
    device = closing.add(Device(server))
    device.join(room)
    speaker = closing.add(Native(server))
    say(speaker, room, "x" * 5_000, **{"as": "ana"})
    unit = device.unit()
    while "bytes" not in unit:
        unit = device.unit()
    assert (unit["lane"], unit["from"]) == ("latest", "ana") and unit["bytes"] > 5_000 and "at" not in unit


def test_a_room_that_nobody_is_in_is_not_made_by_it(server, room, closing):
    speaker = closing.add(Native(server))
    say(speaker, room, "to nobody")
    one = member(server, room, closing)
    say(speaker, room, "to one")
    assert one.message()["data"] == "to one"


def test_compressed_sockets_get_it_too(start, room, closing):
    server = start("compression = true\n", arguments=["--memory"])
    socket = closing.enter_context(connect(f"{server.ws}/r/{room}", subprotocols=["taut"], compression="deflate"))
    assert json.loads(socket.recv(5))["ok"] == "join"
    plain = closing.add(raw_websocket(server, f"/r/{room}"))
    speaker = closing.add(Native(server))
    # Nobody tells when the plain socket is in the room.
    while request(server, "GET", f"/r/{room}?who&counts").json()["count"] < 2:
        time.sleep(0.02)
    say(speaker, room, "again and again " * 200)
    assert json.loads(socket.recv(5))["data"] == "again and again " * 200
    assert read_frame(plain) == (1, b"again and again " * 200)


# ---- Socket.IO


def sessions(server, closing):
    """One session by WebSocket and one that polls."""
    yield closing.add(Wire(server))
    yield Polling(server)


def test_socket_io_hears_it_without_an_offset_that_a_client_would_keep(server, room, closing):
    heard = list(sessions(server, closing))
    for session in heard:
        session.enter(f"/{room},")
    joined = closing.add(Wire(server))
    joined.enter()
    joined.send(f'420["join","{room}"]')
    while not joined.packet().startswith("430"):
        pass
    speaker = closing.add(Native(server))
    for number in range(5):
        say(speaker, room, {"x": number}, event="cursor", key="ana", **{"as": "ana"})
        speaker.ask(publish=room, data="numbered")
        for session in heard:
            # No order is promised between the lanes.
            cursor, message = sorted(json.loads(events_of(session).removeprefix(f"42/{room},")) for _ in range(2))
            assert cursor == ["cursor", {"x": number}, None]
            assert message[:2] == ["message", "numbered"] and isinstance(message[2], str)
        cursor, message = sorted(json.loads(events_of(joined).removeprefix("42")) for _ in range(2))
        name, body, detail, offset = cursor
        assert (name, body, offset) == ("cursor", {"x": number}, None)
        assert (detail["room"], detail["lane"], detail["from"], detail["key"]) == (room, "latest", "ana", "ana") and "at" not in detail
        assert message[1] == "numbered"


def events_of(session):
    """The next event; what the server says of joins and positions is passed over."""
    while (packet := session.packet()).partition('["taut:')[1]:
        pass
    return packet


def test_socket_io_says_it_by_the_verb(server, room, closing):
    listener = member(server, room, closing)
    for number, session in enumerate(sessions(server, closing)):
        session.enter()
        text = f'42{number}["publish","{room}",{{"x":{number}}},{{"lane":"latest","key":"k","event":"cursor"}}]'
        session.send(text) if isinstance(session, Wire) else session.say(text)
        while not (packet := session.packet()).startswith(f"43{number}"):
            pass
        assert json.loads(packet.removeprefix(f"43{number}")) == [{"ok": "publish", "lane": "latest"}]
        heard = listener.message()
        assert (heard["lane"], heard["event"], heard["key"], heard["data"]) == ("latest", "cursor", "k", {"x": number})


def test_a_session_that_does_not_poll_gets_only_the_newest_of_each_key(server, room, closing):
    session = Polling(server)
    session.enter(f"/{room},")
    speaker = closing.add(Native(server))
    for number in range(900):
        say(speaker, room, number, key=f"k{number % 3}")
    said = [json.loads(events_of(session).removeprefix(f"42/{room},"))[1] for _ in range(3)]
    assert said == [897, 898, 899]
