"""What an attacker tries from outside, by theme: pages of other sites, requests in requests, compression bombs, names and documents that are too much, words
that steer terminals, forged senders of datagrams. Slow ones are in test_slow_doors.py, tokens in test_attacks_on_tokens.py, paths in test_serve_files.py."""

import gzip
import json
import re
import socket
import subprocess
import time
import zlib

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import taut
from peers import EventStream, Native, Raw, a_witness, close_code, frame, handshake_bytes, history, post, raw_websocket, read_head, request
from socketio_wire import POLLING, WEBSOCKET, Polling, Wire

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    udp = taut.free_port()
    running = taut.Server(tmp_path_factory.mktemp("taut"), "compression = true\n", ["--listen", f"udp://127.0.0.1:{udp}"])
    running.udp = udp
    yield running
    running.assert_healthy()
    assert running.stop() == 0


@pytest.fixture(autouse=True)
def others_are_served(server, closing):
    with a_witness(server, closing):
        yield


# ---- pages of other sites


FOREIGN = ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://evil.example:80@localhost", "chrome-extension://abc"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_site_comes_in_by_no_door(server, room, origin):
    header = ("Origin", origin)
    for method, target, more, body in [
        ("GET", f"/r/{room}", [("Accept", "text/event-stream")], None),
        ("GET", f"/r/{room}", [("Accept", "application/x-ndjson")], None),
        ("GET", f"/r/{room}?history", [], None),
        ("GET", f"/events?room={room}", [], None),
        ("POST", f"/r/{room}", [("Content-Type", "text/plain")], "forged"),
        ("POST", f"/r/{room}?batch", [("Content-Type", "text/plain")], '[{"data":1}]'),
        ("PUT", f"/r/{room}?key=k", [], "forged"),
        ("DELETE", f"/r/{room}?key=k", [], None),
        ("OPTIONS", f"/r/{room}", [("Access-Control-Request-Method", "POST")], None),
        ("POST", f"/api/publish?room={room}", [("Authorization", "Bearer x")], "forged"),
        ("GET", POLLING, [], None),
        ("POST", f"{POLLING}&sid=x", [], "4"),
        ("GET", "/health/ready", [], None),
    ]:
        answer = request(server, method, target, [header, *more], body)
        assert answer.status == 403, (method, target, answer)
        assert answer.header("access-control-allow-origin") in (None, "null" if answer.body.startswith(b'{"code"') and origin == "null" else None, origin if b'"code"' in answer.body and "socket.io" in target else None), answer
    for target in (f"/r/{room}", "/ws", WEBSOCKET):
        raw = Raw(server).send(handshake_bytes(server, target, header))
        assert read_head(raw).status == 403, target
        raw.close()
    assert history(server, room)["messages"] == []


REBOUND = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.", "0.0.0.0", "169.254.169.254", "[::ffff:192.0.2.1]", "2130706433", "127.1", "0x7f000001", "127.0.0.1.", "localhost%00.evil.example"]


@pytest.mark.parametrize("host", REBOUND)
def test_a_name_that_was_bent_to_us_reads_and_says_nothing(server, room, host):
    host = host.format(port=server.port)
    name = host.split(":")[0] if not host.startswith("[") else host
    for head in (
        f"GET /r/{room}?history HTTP/1.1\r\nHost: {host}\r\n",
        f"POST /r/{room} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{name}\r\nContent-Length: 0\r\n",
        f"GET {POLLING} HTTP/1.1\r\nHost: {host}\r\n",
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        # The target's own authority counts instead of Host, and is judged alike.
        f"GET http://{host}/r/{room}?history HTTP/1.1\r\nHost: {host}\r\n",
    ):
        raw = Raw(server).send(head + "\r\n")
        assert read_head(raw).status in (400, 403), head
        raw.close()
    assert history(server, room)["messages"] == []


# ---- requests in requests (the rest is in test_http_strict.py)


