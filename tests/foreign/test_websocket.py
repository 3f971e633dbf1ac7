"""WebSockets: the Python library `websockets`, and frames by hand for what no library would send."""

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from peers import Native, Raw, close_code, frame, handshake_bytes, history, post, raw_websocket, read_frame, read_head, request


def test_payload_only_text_and_binary_keep_their_type(server, room, closing):
    one = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    other = closing.enter_context(connect(f"{server.ws}/r/{room}?as=bo"))
    one.send("Grüße 🙂")
    one.send(b"\x00\xff")
    assert other.recv(5) == "Grüße 🙂"
    assert other.recv(5) == b"\x00\xff"
    other.send("")
    assert one.recv(5) == ""
    assert history(server, room)["messages"][2]["from"] == "bo"


def test_rewind_and_since_on_a_plain_socket(server, room, closing):
    positions = [post(server, room, str(n)) for n in range(5)]
    rewound = closing.enter_context(connect(f"{server.ws}/r/{room}?rewind=2"))
    assert [rewound.recv(5), rewound.recv(5)] == ["3", "4"]
    resumed = closing.enter_context(connect(f"{server.ws}/r/{room}?since={positions[1]}"))
    assert [resumed.recv(5) for _ in range(3)] == ["2", "3", "4"]


def test_a_plain_socket_that_lost_messages_is_told_by_its_close_code(server, room, closing):
    post(server, room, "x")
    socket = closing.enter_context(connect(f"{server.ws}/r/{room}?since=aaaaaa-1"))
    with pytest.raises(ConnectionClosed) as closed:
        for _ in range(3):
            socket.recv(5)
    assert closed.value.rcvd.code == 4008


def test_the_native_subprotocol_is_joined_from_the_start(server, room, closing):
    post(server, room, "before")
    socket = closing.enter_context(connect(f"{server.ws}/r/{room}?as=ana&rewind=50&presence=1", subprotocols=["other", "taut"]))
    assert socket.subprotocol == "taut"
    joined = json.loads(socket.recv(5))
    assert joined["ok"] == "join" and joined["room"] == room and joined["complete"] is True
    assert [member["name"] for member in joined["who"]["members"]] == ["ana"] and joined["who"]["count"] == 1
    assert json.loads(socket.recv(5))["data"] == "before"
    bo = closing.add(Native(server))
    bo.ask(join=room, **{"as": "bo"})
    change = json.loads(socket.recv(5))["presence"]
    assert [member["name"] for member in change["joined"]] == ["bo"] and change["count"] == 2
    socket.send(json.dumps({"publish": room, "data": "hello", "ref": 1, "id": "a-1"}))
    answer = json.loads(socket.recv(5))
    assert answer["ok"] == "publish" and answer["ref"] == 1
    heard = bo.message()
    assert (heard["from"], heard["data"], heard["id"], heard["at"]) == ("ana", "hello", "a-1", answer["at"])
    bo.ask(leave=room)
    assert [member["name"] for member in json.loads(socket.recv(5))["presence"]["left"]] == ["bo"]


@pytest.mark.parametrize("subprotocols", [None, ["taut"]])
def test_many_rooms_on_one_socket(server, room, closing, subprotocols):
    socket = closing.enter_context(connect(f"{server.ws}/ws", subprotocols=subprotocols))
    for name in ("a", "b"):
        socket.send(json.dumps({"join": f"{room}/{name}"}))
        assert json.loads(socket.recv(5))["room"] == f"{room}/{name}"
    post(server, f"{room}/b", "to b")
    post(server, f"{room}/a", "to a")
    heard = [json.loads(socket.recv(5)) for _ in range(2)]
    assert {(unit["room"], unit["data"]) for unit in heard} == {(f"{room}/a", "to a"), (f"{room}/b", "to b")}


def test_resuming_by_since_misses_nothing_and_repeats_nothing(server, room, closing):
    def joined(query):
        socket = closing.enter_context(connect(f"{server.ws}/r/{room}{query}", subprotocols=["taut"]))
        return socket, json.loads(socket.recv(5))

    socket, answer = joined("")
    seen, since = [], answer["at"]
    for number in range(30):
        post(server, room, str(number))
        if number % 3 == 0:
            socket.close()
            socket, answer = joined(f"?since={since}")
            assert answer["complete"] is True
        unit = json.loads(socket.recv(5))
        seen.append(unit["data"])
        since = unit["at"]
    assert seen == [str(number) for number in range(30)]


def test_an_unknown_subprotocol_is_not_agreed_to(server):
    raw = raw_websocket(server, "/r/lobby", ("Sec-WebSocket-Protocol", "chat, superchat"))
    raw.close()
    with connect(f"{server.ws}/r/lobby", subprotocols=["chat"]) as socket:
        assert socket.subprotocol is None


