"""Presence that is true: users, each once, over whatever doors they come by; graces; counts; what they say of themselves."""

import json
import time

import pytest
from websockets.sync.client import connect

from peers import EventStream, Native, Raw, nc, post, raw_websocket, request, request_bytes

GRACE_MS = 1_500
CONFIG = f'[[rooms]]\nmatch = "**"\npresence_grace_ms = {GRACE_MS}\n'


@pytest.fixture
def server(start):
    return start(CONFIG)


def who(server, room, query=""):
    return request(server, "GET", f"/r/{room}?who{query}").json()


def watcher(server, room, closing, presence=True):
    program = closing.add(Native(server))
    answer = program.ask(join=room, presence=presence, **{"as": "watcher"})
    assert answer["ok"] == "join", answer
    return program


def socket_of(server, room, closing, name):
    opened = closing.enter_context(connect(f"{server.ws}/r/{room}?as={name}", subprotocols=["taut"]))
    assert json.loads(opened.recv(5))["ok"] == "join"
    return opened


def program_of(server, room, name, **unit):
    program = Native(server)
    assert program.ask(join=room, **unit, **{"as": name})["ok"] == "join"
    return program


def vanish(server, program):
    """Ends a connection without a word, and waits until the server knows it."""
    before = server.open_files()
    program.raw.vanish()
    deadline = time.monotonic() + 10
    while server.open_files() >= before:
        assert time.monotonic() < deadline, "the server has not noticed"
        time.sleep(0.02)


def news(program, seconds=5):
    presence = program.unit(seconds)["presence"]
    names = lambda field: [member["name"] for member in presence.get(field, [])]
    return names("joined"), names("left"), names("changed"), presence["count"], presence.get("conns", presence["count"])


def test_one_user_over_two_doors_counts_once_and_lists_its_connections(server, room, closing):
    program = watcher(server, room, closing)
    opened = socket_of(server, room, closing, "ana")
    assert news(program) == (["ana"], [], [], 2, 2)
    person = closing.add(nc(server))
    person.type("/nick ana").type(f"/join {room}").until("you are ana in")
    assert news(program) == ([], [], ["ana"], 2, 3)
    seen = who(server, room)
    assert (seen["count"], seen["conns"]) == (2, 3)
    [ana] = [member for member in seen["members"] if member["name"] == "ana"]
    assert [conn["door"] for conn in ana["conns"]] == ["websocket", "text"]
    assert (ana["door"], ana["id"]) == (ana["conns"][0]["door"], ana["conns"][0]["id"])
    person.type("/who").until("ana (websocket, 2 connections)")
    person.type("/quit").until("goodbye")
    assert news(program) == ([], [], ["ana"], 2, 2)
    opened.close()
    assert news(program) == ([], ["ana"], [], 1, 1)


def test_a_user_stays_with_its_last_connection(server, room, closing):
    program = watcher(server, room, closing)
    first = program_of(server, room, "ana", data={"seat": 1})
    assert news(program) == (["ana"], [], [], 2, 2)
    second = closing.enter_context(connect(f"{server.ws}/r/{room}?as=ana"))
    assert news(program) == ([], [], ["ana"], 2, 3)
    vanish(server, first)
    assert news(program) == ([], [], ["ana"], 2, 2), "the plain socket is ana, too"
    second.close()
    assert news(program) == ([], ["ana"], [], 1, 1)


def test_who_is_back_within_the_grace_never_went(server, room, closing):
    program = watcher(server, room, closing)
    first = program_of(server, room, "ana")
    assert news(program)[0] == ["ana"]
    vanish(server, first)
    bo = socket_of(server, room, closing, "bo")
    assert news(program) == (["bo"], [], [], 3, 3), "other things are said meanwhile, and ana is there"
    closing.add(EventStream(server, f"/r/{room}?as=ana"))
    bo.close()
    assert news(program) == ([], ["bo"], [], 2, 2), "ana came back by another door, and nothing was said of it"
    assert program.ask(ping=True)["ok"] == "ping"


def test_who_stays_away_has_left_when_the_grace_is_over(server, room, closing):
    program = watcher(server, room, closing)
    first = program_of(server, room, "ana")
    assert news(program)[0] == ["ana"]
    vanish(server, first)
    assert program.ask(ping=True)["ok"] == "ping", "nothing is said at once"
    assert who(server, room)["count"] == 2
    assert news(program, 10) == ([], ["ana"], [], 1, 1)
    assert who(server, room)["count"] == 1


def test_who_vanishes_unwatched_has_its_grace_too(server, room, closing):
    vanish(server, program_of(server, room, "ana", data={"seat": 7}))
    [ana] = who(server, room)["members"]
    assert (ana["name"], ana["data"]) == ("ana", {"seat": 7})
    closing.add(EventStream(server, f"/r/{room}?as=ana"))
    [ana] = who(server, room)["members"]
    assert (ana["data"], ana["door"]) == ({"seat": 7}, "sse")


