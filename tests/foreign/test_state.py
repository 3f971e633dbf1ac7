"""State: what is set in a room, read and changed at every door, with the same versions and the same refusals."""

import json
import subprocess
import time

import pytest
from websockets.sync.client import connect

import taut
from peers import EventStream, Native, Raw, history, nc, post, read_chunk, read_head, request, request_bytes

JSON = ("Content-Type", "application/json")


def put(server, room, key, body, *headers, query=""):
    return request(server, "PUT", f"/r/{room}?key={key}{query}", headers, body)


def get(server, room, key, *headers):
    return request(server, "GET", f"/r/{room}?key={key}", headers)


def state(server, room):
    answer = request(server, "GET", f"/r/{room}?state")
    assert answer.status == 200, answer
    return answer.json()


def cli(server, *arguments):
    done = subprocess.run([str(taut.BINARY), *arguments, "--url", server.http], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


def test_what_is_set_by_one_door_is_read_by_all(server, room, closing):
    native = closing.add(Native(server))
    at = native.ask(set=room, key="price", data={"eur": 1.50})["at"]
    got = get(server, room, "price")
    assert got.status == 200 and got.header("etag") == f'"{at}"', got
    assert b'"data":{"eur": 1.5}' in got.body
    answer = native.ask(get=room, key="price")
    assert answer["ok"] == "get" and {key: value for key, value in answer.items() if key not in ("ok", "ref")} == got.json()
    assert state(server, room)["state"] == [got.json()]
    assert native.ask(state=room)["state"] == [got.json()]
    person = closing.add(nc(server))
    person.type(f"/join {room}").until("you are")
    person.type("/state").until('* price = {"eur": 1.5}')
    assert cli(server, "get", room, "price") == (0, '{"eur": 1.5}\n', "")
    assert cli(server, "state", room) == (0, 'price = {"eur": 1.5}\n', "")


def test_every_publish_with_a_key_sets_it(server, room):
    post(server, room, "no key")
    first = post(server, room, "1", query="?key=a")
    second = post(server, room, "2", query="?key=b")
    third = post(server, room, "3", query="?key=a")
    set_now = state(server, room)
    assert [(entry["key"], entry["at"], entry["data"]) for entry in set_now["state"]] == [("b", second, "2"), ("a", third, "3")]
    assert set_now["at"] == third != first


def test_a_key_is_changed_only_where_it_is_as_expected(server, room, closing):
    native = closing.add(Native(server))
    first = native.ask(set=room, key="k", data="1", expect=None)["at"]
    assert native.ask(set=room, key="k", data="2", expect=None)["error"] == "unexpected"
    second = native.ask(set=room, key="k", data="2", expect=first)["at"]
    refused = native.ask(publish=room, key="k", data="3", expect=first)
    assert refused["error"] == "unexpected" and second in refused["text"]
    assert native.ask(delete=room, key="k", expect="nobody-1")["error"] == "unexpected"
    assert native.ask(delete=room, key="k", expect=second)["ok"] == "delete"
    assert native.ask(delete=room, key="k")["error"] == "unexpected"
    assert native.ask(get=room, key="k")["error"] == "no-key"
    assert [message["data"] for message in history(server, room)["messages"]] == ["1", "2", ""]


def test_http_says_it_with_conditions(server, room):
    first = put(server, room, "k", "1", ("If-None-Match", "*"))
    assert first.status == 200 and first.header("etag") == f'"{first.json()["at"]}"', first
    put(server, room, "k", "2", ("If-None-Match", "*")).assert_problem(412)
    put(server, room, "k", "2", query="&expect=").assert_problem(412)
    second = put(server, room, "k", "2", ("If-Match", first.header("etag")))
    assert second.status == 200
    assert put(server, room, "k", "3", ("If-Match", first.header("etag"))).assert_problem(412)["code"] == "unexpected"
    put(server, room, "k", "3", ("If-Match", "W/" + second.header("etag"))).assert_problem(412)
    put(server, room, "k", "3", ("If-Match", "no quotes")).assert_problem(400)
    third = put(server, room, "k", '{"n":3}', JSON, query=f"&expect={second.json()['at']}")
    assert third.status == 200
    assert get(server, room, "k").json()["data"] == {"n": 3}
    assert get(server, room, "k", ("If-None-Match", f'"x", {third.header("etag")}')).status == 304
    assert get(server, room, "k", ("If-None-Match", second.header("etag"))).status == 200
    request(server, "DELETE", f"/r/{room}?key=k", [("If-Match", second.header("etag"))]).assert_problem(412)
    assert request(server, "DELETE", f"/r/{room}?key=k", [("If-Match", third.header("etag"))]).status == 200
    assert get(server, room, "k").assert_problem(404)["code"] == "no-key"
    request(server, "DELETE", f"/r/{room}?key=k").assert_problem(412)


@pytest.mark.parametrize("target", ["", "?key=", "?key=a%0ab"])
def test_a_put_and_a_delete_need_a_key(server, room, target):
    request(server, "PUT", f"/r/{room}{target}", body="x").assert_problem(400)
    request(server, "DELETE", f"/r/{room}{target}").assert_problem(400)


def test_conditions_and_lifetimes_need_a_key(server, room):
    request(server, "POST", f"/r/{room}?ttl=5s", body="x").assert_problem(400)
    request(server, "POST", f"/r/{room}?key=k&ttl=soon", body="x").assert_problem(400)
    request(server, "POST", f"/r/{room}", [("If-Match", '"x-1"')], "x").assert_problem(400)


def test_methods_are_told(server, room):
    allowed = request(server, "OPTIONS", f"/r/{room}").header("allow")
    assert {"PUT", "DELETE", "POST", "GET"} <= set(allowed.split(", "))
    origin = [("Origin", server.http), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "if-match")]
    preflight = request(server, "OPTIONS", f"/r/{room}", origin)
    assert "PUT" in preflight.header("access-control-allow-methods") and "If-Match" in preflight.header("access-control-allow-headers")
    assert put(server, room, "k", "1", ("Origin", server.http)).header("access-control-expose-headers") == "ETag"
    for path in ("/", "/ws", "/events"):
        request(server, "PUT", path).assert_problem(405)
        request(server, "DELETE", path).assert_problem(405)


