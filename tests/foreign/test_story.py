"""`-v` tells the story of a socket: what happened, in its order, with times; escapes of peers are shown."""

import base64
import hashlib
import re
import socket

import pytest
from websockets.sync.client import connect

from commands import Listening
from peers import Raw, request


def masked(said):
    """Without what differs from run to run: times, ports and keys."""
    said = re.sub(r"(?m)^ *\d+\.\d{3} ", "T ", said)
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", said)
    return said.splitlines()


def in_order(lines, *patterns):
    """Asserts that lines match these, one behind the other, with whatever in between."""
    rest = iter(lines)
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in rest), f"{pattern!r} is not there, or too early, in\n" + "\n".join(lines)


@pytest.fixture
def told(closing):
    """Starts `taut listen -v --echo`; the second value stops it and gives its story."""

    def started(url, *arguments):
        listening = closing.add(Listening(url, "-v", *arguments))

        def story(last):
            listening.err.until(last)
            listening.stop()
            return masked(listening.err.data.decode())

        return listening, story

    return started


def test_a_server_tells_who_comes_what_is_said_and_why_it_ends(told):
    listening, story = told("tcp://127.0.0.1:0", "--echo")
    raw = Raw(listening)
    raw.send("hi\x1b[31m\n").until(b"\n")
    raw.finish().rest()
    lines = story("is gone")
    in_order(lines, r"^listening on tcp://127\.0\.0\.1:PORT$", r"^T .*\[1\] 127\.0\.0\.1:PORT is here", r"\[1\] < 8 bytes", r"\[1\] > 8 bytes", r"\[1\] is gone: .*8 bytes in, 8 out")
    assert not any("\x1b" in line for line in lines)


def test_a_server_derives_the_accept_key(told):
    listening, story = told("ws://127.0.0.1:0", "--echo")
    with connect(f"ws://127.0.0.1:{listening.port}/path", subprotocols=["chat"], proxy=None) as client:
        client.send("hello")
        client.recv(10)
    lines = story("is gone")
    in_order(lines, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", r"/path.*chat", r'< text.* 5 bytes.*"hello"', r"is gone: it closed with 1000")
    line = next(line for line in lines if "258EAFA5" in line)
    key = re.search(r"key (\S+?):? ", line)[1].rstrip(":")
    accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
    assert accept in line, line


def test_a_server_tells_requests_and_answers(told):
    listening, story = told("http://127.0.0.1:0", "--greet", "hi")
    request(listening, "GET", "/x?y=1")
    in_order(story("is gone"), r"is here", r"\[1\] < GET /x\?y=1 HTTP/1\.1", r"\[1\] > HTTP/1\.1 200 OK", r"is gone")


def test_a_server_tells_datagrams(told):
    listening, story = told("udp://127.0.0.1:0", "--echo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.connect(("127.0.0.1", listening.port))
        peer.send(b"x\x1b\n")
        assert peer.recv(100) == b"x\x1b\n"
    lines = story("> 3 bytes")
    in_order(lines, r"\[1\] 127\.0\.0\.1:PORT is here", r"\[1\] < 3 bytes", r"\[1\] > 3 bytes")
    assert not any("\x1b" in line for line in lines)