def test_a_bad_room_name_is_refused_before_the_upgrade(server):
    with pytest.raises(InvalidStatus) as refused, connect(f"{server.ws}/r/a//b"):
        pass
    assert refused.value.response.status_code == 400
    with pytest.raises(InvalidStatus) as refused, connect(f"{server.ws}/nothing"):
        pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("target", ["/", "/r/lobby", "/ws"])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda data: data.replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"), 426),
        (lambda data: data.replace(b"Sec-WebSocket-Version: 13\r\n", b""), (400, 426)),
        (lambda data: data.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ="), 400),
        (lambda data: data.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), 400),
        (lambda data: data.replace(b"Sec-WebSocket-Key: dGhl", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhl"), 400),
        (lambda data: data.replace(b"HTTP/1.1", b"HTTP/1.0"), (400, 426)),
        (lambda data: data.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"), None),
    ],
)
def test_handshakes_that_break_the_rules(server, target, change, status):
    raw = Raw(server)
    raw.send(change(handshake_bytes(server, target)))
    answer = raw.response()
    raw.close()
    assert answer.status != 101
    if isinstance(status, tuple):
        assert answer.status in status, answer
    elif status:
        answer.assert_problem(status)
    if answer.status == 426:
        assert answer.header("sec-websocket-version") == "13"


def test_a_page_of_another_site_may_not_open_a_socket(server):
    for origin in ("https://example.com", "null"):
        with pytest.raises(InvalidStatus) as refused, connect(f"{server.ws}/r/lobby", origin=origin):
            pass
        assert refused.value.response.status_code == 403
    with connect(f"{server.ws}/r/lobby", origin="http://localhost:3000"):
        pass


HELLO = b"hello"
VIOLATIONS = {
    "unmasked frame": (frame(1, HELLO, mask=None), 1002),
    "reserved bit": (frame(1, HELLO, rsv=0x40), 1002),
    "compressed though not agreed": (frame(1, HELLO, rsv=0x40), 1002),
    "reserved opcode": (frame(3, HELLO), 1002),
    "reserved control opcode": (frame(11, b""), 1002),
    "fragmented ping": (frame(9, b"", fin=False), 1002),
    "long ping": (frame(9, b"x" * 126), 1002),
    "long form of a short length": (b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
    "longest form of a short length": (b"\x81\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello", 1002),
    "top bit of the length": (b"\x82\xff\x80\0\0\0\0\0\0\x05\0\0\0\0", 1002),
    "continuation of nothing": (frame(0, HELLO), 1002),
    "text inside a fragmented text": (frame(1, HELLO, fin=False) + frame(1, HELLO), 1002),
    "close of one byte": (frame(8, b"\x03"), 1002),
    "close code 999": (frame(8, b"\x03\xe7"), 1002),
    "close code 1005": (frame(8, b"\x03\xed"), 1002),
    "close code 1006": (frame(8, b"\x03\xee"), 1002),
    "close reason not UTF-8": (frame(8, b"\x03\xe8\xff"), 1007),
    "text not UTF-8": (frame(1, b"\xff"), 1007),
    "text not UTF-8 in an unfinished fragment": (frame(1, b"ok\xc3\x28", fin=False), 1007),
    "surrogate": (frame(1, b"\xed\xa0\x80"), 1007),
    "text cut inside a character": (frame(1, b"\xe2\x82"), 1007),
    "too long": (frame(2, b"", length=70_000), 1009),
    "very much too long": (frame(2, b"", length=1 << 40), 1009),
    "too long in fragments": (frame(2, b"x" * 40_000, fin=False) + frame(0, b"x" * 40_000), 1009),
}


@pytest.mark.parametrize("target", ["/", "/ws"])
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_closes_with_its_code_and_nobody_else_notices(server, target, name, closing):
    witness = closing.enter_context(connect(f"{server.ws}/r/lobby"))
    data, code = VIOLATIONS[name]
    raw = raw_websocket(server, target)
    raw.send_as_far_as_possible(data)
    assert close_code(raw) == code
    raw.send_as_far_as_possible(frame(8, code.to_bytes(2, "big")))
    assert raw.rest() == b"", "nothing comes after a close frame"
    raw.close()
    post(server, "lobby", f"after {name}")
    while witness.recv(5) != f"after {name}":
        pass


def test_controls_between_fragments_and_split_characters(server, room):
    other = raw_websocket(server, f"/r/{room}")
    raw = raw_websocket(server, f"/r/{room}")
    text = "a€🙂".encode()
    raw.send(frame(1, text[:2], fin=False) + frame(9, b"ping!") + frame(0, text[2:6], fin=False) + frame(10, b"unasked pong") + frame(0, b"", fin=False) + frame(0, text[6:]))
    assert read_frame(raw) == (10, b"ping!")
    assert read_frame(other) == (1, text)
    raw.close()
    other.close()


def test_the_close_handshake_echoes_the_code(server):
    for payload, code in ((b"\x03\xe8bye", 1000), (b"\x03\xe9", 1001), (b"\x0f\xa0", 4000)):
        raw = raw_websocket(server)
        raw.send(frame(8, payload) + frame(1, b"after the close"))
        assert close_code(raw) == code
        assert raw.rest() == b""
        raw.close()
    raw = raw_websocket(server)
    raw.send(frame(8))
    opcode, payload = read_frame(raw)
    assert opcode == 8 and payload in (b"", b"\x03\xe8")
    assert raw.rest() == b""
    raw.close()


def test_frames_right_behind_the_handshake_are_not_lost(server, room, closing):
    other = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    raw = closing.add(Raw(server))
    raw.send(handshake_bytes(server, f"/r/{room}") + frame(1, b"in one packet"))
    assert read_head(raw).status == 101
    assert other.recv(5) == "in one packet"


def test_frames_may_come_byte_by_byte(server, room, closing):
    other = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    raw = closing.add(raw_websocket(server, f"/r/{room}"))
    for byte in frame(1, "langsäm".encode()) + frame(2, b"x" * 300):
        raw.send(bytes([byte]))
    assert other.recv(5) == "langsäm" and other.recv(5) == b"x" * 300


def test_a_binary_message_on_a_native_socket_is_1003(server, closing):
    socket = closing.enter_context(connect(f"{server.ws}/ws"))
    socket.send(b"\x00")
    with pytest.raises(ConnectionClosed) as closed:
        assert json.loads(socket.recv(5))["bye"] == "violation"
        socket.recv(5)
    assert closed.value.rcvd.code == 1003


def test_a_bad_unit_is_refused_and_the_socket_lives(server, closing):
    socket = closing.enter_context(connect(f"{server.ws}/ws"))
    for unit, code in (("{", "bad-json"), ("[]", "bad-json"), ('{"jion":"x"}', "no-verb"), ('{"join":7}', "bad-field"), ('{"join":"a//b"}', "bad-room"), ('{"leave":"x"}', "not-joined")):
        socket.send(unit)
        assert json.loads(socket.recv(5))["error"] == code, unit
    socket.send('{"ping":1,"ref":"x"}')
    assert json.loads(socket.recv(5)) == {"ok": "ping", "ref": "x"}


def test_compression_is_off_by_default_and_negotiated_when_on(server, start, room, closing):
    plain = closing.enter_context(connect(f"{server.ws}/r/{room}", compression="deflate"))
    assert plain.response.headers.get("Sec-WebSocket-Extensions") is None
    compressing = start("compression = true\n")
    socket = closing.enter_context(connect(f"{compressing.ws}/r/{room}", compression="deflate"))
    assert socket.response.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
    post(compressing, room, "a" * 5000)
    assert socket.recv(5) == "a" * 5000
    socket.send("b" * 60_000)
    socket.send(b"")
    other = closing.enter_context(connect(f"{compressing.ws}/r/{room}?rewind=2", compression="deflate"))
    while (heard := other.recv(5)) != "b" * 60_000:
        assert heard == "a" * 5000


def test_a_deflate_bomb_ends_with_1009(start):
    import zlib

    server = start("compression = true\n")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"\0" * 30_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    raw = raw_websocket(server, "/", ("Sec-WebSocket-Extensions", "permessage-deflate"))
    before = server.resident_bytes()
    raw.send_as_far_as_possible(frame(2, bomb[:-4], rsv=0x40))
    assert close_code(raw) == 1009
    assert server.resident_bytes() - before < 8 << 20
    raw.close()


def test_a_silent_socket_is_pinged_and_then_let_go(start, room):
    server = start("[limits]\nping_ms = 1000\npong_ms_max = 1000\n")
    raw = raw_websocket(server, f"/r/{room}")
    opcode, payload = read_frame(raw)
    assert opcode == 9
    raw.send(frame(10, payload))
    opcode, _ = read_frame(raw)
    assert opcode == 9, "an answered ping keeps the connection"
    assert close_code(raw) == 4010
    raw.close()


def test_a_request_without_upgrade_on_a_socket_url(server):
    assert request(server, "GET", "/ws").assert_problem(426)
