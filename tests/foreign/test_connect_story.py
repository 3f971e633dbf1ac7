"""What `taut connect -v ws://` tells, line by line, of npm's `ws` and Python's `websockets` as servers. Times, ports, keys and masks are masked, and checked apart."""

import base64
import hashlib
import re
import threading

import pytest
from websockets.sync.server import serve as websockets_serve

from commands import Command, run
from servers import Node, Serving, http_head, silent

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(scope="module")
def node():
    peer = Node("ws_peers.mjs", "echo")
    yield peer
    peer.close()


@pytest.fixture
def python():
    def talk(socket):
        for message in socket:
            socket.send(message)
            if message == "bye":
                return socket.close(1000, "enough")
        return None

    server = websockets_serve(talk, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.port = server.socket.getsockname()[1]
    yield server
    server.shutdown()


def story(said):
    """The lines with what differs from run to run masked; a time stands before each."""
    lines = []
    for line in said.splitlines():
        found = re.fullmatch(r" *\d+\.\d{3} s (.*)", line)
        assert found, f"no time in {line!r}"
        line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", found[1])
        line = re.sub(r"localhost:\d+", "localhost:PORT", line)
        line = re.sub(r"[A-Za-z0-9+/]{22}==", "KEY", line)
        line = re.sub(r"[A-Za-z0-9+/]{27}=", "ACCEPT", line)
        line = re.sub(r"\b[0-9a-f]{40}\b", "SHA1", line)
        lines.append(re.sub(r"mask [0-9a-f]{8}", "mask MASK", line))
    return lines


def without_what_differs_by_machine(lines):
    """The system's own sizes of buffers, and what a server tells of itself."""
    return [line for line in lines if not re.match(r"\* socket option (SO_|TCP_MAXSEG|TCP_CONGESTION)|< (Date|Server): ", line)]


def behind(lines, marker):
    return lines[lines.index(marker) + 1 :]


OPEN = "* the WebSocket is open"


def test_the_whole_story_of_an_echo(python):
    url = f"ws://localhost:{python.port}/chat?x=1"
    code, out, said = run("connect", "-v", "--count", "1", "-4", url, stdin=b"hello\n")
    assert (code, out) == (0, b"hello\n")
    assert without_what_differs_by_machine(story(said)) == [
        "* `localhost` is 127.0.0.1 (localhost is always this machine (RFC 6761))",
        "* trying 127.0.0.1:PORT (1 of 1)",
        "* connected: 127.0.0.1:PORT (we) <-> 127.0.0.1:PORT (the peer)",
        "* socket option TCP_NODELAY = on, set by us",
        "* asking to leave HTTP for a WebSocket (RFC 6455 §4.1)",
        "> GET /chat?x=1 HTTP/1.1",
        "> Host: localhost:PORT",
        "> Upgrade: websocket",
        "> Connection: Upgrade",
        "> Sec-WebSocket-Key: KEY",
        "> Sec-WebSocket-Version: 13",
        "* the key KEY is 16 random bytes: only who has read it can answer it",
        "< HTTP/1.1 101 Switching Protocols",
        "< Upgrade: websocket",
        "< Connection: Upgrade",
        "< Sec-WebSocket-Accept: ACCEPT",
        "* the accept key, step by step:",
        f"*     key + fixed GUID = KEY{GUID}",
        "*     its SHA-1        = SHA1",
        "*     as base64        = ACCEPT",
        "*     the peer answered the same: it speaks WebSocket and has read our key",
        OPEN,
        '> frame: text (opcode 0x1), FIN, mask MASK, 5 bytes: "hello"',
        '< frame: text (opcode 0x1), FIN, no mask, 5 bytes: "hello"',
        "* as many messages came as were asked for",
        "> frame: close (opcode 0x8), FIN, mask MASK, 2 bytes: code 1000 (normal closure)",
        "< frame: close (opcode 0x8), FIN, no mask, 2 bytes: code 1000 (normal closure)",
        "* the peer answered our close: the WebSocket is closed cleanly",
        "* sent 19 bytes in 2 frames, received 11 bytes in 2 frames",
    ]


def test_the_accept_key_is_derived_as_rfc_6455_says(node, python):
    for peer in [node, python]:
        _, _, said = run("connect", "-v", "--count", "1", f"ws://127.0.0.1:{peer.port}/greet", stdin=b"x\n")
        key = re.search(r"> Sec-WebSocket-Key: (\S+)", said)[1]
        digest = hashlib.sha1((key + GUID).encode()).digest()
        accept = base64.b64encode(digest).decode()
        assert len(base64.b64decode(key, validate=True)) == 16
        assert f"= {key}{GUID}\n" in said and f"= {digest.hex()}\n" in said and f"= {accept}\n" in said
        assert re.search(r"< Sec-WebSocket-Accept: (\S+)", said)[1] == accept


def test_every_key_and_every_mask_is_new(python):
    keys, masks = set(), set()
    for _ in range(3):
        _, _, said = run("connect", "-v", "--count", "3", f"ws://127.0.0.1:{python.port}/", stdin=b"a\na\na\n")
        keys.add(re.search(r"> Sec-WebSocket-Key: (\S+)", said)[1])
        masks |= set(re.findall(r"mask ([0-9a-f]{8})", said))
    assert len(keys) == 3 and len(masks) == 12


def test_the_peer_closes_first(python):
    code, _, said = run("connect", "-v", "--wait", "forever", f"ws://127.0.0.1:{python.port}/", stdin=b"bye\n")
    assert code == 0
    assert behind(story(said), OPEN) == [
        '> frame: text (opcode 0x1), FIN, mask MASK, 3 bytes: "bye"',
        '< frame: text (opcode 0x1), FIN, no mask, 3 bytes: "bye"',
        '< frame: close (opcode 0x8), FIN, no mask, 8 bytes: code 1000 (normal closure), reason "enough"',
        "* the peer closes first; its close is answered with the same code",
        "> frame: close (opcode 0x8), FIN, mask MASK, 2 bytes: code 1000 (normal closure)",
        "* sent 17 bytes in 2 frames, received 15 bytes in 2 frames",
    ]


@pytest.mark.parametrize(
    ("path", "code", "frame"),
    [
        ("/close/1001/", 0, "2 bytes: code 1001 (going away)"),
        ("/close/1008/not%20you", 4, '9 bytes: code 1008 (policy violation), reason "not you"'),
        ("/close/1011/", 4, "2 bytes: code 1011 (internal error)"),
        ("/close/3000/", 4, "2 bytes: code 3000 (registered with IANA)"),
        ("/close/4321/%1B%5B31mred", 4, "code 4321 (the application's own), reason"),
    ],
)
def test_close_codes_have_names(node, path, code, frame):
    got, _, said = run("connect", "-v", "--wait", "forever", f"ws://127.0.0.1:{node.port}{path}")
    assert got == code, said
    line = next(line for line in said.splitlines() if "< frame: close (opcode 0x8), FIN, no mask" in line)
    assert frame in line and "\x1b" not in said
    assert any("> frame: close" in line and f"code {path.split('/')[2]} " in line for line in said.splitlines())


def test_binary_pings_and_pongs(node):
    _, _, said = run("connect", "-v", "--hex", "--count", "1", f"ws://127.0.0.1:{node.port}/binary")
    assert "< frame: binary (opcode 0x2), FIN, no mask, 3 bytes: 0x00ff41" in said
    _, _, said = run("connect", "-v", "--count", "1", f"ws://127.0.0.1:{node.port}/ping")
    told = behind(story(said), OPEN)
    assert told[0] == '< frame: ping (opcode 0x9), FIN, no mask, 13 bytes: "are you there"'
    assert told[1] == '> frame: pong (opcode 0xa), FIN, mask MASK, 13 bytes: "are you there"'
    _, _, said = run("connect", "-v", "--ping", "0.2", "--wait", "1", f"ws://127.0.0.1:{node.port}/", stdin=b"")
    assert "> frame: ping (opcode 0x9), FIN, mask" in said and "< frame: pong (opcode 0xa), FIN, no mask, 0 bytes" in said


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_lengths_of_every_form(python, length):
    text = "x" * length
    _, out, said = run("connect", "-v", "--count", "1", f"ws://127.0.0.1:{python.port}/", stdin=text.encode() + b"\n")
    assert out == text.encode() + b"\n"
    size = "1 byte" if length == 1 else f"{length} bytes"
    shown = f': "{"x" * min(length, 72)}"' + ("…" if length > 72 else "") if length else ""
    told = behind(story(said), OPEN)
    assert told[0] == f"> frame: text (opcode 0x1), FIN, mask MASK, {size}{shown}"
    assert told[1] == f"< frame: text (opcode 0x1), FIN, no mask, {size}{shown}"
    head = 2 if length < 126 else 4 if length < 65_536 else 10
    assert told[-1] == f"* sent {length + head + 4 + 8} bytes in 2 frames, received {length + head + 4} bytes in 2 frames"


def test_a_message_in_pieces_is_told_piece_by_piece(closing):
    def talk(connection):
        key = re.search(r"(?i)sec-websocket-key: (\S+)", http_head(connection))[1]
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        connection.sendall(b"\x01\x03one" + b"\x89\x00" + b"\x00\x03two" + b"\x80\x05three")
        silent(connection)

    peer = closing.add(Serving(talk))
    code, out, said = run("connect", "-v", "--count", "1", f"ws://127.0.0.1:{peer.port}/")
    assert (code, out) == (0, b"onetwothree\n")
    assert "* the peer did not answer our close in time" in said
    assert [line for line in behind(story(said), OPEN) if line.startswith("< frame")][:4] == [
        '< frame: text (opcode 0x1), more to come, no mask, 3 bytes: "one"',
        "< frame: ping (opcode 0x9), FIN, no mask, 0 bytes",
        '< frame: continuation (opcode 0x0), more to come, no mask, 3 bytes: "two"',
        '< frame: continuation (opcode 0x0), FIN, no mask, 5 bytes: "three"',
    ]


def test_compression_and_subprotocols_are_told(node):
    _, out, said = run("connect", "-v", "--compress", "--protocol", "chat", "--protocol", "chat.v2", "--count", "1", f"ws://127.0.0.1:{node.port}/", stdin=b"x" * 1000 + b"\n")
    assert out == b"x" * 1000 + b"\n"
    assert "> Sec-WebSocket-Protocol: chat, chat.v2\n" in said and "< Sec-WebSocket-Protocol: chat.v2\n" in said
    assert "> Sec-WebSocket-Extensions: permessage-deflate" in said and "< Sec-WebSocket-Extensions: permessage-deflate" in said
    told = behind(story(said), f'{OPEN}; subprotocol "chat.v2"')
    assert re.match(r"> frame: text \(opcode 0x1\), FIN, mask MASK, RSV1 \(compressed\), \d+ bytes$", told[0]), told
    assert re.match(r"< frame: text \(opcode 0x1\), FIN, no mask, RSV1 \(compressed\), \d+ bytes$", told[1]), told


def test_a_refused_upgrade_is_told_with_its_answer(node):
    code, _, said = run("connect", "-v", f"ws://127.0.0.1:{node.port}/refuse")
    assert code == 4 and "< HTTP/1.1 403 Forbidden\n" in said and OPEN not in said


def test_a_wrong_accept_key_is_told_with_the_right_one(closing):
    def talk(connection):
        http_head(connection)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        connection.recv(65536)

    peer = closing.add(Serving(talk))
    code, _, said = run("connect", "-v", f"ws://127.0.0.1:{peer.port}/")
    assert code == 5 and "the peer answered s3pPLMBiTxaQ9kYGzzhZRbK+xOo=: NOT the same" in said, said


def test_bytes_both_ways(python):
    """-vv: every frame as it was on the wire."""
    _, _, said = run("connect", "-vv", "--count", "1", f"ws://127.0.0.1:{python.port}/", stdin=b"hello, bytes both ways\n")
    lines = [re.sub(r"^ *\d+\.\d{3} s ", "", line) for line in said.splitlines()]

    def dumped(lane):
        rows = [re.match(rf"{lane}     ([0-9a-f]{{6}})  ((?:[0-9a-f]{{2}} ?)+)", line) for line in lines]
        return b"".join(bytes.fromhex(row[2]) for row in rows if row)

    sent, came = dumped(">"), dumped("<")
    assert came == b"\x81\x16hello, bytes both ways\x88\x02\x03\xe8"
    assert (sent[0], sent[1]) == (0x81, 0x80 | 22)
    mask = sent[2:6]
    assert f"mask {mask.hex()}" in said
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(sent[6:28])) == b"hello, bytes both ways"
    assert any(line.startswith("<     000010") or line.startswith(">     000010") for line in lines)
    assert any(line.endswith("..hello, bytes b") for line in lines)


