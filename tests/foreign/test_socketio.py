"""Socket.IO by clients that others wrote, over each of their transports: everything that people do with it, and everybody at other doors in the same rooms."""

import json
import re
import time

import pytest
from websockets.sync.client import connect as websocket

from peers import EventStream, Native, history, nc, post, request, to_base64
from socketio_clients import LIBRARY, TRANSPORTS, Agent, JsClient, PythonClient

CLIENTS = ["4.8", "4.5", "4.0", "chromium", "python"]
COMBINATIONS = [(client, transport) for client in CLIENTS for transport in TRANSPORTS]


@pytest.fixture(scope="module")
def agents(server):
    running = {}

    def agent(name):
        if name not in running:
            if name == "chromium":
                served = request(server, "GET", "/socket.io/socket.io.js").status == 200
                running[name] = Agent("chromium", f"{server.http}/socket.io/socket.io.js" if served else str(LIBRARY))
            else:
                running[name] = Agent("node", "latest" if name == "4.8" else name)
        return running[name]

    yield agent
    for one in running.values():
        one.close()
        assert one.page_errors == []


@pytest.fixture(params=COMBINATIONS, ids=["-".join(one) for one in COMBINATIONS])
def come(request, server, agents, closing):
    """Opens clients of one kind over one transport; each is in its namespace when it is handed out."""
    kind, transport = request.param

    def opened(namespace="/", **options):
        if kind == "python":
            client = PythonClient(server.http, namespace, TRANSPORTS[transport], **options)
        else:
            client = JsClient(agents(kind), server.http, namespace, TRANSPORTS[transport], **options)
        closing.add(client)
        client.connected()
        return client

    opened.kind, opened.transport = kind, transport
    return opened


def hear(client):
    """The next event of a room as (name, arguments, position)."""
    name, args = client.event()
    assert args and isinstance(args[-1], str), f"no position at the end of {name} {args}"
    return name, args[:-1], args[-1]


def hear_named(client, wanted):
    """The next event of that name; in `/` one hears the lobby, too."""
    while True:
        name, args, position = hear(client)
        if name == wanted:
            return args, position


def members(server, room):
    answer = request(server, "GET", f"/r/{room}?who")
    assert answer.status == 200, answer
    return answer.json()["count"]


def test_what_one_emits_everybody_else_in_the_namespace_hears(come, room):
    ana, bo = come(f"/r/{room}"), come(f"/{room}")
    answer = ana.ask("chat", "hi")
    assert answer["ok"] == "publish" and set(answer) == {"ok", "at"}, answer
    assert hear(bo) == ("chat", ["hi"], answer["at"])
    bo.emit("move", {"x": 1.5, "to": ["a", None, True]}, 2, "three", None)
    name, args, _ = hear(ana)
    assert (name, args) == ("move", [{"x": 1.5, "to": ["a", None, True]}, 2, "three", None])
    ana.emit("bare")
    assert hear(bo)[:2] == ("bare", [])
    # Had anybody heard itself, it would have come ahead of this.
    bo.ask("end", 0)
    assert hear(ana)[:2] == ("end", [0])


def test_binary_arrives_wherever_it_stands(come, room):
    ana, bo = come(f"/r/{room}"), come(f"/r/{room}")
    deep = {"a": [b"\x00\xff", {"b": b""}], "c": "plain", "d": [[[b"deep"]]]}
    for said in ([b"\x00\x01\xfe\xff"], ["before", b"one", b"two", {"x": b"three"}], [deep], [bytes(range(256)) * 64, 7]):
        answer = ana.ask("bytes", *said)
        assert hear(bo) == ("bytes", said, answer["at"])


def test_what_looks_like_an_attachment_is_not_one(come, room):
    ana, bo = come(f"/r/{room}"), come(f"/r/{room}")
    mine = {"_placeholder": True, "num": 0}
    if come.kind == "python":
        pytest.skip("python-socketio takes such an object for an attachment itself")
    ana.emit("odd", {"base64": "AA=="}, mine)
    name, args, _ = hear(bo)
    assert name == "odd" and args[1] == mine


