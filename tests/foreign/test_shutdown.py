"""SIGTERM: everybody is told to come back, in the words of their door, and the server leaves with 0."""

import json
import signal
import subprocess
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from peers import EventStream, Native, Raw, nc, post, request_bytes
from taut import BINARY, free_port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_everybody_is_told_to_come_back(start, room, closing, number):
    server = start()
    plain = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    native_socket = closing.enter_context(connect(f"{server.ws}/r/{room}", subprotocols=["taut"]))
    native = closing.add(Native(server))
    native.ask(join=room)
    stream = closing.add(EventStream(server, f"/r/{room}"))
    stream.block()
    lines = closing.add(Raw(server))
    lines.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "application/x-ndjson")]))
    lines.until(b'"ok":"join"')
    person = closing.add(nc(server))
    person.type(f"/join {room}").type("/who").until("(text)")
    poll = closing.add(Raw(server))
    at = post(server, room, "last")
    poll.send(request_bytes(server, "GET", f"/r/{room}?since={at}&wait=30"))
    resting = closing.add(Raw(server))
    resting.send(request_bytes(server, "GET", "/favicon.svg")).response()

    server.process.send_signal(number)

    assert plain.recv(5) == "last"
    with pytest.raises(ConnectionClosed) as closed:
        plain.recv(10)
    assert closed.value.rcvd.code == 1012
    units = []
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            units.append(json.loads(native_socket.recv(10)))
    assert closed.value.rcvd.code == 1012
    assert units[-1]["bye"] == "restart" and units[-1]["retry_ms"] > 0
    unit = native.unit()
    while "bye" not in unit:
        unit = native.unit()
    assert unit["bye"] == "restart" and unit["retry_ms"] > 0
    assert native.raw.rest() == b""
    assert stream.event()[1] == "last"
    assert stream.event()[0] == "taut:bye"
    lines.until(b'"bye":"restart"')
    lines.rest()
    answer = poll.response()
    assert answer.status in (200, 503), answer
    assert resting.rest() == b""
    assert "restart" in person.ended()
    assert server.process.wait(15) == 0
    assert server.stop() == 0


def test_a_port_is_free_again_at_once(start, tmp_path):
    from taut import Server

    server = start()
    with connect(f"{server.ws}/"):
        server.terminate()
        assert server.process.wait(15) == 0
    command = [str(BINARY), "serve", "--memory", "--listen", f"127.0.0.1:{server.port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as again:
        try:
            assert again.stdout.readline(), "the second server says that it listens"
            assert again.poll() is None
        finally:
            again.kill()


def test_a_client_that_does_not_answer_does_not_hold_the_server(start, room):
    server = start("[limits]\ndrain_ms_max = 2000\n")
    deaf = Raw(server, receive_buffer=4096)
    deaf.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "text/event-stream")]))
    deaf.until(b"id: ")
    for _ in range(100):
        post(server, room, "x" * 60_000)
    server.terminate()
    assert server.process.wait(20) == 0
    deaf.close()


def test_a_second_signal_ends_at_once(start, room):
    server = start()
    deaf = Raw(server, receive_buffer=4096)
    deaf.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", "text/event-stream")]))
    deaf.until(b"id: ")
    for _ in range(100):
        post(server, room, "x" * 60_000)
    server.terminate()
    time.sleep(0.5)  # two of the same signal at once are one
    server.terminate()
    server.process.wait(5)
    deaf.close()


def test_listening_on_port_zero_says_the_port():
    command = [str(BINARY), "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            line = server.stdout.readline()
            assert "127.0.0.1:" in line and "127.0.0.1:0 " not in line, line
            assert free_port()
        finally:
            server.terminate()
            server.wait(15)
