"""`taut connect` at a terminal: editing, history, and what arrives while somebody types."""

import socket

import pytest

from peers import Raw
from taut import BINARY
from terminal import Terminal


class Accepted(Raw):
    """The server's side of a connection that `taut` opened."""

    def __init__(self, listener):
        self.socket, self.buffer = listener.accept()[0], b""


@pytest.fixture
def connect(tmp_path, closing):
    """(terminal, the peer) of a connection that stands."""

    def connected(*arguments):
        listener = closing.add(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(10)
        terminal = closing.add(Terminal(tmp_path, BINARY, "connect", *arguments, f"tcp://127.0.0.1:{listener.getsockname()[1]}"))
        peer = closing.add(Accepted(listener))
        peer.send("hello\n")
        terminal.until("hello")
        return terminal, peer

    return connected


def last_line(terminal):
    return [line for line in terminal.lines() if line][-1]


def test_lines_are_edited_and_sent(connect):
    terminal, peer = connect()
    terminal.type("helo").press("Left").type("l").press("C-e").type(" world").press("Enter")
    assert peer.until(b"\n") == b"hello world\n"


def test_what_arrives_does_not_tear_the_line(connect):
    terminal, peer = connect()
    terminal.type("half a li").until("half a li")
    peer.send("incoming one\nincoming two\n")
    terminal.until("incoming two").until(lambda: last_line(terminal).endswith("half a li"))
    assert sum("half a li" in line for line in terminal.lines()) == 1, terminal.screen()
    terminal.type("ne").press("Enter")
    assert peer.until(b"\n") == b"half a line\n"


def test_history_comes_back_also_in_the_next_run(connect):
    terminal, peer = connect()
    terminal.type("first").press("Enter").type("second").press("Enter")
    peer.until(b"second\n")
    terminal.press("Up", "Up", "Enter")
    assert peer.until(b"\n") == b"first\n"
    peer.close()
    terminal.until("code 0")
    terminal, peer = connect()
    terminal.press("Up", "Enter")
    assert peer.until(b"\n") == b"first\n"


def test_escapes_are_shown_and_not_obeyed(connect):
    terminal, peer = connect()
    before = terminal.title()
    peer.send(b"\x1b[2Jclear \x1b]0;owned\x07title \x1b[31mred \x9b31m c1\r\nab\rXY end\n")
    terminal.until("end")
    screen = terminal.screen()
    assert "hello" in screen and "[2Jclear" in screen and "title" in screen
    assert terminal.title() == before
    assert not any(line.startswith("XY") for line in terminal.lines()), screen


@pytest.mark.parametrize("key", ["C-c", "C-d"])
def test_the_terminal_is_as_it_was_when_it_ends(connect, key):
    terminal, peer = connect()
    terminal.press(key)
    assert peer.rest() == b""
    peer.close()
    terminal.until("code 130" if key == "C-c" else "code 0").until_line("echo").until_line("icanon")


def test_when_the_peer_goes_it_ends_while_somebody_types(connect):
    terminal, peer = connect()
    terminal.type("unfinished").until("unfinished")
    peer.close()
    terminal.until("code 0").until_line("echo")