def test_a_joiner_gets_the_state_and_every_change_after_it(server, room, closing):
    post(server, room, "1", query="?key=a")
    post(server, room, "2", query="?key=b")
    joiner, other = closing.add(Native(server)), closing.add(Native(server))
    joined = joiner.ask(join=room, state=True)
    assert [(entry["key"], entry["data"]) for entry in joined["state"]] == [("a", "1"), ("b", "2")]
    other.ask(set=room, key="a", data="3")
    other.ask(delete=room, key="b")
    assert joiner.message()["data"] == "3"
    ended = joiner.message()
    assert (ended["event"], ended["key"], ended["data"]) == ("taut:deleted", "b", "")
    complete = closing.add(Native(server)).ask(join=room, state=True, since=joined["at"])
    assert complete["complete"] and "state" not in complete
    lost = closing.add(Native(server)).ask(join=room, state=True, since="nobody-1")
    assert not lost["complete"] and lost["from"] == lost["at"] and [entry["key"] for entry in lost["state"]] == ["a"]
    assert "state" not in closing.add(Native(server)).ask(join=room)


def test_a_stream_begins_with_the_state(server, room, closing):
    set_at = post(server, room, "1", query="?key=a")
    at = post(server, room, "other")
    stream = closing.add(EventStream(server, f"/r/{room}?state"))
    kind, data, last_id = stream.event()
    assert kind == "taut:state" and last_id == at
    assert [(entry["key"], entry["at"]) for entry in json.loads(data)] == [("a", set_at)]
    end = request(server, "DELETE", f"/r/{room}?key=a").json()["at"]
    assert stream.event() == ("taut:deleted", '{"key":"a"}', end)
    lost = closing.add(EventStream(server, f"/r/{room}?state", ("Last-Event-ID", "nobody-1")))
    assert json.loads(lost.event()[1])["at"] == end
    assert lost.event()[:2] == ("taut:state", "[]")
    several = closing.add(EventStream(server, f"/events?room={room}&room={room}/b&state"))
    first, second = json.loads(several.event()[1]), json.loads(several.event()[1])
    assert (first["room"], first["state"], second["room"], second["state"]) == (room, [], f"{room}/b", [])
    lines = request(server, "GET", f"/r/{room}?key=a", [("Accept", "text/event-stream")])
    assert lines.status == 404


