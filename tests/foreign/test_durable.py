"""Rooms that outlive the server: what was acknowledged is there after `kill -9`, under the same positions, at every door."""

import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from peers import EventStream, Native, Program, history, post, request
from taut import BINARY, free_port

LONG = '[[rooms]]\nmatch = "**"\nhistory = { messages_max = 1_000_000, age_ms_max = "1d", bytes_max = "1GiB" }\n'


@pytest.fixture
def again(start, tmp_path):
    """Starts a server on the same folder and port, as often as it is called."""
    port, data = free_port(), str(tmp_path / "data")

    def started(config="", *arguments, **more):
        return start(config, ["--data", data, *arguments], port=port, **more)

    return started


def test_what_was_acknowledged_is_there_after_kill_9(again, room):
    server = again()
    said = [post(server, room, f"message {number}") for number in range(20)]
    before = history(server, room)
    server.kill()
    server = again()
    after = history(server, room)
    assert [message["at"] for message in after["messages"]] == said
    assert after == before
    assert post(server, room, "next").split("-")[0] == said[0].split("-")[0], "the epoch survives"


def test_one_position_resumes_at_every_door_after_a_restart(again, room, closing):
    server = again()
    said = [post(server, room, str(number)) for number in range(10)]
    server.kill()
    server = again()
    missed = [str(number) for number in range(4, 10)]

    stream = closing.add(EventStream(server, f"/r/{room}", ("Last-Event-ID", said[3])))
    assert [stream.event()[1] for _ in missed] == missed
    native = closing.add(Native(server))
    joined = native.ask(join=room, since=said[3])
    assert joined["complete"] is True
    assert [native.message()["data"] for _ in missed] == missed
    polled = history(server, room, f"&since={said[3]}&wait=1")
    assert polled["complete"] is True and [message["data"] for message in polled["messages"]] == missed
    listener = closing.add(Program(BINARY, "sub", room, "--since", said[3], "--url", server.http))
    assert listener.until("9\n").split()[-len(missed) :] != []
    with httpx.stream("GET", f"{server.http}/r/{room}?since={said[3]}", headers={"Accept": "application/x-ndjson"}) as lines:
        units = (json.loads(line) for line in lines.iter_lines())
        messages = (unit["data"] for unit in units if "data" in unit)
        assert [next(messages) for _ in missed] == missed


def test_a_server_in_memory_says_that_all_is_lost(start, room, closing):
    port = free_port()
    server = start("", ["--memory"], port=port)
    at = post(server, room, "gone")
    server.kill()
    server = start("", ["--memory"], port=port)
    native = closing.add(Native(server))
    joined = native.ask(join=room, since=at)
    assert joined["complete"] is False and joined["from"]


def test_an_id_is_known_after_a_restart(again, room):
    server = again()
    at = post(server, room, "once", ("Idempotency-Key", "order-1"))
    server.kill()
    server = again()
    answer = request(server, "POST", f"/r/{room}", [("Idempotency-Key", "order-1"), ("Content-Type", "text/plain")], b"once")
    assert answer.json() == {"at": at, "duplicate": True}
    other = request(server, "POST", f"/r/{room}", [("Idempotency-Key", "order-1"), ("Content-Type", "text/plain")], b"another")
    other.assert_problem(409)


def test_state_is_there_after_a_restart_and_ends_when_it_said(again, room, closing):
    server = again()
    native = closing.add(Native(server))
    stays = native.ask(set=room, key="price", data=1.08)["at"]
    native.ask(set=room, key="brief", data="x", ttl_ms=1500)
    server.kill()
    server = again()
    native = closing.add(Native(server))
    joined = native.ask(join=room, state=True)
    assert [entry["key"] for entry in joined["state"]] == ["price", "brief"]
    assert joined["state"][0]["at"] == stays
    ended = native.message()
    assert (ended["event"], ended["key"]) == ("taut:expired", "brief")
    refused = native.ask(set=room, key="price", data=2, expect=None)
    assert refused["error"] == "unexpected"
    assert "at" in native.ask(set=room, key="price", data=2, expect=stays)


