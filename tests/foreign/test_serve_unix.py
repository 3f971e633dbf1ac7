"""`taut serve --listen unix:PATH`: every door on a file, with clients in Python and Node, at nc and curl; and what becomes of the file."""

import json
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from websockets.sync.client import unix_connect

from commands import Command, run
from peers import Native, Program, Raw, post, said_in
from taut import BINARY

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path):
    """A short one: a Unix socket's path has at most 107 bytes."""
    return str(tmp_path / "t.sock")


@pytest.fixture
def served(start, path):
    """A server with a TCP port and a Unix socket."""
    return start(arguments=["--listen", f"unix:{path}"])


@pytest.fixture
def alone(closing):
    """Starts a server with these addresses only, and waits until it listens."""

    def started(*addresses):
        command = closing.add(Command("serve", *[part for address in addresses for part in ("--listen", address)]))
        command.out.until("listens on ")
        command.out.until("Ctrl-C stops")
        return command

    return started


def refused(*arguments):
    """(exit code, what it said) of a server that does not start."""
    code, out, said = run("serve", *arguments)
    assert out == b"", out
    return code, said


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# ---- every door


def test_a_program_meets_a_member_on_tcp(served, path, room, closing):
    here, there = closing.add(Native(served, at=path)), closing.add(Native(served))
    assert here.ask(join=room, **{"as": "ana"})["ok"] == there.ask(join=room)["ok"] == "join"
    assert here.ask(publish=room, data={"x": [1, "ü"]})["ok"] == "publish"
    message = there.message()
    assert (message["data"], message["from"]) == ({"x": [1, "ü"]}, "ana")
    there.ask(publish=room, base64="AAH/")
    assert here.message()["base64"] == "AAH/"


def test_a_message_of_the_greatest_length_passes_both_ways(served, path, room, closing):
    here, there = closing.add(Native(served, at=path)), closing.add(Native(served))
    there.ask(join=room)
    text = "x" * 65_000
    for _ in range(20):
        here.ask(publish=room, data=text)
    assert all(there.message()["data"] == text for _ in range(20))
    here.send(publish=room, data="x" * 70_000)
    assert here.unit()["bye"] == "violation"


def test_a_person_at_nc(served, path, room, closing):
    person, program = closing.add(Program("nc", "-U", path)), closing.add(Native(served))
    program.ask(join=room)
    person.type(f"/join {room}").type("/nick ana").type("/who").until("ana (text)")
    person.type("hi")
    message = program.message()
    assert (message["data"], message["from"]) == ("hi", "ana")
    post(served, room, "from curl", query="?as=bo")
    person.until("bo: from curl\n")
    person.type("/quit")
    person.ended()


