"""Slow loris at every door: who begins and does not end is let go by a clock or costs no more than a connection, and others are served meanwhile."""

import socket
import time

import pytest

import taut
from peers import PATIENCE_S, Native, Raw, a_witness, frame, handshake_bytes, history, post, raw_websocket, read_frame, read_head, request, request_bytes
from servers import Certificates
from socketio_wire import WEBSOCKET, Polling, Wire
from taut import Server

SECRET = "a secret of the tests that is long enough"
CONFIG = f"""
[auth]
secret = "{SECRET}"
anonymous = ["all"]
api_keys = ["sha256:{'0' * 64}"]
proxies = ["127.0.0.0/8"]

[roles.all]
"**" = "join publish history who state"

[limits]
handshake_ms_max = 1000
untouched_ms_max = 10000
ping_ms = 1000
pong_ms_max = 1000

[socketio]
ping_ms = 1000
pong_ms_max = 1000
connect_ms_max = 1500
upgrade_ms_max = 1000
"""


class Doors(Server):
    """A server that has every door open."""

    def __init__(self, folder):
        made = Certificates(folder)
        made.sign("good", "DNS:localhost,IP:127.0.0.1")
        self.unix, self.proxied, self.tls, self.udp, self.metrics = str(folder / "s"), *[taut.free_port() for _ in range(4)]
        listen = [f"unix:{self.unix}", f"proxy://127.0.0.1:{self.proxied}", f"tls://127.0.0.1:{self.tls}", f"udp://127.0.0.1:{self.udp}"]
        more = [word for address in listen for word in ("--listen", address)]
        super().__init__(folder, CONFIG, [*more, "--metrics-listen", f"127.0.0.1:{self.metrics}", "--tls-cert", str(made.folder / "good.pem"), "--tls-key", str(made.folder / "good.key")])

    def dial(self, door):
        return Raw(self, at={"port": None, "unix": self.unix}.get(door) or ("127.0.0.1", getattr(self, door)))


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    running = Doors(tmp_path_factory.mktemp("d"))
    yield running
    running.assert_healthy()
    assert running.stop() == 0


@pytest.fixture(autouse=True)
def others_are_served(doors, closing):
    with a_witness(doors, closing):
        yield


GET = b"GET /r/slow HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /r/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
CHUNKED = b"POST /r/slow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
API = b"POST /api/publish?room=slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: 10\r\n"
OPENING = b"GET /r/slow HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"