def test_a_websocket_without_a_close_frame_vanishes_and_with_one_leaves(server, room, closing):
    program = watcher(server, room, closing)
    gone = raw_websocket(server, f"/r/{room}?as=ana")
    assert news(program)[0] == ["ana"]
    gone.close()
    opened = socket_of(server, room, closing, "bo")
    assert news(program) == (["bo"], [], [], 3, 3)
    opened.close()
    assert news(program) == ([], ["bo"], [], 2, 2)
    assert news(program, 10) == ([], ["ana"], [], 1, 1)


def test_what_a_user_says_of_itself_is_told_and_told_anew(server, room, closing):
    program = watcher(server, room, closing)
    ana = closing.add(Native(server))
    ana.ask(join=room, data={"seat": 1}, **{"as": "ana"})
    [joined] = program.unit()["presence"]["joined"]
    assert joined["data"] == {"seat": 1}
    ana.raw.send(f'{{"join":"{room}","data":{{"seat":2, "x":1.50}}}}\n')
    assert ana.unit()["ok"] == "join"
    line = program.raw.until(b"\n").decode()
    assert '"data":{"seat":2, "x":1.50}' in line and [member["name"] for member in json.loads(line)["presence"]["changed"]] == ["ana"]
    ana.ask(join=room)
    opened = closing.enter_context(connect(f"{server.ws}/ws", subprotocols=["taut"]))
    opened.send(json.dumps({"join": room, "as": "ana", "data": "the newest"}))
    assert json.loads(opened.recv(5))["ok"] == "join"
    [changed] = program.unit()["presence"]["changed"]
    assert changed["data"] == "the newest" and len(changed["conns"]) == 2


def test_data_is_bounded_and_stays_on_its_line(server, room, closing):
    ana = closing.add(Native(server))
    assert ana.ask(join=room, data="x" * 2_046)["ok"] == "join"
    refused = ana.ask(join=room, data="x" * 2_047)
    assert refused["error"] == "label-too-long" and "2048" in refused["text"]
    program = watcher(server, room, closing)
    opened = closing.enter_context(connect(f"{server.ws}/ws", subprotocols=["taut"]))
    opened.send(f'{{"join":"{room}","as":"bo","data":{{"a":1,\n"b":2}}}}')
    assert json.loads(opened.recv(5))["ok"] == "join"
    assert program.unit()["presence"]["joined"][0]["data"] == {"a": 1, "b": 2}


def test_counts_without_a_list(server, room, closing):
    program = watcher(server, room, closing, presence="counts")
    for _ in range(2):
        socket_of(server, room, closing, "ana")
    for count, conns in ((2, 2), (2, 3)):
        assert program.unit()["presence"] == {"joined": [], "left": [], "count": count} | ({"conns": conns} if conns != count else {})
    opened = closing.add(Native(server))
    opened.ask(join=room, data=1, **{"as": "ana"})
    assert program.unit()["presence"]["conns"] == 4
    opened.ask(join=room, data=2)
    assert program.ask(who=room, counts=True) == {"ok": "who", "ref": 7, "room": room, "count": 2, "conns": 4, "members": []}, "data is no count"
    assert who(server, room, "&counts") == {"room": room, "count": 2, "conns": 4, "members": []}
    shown = closing.enter_context(connect(f"{server.ws}/r/{room}?presence=counts&as=ana", subprotocols=["taut"]))
    assert json.loads(shown.recv(5))["who"] == {"count": 2, "conns": 5, "members": []}
    head = request(server, "HEAD", f"/r/{room}?who&counts")
    assert head.status == 200 and head.header("content-type").startswith("application/json") and not head.body
    assert program.unit()["presence"]["conns"] == 5
    refused = program.ask(join=room, presence="all")
    assert refused["error"] == "bad-field" and "counts" in refused["text"]


def test_more_connections_than_are_listed_are_counted(server, room, closing):
    for _ in range(20):
        closing.add(Native(server)).ask(join=room, **{"as": "bot"})
    [bot] = who(server, room)["members"]
    assert len(bot["conns"]) == 16 and bot["conns_count"] == 20
    person = closing.add(nc(server))
    person.type(f"/join {room}").type("/who").until("bot (lines, 20 connections)")


def test_who_polls_is_there_from_poll_to_poll(server, room, closing):
    program = watcher(server, room, closing)
    at = post(server, room, "before")
    assert program.message()["data"] == "before"
    for number in range(3):
        polling = closing.add(Raw(server))
        polling.send(request_bytes(server, "GET", f"/r/{room}?wait=10&as=ana&since={at}", [("Accept", "application/json")]))
        if number == 0:
            assert news(program) == (["ana"], [], [], 2, 2)
        at = post(server, room, str(number))
        unit = program.unit()
        assert unit.get("data") == str(number), f"nothing is said of ana: {unit}"
        assert [message["data"] for message in polling.response("GET").json()["messages"]] == [str(number)]
    assert news(program, 10) == ([], ["ana"], [], 1, 1), "it polls no more"