def test_the_verbs_answer_what_the_native_protocol_answers(come, server, room, closing):
    ana, native = come(), closing.add(Native(server))
    joined = ana.ask("join", room)
    assert (joined["ok"], joined["room"], joined["complete"]) == ("join", room, True) and joined["at"]
    native.ask(join=room, **{"as": "nat"})
    said = native.ask(publish=room, data={"n": 1}, event="tick")
    args, position = hear_named(ana, "tick")
    assert args[0] == {"n": 1} and len(args) == 2
    assert (args[1]["room"], args[1]["at"], args[1]["from"]) == (room, said["at"], "nat")
    assert said["at"] in position

    published = ana.ask("publish", room, "hello")
    assert published["ok"] == "publish"
    heard = native.message()
    assert (heard["at"], heard["event"], heard["data"]) == (published["at"], "message", "hello")
    published = ana.ask("publish", room, {"deep": [1]}, {"event": "move", "key": "k", "id": "id-1"})
    heard = native.message()
    assert (heard["event"], heard["key"], heard["data"]) == ("move", "k", {"deep": [1]})
    again = ana.ask("publish", room, {"deep": [1]}, {"event": "move", "key": "k", "id": "id-1"})
    assert (again["at"], again["duplicate"]) == (published["at"], True)
    ana.ask("publish", room, b"\x00\xff")
    assert native.message()["base64"] == to_base64(b"\x00\xff")

    past = ana.ask("history", room, {"limit": 10})
    assert [message["event"] for message in past["messages"]] == ["tick", "message", "move", "message"]
    assert [message["at"] for message in past["messages"]][:1] == [said["at"]] and past["room"] == room
    assert ana.ask("history", room, {"since": said["at"], "limit": 1})["messages"][0]["data"] == "hello"
    who = ana.ask("who", room)
    assert who["ok"] == "who" and who["count"] == 2
    assert "nat" in [member["name"] for member in who["members"]]

    left = ana.ask("leave", room)
    assert (left["ok"], left["room"]) == ("leave", room)
    native.ask(publish=room, data="nobody of Socket.IO hears this")
    ana.ask("publish", "lobby", "x")
    assert [name for name, args in ana.heard() if "nobody" in str(args)] == []


def test_a_join_brings_what_was_missed(come, server, room):
    positions = [post(server, room, f"message {number}") for number in range(5)]
    ana, bo = come(), come()
    joined = ana.ask("join", room, {"since": positions[2], "as": "ana"})
    assert joined["complete"] is True
    assert [hear_named(ana, "message")[0][0] for _ in range(2)] == ["message 3", "message 4"]
    assert bo.ask("join", room, {"rewind": 1})["ok"] == "join"
    args, _ = hear_named(bo, "message")
    assert args[0] == "message 4" and args[1]["at"] == positions[4]
    lost = come().ask("join", room, {"since": "zzzzzz-9"})
    assert lost["complete"] is False and lost["from"]


def test_anything_else_in_the_main_namespace_goes_to_the_lobby(come, room, server):
    ana, bo, event = come(), come(), f"e{time.monotonic_ns()}"
    answer = ana.ask(event, "to whom it may concern", 2)
    assert answer["ok"] == "publish"
    assert hear_named(bo, event)[0] == ["to whom it may concern", 2]
    at, event = post(server, "lobby", "from curl", query=f"?event={event}c"), f"{event}c"
    args, position = hear_named(ana, event)
    assert args == ["from curl"] and at in position


def test_every_door_hears_it(come, server, room, closing):
    person, native, stream = closing.add(nc(server)), closing.add(Native(server)), closing.add(EventStream(server, f"/r/{room}"))
    stream.block()
    person.type("/nick pat").until("pat")
    person.type(f"/join {room}").until(f"in {room}")
    payload = closing.enter_context(websocket(f"{server.ws}/r/{room}"))
    native.ask(join=room)
    while members(server, room) < 4:
        time.sleep(0.02)
    ana = come(f"/r/{room}", auth={"as": "ana"})

    at = ana.ask("message", "one string")["at"]
    person.until("ana: one string\n")
    assert stream.event() == ("message", "one string", at)
    assert payload.recv(5) == "one string"
    heard = native.message()
    assert (heard["from"], heard["event"], heard["data"], heard["at"]) == ("ana", "message", "one string", at)

    ana.ask("json", {"a": [1, None]})
    assert stream.event()[:2] == ("json", '{"a":[1,null]}')
    assert json.loads(payload.recv(5)) == {"a": [1, None]}
    assert native.message()["data"] == {"a": [1, None]}
    person.until('{"a":[1,null]}')

    ana.ask("bytes", b"\x00\xffbytes")
    assert native.message()["base64"] == to_base64(b"\x00\xffbytes")
    assert payload.recv(5) == b"\x00\xffbytes"
    stream.event()
    person.until("<7 bytes>")

    ana.ask("mixed", "a", 2, {"blob": b"\x00\xff"})
    seen = ["a", 2, {"blob": {"base64": to_base64(b"\x00\xff")}}]
    heard = native.message()
    assert heard["event"] == "mixed" and heard["args"] == seen and "data" not in heard
    event, data, _ = stream.event()
    assert event == "mixed" and json.loads(data) == seen
    assert json.loads(payload.recv(5)) == seen
    person.until('["a",2,{"blob":')
    last = history(server, room)["messages"][-1]
    assert last["event"] == "mixed" and last["args"] == seen


