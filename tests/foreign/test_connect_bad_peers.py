"""Peers that never answer, speak another protocol, end in the middle or flood: told plainly, with exit codes that differ."""

import base64
import hashlib
import threading

import pytest

from commands import Command, run
from peers import frame
from servers import Serving, deaf, echo, floods, http_head, resets, says, silent


@pytest.fixture
def serve(closing):
    return lambda talk, **more: closing.add(Serving(talk, **more))


def upgraded(*frames, then=None):
    """A WebSocket server that sends these bytes once it is open."""

    def talk(connection):
        head = http_head(connection)
        key = next(line.split(":", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        for data in frames:
            connection.sendall(data)
        if then:
            then(connection)

    return talk


def answers(data, then=None):
    def talk(connection):
        http_head(connection)
        connection.sendall(data)
        if then:
            then(connection)

    return talk


def at(server, scheme):
    return f"{scheme}://127.0.0.1:{server.port}/"


@pytest.mark.parametrize("scheme", ["ws", "http", "tls", "wss", "https"])
def test_a_peer_that_never_answers_is_6(serve, scheme):
    server = serve(deaf)
    code, _, said = run("connect", "--connect-timeout", "0.5", at(server, scheme), seconds=15)
    assert code == 6 and said, (code, said)


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", b"\x00\x01\x02\x03\x1b[31m", b"{\"hello\":1}\n"])
@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_another_protocol_is_5_and_shown(serve, banner, scheme):
    code, _, said = run("connect", at(serve(says(banner, silent)), scheme))
    assert code == 5 and "\x1b" not in said, (code, said)
    if banner.startswith(b"SSH"):
        assert "SSH" in said


@pytest.mark.parametrize(
    "bad",
    [
        frame(1, b"masked"),
        frame(3, b"", mask=None),
        frame(1, b"\xff\xfe", mask=None),
        frame(1, b"x", mask=None, rsv=0x40),
        frame(9, b"x" * 126, mask=None),
        frame(0, b"continues nothing", mask=None),
        frame(8, b"\x00", mask=None),
    ],
)
def test_a_peer_that_breaks_the_websocket_protocol_is_5(serve, bad):
    code, _, said = run("connect", at(serve(upgraded(bad, then=silent)), "ws"))
    assert code == 5 and said, (code, said)


def test_a_wrong_accept_key_is_5(serve):
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    code, _, said = run("connect", at(serve(answers(answer, silent)), "ws"))
    assert code == 5 and "ccept" in said, (code, said)


def test_no_websocket_there_is_4(serve):
    code, _, said = run("connect", at(serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")), "ws"))
    assert code == 4 and "200" in said, (code, said)


@pytest.mark.parametrize(
    "talk",
    [
        upgraded(frame(1, b"whole and hale", mask=None)[:-4]),
        upgraded(frame(1, b"begun", fin=False, mask=None)),
        upgraded(frame(1, b"x", mask=None, length=70_000)),
        upgraded(),
    ],
)
def test_a_websocket_that_ends_in_the_middle_is_8(serve, talk):
    code, _, said = run("connect", at(serve(talk), "ws"))
    assert code == 8 and said, (code, said)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
)
def test_a_response_that_ends_in_the_middle_is_8(serve, answer):
    code, out, said = run("connect", at(serve(answers(answer)), "http"))
    assert code == 8 and said, (code, said)


def test_a_message_without_end_is_9(serve):
    endless = frame(2, b"", mask=None, length=1 << 40)
    code, _, said = run("connect", at(serve(upgraded(endless, then=floods())), "ws"), seconds=30)
    assert code == 9 and said, (code, said)
    pieces = upgraded(frame(1, b"", fin=False, mask=None), then=floods(frame(0, b"x" * 65_000, fin=False, mask=None)))
    code, _, said = run("connect", at(serve(pieces), "ws"), seconds=60)
    assert code == 9 and said, (code, said)


def test_a_head_without_end_is_9(serve):
    code, _, said = run("connect", at(serve(answers(b"HTTP/1.1 200 OK\r\n", floods(b"X-More: " + b"x" * 1000 + b"\r\n"))), "http"))
    assert code in (5, 9) and said, (code, said)


def test_a_reset_is_3_or_8_and_told(serve):
    code, _, said = run("connect", serve(resets).url, stdin=b"x\n")
    assert code in (3, 8) and "reset" in said, (code, said)


def test_bytes_of_a_plain_peer_are_nobody_s_fault(serve):
    code, out, _ = run("connect", serve(says(b"\xff\x00\x1b[31m")).url)
    assert (code, out) == (0, b"\xff\x00\x1b[31m")


def test_stdout_that_is_closed_ends_it_quietly(serve, closing):
    command = closing.add(Command("connect", serve(floods()).url))
    command.out.exactly(1000)
    command.signal()
    command.code()


def test_a_peer_that_is_slow_but_honest_is_waited_for(serve):
    def talk(connection):
        http_head(connection)
        for piece in [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"bo", b"dy"]:
            connection.sendall(piece)
            threading.Event().wait(0.2)

    code, out, said = run("connect", at(serve(talk), "http"))
    assert code == 0 and out.endswith(b"body"), said


def test_an_honest_echo_is_0(serve):
    assert run("connect", serve(echo).url, stdin=b"x")[0] == 0
