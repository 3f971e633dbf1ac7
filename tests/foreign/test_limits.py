"""How much one address, one connection and all together may do, by clients from many addresses of this machine (127.0.0.2, 127.0.0.3, …).

The server is told that only 127.0.0.1 is exempt. No test measures time: what got through is bounded from above by what the rate itself allows in the time
that passed, and from below by the burst.
"""

import json
import socket
import ssl
import threading
import time

import pytest
from websockets.sync.client import connect

from peers import PATIENCE_S, Raw, history, request_bytes

EXEMPT = 'exempt = ["127.0.0.1"]\n'


class From(Raw):
    """A connection from an address of one's own choice."""

    def __init__(self, server, host):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", server.port))
        self.buffer = b""

    def unit(self, **unit):
        return self.send(json.dumps(unit) + "\n")

    def heard(self):
        return json.loads(self.until(b"\n"))

    def ended(self):
        """What it was told before the server closed it; `None` when it was closed without a word."""
        try:
            return self.rest() or None
        except OSError:
            return None


def limits(address="", conn="", more=""):
    return f"[limits]\n{EXEMPT}{more}\n[limits.address]\n{address}\n[limits.conn]\n{conn}\n"


def ask(peer, server, method, target, headers=(), body=None):
    peer.send(request_bytes(server, method, target, headers, body))
    return peer.response(method)


def wait_s(response):
    problem = response.assert_problem(429)
    assert problem["code"] == "rate-limited"
    seconds = int(response.header("retry-after"))
    assert seconds >= 1
    return seconds


SLOW = "messages_per_s = 1\nmessages_burst = 5\njoins_per_s = 1\njoins_burst = 3\n"


@pytest.fixture
def slow(start):
    """One message and one join a second, five and three at once."""
    return start(limits(conn=SLOW))


def test_lines_are_told_in_words_and_live(slow, closing, room):
    peer = closing.add(From(slow, "127.0.0.2"))
    for number in range(6):
        peer.unit(publish=room, data=number, ref=number)
    # A refusal waits for nothing, so it overtakes what has to be kept first.
    answers = {answer["ref"]: answer for answer in [peer.heard() for _ in range(6)]}
    assert [answers[number].get("ok") for number in range(5)] == ["publish"] * 5
    refused = answers[5]
    assert refused["error"] == "rate-limited"
    assert 0 < refused["retry_ms"] <= 1_000
    assert "limits.conn.messages_per_s" in refused["text"]
    # When that time is over it passes, to the millisecond.
    time.sleep(refused["retry_ms"] / 1000)
    peer.unit(publish=room, data="after", ref="after")
    assert peer.heard()["ok"] == "publish"


def test_native_websockets_are_told_the_same(slow, closing, room):
    plain = From(slow, "127.0.0.2").socket
    with connect(f"ws://127.0.0.1:{slow.port}/ws", sock=plain, subprotocols=["taut"]) as peer:
        for number in range(6):
            peer.send(json.dumps({"publish": room, "data": number}))
        answers = [json.loads(peer.recv(PATIENCE_S)) for _ in range(6)]
    assert sorted(answer.get("error", "") for answer in answers) == [""] * 5 + ["rate-limited"]


def test_joins_have_a_rate_of_their_own(slow, closing, room):
    peer = closing.add(From(slow, "127.0.0.2"))
    for number in range(4):
        peer.unit(join=f"{room}/{number}")
    answers = [peer.heard() for _ in range(4)]
    refused = [answer for answer in answers if "error" in answer]
    assert len(refused) == 1 and refused[0]["error"] == "rate-limited" and "joins" in refused[0]["text"]


def test_http_says_429_and_when(slow, closing, room):
    peer = closing.add(From(slow, "127.0.0.2"))
    for _ in range(5):
        assert ask(peer, slow, "POST", f"/r/{room}", body="x").status == 200
    assert wait_s(ask(peer, slow, "POST", f"/r/{room}", body="x")) == 1
    # The connection lives: a read is not limited.
    assert ask(peer, slow, "GET", f"/r/{room}?history").status == 200
    assert len(history(slow, room)["messages"]) == 5