HOST = "Host: localhost\r\n"
HIDDEN = "POST /r/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SMUGGLED = {
    "a body on a GET": f"GET /r/a?history HTTP/1.1\r\n{HOST}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "chunks on a GET": f"GET /r/a?history HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n",
    "a body on an upgrade": f"GET /r/a HTTP/1.1\r\n{HOST}{UPGRADE}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "requests behind an upgrade": f"GET /r/a HTTP/1.1\r\n{HOST}{UPGRADE}\r\n{HIDDEN}",
    "requests behind an upgrade that fails": f"GET /r/a HTTP/1.1\r\n{HOST}{UPGRADE.replace(': 13', ': 12')}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "requests behind a stream": f"GET /r/a HTTP/1.1\r\n{HOST}Accept: text/event-stream\r\n\r\n{HIDDEN}",
    "an upgrade to HTTP/2": f"GET /r/a?history HTTP/1.1\r\n{HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "length and chunks": f"POST /r/a HTTP/1.1\r\n{HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "chunked behind a tab": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "chunked, in another case": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: cHuNkEd\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{HIDDEN}",
    "chunked with a parameter": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{HIDDEN}",
    "an underscore": f"POST /r/a HTTP/1.1\r\n{HOST}Content_Length: 0\r\nTransfer_Encoding: chunked\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a folded length": f"POST /r/a HTTP/1.1\r\n{HOST}Content-Length:\r\n 0\r\n\r\n{HIDDEN}",
    "a bare LF before the length": f"POST /r/a HTTP/1.1\r\n{HOST}X: y\nContent-Length: 0\r\n\r\n{HIDDEN}",
    "two hosts": f"GET /r/a?history HTTP/1.1\r\n{HOST}Host: evil.example\r\n\r\n{HIDDEN}",
    "a target of another host": f"GET http://evil.example/r/a?history HTTP/1.1\r\n{HOST}\r\n{HIDDEN}",
    "a chunk's size that overflows": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{HIDDEN}",
    "a chunk's size of 2^63": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\n{HIDDEN}",
    "a chunk's extension": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0;\n{HIDDEN}\r\n\r\n",
    "a trailer that is a length": f"POST /r/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN[:-1]}",
    "a body that is refused early": f"POST /r/a?nonsense=%zz HTTP/1.1\r\n{HOST}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a body for the API that is refused early": f"POST /api/publish?room=a HTTP/1.1\r\n{HOST}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a body of a session that is not there": f"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\n{HOST}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a body for a file": f"POST /favicon.svg HTTP/1.1\r\n{HOST}Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a body for an expectation": f"POST /r/a HTTP/1.1\r\n{HOST}Expect: 200-maybe\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_in_a_request_is_taken_for_one(server, closing, name):
    raw = closing.add(Raw(server)).send_as_far_as_possible(SMUGGLED[name].encode())
    raw.send_as_far_as_possible(b"")
    head = read_head(raw)
    if head.status not in (101,) and "event-stream" not in (head.header("content-type") or ""):
        raw.finish()
        raw.rest()
    assert history(server, "smuggled")["messages"] == []


# ---- compression


def deflated(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


DEFLATE = ("Sec-WebSocket-Extensions", "permessage-deflate")


@pytest.mark.parametrize("target", ["/r/bombs", "/ws", WEBSOCKET])
def test_a_message_that_grows_a_thousand_times_is_1009(server, closing, target):
    raw = closing.add(raw_websocket(server, target, DEFLATE))
    bomb = deflated(b"\0" * 50 * MIB)
    before = server.resident_bytes()
    for start in range(0, len(bomb), 10_000):
        last = start + 10_000 >= len(bomb)
        raw.send_as_far_as_possible(frame(1 if start == 0 else 0, bomb[start : start + 10_000], fin=last, rsv=0x40 if start == 0 and target != WEBSOCKET else 0))
    said = raw.rest()
    assert server.resident_bytes() - before < 8 * MIB
    if target != WEBSOCKET:
        assert b"\x88" in said and b"\x03\xf1" in said, said[-200:]


def test_many_small_bombs_are_bounded_one_by_one(server, closing):
    raw = closing.add(raw_websocket(server, "/r/bombs", DEFLATE))
    small = frame(1, deflated(b"a" * 60_000), rsv=0x40)
    assert len(small) < 200
    before = server.resident_bytes()
    for _ in range(250):
        raw.send_as_far_as_possible(small * 20)
    # Each counts by what it is unpacked: 300 MB, of which a room keeps 8 MiB, and what is on its way to the disk is bounded.
    assert server.resident_bytes() - before < 220 * MIB
    raw.vanish()


def test_garbage_that_claims_to_be_compressed_is_1007_and_no_more(server, closing):
    for garbage in (b"\xff" * 100, b"\x07"):
        raw = closing.add(raw_websocket(server, "/r/bombs/garbage", DEFLATE)).send(frame(1, garbage, rsv=0x40))
        assert close_code(raw) in (1002, 1003, 1007), garbage


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip"])
def test_a_compressed_body_is_refused(server, room, coding):
    bomb = gzip.compress(b"\0" * 20 * MIB)
    before = server.resident_bytes()
    for body in (bomb, gzip.compress(b"hello")):
        answer = request(server, "POST", f"/r/{room}", [("Content-Encoding", coding)], body)
        assert answer.status == 415, answer
    assert server.resident_bytes() - before < 4 * MIB
    assert history(server, room)["messages"] == []


# ---- too much of anything


def nested(depth, opening="[", closing="]"):
    return opening * depth + closing * depth


def test_json_of_a_hundred_thousand_levels_is_refused_at_every_door(server, room, closing):
    deep = nested(30_000)
    lines = closing.add(Native(server))
    lines.raw.send(f'{{"publish":"{room}","data":{deep},"ref":1}}\n')
    assert "error" in lines.unit()
    lines.raw.send(nested(9_000, '{"a":', "}").replace(":}", ":1}") + "\n")
    assert "error" in lines.unit()
    for target, headers in [(f"/r/{room}", [("Content-Type", "application/json")]), (f"/r/{room}?batch", [("Content-Type", "application/json")]), (f"/r/{room}?args", [("Content-Type", "application/json")])]:
        assert request(server, "POST", target, headers, deep).status in (400, 413), target
    assert request(server, "POST", f"/r/{room}", [("Content-Type", "application/json")], nested(100_000)).status == 413
    wire = closing.add(Wire(server))
    wire.raw.send(frame(1, f"40/r/{room},".encode())).send(frame(1, f'42/r/{room},["x",{nested(100_000)}]'.encode()))
    wire.raw.until(b"deeper than")
    session = Polling(server)
    session.enter(f"/r/{room},")
    session.post(f'42/r/{room},["x",{nested(100_000)}]')
    assert history(server, room)["messages"] == []


@pytest.mark.parametrize("length", [1 << 17, 1 << 31, (1 << 32) + 5, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_frame_that_says_it_is_huge_is_refused_before_it_comes(server, closing, length):
    for target in ("/r/huge", "/ws", WEBSOCKET):
        if target == WEBSOCKET and length == 1 << 17:
            continue
        raw = closing.add(raw_websocket(server, target))
        before = server.resident_bytes()
        raw.send(frame(2, b"", length=length) + b"x" * 100)
        assert b"\x88" in raw.rest()
        assert server.resident_bytes() - before < 4 * MIB


HUGE = "x" * 60_000


@pytest.mark.parametrize(
    "unit",
    [
        {"join": HUGE},
        {"join": "a/" * 20_000},
        {"publish": "oversized", "data": 1, "event": HUGE},
        {"publish": "oversized", "data": 1, "key": HUGE},
        {"publish": "oversized", "data": 1, "id": HUGE},
        {"publish": "oversized", "data": 1, "as": HUGE},
        {"join": "oversized", "as": HUGE},
        {"publish": "oversized", "batch": [{"data": 1}] * 3_000},
        {HUGE: 1},
        {f"k{n}": n for n in range(5_000)},
        {"join": "oversized", "data": {"x": HUGE}},
    ],
    ids=lambda unit: " ".join(name[:12] for name in list(unit)[:3]),
)
def test_fields_that_are_too_long_are_refused_in_words_that_are_not(server, closing, unit):
    peer = closing.add(Native(server))
    peer.send(**unit)
    answer = peer.unit()
    assert "error" in answer or "bye" in answer, answer
    assert len(json.dumps(answer)) < 2_000
    if "error" in answer:
        assert peer.ask(ping=1)["ok"] == "ping"


@pytest.mark.parametrize("unit", [{"join": "oversized", "since": HUGE}, {"join": "oversized", "rewind": 10**30}, {"history": "oversized", "limit": 10**30}, {"auth": HUGE}], ids=lambda unit: " ".join(unit))
def test_positions_and_numbers_that_are_too_large_are_cut_down(server, closing, unit):
    peer = closing.add(Native(server))
    peer.send(**unit)
    assert len(json.dumps(peer.unit())) < 2_000
    assert peer.ask(ping=1)["ok"] == "ping"


@pytest.mark.parametrize("parameter", ["limit", "wait", "rewind", "as", "ttl", "lane", "key", "event"])
def test_refusals_repeat_little_of_a_parameter(server, room, parameter):
    for value in ["x" * 7_000, "%22" * 2_300, "%C3%BC" * 1_100]:
        answer = request(server, "POST", f"/r/{room}?{parameter}={value}", [], "x")
        assert answer.status == 400 and len(answer.body) < 600, (answer.status, len(answer.body))


def test_refusals_and_log_lines_repeat_no_origin_that_is_none(start, room):
    server = start()
    before = len(server.said())
    for origin in ["https://" + "x" * 15_000, '"' * 15_000, "null" * 3_000]:
        answer = request(server, "GET", f"/r/{room}", [("Origin", origin)])
        assert answer.status == 403 and len(answer.body) < 600
    request(server, "GET", f"/r/{room}", [("Origin", "https://evil.example")])
    deadline = time.monotonic() + 10
    while "evil.example" not in server.said():
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.05)
    assert len(server.said()) - before < 3_000


def test_heads_queries_and_lists_that_are_too_long(server, room):
    for target, headers in [
        (f"/r/{room}?history&token=" + "x" * 9_000, []),
        ("/r/" + "a" * 9_000, []),
        ("/r/" + "a" * 2_000, []),
        ("/r/" + "%61" * 2_000, []),
        (f"/r/{room}?history&" + "&".join(f"a{n}=" for n in range(1_500)), []),
        ("/events?" + "&".join(f"room=r{n}" for n in range(900)), []),
        (f"/r/{room}?history", [("Cookie", "; ".join(f"c{n}=v" for n in range(3_000)))]),
        (f"/r/{room}?history", [("Authorization", "Bearer " + "x" * 20_000)]),
        (f"/r/{room}?history", [(f"X-{n}", "y") for n in range(150)]),
        (f"/r/{room}?history", [("If-None-Match", "x" * 17_000)]),
    ]:
        answer = request(server, "GET", target, headers)
        assert answer.status in (400, 401, 414, 431), (target[:40], answer.status)
        assert len(answer.body) < 2_000, target[:40]
    many = ("Sec-WebSocket-Protocol", ", ".join(f"p{n}" for n in range(2_000)))
    raw = Raw(server).send(handshake_bytes(server, f"/r/{room}", many))
    assert read_head(raw).header("sec-websocket-protocol") is None
    raw.close()
    offers = ("Sec-WebSocket-Extensions", ", ".join(["permessage-deflate; client_max_window_bits=99"] * 300))
    raw = Raw(server).send(handshake_bytes(server, f"/r/{room}", offers))
    assert read_head(raw).status in (101, 400)
    raw.close()


def test_a_body_beyond_the_limit_is_refused_by_its_head_or_on_the_way(server, room, closing):
    for length in (10**7, 10**18, 2**63, 2**64 - 1):
        raw = closing.add(Raw(server)).send(f"POST /r/{room} HTTP/1.1\r\n{HOST}Content-Length: {length}\r\n\r\n")
        assert raw.response().status in (400, 413)
    raw = closing.add(Raw(server)).send(f"POST /r/{room} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n")
    raw.send_as_far_as_possible(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    for _ in range(500):
        raw.send_as_far_as_possible(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    assert raw.response().status == 413
    batch = json.dumps([{"data": 1}] * 5_000)
    assert request(server, "POST", f"/r/{room}?batch", [("Content-Type", "application/json")], batch).status in (400, 413)
    assert history(server, room)["messages"] == []


@pytest.mark.parametrize("packet", ["42" + "9" * 400 + '["x"]', "42" + "18446744073709551616" + '["x"]', "451" + "0" * 60 + '-["x"]', "4599999-[]", "40/" + "r/" * 30_000 + ",", '42["' + "x" * 70_000 + '"]', "43" + "9" * 100 + "[]", "42[" + ",".join(["1"] * 200_000) + "]"], ids=range(8))
def test_socket_io_numbers_names_and_lists_that_are_too_much(server, closing, packet):
    wire = closing.add(Wire(server))
    wire.raw.send(frame(1, b"40"))
    before = server.resident_bytes()
    wire.raw.send_as_far_as_possible(frame(1, packet.encode()))
    wire.raw.send_as_far_as_possible(frame(1, b"41") + frame(1, b"1"))
    wire.raw.rest()
    assert server.resident_bytes() - before < 32 * MIB


# ---- names that are chosen to collide, rooms that are invented


def test_rooms_keys_and_events_without_number_are_bounded(start):
    server = start("[hub]\nrooms_max = 200\n[limits.conn]\nmessages_per_s = 0\njoins_per_s = 0\n", ["--memory"])
    peer = Native(server)
    names = [f"flood/{number:05}" for number in range(5_000)]
    before = server.resident_bytes()
    refused = 0
    for name in names:
        refused += "error" in peer.ask(publish=name, data="x")
    listed = [peer.ask(publish="one", key=name, data="x") for name in names[:3_000]]
    assert any("error" in answer for answer in listed), "a room keeps so many keys and no more"
    assert server.resident_bytes() - before < 48 * MIB
    # Rooms that only hold what was said give way; nobody is kept out by invented ones.
    assert peer.ask(join="a/real/one")["ok"] == "join", refused
    peer.close()
    server.assert_healthy()


ODD = ["../../escaped", "..", "a/../../escaped", "/etc/passwd", "escaped\0.db", "C:\\escaped", "rooms.db", "seal.key", "%2e%2e/escaped", "~/escaped", "$(touch escaped)", "escaped;touch escaped", "'; DROP TABLE rooms; --", "CON", "." * 200]


def test_a_room_s_name_is_no_path(start, tmp_path):
    server = start()
    peer = Native(server)
    post(server, "plain", "x")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for name in ODD:
        said = peer.ask(publish=name, data="x")
        assert "at" in said or said["error"] in ("bad-name", "bad-room", "bad-field", "reserved-name"), (name, said)
        if "at" in said:
            assert peer.ask(history=name)["messages"][0]["data"] == "x"
    after = sorted(str(path) for path in tmp_path.rglob("*"))
    assert after == before, "all rooms are in one file"
    assert history(server, "plain")["messages"], "and no name is a statement"
    peer.close()


# ---- words that steer terminals, logs and pages


NASTY = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202e\u2028\u2066"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]")


def said_by(*command, stdin="", env=None):
    done = subprocess.run([str(taut.BINARY), *command], input=stdin.encode(), capture_output=True, timeout=30, env=env)
    return (done.stdout + done.stderr).decode()


def test_our_own_commands_show_what_others_wrote_without_obeying(server, room, closing):
    url = f"{server.http}/r/{room}"
    speaker = closing.add(Native(server))
    speaker.ask(join=room, data={"mood": NASTY}, **{"as": "eve"})
    for fields in ({"data": f"hi {NASTY}\nERROR forged"}, {"data": {NASTY: NASTY}}, {"data": 1, "event": f"e{NASTY}"}, {"data": "k", "key": f"k{NASTY}"}):
        speaker.ask(publish=room, **fields)
    commands = [["sub", "--rewind", "10", "--count", "3", url], ["history", url], ["who", url]]
    for command in commands:
        said = said_by(*command)
        assert not STEERS.search(said), (command, said)
        assert not any(line.startswith("ERROR forged") for line in said.split("\n")), said
    for command in (["token", "explain", NASTY.replace("\0", "")], ["token", "explain", f"a.{NASTY}.b"], ["check", "--token", f"x{NASTY}", "lobby"], ["pub", f"{server.http}/r/{NASTY}", "x"], ["sub", f"http://{NASTY}/"]):
        said = said_by(*command)
        assert not STEERS.search(said), (command, said)


XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`${7*7}"


def test_error_pages_reflect_nothing_that_a_browser_would_run(server, room):
    quoted = "".join(f"%{byte:02x}" for byte in XSS.encode())
    for method, target, headers in [
        ("GET", f"/{quoted}", [("Accept", "text/html")]),
        ("GET", f"/r/{quoted}", [("Accept", "text/html")]),
        ("GET", f"/r/{room}?{quoted}={quoted}", [("Accept", "text/html")]),
        ("GET", f"/r/{room}?since={quoted}&history", [("Accept", "text/html")]),
        ("GET", f"/events?room={quoted}", [("Accept", "text/html")]),
        ("GET", f"/api/{quoted}", [("Accept", "text/html")]),
        ("GET", f"/api/rooms?{quoted}=1", [("Accept", "text/html")]),
        ("GET", f"/socket.io/?EIO={quoted}&transport={quoted}", [("Accept", "text/html")]),
        ("GET", f"/socket.io/{quoted}", [("Accept", "text/html")]),
        ("BREW", "/", [("Accept", "text/html"), ("User-Agent", XSS), ("Referer", XSS)]),
        ("GET", "/", [("Accept", "text/html"), ("Origin", f"http://{XSS}".replace(" ", ""))]),
    ]:
        answer = request(server, method, target, headers)
        kind = (answer.header("content-type") or "").split(";")[0]
        assert answer.header("x-content-type-options") == "nosniff" or kind in ("application/problem+json", "application/json"), answer
        if kind == "text/html":
            assert b"<script>alert" not in answer.body and b"onerror=alert" not in answer.body, answer
            assert answer.header("content-security-policy"), answer
            assert answer.header("referrer-policy") == "no-referrer", "or the URL, with a token in it, goes to whatever is linked"
        else:
            assert kind in ("application/problem+json", "application/json"), answer


def test_a_message_does_not_split_streams_or_heads(server, room, closing):
    stream = closing.add(EventStream(server, f"/r/{room}"))
    stream.block()
    for data in ("a\n\ndata: forged\n\n", "a\r\rid: 0-0\r\r", "\r\nevent: bye\r\n\r\n"):
        post(server, room, data)
        kind, said, _ = stream.event()
        assert kind == "message" and "\n".join(said.splitlines()).strip("\n").splitlines()[0:1] == data.replace("\r", "\n").strip("\n").splitlines()[0:1]
    answer = request(server, "POST", f"/r/{room}?event=a%0d%0aid:%20forged", (), "x")
    assert answer.status == 400 or stream.event()[0] != "a"
    # What a client sends comes back in no head.
    for target in (f"/r/{room}%0d%0aX-Forged:%201", f"/r/{room}?as=a%0d%0aX-Forged:%201", "/x%0d%0aX-Forged:%201"):
        answer = request(server, "GET", target, [("Accept", "text/html")])
        assert answer.header("x-forged") is None, answer


# ---- forged senders of datagrams


@pytest.fixture
def stranger(server, closing):
    device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closing.callback(device.close)
    device.connect(("127.0.0.1", server.udp))
    return device


def sent_and_heard(device, datagrams):
    """Bytes out and bytes back, once nothing more comes."""
    out = sum(device.send(datagram) for datagram in datagrams)
    heard, device_timeout = 0, device.gettimeout()
    device.settimeout(0.5)
    try:
        while True:
            heard += len(device.recv(65536))
    except (TimeoutError, ConnectionRefusedError):
        device.settimeout(device_timeout)
    return out, heard


@pytest.mark.parametrize("kind", ["join", "history", "who", "state", "nonsense", "empty", "binary", "ping", "batch", "publish", "auth"])
def test_nobody_without_proof_is_sent_more_than_it_sent(server, room, stranger, kind):
    for number in range(20):
        post(server, room, "x" * 1_000)
    datagram = {
        "join": f'{{"join":"{room}","rewind":1000}}',
        "history": f'{{"history":"{room}","rewind":1000}}',
        "who": f'{{"who":"{room}"}}',
        "state": f'{{"state":"{room}"}}',
        "nonsense": "x",
        "empty": "{}",
        "binary": "\x00\x01",
        "ping": '{"ping":1}',
        "batch": f'{{"publish":"{room}","batch":[{",".join(["{}"] * 100)}],"ref":1}}',
        "publish": f'{{"publish":"{room}","data":1,"ref":1}}',
        "auth": '{"auth":"x","ref":1}',
    }[kind].encode()
    out, heard = sent_and_heard(stranger, [datagram] * 20)
    assert heard <= out, f"{heard} bytes for {out}"


def test_a_proof_is_of_one_address_and_of_no_other(server, room, stranger, closing):
    stranger.settimeout(10)
    stranger.send(json.dumps({"join": room, "ref": 1, "pad": "x" * 100}).encode())
    proof = json.loads(stranger.recv(65536))["prove"]
    thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closing.callback(thief.close)
    thief.connect(stranger.getpeername())
    out, heard = sent_and_heard(thief, [json.dumps({"join": room, "ref": 1, "proof": proof}).encode()] * 10)
    assert heard <= out
    post(server, room, "for members")
    thief.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while b"for members" not in thief.recv(65536):
            pass
    stranger.send(json.dumps({"join": room, "ref": 1, "proof": proof}).encode())
    assert json.loads(stranger.recv(65536))["ok"] == "join"