def test_sockets_and_lines_of_json_begin_with_the_state_too(server, room, closing):
    at = post(server, room, "1", query="?key=a")
    with connect(f"{server.ws}/r/{room}?state", subprotocols=["taut"]) as socket:
        joined = json.loads(socket.recv(10))
        assert [(entry["key"], entry["at"]) for entry in joined["state"]] == [("a", at)]
        socket.send(json.dumps({"set": room, "key": "a", "data": {"n": 2}, "expect": at, "ref": 1}))
        answer = json.loads(socket.recv(10))
        assert answer["ok"] == "set"
    raw = closing.add(Raw(server))
    raw.send(request_bytes(server, "GET", f"/r/{room}?state", [("Accept", "application/x-ndjson")]))
    assert read_head(raw).status == 200
    first = json.loads(read_chunk(raw))
    assert [entry["data"] for entry in first["state"]] == [{"n": 2}] and first["at"] == answer["at"]
    assert request(server, "GET", "/events?" + "&".join(f"room={n}" for n in range(5)) + "&state").status == 400


def test_a_set_is_idempotent_under_its_id(server, room, closing):
    native = closing.add(Native(server))
    unit = {"set": room, "key": "k", "data": "1", "expect": None, "id": "once", "as": "ana"}
    first = native.ask(**unit)
    assert native.ask(**unit) == {**first, "duplicate": True}
    assert native.ask(**{**unit, "data": "2"})["error"] == "id-conflict"
    gone = native.ask(delete=room, key="k", id="twice", **{"as": "ana"})
    assert native.ask(delete=room, key="k", id="twice", **{"as": "ana"}) == {**gone, "duplicate": True}


def test_a_key_ends_by_itself(server, room, closing):
    listener, person = closing.add(Native(server)), closing.add(nc(server))
    listener.ask(join=room)
    person.type(f"/join {room}").until("you are")
    put(server, room, "short", "1", query="&ttl=300ms")
    closing.add(Native(server)).ask(set=room, key="long", data="2", ttl_ms=3_600_000)
    assert [listener.message()["key"], listener.message()["key"]] == ["short", "long"]
    ended = listener.message()
    assert (ended["event"], ended["key"], ended["from"]) == ("taut:expired", "short", "taut")
    person.until("* short expired")
    assert [entry["key"] for entry in state(server, room)["state"]] == ["long"]