def test_a_batch_counts_as_what_is_in_it(slow, closing, room):
    peer = closing.add(From(slow, "127.0.0.2"))
    batch = json.dumps([{"data": number} for number in range(4)])
    headers = [("Content-Type", "application/json")]
    assert ask(peer, slow, "POST", f"/r/{room}?batch", headers, batch).status == 200
    wait_s(ask(peer, slow, "POST", f"/r/{room}?batch", headers, batch))
    assert len(history(slow, room)["messages"]) == 4, "all of a batch or none of it"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_streams_are_answered_429(start, closing, room, accept):
    server = start(limits(address="joins_per_s = 1\njoins_burst = 2\n"))
    for _ in range(2):
        peer = closing.add(From(server, "127.0.0.2"))
        peer.send(request_bytes(server, "GET", f"/r/{room}", [("Accept", accept)]))
        assert b" 200 " in peer.until(b"\r\n")
    peer = closing.add(From(server, "127.0.0.2"))
    wait_s(ask(peer, server, "GET", f"/r/{room}", [("Accept", accept)]))
    many = closing.add(From(server, "127.0.0.2"))
    many.send(request_bytes(server, "GET", f"/events?room={room}/1&room={room}/2&room={room}/3", [("Accept", "text/event-stream")]))
    said = many.rest()
    assert said.count(b"HTTP/1.1 429") == 1, "one answer, whatever the number of rooms"


def test_a_websocket_is_refused_before_it_opens(start, closing, room):
    server = start(limits(address="joins_per_s = 1\njoins_burst = 2\n"))
    upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    for _ in range(2):
        peer = closing.add(From(server, "127.0.0.2"))
        assert ask(peer, server, "GET", f"/r/{room}", upgrade).status == 101
    wait_s(ask(closing.add(From(server, "127.0.0.2")), server, "GET", f"/r/{room}", upgrade))


def test_a_person_is_told_how_long_to_wait(slow, closing):
    peer = closing.add(From(slow, "127.0.0.2"))
    for number in range(7):
        peer.send(f"line {number}\n")
    peer.until(b"* wait 1 s: ")


def poll(peer, server, sid="", method="GET", body=None):
    target = "/socket.io/?EIO=4&transport=polling" + (f"&sid={sid}" if sid else "")
    return ask(peer, server, method, target, (), body)


def opened(peer, server):
    return json.loads(poll(peer, server).body[1:])["sid"]


def test_socketio_is_told_in_acknowledgements_and_errors(slow, closing, room):
    peer = closing.add(From(slow, "127.0.0.2"))
    sid = opened(peer, slow)
    assert poll(peer, slow, sid, "POST", f"40/r/{room},").body == b"ok"
    assert b"40/" in poll(peer, slow, sid).body
    events = [f'42/r/{room},["say",{number}]' for number in range(5)]
    events.append(f'42/r/{room},7["say",5]')
    poll(peer, slow, sid, "POST", "\x1e".join(events))
    assert b'"error":"rate-limited"' in (told := poll(peer, slow, sid).body) and b"43/" in told, told
    poll(peer, slow, sid, "POST", f'42/r/{room},["say",6]')
    assert b"taut:error" in (told := poll(peer, slow, sid).body) and b"retry_ms" in told, told
    # Two more namespaces may be entered, the fourth not.
    for number in range(3):
        poll(peer, slow, sid, "POST", f"40/r/{room}/{number},")
    told = b""
    while b"44/" not in told:
        told += poll(peer, slow, sid).body
    assert b"rate-limited" in told and b"retry_ms" in told, told


