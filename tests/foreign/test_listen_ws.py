"""`taut listen ws://` with npm's `ws`, Python's `websockets`, bare frames, and nginx in between."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from websockets.sync.client import connect

from commands import Listening
from nginx import Nginx
from peers import frame, raw_websocket, read_frame, request

HERE = Path(__file__).parent


@pytest.fixture
def listen(closing):
    return lambda *arguments: closing.add(Listening("ws://127.0.0.1:0", *arguments))


def dial(listening, path="/", **more):
    return connect(f"ws://127.0.0.1:{listening.port}{path}", open_timeout=10, close_timeout=10, proxy=None, max_size=None, **more)


def node(url, protocols, texts):
    command = ["node", str(HERE / "ws_peers.mjs"), "client", url, json.dumps(protocols), json.dumps(texts)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_echo_keeps_text_text_and_binary_binary(listen):
    listening = listen("--echo")
    with dial(listening) as client:
        for message in ["héllo", "", b"\x00\xff", b"", "x" * 200_000, os.urandom(300_000), "{}\n"]:
            client.send(message)
            assert client.recv(10) == message
        assert client.ping().wait(10) is not False
    said = node(f"ws://127.0.0.1:{listening.port}/any/path?x=1", [], ["one", {"hex": "00ff"}, "", "z" * 70_000])
    assert said["came"] == ["one", {"hex": "00ff"}, "", "z" * 70_000]
    assert (said["code"], said["error"]) == (1000, None)


def test_any_subprotocol_that_is_offered_is_taken(listen):
    listening = listen("--echo")
    assert node(f"ws://127.0.0.1:{listening.port}/", ["chat.v2", "chat"], ["x"])["protocol"] == "chat.v2"
    with dial(listening, subprotocols=["graphql-ws"]) as client:
        assert client.subprotocol == "graphql-ws"
    with dial(listening) as client:
        assert client.subprotocol is None


def test_a_message_in_fragments_is_one_message(listen, closing):
    raw = closing.add(raw_websocket(listen("--echo")))
    raw.send(frame(1, b"one ", fin=False) + frame(9, b"ping") + frame(0, b"message"))
    assert read_frame(raw) == (10, b"ping")
    assert read_frame(raw) == (1, b"one message")


def test_a_greeting_is_a_message_and_then_it_closes(listen):
    said = node(f"ws://127.0.0.1:{listen('--greet', 'Hello!').port}/", [], ["unheard"])
    assert said["came"] == ["Hello!"] and said["code"] == 1000, said


def test_print_shows_what_arrives(listen):
    listening = listen("--print")
    with dial(listening) as client:
        client.send("a message")
        assert listening.out.until(b"a message").endswith(b"a message")


def test_a_conversation(listen):
    listening = listen()
    with dial(listening) as one, dial(listening) as two:
        one.send("from one")
        listening.out.until(b"[1] from one\n")
        two.send("from two")
        listening.out.until(b"[2] from two\n")
        listening.type("to all\n")
        assert one.recv(10) == two.recv(10) == "to all"


def test_chat(listen):
    with dial(listening := listen("--chat")) as one, dial(listening) as two:
        two.send("here")
        assert one.recv(10).endswith("here")
        one.send("welcome")
        assert two.recv(10).endswith("welcome")


def test_a_command_for_each_client(listen):
    with dial(listen("--exec", "tr a-z A-Z")) as client:
        client.send("shout")
        # `tr` keeps what it has until its input ends or its buffer is full.
        client.close()
    with dial(listen("--exec", "while read line; do echo \"got $line\"; done")) as client:
        client.send("one")
        assert client.recv(10).strip() == "got one"


def test_what_breaks_the_protocol_is_closed_with_its_code(listen, closing):
    listening = listen("--echo")
    for bad, code in [(frame(1, b"x", mask=None), 1002), (frame(1, b"\xff"), 1007), (frame(3, b"x"), 1002), (frame(8, b"\x00"), 1002)]:
        raw = closing.add(raw_websocket(listening))
        raw.send(bad)
        opcode, payload = read_frame(raw)
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, code), (bad, payload)


def test_a_message_that_is_too_large_is_closed_with_1009(listen, closing):
    raw = closing.add(raw_websocket(listen("--echo", "--max-bytes", "1KiB")))
    raw.send(frame(2, b"x" * 1024))
    assert read_frame(raw)[1] == b"x" * 1024
    raw.send(frame(2, b"x" * 1025))
    assert int.from_bytes(read_frame(raw)[1][:2], "big") == 1009


def test_what_is_no_websocket_is_told_in_http(listen):
    response = request(listen("--echo"), "GET", "/")
    assert response.status == 426 and response.header("upgrade").lower() == "websocket", response


def test_the_end_of_the_server_is_said(listen):
    listening = listen("--echo")
    with dial(listening) as client:
        client.send("x")
        client.recv(10)
        listening.stop()
        with pytest.raises(Exception, match="1001"):
            client.recv(10)


def test_behind_nginx(listen, closing, tmp_path):
    listening = listen("--echo")
    nginx = closing.add(Nginx(tmp_path, proxy_to=listening.port))
    with connect(f"ws://127.0.0.1:{nginx.port}/proxy/chat", open_timeout=10, proxy=None, max_size=None) as client:
        for message in ["through nginx", b"\x00\xff", "x" * 100_000]:
            client.send(message)
            assert client.recv(10) == message
    said = node(f"ws://127.0.0.1:{nginx.port}/proxy/", ["chat"], ["one"])
    assert said["came"] == ["one"] and said["protocol"] == "chat"
