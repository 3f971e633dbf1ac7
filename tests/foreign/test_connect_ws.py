"""`taut connect ws://` to npm's `ws`, Python's `websockets`, nginx, `taut serve` and `taut listen`."""

import threading

import pytest
from websockets.sync.server import serve as websockets_serve

from commands import Command, Listening, run
from nginx import Nginx
from peers import history, post
from servers import Node, json_lines


@pytest.fixture(scope="module")
def node():
    peer = Node("ws_peers.mjs", "echo")
    yield peer
    peer.close()


@pytest.fixture
def python(closing):
    def echo(socket):
        for message in socket:
            socket.send(message)

    server = websockets_serve(echo, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.port = server.socket.getsockname()[1]
    yield server
    server.shutdown()


@pytest.fixture
def connect(closing):
    return lambda *arguments, **more: closing.add(Command("connect", *arguments, **more))


def at(peer, path="/"):
    return f"ws://127.0.0.1:{peer.port}{path}"


def test_each_line_is_a_message_both_ways(node, python):
    for peer in [node, python]:
        code, out, said = run("connect", "--count", "3", at(peer), stdin="one\n\nthrée\n".encode())
        assert (code, out) == (0, "one\n\nthrée\n".encode()), said


def test_a_last_line_without_newline_counts(python):
    code, out, said = run("connect", "--count", "1", at(python), stdin=b"last")
    assert code == 0 and out.rstrip(b"\n") == b"last", said


def test_typed_lines_go_at_once_and_long_ones_whole(node, connect):
    command = connect(at(node))
    for text in ["one\n", "x" * 300_000 + "\n", "two\n"]:
        command.type(text)
        command.out.until(text)
    assert command.end_input().ended()[0] == 0


def test_binary_messages(node):
    code, out, said = run("connect", "--count", "1", "--hex", at(node, "/binary"))
    assert code == 0 and out.replace(b" ", b"").lower().startswith(b"00ff41"), (out, said)
    code, out, said = run("connect", "--count", "1", "--binary", at(node), stdin=b"\x00\xff")
    assert code == 0 and out.rstrip(b"\n") == b"\x00\xff", (out, said)


def test_fields_origin_and_subprotocol(node):
    assert run("connect", "--count", "1", "-H", "X-Name: ana", at(node, "/greet"))[1] == b"hello, ana\n"
    assert run("connect", "--count", "1", "--origin", "https://example.org", at(node, "/origin"))[1] == b"https://example.org\n"
    code, out, said = run("connect", "--count", "1", "-v", "--protocol", "chat", "--protocol", "chat.v2", at(node, "/greet"))
    assert code == 0 and "chat.v2" in said, said


def test_pings_are_answered(node):
    code, out, said = run("connect", "--count", "1", at(node, "/ping"))
    assert (code, out) == (0, b"pong are you there\n"), said


@pytest.mark.parametrize(("close", "code"), [("1000", 0), ("1001", 0), ("1008", 4), ("4321", 4), ("1011", 4), ("1012", 3), ("1013", 3)])
def test_the_exit_code_tells_how_the_peer_closed(node, close, code):
    got, out, said = run("connect", at(node, f"/close/{close}/because%20of%20you"))
    assert got == code, said
    if code:
        assert close in said and "because of you" in said


def test_a_refused_handshake_is_4_with_what_the_server_said(node):
    code, out, said = run("connect", at(node, "/refuse"))
    assert code == 4 and "403" in said and "no way" in said, said


def test_a_peer_that_is_cut_off_is_8(node):
    code, _, said = run("connect", at(node, "/terminate"), stdin=b"x\n")
    assert code == 8, (code, said)


def test_json_events(node):
    code, out, said = run("connect", "--json", "--count", "1", at(node, "/greet"))
    events = json_lines(out)
    assert code == 0 and any("hello, stranger" in str(event) for event in events), (events, said)


def test_through_nginx_to_taut_listen(closing, tmp_path):
    listening = closing.add(Listening("ws://127.0.0.1:0", "--echo"))
    nginx = closing.add(Nginx(tmp_path, proxy_to=listening.port))
    code, out, said = run("connect", "--count", "1", at(nginx, "/proxy/chat"), stdin=b"through nginx\n")
    assert (code, out) == (0, b"through nginx\n"), said


def test_a_room_of_taut_serve(server, room, connect, closing, tmp_path):
    nginx = closing.add(Nginx(tmp_path, proxy_to=server.port))
    for url in [f"{server.ws}/r/{room}", at(nginx, f"/to-room/{room}")]:
        command = connect(url)
        command.type(f"typed at {url}\n")
        while not any(message["data"] == f"typed at {url}" for message in history(server, room)["messages"]):
            pass
        post(server, room, "posted")
        command.out.until("posted\n")
        assert command.end_input().ended()[0] == 0


def test_escapes_stay_as_they_are_in_a_pipe(node):
    assert b"\x1b[31mred" in run("connect", "--count", "1", at(node, "/escapes"))[1]