def test_a_payload_only_socket_is_slowed_down_and_never_refused(start, closing, room):
    server = start(limits(conn="messages_per_s = 50\nmessages_burst = 10\n"))
    plain = From(server, "127.0.0.2").socket
    with connect(f"ws://127.0.0.1:{server.port}/r/{room}", sock=plain) as peer:
        began = time.monotonic()
        for number in range(60):
            peer.send(str(number))
        deadline = began + PATIENCE_S
        while len(said := history(server, room)["messages"]) < 60:
            passed = len(said)
            # Read before the clock, so that what came later does not count.
            assert passed <= 10 + 50 * (time.monotonic() - began) + 1
            assert time.monotonic() < deadline, passed
            time.sleep(0.02)
    assert [message["data"] for message in said] == [str(number) for number in range(60)]
    assert time.monotonic() - began >= (60 - 10 - 1) / 50


def test_bytes_have_a_rate_and_what_is_larger_than_a_burst_passes_once(start, closing, room):
    server = start(limits(conn="bytes_per_s = 1000\nbytes_burst = 2000\n"))
    peer = closing.add(From(server, "127.0.0.2"))
    peer.unit(publish=room, data="x" * 5_000, ref=1)
    peer.unit(publish=room, data="x", ref=2)
    answers = {answer["ref"]: answer for answer in [peer.heard(), peer.heard()]}
    assert answers[1]["ok"] == "publish"
    refused = answers[2]
    assert refused["error"] == "rate-limited" and "bytes" in refused["text"]
    assert 2_000 <= refused["retry_ms"] <= 3_100


def test_an_address_has_its_rate_over_all_cores(start, closing, room):
    rate, burst = 200, 100
    server = start(limits(address=f"messages_per_s = {rate}\nmessages_burst = {burst}\n"), ["--cores", "2"])
    peers = [closing.add(From(server, "127.0.0.2")) for _ in range(8)]
    other = closing.add(From(server, "127.0.0.3"))
    passed, stop = [0] * len(peers), threading.Event()

    def flood(index):
        peer = peers[index]
        while not stop.is_set():
            peer.unit(publish=f"{room}/{index}", data=1)
            passed[index] += "ok" in peer.heard()

    began = time.monotonic()
    threads = [threading.Thread(target=flood, args=[index]) for index in range(len(peers))]
    for thread in threads:
        thread.start()
    time.sleep(2)
    # Somebody of another address hears nothing of it.
    for number in range(50):
        other.unit(publish=room, data=number)
        assert other.heard()["ok"] == "publish"
    stop.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    took_s = time.monotonic() - began
    # Two cores may both let one through at the same moment.
    assert burst <= sum(passed) <= burst + rate * took_s + 2, (passed, took_s)


def test_many_people_behind_one_address_are_not_in_each_others_way(start, closing, room):
    server = start(f"[limits]\n{EXEMPT}", ["--cores", "2"])
    people = [closing.add(From(server, "127.0.0.2")) for _ in range(300)]
    for number, person in enumerate(people):
        person.unit(join=f"{room}/{number % 10}", **{"as": f"p{number}"})
    for person in people:
        assert person.heard()["ok"] == "join"
    for _ in range(10):
        for number, person in enumerate(people):
            person.unit(publish=f"{room}/private/{number}", data="hello", ref=1)
        for person in people:
            while "ref" not in (answer := person.heard()):
                pass
            assert answer["ok"] == "publish", answer


def test_an_exempt_address_is_not_limited(start, closing, room):
    server = start("[limits.conn]\nmessages_per_s = 1\nmessages_burst = 1\n[limits.address]\nconns_max = 1\nopens_per_s = 1\nopens_burst = 1\n")
    for number in range(20):
        peer = closing.add(From(server, f"127.0.0.{number % 3 + 2}"))
        peer.unit(publish=room, data=number)
        peer.unit(publish=room, data=number)
        assert [peer.heard().get("ok") for _ in range(2)] == ["publish"] * 2


# ---- connections


def crowd(server, closing, count, host="127.0.0.2"):
    """So many connections, each of which has said something, so that it counts for sure."""
    peers = [closing.add(From(server, host)) for _ in range(count)]
    for peer in peers:
        peer.unit(ping=True)
        assert peer.heard()["ok"] == "ping"
    return peers


