"""Arguments of an event: every door shows the same JSON array, and keeps its numbers and its binary."""

import json

import commands
from websockets.sync.client import connect

from peers import EventStream, Native, curl, nc, post

ARRAY = '["e2",{"png":{"base64":"AAH/"}},12345678901234567890.50]'


def say(server, room, **fields):
    given = json.dumps(fields)[1:-1]
    body = f'[{{"args":{ARRAY}{", " if given else ""}{given}}}]'
    post(server, room, body, ("Content-Type", "application/json"), query="?batch")


def test_everybody_sees_the_same_array(server, room, closing):
    person = closing.add(nc(server))
    person.type(f"/join {room}").until(f"in {room}")
    stream = closing.add(EventStream(server, f"/r/{room}"))
    plain = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    native = closing.enter_context(connect(f"{server.ws}/r/{room}", subprotocols=["taut"]))
    native.recv(5)
    lines = closing.add(Native(server))
    lines.ask(join=room)
    say(server, room, event="move")
    person.until(f"[move]: {ARRAY}\n")
    assert plain.recv(5) == ARRAY
    assert f'"args":{ARRAY}}}' in native.recv(5)
    heard = lines.message()
    assert (heard["event"], heard["args"]) == ("move", json.loads(ARRAY))
    event = stream.event()
    assert ARRAY in str(event), event


def test_it_is_kept_under_a_key_and_in_history(server, room):
    say(server, room, key="white")
    for target in (f"/r/{room}", f"/r/{room}?state", f"/r/{room}?key=white"):
        code, said = curl(server, target)
        assert code == 0 and f'"args":{ARRAY}}}' in said, said

    def commanded(*arguments):
        code, said, wrong = commands.run(*arguments, "--url", server.http)
        assert code == 0, wrong
        return said.decode()

    assert f'"args":{ARRAY}}}' in commanded("history", room, "--json")
    assert commanded("history", room).endswith(f": {ARRAY}\n")
    assert commanded("get", room, "white") == f"{ARRAY}\n"


def test_what_only_looks_binary_is_refused_where_it_comes_in_and_harms_nobody(server, room, closing):
    lines = closing.add(Native(server))
    assert lines.ask(publish=room, args=[{"base64": "?"}])["error"] == "bad-field"
    assert lines.ask(publish=room, args=[1], data=1)["error"] == "bad-field"
    for event in ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"):
        refused = lines.ask(publish=room, data=1, event=event)
        assert refused["error"] == "bad-field" and "Socket.IO" in refused["text"]
    assert lines.ask(publish=room, args=[])["ok"] == "publish"
