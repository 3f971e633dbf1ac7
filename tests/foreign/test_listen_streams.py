"""`taut listen tcp://` and `unix:` with clients in Python, in Node and at nc."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from commands import Listening, run
from peers import Program, Raw

HERE = Path(__file__).parent
BYTES = bytes(range(256))


@pytest.fixture(params=["tcp", "unix"])
def listen(request, tmp_path, closing):
    """Starts `taut listen` on one of both kinds."""
    url = "tcp://127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/taut.sock"
    return lambda *arguments, **more: closing.add(Listening(url, *arguments, **more))


class Stream(Raw):
    """A Python socket of either kind."""

    def __init__(self, listening):
        if listening.port:
            super().__init__(listening)
            return
        self.socket, self.buffer = socket.socket(socket.AF_UNIX), b""
        self.socket.settimeout(10)
        self.socket.connect(place(listening))


def place(listening):
    return str(listening.port or listening.url.removeprefix("unix:"))


def node(listening, text, count):
    """Node sends latin-1 text and says what came back."""
    command = ["node", str(HERE / "net.mjs"), "client", "stream", place(listening), json.dumps(text), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return json.loads(done.stdout)


def nc(listening, *options):
    where = ("127.0.0.1", place(listening)) if listening.port else ("-U", place(listening))
    return Program("nc", *options, *where)


def test_echo_gives_every_byte_back_with_or_without_a_newline(listen, closing):
    listening = listen("--echo")
    client = closing.add(Stream(listening))
    for data in [b"a", b"line\n", b"no newline", BYTES, b"\xff\xfe\x00", b"\r\n"]:
        assert client.send(data).exactly(len(data)) == data
    assert node(listening, "h\u00e9llo", 5) == "h\u00e9llo"
    assert node(listening, BYTES.decode("latin-1"), 0) == BYTES.decode("latin-1")
    closing.add(nc(listening)).type("at nc").until("at nc\n")


def test_echo_carries_much_both_ways_at_once(listen, closing):
    client = closing.add(Stream(listen("--echo")))
    data = os.urandom(1 << 20) * 8
    sender = threading.Thread(target=lambda: client.socket.sendall(data))
    client.socket.settimeout(30)
    sender.start()
    assert client.exactly(len(data), 30) == data
    sender.join(10)
    assert client.finish().rest() == b""


def test_after_the_end_of_input_the_rest_still_comes(listen, closing):
    client = closing.add(Stream(listen("--echo")))
    assert client.send(b"x" * 300_000 + b"end").finish().rest() == b"x" * 300_000 + b"end"


def test_many_clients_at_once_and_again(listen, closing):
    listening = listen("--echo")
    for _ in range(3):
        clients = [Stream(listening) for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(f"client {number}")
        for number, client in enumerate(clients):
            assert client.exactly(len(f"client {number}")) == f"client {number}".encode()
        for client in clients:
            client.close()


def test_a_prefix_stands_before_each_line(listen, closing):
    listening = listen("--echo", "--prefix", "you said: ")
    client = closing.add(Stream(listening))
    answer = b"you said: one\nyou said: two\n"
    assert client.send("one\ntwo\n").exactly(len(answer)) == answer
    person = closing.add(nc(listening))
    person.type("hello").until("you said: hello\n")
    # Without its newline a line counts as well.
    assert b"you said: last" in client.send("last").finish().rest()


def test_a_greeting_is_said_and_then_it_closes(listen, closing):
    listening = listen("--greet", "Hello, stranger!")
    assert closing.add(Stream(listening)).rest() == b"Hello, stranger!\n"
    assert node(listening, "", 0) == "Hello, stranger!\n"
    assert nc(listening).ended() == "Hello, stranger!\n"


def test_a_greeting_before_an_echo_leaves_it_open(listen, closing):
    client = closing.add(Stream(listen("--greet", "Hello", "--echo")))
    client.until(b"Hello\n")
    assert client.send("more").exactly(4) == b"more"


def test_print_shows_bytes_as_they_come_and_at_once(listen, closing):
    listening = listen("--print")
    client = closing.add(Stream(listening))
    client.send("no newline")
    assert listening.out.exactly(10) == b"no newline"
    client.send(BYTES)
    assert listening.out.exactly(256) == BYTES
    client.quiet()
    assert listening.stop() == b""


def test_hex_and_base64_show_what_arrives(listen, closing):
    listening = listen("--print", "--hex")
    closing.add(Stream(listening)).send(b"\x00\xffA").finish().rest()
    shown = listening.out.until(b"\n")
    assert b"00" in shown and b"ff" in shown and b"41" in shown
    listening.stop()
    listening = listen("--print", "--base64")
    closing.add(Stream(listening)).send(b"\x00\xffA").finish().rest()
    assert b"AP9B" in listening.out.until(b"\n")


def test_a_conversation_with_two(listen, closing):
    listening = listen()
    one, two = closing.add(Stream(listening)), closing.add(nc(listening))
    one.send("hi from one\n")
    listening.out.until(b"[1] hi from one\n")
    two.type("hi from two")
    listening.out.until(b"[2] hi from two\n")
    listening.type("to all\n")
    assert one.until(b"\n") == b"to all\n"
    two.until("to all\n")
    one.send("no newline")
    listening.out.until(b"[1] no newline\n")
    assert b"1" in listening.err.data


def test_what_is_typed_last_without_a_newline_is_said_too(listen, closing):
    listening = listen()
    client = closing.add(Stream(listening))
    client.send("here\n")
    listening.out.until(b"here\n")
    listening.type("last words").end_input()
    assert client.until(b"last words") == b"last words"


def test_chat_lets_clients_talk_to_each_other(listen, closing):
    listening = listen("--chat")
    one, two = closing.add(Stream(listening)), closing.add(nc(listening))
    two.type("first")
    one.until(b"first\n")
    one.send("hello \x1b[31mred\n")
    said = two.until("red")
    assert "client-" in said and "\x1b" not in said, said
    one.quiet()


def test_a_command_for_each_client(listen, closing):
    listening = listen("--exec", "tr a-z A-Z")
    one, two = closing.add(Stream(listening)), closing.add(Stream(listening))
    assert one.send("one").finish().rest() == b"ONE"
    assert two.send("two").finish().rest() == b"TWO"
    assert nc(listening, "-N").type("at nc").ended() == "AT NC\n"
    listening.stop()
    listening = listen("--exec", "echo $TAUT_CLIENT; exit 3")
    assert [closing.add(Stream(listening)).rest() for _ in range(2)] == [b"1\n", b"2\n"]


def assert_gone(pid):
    """It has ended; whether somebody has asked for its exit code yet is not our matter."""
    stat = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 10
    while stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.02)


def test_commands_go_with_the_server(listen, closing):
    listening = listen("--exec", "echo $$; exec sleep 1000")
    client = closing.add(Stream(listening))
    first = int(client.until(b"\n"))
    second = int(closing.add(Stream(listening)).until(b"\n"))
    client.close()
    listening.stop()
    assert_gone(first)
    assert_gone(second)


def test_once_ends_after_the_first_client(listen, closing):
    listening = listen("--once", "--echo")
    assert closing.add(Stream(listening)).send("bye").finish().rest() == b"bye"
    assert listening.ended()[0] == 0


def test_a_client_that_crashes_disturbs_nobody(listen, closing):
    listening = listen("--echo")
    survivor = closing.add(Stream(listening))
    for _ in range(20):
        victim = Stream(listening)
        victim.send(b"x" * 10_000)
        victim.vanish()
    assert survivor.send("still here").exactly(10) == b"still here"


def test_a_client_that_does_not_read_disturbs_nobody(listen, closing):
    listening = listen("--chat")
    _deaf, one, two = (closing.add(Stream(listening)) for _ in range(3))
    two.send("ready\n")
    one.until(b"ready\n")
    line = b"x" * 60_000 + b"\n"
    for _ in range(100):
        # Once, the others wait until it has had its time to read.
        one.send(line)
        two.until(b"x\n", 25)
    listening.err.until(b"does not read")
    two.send("after\n")
    one.until(b"after\n")


def test_a_port_in_use_is_told(closing):
    listening = closing.add(Listening("tcp://127.0.0.1:0", "--echo"))
    code, out, said = run("listen", f"tcp://127.0.0.1:{listening.port}")
    assert code == 1 and out == b"" and str(listening.port) in said and "listens there already" in said, (code, said)


def test_a_unix_socket_s_file_comes_and_goes(tmp_path, closing):
    path = tmp_path / "x.sock"
    listening = closing.add(Listening(f"unix:{path}", "--echo"))
    assert path.is_socket()
    code, _, said = run("listen", f"unix:{path}")
    assert code != 0 and said, "somebody listens there"
    assert closing.add(Stream(listening)).send("a").exactly(1) == b"a"
    listening.stop()
    assert not path.exists()


def test_a_stale_file_is_replaced_and_another_file_is_not(tmp_path, closing):
    path = tmp_path / "x.sock"
    killed = Listening(f"unix:{path}", "--echo")
    killed.process.kill()
    killed.close()
    assert path.is_socket()
    listening = closing.add(Listening(f"unix:{path}", "--echo"))
    assert closing.add(Stream(listening)).send("a").exactly(1) == b"a"
    precious = tmp_path / "precious"
    precious.write_text("data")
    code, _, said = run("listen", f"unix:{precious}")
    assert code != 0 and "precious" in said and precious.read_text() == "data"


def test_an_abstract_name_has_no_file(closing):
    name = f"taut-test-{os.getpid()}"
    closing.add(Listening(f"unix:@{name}", "--echo"))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(f"\0{name}")
        client.sendall(b"abstract")
        assert client.recv(100) == b"abstract"


def test_sigterm_is_a_good_end_and_ctrl_c_is_130(closing):
    listening = closing.add(Listening("tcp://127.0.0.1:0"))
    assert listening.stop() == b""
    listening = closing.add(Listening("tcp://127.0.0.1:0"))
    assert listening.signal(signal.SIGINT).code() == 130


def test_events_as_json(listen, closing):
    listening = listen("--json")
    closing.add(Stream(listening)).send("héllo\n").finish().rest()
    events = []
    while len(events) < 3:
        events.append(json.loads(listening.out.until(b"\n")))
    assert any("héllo" in json.dumps(event, ensure_ascii=False) for event in events), events
