"""Event streams: curl, the Python library httpx-sse, and the letter of the stream."""

import json

import httpx
import pytest
from httpx_sse import connect_sse

from peers import EventStream, Native, Program, post, request_bytes


def test_a_stream_opens_with_a_lone_id(server, room, closing):
    at = post(server, room, "before")
    stream = closing.add(EventStream(server, f"/r/{room}"))
    assert stream.block() == [("id", at)]
    assert (stream.head.header("cache-control") or "").startswith("no-")
    post(server, room, "after")
    assert stream.event()[1] == "after"


def test_every_kind_of_body(server, room, closing):
    stream = closing.add(EventStream(server, f"/r/{room}"))
    post(server, room, "one\ntwo\r\n\rfive\n")
    post(server, room, '{"x": 1}', ("Content-Type", "application/json"), query="?event=move")
    post(server, room, b"\x00\x01\xff", ("Content-Type", "application/octet-stream"))
    post(server, room, "")
    post(server, room, "id: spoof\n\nevent: x")
    assert stream.event()[:2] == ("message", "one\ntwo\n\nfive\n")
    assert stream.event()[:2] == ("move", '{"x": 1}')
    assert stream.event()[:2] == ("message", "data:application/octet-stream;base64,AAH/")
    assert stream.event()[:2] == ("message", "")
    assert stream.event()[:2] == ("message", "id: spoof\n\nevent: x")


def test_last_event_id_resumes_without_gap_or_repeat(server, room, closing):
    positions = [post(server, room, str(number)) for number in range(5)]
    stream = closing.add(EventStream(server, f"/r/{room}", ("Last-Event-ID", positions[1])))
    assert [stream.event()[1:] for _ in range(3)] == [(str(number), positions[number]) for number in (2, 3, 4)]
    both = closing.add(EventStream(server, f"/r/{room}?since={positions[0]}", ("Last-Event-ID", positions[3])))
    assert both.event()[1] == "4", "the header wins: a browser repeats the URL it began with"


@pytest.mark.parametrize("position", ["aaaaaa-1", "not a position", "x" * 200, "17"])
def test_a_foreign_position_is_a_gap_and_never_an_error(server, room, closing, position):
    at = post(server, room, "kept")
    stream = closing.add(EventStream(server, f"/r/{room}", ("Last-Event-ID", position)))
    kind, data, _ = stream.event()
    assert kind == "taut:gap"
    assert "at" in json.loads(data)
    post(server, room, "live")
    seen = stream.event()
    while seen[1] != "live":
        assert seen[1] == "kept"
        assert seen[2] == at
        seen = stream.event()


def test_several_rooms_on_one_stream(server, room, closing):
    stream = closing.add(EventStream(server, f"/events?room={room}/a&room={room}/b"))
    post(server, f"{room}/b", "to b")
    _, data, first = stream.event()
    assert json.loads(data)["room"] == f"{room}/b" and json.loads(data)["data"] == "to b"
    stream.close()
    post(server, f"{room}/a", "missed in a")
    post(server, f"{room}/b", "missed in b")
    resumed = closing.add(EventStream(server, f"/events?room={room}/a&room={room}/b", ("Last-Event-ID", first)))
    missed = [json.loads(resumed.event()[1])["data"] for _ in range(2)]
    assert sorted(missed) == ["missed in a", "missed in b"]


def test_httpx_sse_reads_it(server, room):
    with httpx.Client(timeout=5) as client, connect_sse(client, "GET", f"{server.http}/r/{room}?rewind=5") as source:
        events = source.iter_sse()
        at = post(server, room, "Grüße\n🙂", query="?event=note")
        event = next(event for event in events if event.event == "note")
        assert (event.data, event.id) == ("Grüße\n🙂", at)


def test_curl_listens(server, room, closing):
    listener = closing.add(Program("curl", "-sSN", "-H", "Accept: text/event-stream", f"{server.http}/r/{room}?as=ana"))
    listener.until("id: ")
    post(server, room, "to curl")
    assert "event:" not in listener.until("data: to curl\n\n")


def test_a_listener_is_a_member(server, room, closing):
    stream = closing.add(EventStream(server, f"/r/{room}?as=radio"))
    stream.block()
    watcher = closing.add(Native(server))
    joined = watcher.ask(join=room, presence=True, **{"as": "bo"})
    assert [(member["name"], member["door"]) for member in joined["who"]["members"] if member["name"] == "radio"] == [("radio", "sse")]


def test_comments_keep_the_stream_alive(start, room, closing):
    server = start("[limits]\nping_ms = 1000\n")
    stream = closing.add(EventStream(server, f"/r/{room}"))
    stream.raw.until(b"\n:")
    stream.raw.until(b"\n:")


def test_a_stream_says_when_history_was_not_enough(start, room, closing):
    server = start('[[rooms]]\nmatch = "**"\nhistory = { messages_max = 3 }\n')
    positions = [post(server, room, str(number)) for number in range(10)]
    stream = closing.add(EventStream(server, f"/r/{room}", ("Last-Event-ID", positions[2])))
    kind, data, _ = stream.event()
    assert kind == "taut:gap" and json.loads(data)["after"] == positions[2]
    assert [stream.event()[1] for _ in range(3)] == ["7", "8", "9"]


def test_what_is_sent_behind_a_stream_request_is_not_obeyed(server, room, closing):
    from peers import Raw, history

    raw = closing.add(Raw(server))
    raw.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "text/event-stream")]) + request_bytes(server, "POST", f"/r/{room}", [], "pipelined"))
    stream = EventStream.on(raw)
    stream.block()
    post(server, room, "honest")
    assert stream.event()[1] == "honest"
    assert len(history(server, room)["messages"]) == 1
