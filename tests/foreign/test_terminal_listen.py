"""`taut listen` at a terminal: editing, history, and what arrives while somebody types."""

import re

import pytest

from peers import Raw
from taut import BINARY
from terminal import Terminal


class Client(Raw):
    def __init__(self, port):
        self.port = port
        super().__init__(self)


@pytest.fixture
def listen(tmp_path, closing):
    """(terminal, client) of a conversation that has begun."""

    def started(*arguments):
        terminal = closing.add(Terminal(tmp_path, BINARY, "listen", *arguments, "tcp://127.0.0.1:0"))
        terminal.until("listening on")
        port = int(re.search(r"listening on tcp://127\.0\.0\.1:(\d+)", terminal.screen())[1])
        client = closing.add(Client(port))
        client.send("hello\n")
        terminal.until_line("[1] hello")
        return terminal, client

    return started


def test_lines_are_edited_and_sent(listen):
    terminal, client = listen()
    terminal.type("helo").press("Left").type("l").press("C-e").type(" world").press("Enter")
    assert client.until(b"\n") == b"hello world\n"
    terminal.type("gone").press("C-u").type("kept").press("Enter")
    assert client.until(b"\n") == b"kept\n"
    terminal.type("ünï→😀").press("BSpace").press("Enter")
    assert client.until(b"\n") == "ünï→\n".encode()


def test_what_arrives_does_not_tear_the_line(listen):
    terminal, client = listen()
    terminal.type("half a li").until_line("> half a li")
    client.send("incoming one\nincoming two\n")
    terminal.until_line("[1] incoming two").until_line("> half a li")
    lines = [line for line in terminal.lines() if line]
    assert lines[-3:] == ["[1] incoming one", "[1] incoming two", "> half a li"], terminal.screen()
    assert sum("half a li" in line for line in lines) == 1, terminal.screen()
    assert terminal.cursor()[0] == len("> half a li")
    terminal.type("ne").press("Enter")
    assert client.until(b"\n") == b"half a line\n"


def test_much_that_arrives_while_somebody_types_neither_tears_nor_loses(listen):
    terminal, client = listen()
    for number in range(40):
        client.send(f"line {number}\n")
        terminal.type(chr(ord("a") + number % 26))
    expected = "".join(chr(ord("a") + number % 26) for number in range(40))
    terminal.until_line("[1] line 39").until_line(f"> {expected}")
    terminal.press("Enter")
    assert client.until(b"\n") == f"{expected}\n".encode()


def test_history_comes_back_also_in_the_next_run(listen, tmp_path, closing):
    terminal, client = listen()
    terminal.type("first").press("Enter").type("second").press("Enter")
    client.until(b"second\n")
    # Between two lines the terminal is not the editor's for a moment.
    terminal.until_line(">").press("Up", "Up", "Enter")
    assert client.until(b"\n") == b"first\n"
    terminal.until_line(">").press("C-d").until("code 0")
    terminal, client = listen()
    terminal.press("Up", "Enter")
    assert client.until(b"\n") == b"first\n"


def test_escapes_are_shown_and_not_obeyed(listen):
    terminal, client = listen()
    before = terminal.title()
    client.send(b"\x1b[2Jclear \x1b]0;owned\x07title \x1b[31mred \x9b31m c1 \x08\x08back \x00 nul\n")
    terminal.until("back")
    screen = terminal.screen()
    assert "[1] hello" in screen, "the screen was not cleared"
    assert "[2Jclear" in screen and "title" in screen and "red" in screen
    assert terminal.title() == before
    client.send(b"[2] a lie\rabove\n")
    terminal.until("above")
    assert not any(line.startswith("above") for line in terminal.lines()), terminal.screen()


@pytest.mark.parametrize(("key", "code"), [("C-c", 130), ("C-d", 0)])
def test_the_terminal_is_as_it_was_when_it_ends(listen, key, code):
    terminal, client = listen()
    terminal.type("left over") if key == "C-c" else None
    terminal.press(key).until(f"code {code}")
    terminal.until_line("echo").until_line("icanon")
    assert client.rest() == b""


def test_a_long_line_wraps_and_survives_what_arrives(listen):
    terminal, client = listen()
    long = "abcdefghij" * 15
    terminal.type(long).until(long[-40:])
    client.send("incoming\n")
    terminal.until_line("[1] incoming")
    terminal.press("Enter")
    assert client.until(b"\n") == f"{long}\n".encode()