def test_a_name_with_two_addresses_and_one_that_does_not_answer(closing, python):
    _, out, said = run("connect", "-v", "--count", "1", f"ws://localhost:{python.port}/", stdin=b"x\n")
    assert out == b"x\n"
    told = story(said)
    assert told[0] == "* `localhost` has 2 addresses: 127.0.0.1, ::1 (localhost is always this machine (RFC 6761))"
    code, _, said = run("connect", "-v", "ws://localhost:1/")
    assert code == 3
    told = re.findall(r"\* (.* failed: .*)", said)
    assert sorted(line.split(" failed")[0] for line in told) == ["127.0.0.1:1", "[::1]:1"], said


def test_a_name_that_has_no_address_is_told():
    code, _, said = run("connect", "-v", "ws://no-such-host.invalid/")
    assert code == 3 and "* looking up `no-such-host.invalid`" in said, said


def test_without_v_nothing_is_told(python):
    code, out, said = run("connect", "--count", "1", f"ws://127.0.0.1:{python.port}/", stdin=b"x\n")
    assert (code, out, said) == (0, b"x\n", "")


def test_the_story_comes_as_it_happens(python, closing):
    command = closing.add(Command("connect", "-v", f"ws://127.0.0.1:{python.port}/"))
    command.err.until(OPEN)
    command.type("one\n")
    command.err.until('< frame: text (opcode 0x1), FIN, no mask, 3 bytes: "one"')
    command.type("two\n")
    command.err.until('< frame: text (opcode 0x1), FIN, no mask, 3 bytes: "two"')
    assert command.end_input().ended()[0] == 0
