"""`taut connect` to tcp://, unix: and udp:// servers in Python and Node, from a pipe."""

import os
import signal
import socket
import threading
import time

import pytest

from commands import Command, Listening, run
from servers import Datagrams, Node, Serving, echo, floods, json_lines, says
from taut import free_port

BYTES = bytes(range(256))


@pytest.fixture(params=["tcp", "unix"])
def serve(request, tmp_path, closing):
    """Starts a Python server on one of both kinds of stream."""
    where = tmp_path / "peer.sock" if request.param == "unix" else None
    return lambda talk: closing.add(Serving(talk, where))


@pytest.fixture(params=["python", "node"])
def echo_url(request, tmp_path, closing):
    if request.param == "python":
        return [closing.add(Serving(echo)).url, closing.add(Serving(echo, tmp_path / "p.sock")).url]
    tcp, unix = closing.add(Node("net.mjs", "echo", "tcp")), closing.add(Node("net.mjs", "echo", "unix", tmp_path / "n.sock"))
    return [f"tcp://127.0.0.1:{tcp.port}", f"unix:{unix.where}"]


@pytest.fixture
def connect(closing):
    return lambda *arguments, **more: closing.add(Command("connect", *arguments, **more))


def test_every_byte_goes_there_and_comes_back(echo_url):
    for url in echo_url:
        for data in [b"a line\n", b"no newline", BYTES * 100, os.urandom(300_000)]:
            code, out, said = run("connect", url, stdin=data)
            assert (code, out) == (0, data), (url, said)


def test_what_is_typed_goes_at_once(serve, connect):
    server = serve(echo)
    command = connect(server.url)
    for text in ["one\n", "two\n"]:
        command.type(text)
        command.out.until(text)
    assert command.end_input().ended()[0] == 0


def test_it_ends_when_the_peer_closes(serve, connect):
    command = connect(serve(says(b"hello and goodbye")).url)
    code, out, _ = command.ended()
    assert (code, out) == (0, b"hello and goodbye")


def test_the_end_of_input_is_half_a_close(serve):
    def answers_at_the_end(connection):
        data = b""
        while piece := connection.recv(65536):
            data += piece
        connection.sendall(f"{len(data)} bytes".encode())

    assert run("connect", serve(answers_at_the_end).url, stdin=b"x" * 100_000)[1] == b"100000 bytes"


def test_a_peer_that_never_ends_is_waited_for_as_long_as_asked(serve):
    def talk(connection):
        connection.sendall(b"here")
        threading.Event().wait(20)

    code, out, _ = run("connect", "--wait", "0.3", serve(talk).url)
    assert (code, out) == (0, b"here")


def test_much_goes_both_ways_at_once(serve):
    data = os.urandom(1 << 20) * 16
    code, out, _ = run("connect", serve(echo).url, stdin=data, seconds=60)
    assert code == 0 and out == data


def test_nobody_listens_is_3_and_says_so(tmp_path):
    port = free_port()
    code, out, said = run("connect", f"tcp://127.0.0.1:{port}")
    assert (code, out) == (3, b"") and str(port) in said and "refused" in said, said
    code, _, said = run("connect", f"unix:{tmp_path}/nothing.sock")
    assert code == 3 and "nothing.sock" in said
    code, _, said = run("connect", "tcp://no-such-host.invalid:1")
    assert code == 3 and "no-such-host.invalid" in said


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("localhost:9000", "tcp://localhost:9000"),
        ("tcp://localhost", "tcp://localhost:"),
        ("tpc://localhost:1", "tcp://"),
        ("tcp://localhost:99999", "65535"),
        ("ftp://localhost", "http"),
        ("", "tcp://"),
    ],
)
def test_a_wrong_url_is_2_and_shows_a_right_one(url, right):
    code, out, said = run("connect", url)
    assert (code, out) == (2, b"") and right in said, said


