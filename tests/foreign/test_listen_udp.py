"""`taut listen udp://` with datagrams from Python, from Node and from nc."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from commands import Listening
from peers import Program

HERE = Path(__file__).parent


class Datagrams:
    def __init__(self, listening):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", listening.port))

    def send(self, data):
        self.socket.send(data)
        return self

    def take(self):
        return self.socket.recv(65536)

    def close(self):
        self.socket.close()


@pytest.fixture
def listen(closing):
    return lambda *arguments: closing.add(Listening("udp://127.0.0.1:0", *arguments))


def test_echo_sends_each_datagram_back_as_it_is(listen, closing):
    listening = listen("--echo")
    one, two = closing.add(Datagrams(listening)), closing.add(Datagrams(listening))
    for data in [b"a", b"", b"line\n", bytes(range(256)), b"x" * 60_000]:
        assert one.send(data).take() == data
    assert two.send(b"two").take() == b"two"
    sent = ["a", "b\u00ff", "c" * 1400]
    done = subprocess.run(["node", str(HERE / "net.mjs"), "client", "udp", str(listening.port), json.dumps(sent)], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(done.stdout) == sent
    person = closing.add(Program("nc", "-u", "127.0.0.1", listening.port))
    person.type("at nc").until("at nc\n")


def test_a_prefix_stands_before_each_datagram(listen, closing):
    client = closing.add(Datagrams(listen("--echo", "--prefix", "> ")))
    assert client.send(b"x").take() == b"> x"


def test_a_greeting_answers_each_datagram(listen, closing):
    client = closing.add(Datagrams(listen("--greet", "Hello")))
    assert client.send(b"anybody?").take().rstrip(b"\n") == b"Hello"


def test_print_shows_what_arrives(listen, closing):
    listening = listen("--print")
    client = closing.add(Datagrams(listening))
    client.send(b"no newline")
    assert listening.out.exactly(10) == b"no newline"


def test_a_conversation_answers_those_who_spoke(listen, closing):
    listening = listen()
    one, two = closing.add(Datagrams(listening)), closing.add(Datagrams(listening))
    one.send(b"from one")
    listening.out.until(b"[1] from one\n")
    two.send(b"from two")
    listening.out.until(b"[2] from two\n")
    listening.type("to all\n")
    assert one.take().rstrip(b"\n") == two.take().rstrip(b"\n") == b"to all"


def test_chat_lets_peers_hear_each_other(listen, closing):
    listening = listen("--chat")
    one, two = closing.add(Datagrams(listening)), closing.add(Datagrams(listening))
    one.send(b"here\n")
    two.send(b"here too\n")
    assert b"here too" in one.take()


def test_a_peer_that_is_gone_disturbs_nobody(listen, closing):
    listening = listen("--echo")
    for _ in range(50):
        gone = Datagrams(listening)
        gone.send(b"x")
        gone.close()
    client = closing.add(Datagrams(listening))
    assert client.send(b"still here").take() == b"still here"


def test_once_ends_after_the_first_datagram(listen, closing):
    listening = listen("--echo", "--once")
    assert closing.add(Datagrams(listening)).send(b"x").take() == b"x"
    assert listening.ended()[0] == 0
