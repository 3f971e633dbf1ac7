"""History by range, backwards and by time, page by page, at every door."""

import json
import subprocess
import time

import pytest
from websockets.sync.client import connect

import taut
from peers import EventStream, Native, history, post, request


def cli(server, *arguments):
    done = subprocess.run([str(taut.BINARY), "history", *arguments, "--url", server.http], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def texts(page):
    return [message["data"] for message in page["messages"]]


@pytest.fixture
def ten(server, room):
    return [post(server, room, f"m{number}") for number in range(10)]


def test_a_range_lies_between_two_positions(server, room, ten):
    assert texts(history(server, room, f"&since={ten[1]}&until={ten[4]}")) == ["m2", "m3", "m4"]
    assert texts(history(server, room, f"&until={ten[2]}")) == ["m0", "m1", "m2"]
    assert texts(history(server, room, f"&since={ten[7]}")) == ["m8", "m9"]
    page = history(server, room, f"&since={ten[1]}&until={ten[4]}&limit=2")
    assert (texts(page), page["more"], page["at"]) == (["m2", "m3"], True, ten[3])
    rest = history(server, room, f"&since={page['at']}&until={ten[4]}&limit=2")
    assert (texts(rest), "more" in rest) == (["m4"], False)


def test_backwards_page_by_page_until_the_beginning(server, room, ten, closing):
    seen, until = [], None
    while True:
        page = history(server, room, "&reverse&limit=4" + (f"&until={until}" if until else ""))
        seen += texts(page)
        if not page.get("more"):
            break
        until = page["at"]
    assert seen == [f"m{number}" for number in reversed(range(10))]
    native = closing.add(Native(server))
    page = native.ask(history=room, reverse=True, since=ten[6])
    assert texts(page) == ["m9", "m8", "m7"] and "more" not in page
    assert texts(native.ask(history=room, reverse=True, until=ten[1])) == ["m1", "m0"]


def test_a_time_is_as_good_as_a_number(server, room, closing):
    post(server, room, "old")
    time.sleep(1.2)
    post(server, room, "new")
    assert texts(history(server, room, "&rewind=1h")) == ["old", "new"]
    assert texts(history(server, room, "&rewind=1s")) == ["new"]
    native = closing.add(Native(server))
    assert texts(native.ask(history=room, rewind="1000ms")) == ["new"]
    native.ask(join=room, rewind="10m")
    assert [native.message()["data"], native.message()["data"]] == ["old", "new"]
    stream = closing.add(EventStream(server, f"/r/{room}?rewind=10m"))
    assert [stream.event()[1], stream.event()[1]] == ["old", "new"]
    with connect(f"{server.ws}/r/{room}?rewind=2h") as socket:
        assert [socket.recv(10), socket.recv(10)] == ["old", "new"]
    request(server, "GET", f"/r/{room}?rewind=soon").assert_problem(400)
    assert native.ask(history=room, rewind="soon")["error"] == "bad-field"


def test_a_bounded_read_does_not_wait(server, room, ten):
    began = time.monotonic()
    assert texts(history(server, room, f"&since={ten[9]}&until={ten[9]}&wait=30")) == []
    assert texts(history(server, room, f"&since={ten[9]}&reverse&wait=30")) == []
    assert time.monotonic() - began < 20


def test_the_command_line_pages_on_by_itself(start, closing):
    server, room = start('[[rooms]]\nmatch = "**"\nhistory.messages_max = 10000\n'), "many"
    native = closing.add(Native(server))
    for start in range(0, 2_500, 250):
        answer = native.ask(publish=room, batch=[{"data": f"m{number}"} for number in range(start, start + 250)])
        assert answer["count"] == 250
    everything = [line.split(": ")[1] for line in cli(server, room)]
    assert everything == [f"m{number}" for number in range(2_500)]
    objects = [json.loads(line) for line in cli(server, room, "--json", "--limit", "1500")]
    assert [each["data"] for each in objects] == [f"m{number}" for number in range(1_000, 2_500)]
    backwards = [json.loads(line)["data"] for line in cli(server, room, "--json", "--reverse")]
    assert backwards == [f"m{number}" for number in reversed(range(2_500))]
    few = cli(server, room, "--since", objects[0]["at"], "--until", objects[3]["at"], "--json")
    assert [json.loads(line)["data"] for line in few] == ["m1001", "m1002", "m1003"]
    assert len(cli(server, room, "--rewind", "1200", "--reverse")) == 1_200
    assert len(cli(server, room, "--rewind", "1h")) == 2_500