def test_it_hears_every_door(come, server, room, closing):
    person, native = closing.add(nc(server)), closing.add(Native(server))
    ana = come(f"/r/{room}")
    person.type(f"/join {room}").until(f"in {room}")
    person.type("hi from nc")
    assert hear(ana)[:2] == ("message", ["hi from nc"])
    at = post(server, room, "hi from curl", query="?event=shell")
    assert hear(ana) == ("shell", ["hi from curl"], at)
    post(server, room, '{"x" : 1}', ("Content-Type", "application/json"))
    assert hear(ana)[:2] == ("message", [{"x": 1}])
    post(server, room, b"\x00\xff", ("Content-Type", "application/octet-stream"))
    assert hear(ana)[:2] == ("message", [b"\x00\xff"])
    payload = closing.enter_context(websocket(f"{server.ws}/r/{room}"))
    payload.send("text")
    assert hear(ana)[:2] == ("message", ["text"])
    payload.send(b"\x01")
    assert hear(ana)[:2] == ("message", [b"\x01"])
    native.ask(publish=room, data=None, event="nothing")
    assert hear(ana)[:2] == ("nothing", [None])
    native.ask(publish=room, args=["a", {"base64": to_base64(b"\x00")}, 3], event="several")
    assert hear(ana)[:2] == ("several", ["a", b"\x00", 3])
    native.ask(publish=room, data=["one", "list"], event="list")
    assert hear(ana)[:2] == ("list", [["one", "list"]])


def test_refusals_come_as_answers_and_without_a_callback_as_an_event(come, room):
    ana = come()
    answer = ana.ask("publish", "no//room", "x")
    assert answer["error"] == "bad-room" and answer["text"]
    assert ana.ask("join", room, {"since": 7})["error"]
    assert ana.ask("publish", room)["error"]
    assert ana.ask("join")["error"]
    ana.emit("publish", "no//room", "x")
    while True:
        name, args = ana.event()
        if name == "taut:error":
            break
    assert args[0]["error"] == "bad-room"
    assert ana.ask("join", room)["ok"] == "join", "it goes on"


def test_the_names_of_the_server_are_its_own(come, room, server):
    ana, bo = come(f"/r/{room}"), come(f"/r/{room}")
    assert ana.ask("taut:presence", {})["error"]
    for event in ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "taut:x"):
        assert request(server, "POST", f"/r/{room}?event={event}", body="x").status == 400, event
    ana.ask("fine", 1)
    assert hear(bo)[:2] == ("fine", [1])


def test_a_namespace_that_is_no_room_is_refused(come, server, closing):
    fine = come("/")
    bad = "/r/no//room"
    if come.kind == "python":
        client = PythonClient(server.http, bad, TRANSPORTS[come.transport])
    else:
        client = JsClient(fine.agent, server.http, bad, TRANSPORTS[come.transport])
    closing.add(client)
    assert client.refused()["message"]
    assert fine.ask("who", "lobby")["ok"] == "who"


def test_the_transport_is_the_one_that_was_asked_for(come, room):
    ana = come(f"/r/{room}")
    wanted = {"polling": "polling", "websocket": "websocket", "upgrade": "websocket"}[come.transport]
    for _ in range(500):
        if ana.state()["transport"] == wanted:
            break
        time.sleep(0.02)
    assert ana.state()["transport"] == wanted
    assert ana.ask("still", "there")["ok"] == "publish"


def test_an_upgrade_loses_and_doubles_nothing(come, server, room):
    bo = come(f"/r/{room}")
    ana = come(f"/r/{room}")  # it upgrades while messages come and go
    for number in range(60):
        ana.emit("up", number)
        bo.emit("down", number)
    assert [hear(bo)[:2] for _ in range(60)] == [("up", [number]) for number in range(60)]
    assert [hear(ana)[:2] for _ in range(60)] == [("down", [number]) for number in range(60)]