def test_a_second_server_on_the_folder_is_refused(again, tmp_path):
    again()
    done = subprocess.run(
        [str(BINARY), "serve", "--listen", f"127.0.0.1:{free_port()}", "--data", str(tmp_path / "data")], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 1
    assert "in use by" in done.stderr and "--data" in done.stderr


def test_a_second_server_on_the_address_is_told_of_the_first(start, tmp_path):
    first = start()
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / f"state-{first.port}")}
    command = [str(BINARY), "serve", "--listen", f"127.0.0.1:{first.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10, env=environment)
    assert done.returncode == 1
    assert f"process {first.process.pid}" in done.stderr and "choose another port" in done.stderr


def test_a_hundred_thousand_missed_messages_come_in_order_while_new_ones_do(again, room, closing):
    server = again(LONG)
    speaker = closing.add(Native(server))
    first = speaker.ask(publish=room, data="first")["at"]
    for start_at in range(0, 100_000, 250):
        batch = [{"data": number} for number in range(start_at, start_at + 250)]
        assert speaker.ask(publish=room, batch=batch)["count"] == 250
    reader = closing.add(Native(server))
    joined = reader.ask(join=room, since=first)
    assert joined["complete"] is True
    new = iter(range(100_000, 100_500))
    for expected in range(100_500):
        if expected % 200 == 0 and (number := next(new, None)) is not None:
            speaker.ask(publish=room, data=number)
        if expected == 100_000:
            for number in new:
                speaker.ask(publish=room, data=number)
        message = reader.message(30)
        assert message["data"] == expected
    server.assert_healthy()


def test_a_reader_may_ask_how_far_it_is_behind(again, room, closing):
    # On one core, so that the join is done when the ping is read.
    server = again("", "--cores", "1")
    speaker = closing.add(Native(server))
    first = speaker.ask(publish=room, data="first")["at"]
    speaker.ask(publish=room, batch=[{"data": number} for number in range(200)])
    reader = closing.add(Native(server))
    reader.raw.send(json.dumps({"join": room, "since": first}) + "\n" + json.dumps({"ping": True, "ref": 9}) + "\n")
    while (unit := reader.unit()).get("ref") != 9:
        pass
    assert unit["behind"] == {room: 200}
    while reader.message()["data"] != 199:
        pass
    assert "behind" not in reader.ask(ping=True)


def test_a_reader_far_behind_costs_little_memory(again, closing):
    room = "slow"
    server = again(LONG)
    speaker = closing.add(Native(server))
    first = speaker.ask(publish=room, data="first")["at"]
    body = "x" * 400
    for _ in range(200):
        speaker.ask(publish=room, batch=[{"data": body} for _ in range(100)])
    before = server.resident_bytes()
    readers = [closing.add(Native(server, receive_buffer=4096)) for _ in range(50)]
    for reader in readers:
        reader.send(join=room, since=first)
    for _ in range(100):
        speaker.ask(publish=room, batch=[{"data": body} for _ in range(100)])
    grown = server.resident_bytes() - before
    # 50 readers have 50 times 18 MB before them.
    assert grown < 100_000_000, f"{grown} bytes"
    server.assert_healthy()


def test_a_full_disk_refuses_and_recovers_by_itself(start, tmp_path, room, closing):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts = 'mount -t tmpfs -o size=3m tmpfs "$0" && head -c 1500000 /dev/zero > "$0/ballast" && exec "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs "$0"', str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    server = start(LONG, ["--data", str(disk / "data")], within=["unshare", "-m", "sh", "-c", mounts, str(disk)])
    acknowledged = []
    refused = None
    for number in range(2000):
        answer = request(server, "POST", f"/r/{room}", [("Content-Type", "text/plain")], f"{number} {'x' * 4000}".encode())
        if answer.status != 200:
            refused = answer
            break
        acknowledged.append(answer.json()["at"])
    assert refused is not None and refused.status == 503
    refused.assert_problem(503)
    assert refused.json()["code"] == "unavailable" and "full" in refused.json()["detail"]
    assert request(server, "GET", "/health/ready").status == 503
    assert request(server, "GET", "/health/live").status == 200
    native = closing.add(Native(server))
    assert native.ask(join=room, since=acknowledged[-1])["complete"] is True, "who only listens is served"
    os.remove(Path(f"/proc/{server.process.pid}/root") / str(disk / "ballast").lstrip("/"))
    deadline = time.monotonic() + 10
    while request(server, "GET", "/health/ready").status != 200:
        assert time.monotonic() < deadline, "the server is ready again by itself"
        time.sleep(0.2)
    at = post(server, room, "again")
    assert native.message()["data"] == "again"
    page = history(server, room, f"&since={acknowledged[0]}&limit=1000")
    offsets = [int(message["at"].split("-")[1]) for message in page["messages"]]
    assert offsets == list(range(offsets[0], offsets[0] + len(offsets))) and page["complete"]
    assert int(at.split("-")[1]) >= int(acknowledged[-1].split("-")[1]) + 1


def test_damage_is_found_and_told_as_a_gap(again, room, tmp_path, closing):
    server = again("[hub]\ntail_messages_max = 1\n")
    said = [post(server, room, str(number)) for number in range(5)]
    assert server.stop() == 0
    sound = subprocess.run([str(BINARY), "verify", str(tmp_path / "data")], capture_output=True, text=True, check=False, timeout=10)
    assert sound.returncode == 0 and "every row is sound" in sound.stdout
    with sqlite3.connect(tmp_path / "data" / "rooms.sqlite") as file:
        file.execute("UPDATE messages SET body = CAST('forged' AS BLOB) WHERE offset = 3")
    done = subprocess.run([str(BINARY), "verify", str(tmp_path / "data")], capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 1 and f"room {room}: the message 3 is damaged" in done.stdout
    server = again("[hub]\ntail_messages_max = 1\n")
    native = closing.add(Native(server))
    native.ask(join=room, since=said[0])
    assert native.message()["data"] == "1"
    assert native.unit()["gap"] == {"after": said[1], "at": said[2]}
    assert [native.message()["data"] for _ in range(2)] == ["3", "4"]
    assert "damaged" in server.said()


def test_the_start_line_says_where_rooms_are(again, start, tmp_path):
    kept, lost = again(), start("", ["--memory"])
    deadline = time.monotonic() + 10
    while "Ctrl-C" not in kept.said() or "Ctrl-C" not in lost.said():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert f"Rooms are kept in {tmp_path / 'data'}" in kept.said()
    assert "Rooms are in memory" in lost.said()
