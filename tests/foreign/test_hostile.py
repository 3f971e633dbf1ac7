"""Peers that misbehave: each gets a clear answer or an end, memory stays bounded, and nobody else notices."""

import os
import random
import socket
import subprocess
import time

import pytest
from websockets.sync.client import connect

from peers import EventStream, Native, Raw, frame, handshake_bytes, history, post, raw_websocket, read_head, request, request_bytes

MIB = 1 << 20


class Witness:
    """Somebody who keeps talking in a room while others misbehave."""

    def __init__(self, server, closing, room="witness"):
        self.server, self.room, self.number = server, room, 0
        self.socket = closing.enter_context(connect(f"{server.ws}/r/{room}"))

    def is_served(self):
        self.number += 1
        post(self.server, self.room, f"are you there? {self.number}")
        assert self.socket.recv(10) == f"are you there? {self.number}"


@pytest.mark.parametrize("kind", [["-H"], ["-B", "-s", "8192"], ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"]], ids=["slow headers", "slow body", "slow read"])
def test_slow_clients_do_not_slow_others(start, closing, kind, tmp_path):
    server = start("[limits]\nhandshake_ms_max = 2000\n")
    witness = Witness(server, closing)
    at_rest = server.open_files()
    command = ["slowhttptest", *kind, "-c", "300", "-r", "200", "-i", "1", "-l", "12", "-p", "5", "-u", f"{server.http}/r/lobby", "-o", str(tmp_path / "report")]
    if kind[0] == "-H":
        command += ["-t", "GET"]
    if kind[0] == "-B":
        command += ["-t", "POST", "-f", "text/plain"]
    if kind[0] == "-X":
        command[-4:-2] = ["-u", f"{server.http}/favicon.svg"]
    attack = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while attack.poll() is None:
            witness.is_served()
            time.sleep(0.1)
    finally:
        if attack.poll() is None:
            attack.kill()
        attack.wait()
    witness.is_served()
    deadline = time.monotonic() + 20
    while server.open_files() > at_rest and time.monotonic() < deadline:
        time.sleep(0.2)
    assert server.open_files() <= at_rest, "connections of the attack are still open"


def test_the_clock_of_a_handshake_starts_at_the_first_byte(start, closing):
    server = start("[limits]\nhandshake_ms_max = 700\n")
    untouched = closing.add(Raw(server))
    half = closing.add(Raw(server)).send("GET /r/lobby HT")
    head = closing.add(Raw(server)).send("GET / HTTP/1.1\r\nHost: localhost\r\n")
    body = closing.add(Raw(server)).send("POST /r/lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
    for raw in (half, head, body):
        said = raw.rest()
        assert said == b"" or said.startswith(b"HTTP/1.1 408"), said
    assert body.buffer == b"" and history(server, "lobby")["messages"] == []
    untouched.send(request_bytes(server, "GET", "/favicon.svg"))
    assert untouched.response().status == 200


def test_dripping_bytes_does_not_stretch_the_clock(start, closing):
    server = start("[limits]\nhandshake_ms_max = 1000\n")
    raw = closing.add(Raw(server))
    deadline = time.monotonic() + 15
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n")
        while time.monotonic() < deadline:
            raw.send("X-A: b\r\n")
            time.sleep(0.2)


def test_a_reader_that_stops_is_bounded_and_is_told_what_it_missed(start, closing):
    # In memory: a room that is kept may still have on the disk what retention has not come by to forget.
    server = start(arguments=["--memory"])
    deaf = closing.add(Native(server, receive_buffer=4096))
    deaf.ask(join="busy")
    deaf_stream = closing.add(EventStream(server, "/r/busy"))
    deaf_socket = closing.add(raw_websocket(server, "/r/busy"))
    good = closing.enter_context(connect(f"{server.ws}/r/busy", max_queue=None))
    speaker = closing.add(Native(server))
    before = server.resident_bytes()
    body = "x" * 50_000
    for number in range(600):
        assert "at" in speaker.ask(publish="busy", data=f"{number} {body}")
        assert good.recv(10).split()[0] == str(number)
    grown = server.resident_bytes() - before
    assert grown < 48 * MIB, f"{grown / MIB:.0f} MiB for readers that do not read"
    # 30 MB were said, 8 MiB are kept: it goes on in order, and what is missing is said.
    last, gaps, after_gap = -1, 0, False
    while last < 599:
        unit = deaf.unit()
        if "gap" in unit:
            gaps, after_gap = gaps + 1, True
        elif "data" in unit:
            number = int(unit["data"].split()[0])
            assert number == last + 1 or (after_gap and number > last), f"{number} came after {last} without a gap"
            last, after_gap = number, False
    assert gaps >= 1
    deaf_stream.close()
    deaf_socket.close()


@pytest.mark.parametrize("number", range(4))
def test_a_requester_that_does_not_read_its_answers_is_not_read_either(start, closing, number):
    # Several rooms, because the home of some is the asker's own core and of some another one.
    server = start()
    room = f"big/{number}"
    for _ in range(17):
        post(server, room, "x" * 60_000)
    raw = closing.add(Raw(server, receive_buffer=4096))
    raw.socket.settimeout(2)
    question, sent = f'{{"history":"{room}","rewind":1000}}\n'.encode() * 500, 0
    before = server.resident_bytes()
    with pytest.raises(TimeoutError):
        while sent < 64 * MIB:
            raw.socket.sendall(question)
            sent += len(question)
    assert server.resident_bytes() - before < 24 * MIB
    server.assert_healthy()


def test_a_flood_of_publishes_does_not_starve_others(start, closing):
    server = start()
    witness = Witness(server, closing)
    flood = closing.add(Native(server))
    line = b'{"publish":"flood","data":1}\n' * 500
    flood.raw.socket.setblocking(False)
    for _ in range(100):
        try:
            flood.raw.socket.send(line)
        except BlockingIOError:
            pass
        witness.is_served()


def test_peers_that_vanish_leave_their_rooms(start, closing, room):
    server = start('[[rooms]]\nmatch = "**"\npresence_grace_ms = 300\n')
    watcher = closing.add(Native(server))
    watcher.ask(join=room, presence=True)
    for door in ("native", "websocket", "sse"):
        if door == "native":
            peer = Native(server)
            peer.ask(join=room, **{"as": door})
            raw = peer.raw
        elif door == "websocket":
            raw = raw_websocket(server, f"/r/{room}?as=websocket")
        else:
            stream = EventStream(server, f"/r/{room}?as=sse")
            stream.block()
            raw = stream.raw
        assert watcher.unit()["presence"]["joined"][0]["name"] == door
        raw.vanish()
        assert watcher.unit()["presence"]["left"][0]["name"] == door


@pytest.mark.parametrize("config", ["", "[limits]\nconns_max = 1000\n"], ids=["by the derived limit", "by the kernel's"])
def test_running_out_of_file_descriptors(start, closing, config):
    server = start(config, files_max=64)
    witness = closing.enter_context(connect(f"{server.ws}/r/lobby"))
    speaker = closing.add(Native(server))
    crowd = []
    for _ in range(120):
        peer = socket.socket()
        peer.settimeout(2)
        try:
            peer.connect(("127.0.0.1", server.port))
        except OSError:
            pass
        crowd.append(peer)
    time.sleep(0.5)
    used = server.cpu_seconds()
    time.sleep(1.5)
    assert server.cpu_seconds() - used < 0.7, "the acceptor spins"
    assert server.is_running()
    assert speaker.ask(publish="lobby", data="the others go on")["ok"] == "publish"
    assert witness.recv(5) == "the others go on"
    for peer in crowd:
        peer.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert request(server, "GET", "/r/lobby?history", seconds=2).status == 200
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline, f"it does not recover:\n{server.said()[-2000:]}"
            time.sleep(0.2)


def test_invented_room_names_cost_nothing_once_empty(start):
    server = start()
    program = Native(server)
    program.ask(ping=1)
    for number in range(5000):
        program.send(join=f"warm/{number % 50}").send(leave=f"warm/{number % 50}")
        program.unit(), program.unit()
    before = server.resident_bytes()
    for number in range(5000):
        name = f"invented/{number}/" + "x" * 200
        program.send(join=name).send(leave=name).send(who=name)
        assert [program.unit()["ok"] for _ in range(3)] == ["join", "leave", "who"]
    assert server.resident_bytes() - before < 4 * MIB
    for number in range(5000):
        assert request_count(program, number)
    assert server.resident_bytes() - before < 32 * MIB
    program.close()
    server.assert_healthy()


def request_count(program, number):
    """A message each in 5,000 rooms."""
    return "at" in program.ask(publish=f"spoken/{number}", data="x")


def test_the_number_of_rooms_is_capped(start):
    server = start("[hub]\nrooms_max = 100\n")
    members = [Native(server) for _ in range(3)]
    answers = [member.ask(join=f"r/{index}/{number}") for index, member in enumerate(members) for number in range(60)]
    refused = [answer for answer in answers if "error" in answer]
    assert refused and all(answer["error"] == "too-many-rooms" for answer in refused), refused[:3]
    # Each core counts for itself.
    assert len(answers) - len(refused) <= 100 * os.cpu_count()
    for number in range(60):
        members[0].ask(leave=f"r/0/{number}")
    assert members[1].ask(join="r/again")["ok"] == "join"
    for member in members:
        member.close()


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_end_nobody_elses_conversation(server, closing, seed):
    rng = random.Random(seed)
    witness = Witness(server, closing, f"witness-{seed}")
    openings = [b"", b"{", b"GET ", b"GET / HTTP/1.1\r\n", b"POST /r/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"\x16\x03\x01", b"\x10", b"/", b"PRI * HTTP/2.0", handshake_bytes(server, "/r/noise"), handshake_bytes(server, "/ws"), b'{"publish":"noise","data":']
    for number in range(150):
        raw = Raw(server)
        raw.send_as_far_as_possible(rng.choice(openings) + rng.randbytes(rng.choice([0, 1, 5, 100, 5000])))
        if rng.random() < 0.3:
            raw.vanish()
        else:
            raw.close()
        if number % 10 == 0:
            witness.is_served()
    witness.is_served()


def test_mutated_websocket_streams(server, closing):
    rng = random.Random(7)
    witness = Witness(server, closing, "witness-ws")
    good = frame(1, b"hello") + frame(9, b"p") + frame(2, b"x" * 300, fin=False) + frame(0, b"y" * 70) + frame(8, b"\x03\xe8")
    for number in range(200):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        raw = Raw(server)
        raw.send(handshake_bytes(server, "/r/noise"))
        read_head(raw)
        raw.send_as_far_as_possible(bytes(data[: rng.randrange(1, len(data) + 1)]))
        raw.close()
        if number % 10 == 0:
            witness.is_served()


def test_connections_that_come_and_go_leave_nothing_behind(start):
    server = start()
    for _ in range(200):
        Raw(server).close()
    time.sleep(0.3)
    files, memory = server.open_files(), server.resident_bytes()
    for number in range(3000):
        raw = Raw(server)
        if number % 3 == 0:
            raw.send(handshake_bytes(server, f"/r/churn/{number % 100}"))
            read_head(raw)
        raw.close()
    deadline = time.monotonic() + 10
    # A file of the server's own may be opened late; what connections leave would be more than that.
    while server.open_files() > files + 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.open_files() <= files + 3
    assert server.resident_bytes() - memory < 8 * MIB


def test_thousands_of_idle_sockets_cost_little(start, closing):
    server = start()
    before, count = server.resident_bytes(), 2000
    crowd = [closing.add(raw_websocket(server, "/r/crowd")) for _ in range(count)]
    each = (server.resident_bytes() - before) / count
    assert each < 8192, f"{each:.0f} bytes for an idle connection"
    post(server, "crowd", "all of you")
    for raw in crowd:
        assert raw.exactly(12) == b"\x81\x0aall of you"