def test_a_payload_socket_hears_nothing_of_ends(server, room):
    with connect(f"{server.ws}/r/{room}") as socket:
        deadline = time.monotonic() + 10
        while request(server, "GET", f"/r/{room}?who").json()["count"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        put(server, room, "k", "set")
        assert socket.recv(10) == "set"
        request(server, "DELETE", f"/r/{room}?key=k")
        post(server, room, "after")
        assert socket.recv(10) == "after"


def test_a_person_sets_and_deletes(server, room, closing):
    ana, bo = closing.add(nc(server)), closing.add(nc(server))
    for person in (ana, bo):
        person.type(f"/join {room}").until("you are")
    ana.type("/set price 42 or so").until("* done")
    bo.until(": 42 or so")
    bo.type("/get price").until("* price = 42 or so")
    bo.type("/delete price").until("* done")
    ana.until("* price deleted")
    ana.type("/state").until("* nothing is set here")
    ana.type("/delete price").until("! the key price is not as expected")
    ana.type("/set price").until("! say what to set it to")


def test_a_batch_is_taken_whole_or_not_at_all(server, room, closing):
    native = closing.add(Native(server))
    first = native.ask(publish=room, batch=[{"data": "1"}, {"base64": "AAH/", "event": "bytes"}, {"data": {"n": 3}, "key": "k"}])
    assert first["count"] == 3
    assert native.ask(publish=room, batch=[{"data": "4"}, {"data": "5", "key": "k", "expect": None}])["error"] == "unexpected"
    messages = history(server, room)["messages"]
    assert [message["event"] for message in messages] == ["message", "bytes", "message"] and messages[-1]["at"] == first["at"]
    lines = '{"data":"6"}\r\n\r\n{"data":"7","key":"k"}\n'
    answer = request(server, "POST", f"/r/{room}?batch", [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", "b-1")], lines)
    assert answer.status == 200 and answer.json()["count"] == 2
    again = request(server, "POST", f"/r/{room}?batch", [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", "b-1")], lines)
    assert again.json() == {**answer.json(), "duplicate": True}
    assert request(server, "POST", f"/r/{room}?batch", [JSON], '[{"data":"8"}]').json()["count"] == 1
    assert [message.get("data") for message in history(server, room, "&rewind=3")["messages"]] == ["6", "7", "8"]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", "[]", 400),
        ("application/json", "{}", 400),
        ("application/json", "[{}]", 400),
        ("application/json", '[{"data":1}', 400),
        ("application/json", '[{"data":1,"event":"taut:gap"}]', 400),
        ("application/x-ndjson", "", 400),
        ("application/x-ndjson", '{"data":1}\nnot json\n', 400),
        ("application/x-ndjson", '{"data":1}\n' * 257, 400),
        ("text/plain", '[{"data":1}]', 415),
    ],
)
def test_what_is_no_batch_is_refused(server, room, content_type, body, status):
    request(server, "POST", f"/r/{room}?batch", [("Content-Type", content_type)], body).assert_problem(status)
    assert history(server, room)["messages"] == []


def test_a_full_state_refuses_new_keys_and_takes_known_ones(start, closing):
    server = start('[[rooms]]\nmatch = "**"\nstate.keys_max = 2\n[[rooms]]\nmatch = "off/**"\nstate.keys_max = 0\n')
    for key in ("a", "b"):
        assert put(server, "r", key, "1").status == 200
    assert put(server, "r", "c", "1").assert_problem(507)["code"] == "state-full"
    assert put(server, "r", "a", "2").status == 200
    assert request(server, "DELETE", "/r/r?key=b").status == 200
    assert put(server, "r", "c", "1").status == 200
    native = closing.add(Native(server))
    assert native.ask(set="off/x", key="a", data="1", expect=None)["error"] == "state-off"
    assert "at" in native.ask(publish="off/x", key="a", data="1")
    assert state(server, "off/x")["state"] == []


def test_a_state_outlives_its_server(start, tmp_path, closing):
    port, data = taut.free_port(), str(tmp_path / "data")
    server = start("", ["--data", data], port=port)
    post(server, "r", "said")
    first = put(server, "r", "a", '{"n":1}', JSON).json()["at"]
    put(server, "r", "b", "2", query="&ttl=1h")
    put(server, "r", "c", "3", query="&ttl=1s")
    assert request(server, "DELETE", "/r/r?key=b").status == 200
    server.kill()
    server = start("", ["--data", data], port=port)
    native = closing.add(Native(server))
    native.ask(join="r")
    deadline = time.monotonic() + 10
    while [entry["key"] for entry in state(server, "r")["state"]] != ["a"]:
        assert time.monotonic() < deadline, "what was to end while the server was away ends soon after"
        time.sleep(0.05)
    assert get(server, "r", "a").header("etag") == f'"{first}"'
    put(server, "r", "a", "2", ("If-None-Match", "*")).assert_problem(412)
    assert put(server, "r", "a", "2", ("If-Match", f'"{first}"')).status == 200
    ends = [(message["event"], message["key"]) for message in history(server, "r")["messages"] if message["event"].startswith("taut:")]
    assert ends == [("taut:deleted", "b"), ("taut:expired", "c")]


def test_the_command_line_compares_and_sets(server, room):
    code, at, _ = cli(server, "set", room, "leader", "ana", "--absent")
    assert code == 0
    code, _, said = cli(server, "set", room, "leader", "bo", "--absent")
    assert code == 4 and "not as expected" in said
    assert cli(server, "set", room, "leader", '{"a":1}', "--json", "--expect", at.strip(), "--ttl", "1h")[0] == 0
    assert json.loads(cli(server, "get", room, "leader", "--json")[1])["data"] == {"a": 1}
    assert cli(server, "delete", room, "leader")[0] == 0
    assert cli(server, "get", room, "leader")[0] == 1
    assert cli(server, "delete", room, "leader")[0] == 4
    assert "* leader deleted" in cli(server, "history", room)[1]