def test_count_ends_after_so_many(serve, connect):
    def talk(connection):
        for number in range(100):
            connection.sendall(f"line {number}\n".encode())
            time.sleep(0.01)
        threading.Event().wait(20)

    code, out, _ = connect("--count", "3", serve(talk).url).ended()
    assert code == 0 and out.splitlines()[:3] == [b"line 0", b"line 1", b"line 2"]


def test_hex_and_base64_are_shown_and_typed(serve):
    server = serve(echo)
    code, out, said = run("connect", "--hex", server.url, stdin=b"00 ff 41\n")
    assert code == 0 and b"00" in out and b"ff" in out and b"41" in out, said
    code, out, said = run("connect", "--base64", server.url, stdin=b"AP9B\n")
    assert code == 0 and b"AP9B" in out, said


def test_json_is_an_object_for_each_event(serve):
    code, out, said = run("connect", "--json", serve(says("héllo\n".encode())).url)
    assert code == 0, said
    events = json_lines(out)
    assert all("event" in event for event in events) and any("héllo" in str(event) for event in events), events


def test_an_interrupt_is_130(serve, connect):
    command = connect(serve(says(b"here", lambda _: threading.Event().wait(20))).url)
    command.out.until(b"here")
    assert command.signal(signal.SIGINT).code() == 130


def test_a_peer_that_floods_is_read_no_faster_than_we_are(serve, connect):
    command = connect(serve(floods()).url)
    command.process.stdout.flush()
    command.out.exactly(1 << 20)
    status = open(f"/proc/{command.process.pid}/status").read()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 100_000, f"{resident} KiB"
    command.signal()


def test_it_comes_back_when_the_peer_does(closing, connect):
    # A port where nobody listens yet: attempts fail until somebody does.
    port = free_port()
    command = connect("--reconnect", f"tcp://127.0.0.1:{port}")
    command.err.until("coming back in")
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(30)
        for number in range(2):
            connection, _ = server.accept()
            connection.sendall(f"time {number}\n".encode())
            command.out.until(f"time {number}\n", 20)
            connection.close()
    command.signal(signal.SIGINT)
    assert command.code() == 130


def test_ipv6_and_localhost(closing):
    with socket.socket(socket.AF_INET6) as six:
        try:
            six.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        six.listen()
        port = six.getsockname()[1]

        def serve_all():
            for _ in range(2):
                connection, _ = six.accept()
                connection.sendall(b"by six")
                connection.close()

        threading.Thread(target=serve_all, daemon=True).start()
        assert run("connect", f"tcp://[::1]:{port}")[1] == b"by six"
        assert run("connect", f"tcp://localhost:{port}")[1] == b"by six"


def test_the_two_commands_talk_to_each_other(tmp_path, closing):
    for url in ["tcp://127.0.0.1:0", f"unix:{tmp_path}/both.sock"]:
        listening = closing.add(Listening(url, "--echo"))
        assert run("connect", listening.url, stdin=BYTES)[1] == BYTES


# ---- datagrams


def test_datagrams_of_python_and_node(closing):
    node = closing.add(Node("net.mjs", "echo", "udp"))
    python = closing.add(Datagrams(lambda data: [data]))
    for url in [python.url, f"udp://127.0.0.1:{node.port}"]:
        code, out, said = run("connect", "--count", "1", url, stdin=b"one\n")
        assert code == 0 and out.rstrip(b"\n") == b"one", (url, said)
    assert python.came[0].rstrip(b"\n") == b"one"


def test_each_line_is_a_datagram(closing, connect):
    server = closing.add(Datagrams(lambda data: [b"got " + data]))
    command = connect(server.url)
    for text in [b"one", b"two"]:
        command.type(text + b"\n")
        command.out.until(b"got " + text)
    assert [data.rstrip(b"\n") for data in server.came] == [b"one", b"two"]


def test_a_port_where_nobody_is_is_told():
    code, _, said = run("connect", f"udp://127.0.0.1:{free_port()}", stdin=b"x\n")
    assert code == 3 and "nobody" in said, (code, said)