def test_node(served, path, room):
    text = json.dumps(f'{{"publish":"{room}","data":"from node","ref":1}}\n')
    done = subprocess.run(["node", str(HERE / "net.mjs"), "client", "stream", path, text, "0"], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(json.loads(done.stdout))["ok"] == "publish"
    assert said_in(served, room, 1) == ["from node"]


def test_curl_and_a_websocket(served, path, room, closing):
    socket = closing.enter_context(unix_connect(path, f"ws://localhost/r/{room}", open_timeout=10))
    command = ["curl", "-sS", "--max-time", "15", "--unix-socket", path, "-d", "from curl", f"http://localhost/r/{room}"]
    assert "at" in json.loads(subprocess.run(command, capture_output=True, timeout=20, check=True).stdout)
    assert socket.recv(10) == "from curl"
    socket.send("from a websocket")
    assert said_in(served, room, 2) == ["from curl", "from a websocket"]


def test_a_page_of_elsewhere_is_refused_here_too(served, path, closing):
    raw = closing.add(Raw(served, at=path))
    raw.send("POST /r/lobby HTTP/1.1\r\nHost: localhost\r\nOrigin: https://elsewhere.example\r\nContent-Length: 1\r\n\r\nx")
    assert raw.response().status == 403


def test_the_commands(served, path, room, closing):
    url = f"unix:{path}"
    listener = closing.add(Program(BINARY, "sub", room, "--rewind", "5", "--url", url))
    assert run("pub", room, "one", "--as", "ana", "--url", url)[0] == 0
    listener.until("ana: one\n")
    code, out, said = run("connect", "--count", "1", url, stdin=b'{"ping":1}\n')
    assert (code, out) == (0, b'{"ok":"ping"}\n'), said
    code, out, _ = run("who", room, "--json", "--url", url)
    assert code == 0 and json.loads(out)["count"] == 1


def test_a_publisher_who_has_ended_is_answered_and_let_go(served, path, room):
    raw = Raw(served, at=path)
    raw.send(f'{{"publish":"{room}","data":"last words","ref":1}}').finish()
    assert json.loads(raw.rest())["ok"] == "publish"
    raw.close()


def test_whoever_has_closed_is_not_kept(start, path, room, closing):
    """A Unix socket tells the end of both ways from that of one, so nobody need say anything to find out."""
    served = start('[[rooms]]\nmatch = "**"\npresence_grace_ms = 0\n', arguments=["--listen", f"unix:{path}"])
    listens = closing.add(Raw(served, at=path))
    listens.send(f'{{"join":"{room}"}}\n').finish().until(b'"ok":"join"')
    before = served.open_files()  # only now: whoever has just started still opens its own
    for _ in range(10):
        several = [Raw(served, at=path) for _ in range(20)]
        for raw in several[::2]:
            raw.send(f'{{"join":"{room}"}}\n').until(b'"ok":"join"')
        for raw in several:
            raw.close()
    asks = closing.add(Native(served, at=path))
    deadline = time.monotonic() + 10
    while asks.ask(who=room)["count"] > 1 or served.open_files() > before + 1:
        assert time.monotonic() < deadline, f"{served.open_files()} files are open, {before} were; {asks.ask(who=room)['count']} members"
        time.sleep(0.05)
    post(served, room, "still heard")
    listens.until(b"still heard")


# ---- the file


def test_the_file_is_its_owner_s(alone, path):
    server = alone(f"unix:{path}")
    assert stat.S_ISSOCK(os.stat(path).st_mode) and mode(path) == 0o600
    assert server.signal().code() == 0
    assert not os.path.exists(path)


@pytest.mark.parametrize(("digits", "bits"), [("660", 0o660), ("0666", 0o666), ("600", 0o600), ("700", 0o700)])
def test_the_mode_is_as_asked_whatever_the_umask(alone, path, digits, bits):
    previous = os.umask(0o077)
    try:
        alone(f"unix:{path}?mode={digits}")
    finally:
        os.umask(previous)
    assert mode(path) == bits


def test_a_wide_umask_opens_it_to_nobody_else(alone, path):
    previous = os.umask(0)
    try:
        alone(f"unix:{path}")
    finally:
        os.umask(previous)
    assert mode(path) == 0o600


@pytest.mark.parametrize("digits", ["", "9", "rw", "1777", "-1", "0x1ff"])
def test_a_mode_that_is_none_is_a_wrong_command_line(path, digits):
    code, said = refused("--listen", f"unix:{path}?mode={digits}")
    assert code == 2 and "mode=660" in said, said
    assert not os.path.exists(path)


def test_three_slashes_are_the_same_file(alone, path, closing):
    alone(f"unix://{path}")
    closing.add(Native(None, at=path)).ask(ping=1)


def test_a_killed_server_s_file_is_taken_over(start, path, closing):
    first = start(arguments=["--listen", f"unix:{path}"])
    first.process.kill()
    first.process.wait()
    assert os.path.exists(path)
    second = start(arguments=["--listen", f"unix:{path}?mode=660"])
    assert closing.add(Native(second, at=path)).ask(ping=1)["ok"] == "ping"
    assert mode(path) == 0o660
    assert second.stop() == 0
    assert not os.path.exists(path)


def test_a_second_server_is_refused_and_the_first_does_not_notice(served, path, room, closing):
    member = closing.add(Native(served, at=path))
    member.ask(join=room)
    code, said = refused("--listen", f"unix:{path}")
    assert code != 0 and path in said and "another program listens there" in said, (code, said)
    post(served, room, "still here")
    assert member.message()["data"] == "still here"
    assert closing.add(Native(served, at=path)).ask(ping=1)["ok"] == "ping"


def test_a_file_that_is_no_socket_is_left_alone(path):
    Path(path).write_text("precious")
    code, said = refused("--listen", f"unix:{path}")
    assert code != 0 and path in said and "no socket" in said, (code, said)
    assert Path(path).read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    code, said = refused("--listen", f"unix:{tmp_path}/no/t.sock")
    assert code != 0 and "no/t.sock" in said and "make the folder first" in said, (code, said)


def test_a_path_that_is_too_long_is_a_wrong_command_line():
    code, said = refused("--listen", f"unix:/tmp/{'x' * 110}")
    assert code == 2 and "107" in said, (code, said)


def test_what_another_server_put_there_stays(start, path, closing):
    first = start(arguments=["--listen", f"unix:{path}"])
    os.unlink(path)
    second = start(arguments=["--listen", f"unix:{path}"])
    assert first.stop() == 0
    assert closing.add(Native(second, at=path)).ask(ping=1)["ok"] == "ping"


def test_a_name_without_a_file(alone, closing):
    name = f"taut-test-{os.getpid()}"
    server = alone(f"unix:@{name}")
    assert closing.add(Native(None, at=f"\0{name}")).ask(ping=1)["ok"] == "ping"
    assert not os.path.exists(f"@{name}")
    assert server.signal().code() == 0


def test_whoever_is_there_is_told_of_the_stop(alone, path, closing):
    server = alone(f"unix:{path}")
    program, person = closing.add(Native(None, at=path)), closing.add(Program("nc", "-U", path))
    program.ask(join="lobby")
    person.type("/who").until("(text)")
    server.signal()
    unit = program.unit()
    while "presence" in unit:
        unit = program.unit()
    assert unit["bye"] == "restart" and unit["retry_ms"] > 0
    assert program.raw.rest() == b""
    assert "restart" in person.ended()
    assert server.code() == 0
    assert not os.path.exists(path)


def test_the_start_lines_show_how_to_come_in(closing, path):
    command = closing.add(Command("serve", "--listen", f"unix:{path}"))
    said = command.out.until("Ctrl-C stops").decode()
    assert f"unix:{path}" in said and "this machine only" in said and f"nc -U {path}" in said