# name → (door, how it begins, what it drips)
UNFINISHED = {
    "a request line": ("port", b"GET /r/sl", b"o"),
    "a head": ("port", GET, b"X-A: b\r\n"),
    "a head by a Unix socket": ("unix", GET, b"X-A: b\r\n"),
    "a body": ("port", POST + b"\r\nab", b""),
    "a body, dripping": ("port", POST.replace(b"10", b"60000") + b"\r\n", b"a"),
    "chunks": ("port", CHUNKED + b"\r\n5\r\nab", b""),
    "chunks, dripping": ("port", CHUNKED + b"\r\n", b"1\r\na\r\n"),
    "a chunk's size": ("port", CHUNKED + b"\r\n", b"0"),
    "a trailer": ("port", CHUNKED + b"\r\n0\r\n", b"X-A: b\r\n"),
    "a body for the API": ("port", API + b"\r\nab", b"a"),
    "the opening of a WebSocket": ("port", OPENING, b"X-A: b\r\n"),
    "a poll of Socket.IO": ("port", b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n4", b""),
    "a person's first line": ("port", b"hel", b"l"),
    # Which says nothing, so that the clock of who says nothing holds.
    "white space": ("port", b"\r", b"\n"),
    "nothing by a Unix socket": ("unix", b"", b""),
    "a TLS hello": ("port", b"\x16\x03\x01\x02\x00\x01", b"\x00"),
    "a TLS hello where nothing else is spoken": ("tls", b"\x16\x03\x01\x02\x00\x01", b""),
    "nothing, by TLS only": ("tls", b"\x16", b""),
    "a line of the PROXY protocol": ("proxied", b"PROXY TCP4 127.0.0.2 ", b"1"),
    "a binary header of the PROXY protocol": ("proxied", PROXY_V2 + b"\x21\x11\x00\xff", b"\x00"),
    "a request behind a PROXY header": ("proxied", b"PROXY TCP4 127.0.0.2 127.0.0.1 1 2\r\n" + GET, b"X-A: b\r\n"),
    "a scrape": ("metrics", b"GET /metrics HTTP/1.1\r\n", b"X-A: b\r\n"),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_what_begins_and_does_not_end_is_let_go(doors, closing, name):
    door, begins, drips = UNFINISHED[name]
    raw = closing.add(doors.dial(door))
    deadline = time.monotonic() + 3 * PATIENCE_S
    try:
        raw.send(begins)
        while drips and time.monotonic() < deadline:
            time.sleep(0.1)
            raw.send(drips)
    except OSError:
        pass  # it was let go
    said = raw.rest(max(1, deadline - time.monotonic()))
    assert b" 200 " not in said, said
    assert history(doors, "slow")["messages"] == []


def test_half_a_frame_is_no_answer_to_a_ping(doors, closing):
    raw = closing.add(raw_websocket(doors, "/r/slow")).send(frame(1, b"x" * 1000)[:500])
    said = raw.rest(3 * PATIENCE_S)
    assert b"\x88" in said, said
    assert history(doors, "slow")["messages"] == []


@pytest.mark.parametrize("piece", [b"", b"x" * 4000], ids=["empty ones", "full ones"])
def test_fragments_without_end_are_bounded(doors, closing, piece):
    raw = closing.add(raw_websocket(doors, "/r/slow"))
    before = doors.resident_bytes()
    raw.send(frame(2, piece, fin=False))
    for _ in range(200):
        raw.send_as_far_as_possible(frame(0, piece, fin=False) * 100)
    assert doors.resident_bytes() - before < 8 << 20
    if piece:
        assert b"\x03\xf1" in raw.rest(), "1009"
    assert history(doors, "slow")["messages"] == []


def test_half_a_line_is_a_connection_and_no_more(doors, closing):
    before = doors.resident_bytes()
    crowd = [closing.add(Native(doors, at=at)) for _ in range(100) for at in (None, doors.unix)]
    for one in crowd:
        one.ask(join="slow/lines")
        one.raw.send('{"publish":"slow/lines","data":"')
    post(doors, "slow/lines", "they hear all the same")
    for one in crowd:
        assert one.message()["data"] == "they hear all the same"
    assert (doors.resident_bytes() - before) / len(crowd) < 16_384
    # And the line has an end, by its length.
    crowd[0].raw.send_as_far_as_possible(b"x" * 2_000_000)
    assert b'"bye":"violation"' in crowd[0].raw.rest()


def test_a_post_of_a_session_ends_by_the_clock_and_the_session_by_its_own(doors, closing):
    session = Polling(doors)
    session.enter()
    raw = closing.add(Raw(doors)).send(request_bytes(doors, "POST", session.target, [("Content-Length", "10")]) + b"42")
    assert b" 200 " not in raw.rest()
    deadline = time.monotonic() + 3 * PATIENCE_S
    while session.poll().status == 200:
        assert time.monotonic() < deadline, "a session whose pings nobody answers"


def test_a_session_that_enters_nothing_and_one_that_upgrades_halfway(doors, closing):
    idle = closing.add(raw_websocket(doors, WEBSOCKET))
    half = closing.add(raw_websocket(doors, f"{WEBSOCKET}&sid={Polling(doors).sid}")).send(frame(1, b"2probe"))
    for raw in (idle, half):
        raw.rest(3 * PATIENCE_S)


def test_attachments_that_never_come_end_the_session(doors, closing):
    wire = closing.add(Wire(doors))
    wire.raw.send(frame(1, b"40"))
    wire.raw.send(frame(1, b'452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'))
    deadline = time.monotonic() + 3 * PATIENCE_S
    # Pings are answered, so that only the missing attachments can end it.
    while True:
        assert time.monotonic() < deadline, "the session goes on for ever"
        try:
            opcode, payload = read_frame(wire.raw)
        except AssertionError as ended:
            assert "ended" in str(ended) or "early" in str(ended), ended
            break
        if opcode == 1 and payload == b"2":
            wire.raw.send_as_far_as_possible(frame(1, b"3"))
        if opcode == 8:
            break


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_streams_that_nobody_reads_are_bounded(doors, closing, accept):
    deaf = [closing.add(Raw(doors, receive_buffer=4096)).send(request_bytes(doors, "GET", "/r/slow/streams", [("Accept", accept)])) for _ in range(10)]
    for raw in deaf:
        raw.until(b"\r\n\r\n")
    before = doors.resident_bytes()
    for _ in range(300):
        post(doors, "slow/streams", "x" * 60_000)
    # 18 MB for each of ten, of which a room keeps 8 MiB, once.
    assert doors.resident_bytes() - before < 40 << 20


def test_who_proves_half_of_a_datagram_address_costs_nothing(doors):
    before = doors.resident_bytes()
    for number in range(2000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.sendto(b'{"join":"slow/%d","ref":1}' % number, ("127.0.0.1", doors.udp))
    assert doors.resident_bytes() - before < 2 << 20


def test_many_untouched_connections_and_requests_behind_one_another(doors, closing):
    for _ in range(300):
        closing.add(Raw(doors))
    piled = closing.add(Raw(doors))
    # A poll that waits, and a pile behind it that must not be held without bound.
    piled.send(request_bytes(doors, "GET", "/r/slow/poll?wait=20s", [("Accept", "application/json")]))
    piled.socket.settimeout(1)
    before, sent = doors.resident_bytes(), 0
    pile = request_bytes(doors, "GET", "/favicon.svg") * 1000
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            piled.socket.sendall(pile)
            sent += len(pile)
    assert doors.resident_bytes() - before < 8 << 20


def test_handshakes_behind_which_nothing_comes(doors, closing):
    crowd = [closing.add(Raw(doors)).send(handshake_bytes(doors, "/r/slow/none")) for _ in range(50)]
    for raw in crowd:
        assert read_head(raw).status == 101
        raw.until(b"\x89", 3 * PATIENCE_S)
        raw.rest(3 * PATIENCE_S)
    assert request(doors, "GET", "/r/slow/none?who").status == 200


def head_of(response):
    """How many messages the room had when this was answered."""
    return int(response.json()["at"].rsplit("-", 1)[1])


@pytest.mark.parametrize("opening", [b"hi\n", b'{"join":"lobby"}\n'], ids=["a person", "lines"])
def test_a_core_hears_others_between_the_shortest_units_of_one(start, closing, opening):
    """One read holds 65,000 lines of two bytes. Between two answers to somebody else there are far fewer, at least sometimes: whoever is busy measures no time."""
    server = start("cores = 1\n", ["--memory"])
    flood = closing.add(Raw(server)).send(opening)
    line = b"x\n" if opening[:1] == b"h" else b'{"publish":"lobby","data":1}\n'
    flood.socket.setblocking(False)
    asker, between, before = closing.add(Raw(server)), [], None
    for _ in range(30):
        try:
            while True:
                flood.socket.send(line * 50_000)
        except BlockingIOError:
            pass
        asker.send(request_bytes(server, "GET", "/r/lobby?history&limit=1"))
        head = head_of(asker.response(seconds=120))
        if before is not None and head > before:
            between.append(head - before)
        before = head
    assert between and min(between) < 20_000, between