def test_one_connection_too_many_is_told_in_its_own_words(start, closing):
    server = start(limits(address="conns_max = 3\n"))
    peers = crowd(server, closing, 3)
    http = closing.add(From(server, "127.0.0.2"))
    response = ask(http, server, "GET", "/r/lobby")
    assert wait_s(response) == 10 and "limits.address.conns_max" in response.json()["detail"]
    lines = closing.add(From(server, "127.0.0.2"))
    lines.unit(ping=True)
    bye = lines.heard()
    assert bye["bye"] == "rate-limited" and bye["retry_ms"] >= 10_000
    assert lines.rest() == b""
    text = closing.add(From(server, "127.0.0.2"))
    text.send("hello\n")
    assert text.rest().startswith(b"* wait 10 s")
    socketio = closing.add(From(server, "127.0.0.2"))
    assert poll(socketio, server).status == 429
    # Whether the server is well may be asked all the same, and others come in.
    assert ask(closing.add(From(server, "127.0.0.2")), server, "GET", "/health/live").status == 200
    crowd(server, closing, 3, "127.0.0.3")
    # When one of them goes, another one may come.
    peers[0].close()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        peer = closing.add(From(server, "127.0.0.2"))
        peer.unit(ping=True)
        if "ok" in peer.heard():
            break
        assert time.monotonic() < deadline


def test_a_flood_of_connections_from_one_address_costs_others_nothing(start, closing):
    server = start(limits(address="opens_per_s = 5\nopens_burst = 20\n", more="handshake_ms_max = 1000\n"), ["--cores", "2"])
    began = time.monotonic()
    # Slow loris: each says one byte of a request and no more.
    flood = [closing.add(From(server, "127.0.0.2")) for _ in range(400)]
    for peer in flood:
        try:
            peer.send("G")
        except OSError:
            pass
    for host in range(3, 13):
        peer = closing.add(From(server, f"127.0.0.{host}"))
        assert ask(peer, server, "GET", "/r/lobby?history").status == 200
    said = [peer.ended() for peer in flood]
    let_in = sum(told is not None and b" 408 " in told for told in said)
    took_s = time.monotonic() - began
    assert let_in <= 20 + 5 * took_s + 32, (let_in, took_s)
    assert server.said().count("a connection was turned away") < 20, "a flood does not flood the log"


def test_polling_sessions_count_for_the_address_that_opened_them(start, closing):
    server = start(limits(address="conns_max = 4\n"))
    peer = closing.add(From(server, "127.0.0.2"))
    sids = [opened(peer, server) for _ in range(3)]
    assert len(set(sids)) == 3
    wait_s(poll(peer, server))
    # One that ends makes room.
    assert poll(peer, server, sids[0], "POST", "1").status == 200
    assert opened(peer, server)


def test_a_place_is_given_up_whichever_way_a_connection_ends(start, closing):
    server = start(limits(address="conns_max = 30\nopens_per_s = 0\n"), ["--cores", "2", "--tls-self-signed"])
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    for number in range(60):
        one, two = From(server, "127.0.0.2"), From(server, "127.0.0.2")
        sid = opened(one, server)
        if number % 2:
            # The other connection may be at another core: it moves to the session's.
            assert poll(two, server, sid, "POST", "1").status == 200
        else:
            plain = From(server, "127.0.0.2").socket
            target = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket&sid={sid}"
            with connect(target, sock=plain) as moved:
                moved.send("2probe")
                assert moved.recv(PATIENCE_S) == "3probe"
                moved.send("5")
        secret = trusting.wrap_socket(From(server, "127.0.0.2").socket, server_hostname="localhost")
        secret.sendall(b'{"ping":true}\n')
        assert b'"ok":"ping"' in secret.recv(1_000)
        for peer in (one, two, secret):
            peer.close()