def test_large_messages_pass(come, room):
    ana, bo = come(f"/r/{room}"), come(f"/r/{room}")
    text, blob = "ü" * 60_000, bytes(range(256)) * 1200
    ana.emit("text", text)
    assert hear(bo)[:2] == ("text", [text])
    ana.emit("both", text, {"blob": blob})
    assert hear(bo)[:2] == ("both", [text, {"blob": blob}])


def test_who_disconnects_has_left(come, server, room, closing):
    ana, bo = come(f"/r/{room}", auth={"as": "ana"}), come(f"/r/{room}", auth={"as": "bo"})
    assert members(server, room) == 2
    bo.disconnect()
    bo.disconnected()
    while members(server, room) > 1:
        time.sleep(0.02)
    assert ana.ask("alone")["ok"] == "publish"


def test_presence_is_told_to_who_asks_for_it(come, server, room, closing):
    ana = come(f"/r/{room}", auth={"as": "ana", "presence": True})
    come(f"/r/{room}", auth={"as": "bo"})
    while True:
        name, args = ana.event()
        if name == "taut:presence" and "bo" in json.dumps(args):
            return


def test_a_namespace_is_entered_as_one_likes(come, server, room):
    positions = [post(server, room, f"message {number}") for number in range(5)]
    assert hear(come(f"/r/{room}", auth={"rewind": 1})) == ("message", ["message 4"], positions[4])
    late = come(f"/r/{room}", auth={"since": positions[1], "token": "the application's own"})
    assert [hear(late)[2] for _ in range(3)] == positions[2:]
    assert request(server, "PUT", f"/r/{room}?key=k", body="v").status in (200, 201, 204)
    name, args = come(f"/r/{room}", auth={"state": True}).event()
    assert name == "taut:state" and args[0][0]["key"] == "k"


def test_the_end_of_a_key(come, server, room, closing):
    ana, native = come(f"/r/{room}"), closing.add(Native(server))
    native.ask(set=room, key="k", data="v")
    assert hear(ana)[:2] == ("message", ["v"])
    native.ask(delete=room, key="k")
    name, args = ana.event()
    assert (name, args[0]) == ("taut:deleted", {"key": "k"})


def test_names_in_every_script(come, server, room):
    deep = f"{room}/züge ✓"
    ana = come(f"/r/{room}/z%C3%BCge%20%E2%9C%93")
    post(server, f"{room}/z%C3%BCge%20%E2%9C%93", "Läufer", query="?event=z%C3%BCge")
    assert hear(ana)[:2] == ("züge", ["Läufer"])
    assert come().ask("who", deep)["count"] == 1


def test_a_room_that_echoes(start, room, closing):
    server = start('[[rooms]]\nmatch = "**"\necho = true\n')
    for transports in TRANSPORTS.values():
        client = closing.add(PythonClient(server.http, f"/{room}", transports))
        client.connected()
        at = client.ask("chat", "to me as well")["at"]
        assert hear(client) == ("chat", ["to me as well"], at)
        client.close()


def test_nothing_that_the_server_says_ends_with_a_string_that_is_no_position(server, agents, room, closing):
    """The unmodified client takes any string at the end of an event for the place to recover from."""
    ana = closing.add(JsClient(agents("4.8"), server.http, "/", auth={"as": "ana", "presence": True}))
    ana.connected()
    assert ana.ask("join", room, {"presence": True, "state": True})["ok"] == "join"
    bo = closing.add(JsClient(agents("4.8"), server.http, f"/r/{room}", auth={"as": "bo", "presence": True, "state": True}))
    bo.connected()
    native = closing.add(Native(server))
    native.ask(set=room, key="k", data="v")
    native.ask(delete=room, key="k")
    native.ask(join=room)
    native.ask(leave=room)
    ana.emit("publish", "no//room", "x")
    bo.emit("taut:mine", "x")
    ana.ask("leave", room)
    post(server, room, "the end", query="?event=end")
    while bo.heard()[-1:] == [] or bo.heard()[-1][0] != "end":
        time.sleep(0.02)
    said = ana.heard() + bo.heard()
    assert "taut:presence" in [name for name, _ in said] and "taut:error" in [name for name, _ in said]
    position = re.compile(r"[A-Za-z0-9:+/%._~-]*[a-z0-9]+-[0-9]+[A-Za-z0-9:+/%._~-]*")
    for name, args in said:
        assert not isinstance(args[-1], str) or position.fullmatch(args[-1]), (name, args)
    bo.disconnect()
    ana.disconnect()