def test_datagrams_are_limited_by_address_and_nobody_pays_for_a_forged_one(start, closing, room):
    from taut import free_port

    port = free_port()
    server = start(
        limits(address="messages_per_s = 1\nmessages_burst = 5\nconns_max = 2\n"),
        ["--listen", f"udp://127.0.0.1:{port}"],
    )
    stranger = socket.socket(type=socket.SOCK_DGRAM)
    closing.callback(stranger.close)
    stranger.bind(("127.0.0.2", 0))
    stranger.connect(("127.0.0.1", port))
    stranger.settimeout(PATIENCE_S)
    answers = []
    for number in range(6):
        stranger.send(json.dumps({"publish": room, "data": "x" * 200, "ref": number}).encode())
        answers.append(json.loads(stranger.recv(65_536)))
    assert ["ok" in answer for answer in answers] == [True] * 5 + [False]
    assert answers[5]["error"] == "rate-limited"
    # Anybody may have written that address on those: its owner's own account is untouched.
    owner = closing.add(From(server, "127.0.0.2"))
    owner.unit(publish=room, data=1)
    assert owner.heard()["ok"] == "publish"


# ---- everybody


def test_a_server_without_memory_lets_nobody_new_in_and_says_so(start, closing, room):
    server = start(limits(more='memory_bytes_max = "1GiB"\n'))
    here = closing.add(From(server, "127.0.0.2"))
    here.unit(join=room)
    assert here.heard()["ok"] == "join"
    assert ask(closing.add(From(server, "127.0.0.1")), server, "GET", "/health/ready").status in (200, 204)
    full = start(limits(more="memory_bytes_max = 4096\n"))
    response = ask(closing.add(From(full, "127.0.0.1")), full, "GET", "/r/lobby")
    assert response.assert_problem(503)["code"] == "full"
    assert int(response.header("retry-after")) >= 1
    ready = ask(closing.add(From(full, "127.0.0.1")), full, "GET", "/health/ready")
    assert ready.assert_problem(503)["code"] == "full" and "limits.memory_bytes_max" in ready.json()["detail"]
    assert ask(closing.add(From(full, "127.0.0.1")), full, "GET", "/health/live").status in (200, 204)
    for _ in range(20):
        From(full, "127.0.0.1").close()
    assert full.said().count("nobody new is let in") == 1, "it is logged when it changes"


def test_a_server_with_all_its_connections_says_so_and_recovers(start, closing):
    server = start(limits(), ["--limits-conns-max", "10"])
    peers, deadline = [], time.monotonic() + PATIENCE_S
    while len(peers) < 10:
        # Whoever looked whether the server listens may not be gone yet.
        peer = closing.add(From(server, "127.0.0.2"))
        peer.unit(ping=True)
        if "ok" in peer.heard():
            peers.append(peer)
        assert time.monotonic() < deadline
    one_more = closing.add(From(server, "127.0.0.3"))
    one_more.unit(ping=True)
    assert one_more.heard()["bye"] == "full"
    ready = ask(closing.add(From(server, "127.0.0.1")), server, "GET", "/health/ready")
    assert ready.assert_problem(503)["code"] == "full"
    for peer in peers:
        peer.close()
    deadline = time.monotonic() + PATIENCE_S
    while ask(closing.add(From(server, "127.0.0.1")), server, "GET", "/health/ready").status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    crowd(server, closing, 1)


def test_connections_never_use_up_the_open_files(start, closing):
    server = start(limits(), files_max=300)
    assert "the open-file limit leaves" not in server.said()
    peers = [closing.add(From(server, f"127.0.0.{number % 5 + 2}")) for number in range(500)]
    for peer in peers:
        try:
            peer.unit(ping=True)
        except OSError:
            pass
    told = 0
    for peer in peers:
        try:
            told += "bye" not in peer.heard()
        except (AssertionError, OSError):
            pass
    assert 200 <= told <= 236
    assert server.open_files() < 300
    assert "out of file descriptors" not in server.said()
