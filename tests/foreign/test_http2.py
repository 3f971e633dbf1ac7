"""HTTP/2 over TLS: curl, httpx, nghttp2, Node and Chromium as they are, and Python's h2 made to misbehave."""

import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, PingAckReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

import taut
from peers import PATIENCE_S
from servers import Certificates

HERE = Path(__file__).parent
CALM, REFUSED, PROTOCOL = 11, 7, 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    return made


def pair(certificates):
    return ["--tls-cert", str(certificates.folder / "good.pem"), "--tls-key", str(certificates.folder / "good.key")]


@pytest.fixture
def server(start, certificates):
    return start(arguments=pair(certificates))


class Wild:
    """An HTTP/2 connection that says whatever it is told to."""

    def __init__(self, server, certificates, host="127.0.0.1", settings=None, key=None):
        context = ssl.create_default_context(cafile=certificates.ca)
        context.set_alpn_protocols(["h2"])
        if key:
            context.load_cert_chain(certificates.folder / f"{key}.pem", certificates.folder / f"{key}.key")
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, source_address=(host, 0))
        self.tls = context.wrap_socket(plain, server_hostname="localhost")
        assert self.tls.selected_alpn_protocol() == "h2"
        self.server = server
        loose = dict(validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=True, header_encoding="utf-8")
        self.h2 = H2Connection(H2Configuration(**loose))
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.events, self.ended, self.come = [], False, b""
        self.flush()
        self.until(lambda: any(isinstance(event, RemoteSettingsChanged) for event in self.events))

    def close(self):
        self.tls.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.tls.sendall(data)

    def fields(self, method, path, *more, **pseudo):
        head = {":method": method, ":scheme": "https", ":authority": f"localhost:{self.server.port}", ":path": path} | {f":{name}": value for name, value in pseudo.items()}
        return [*((name, value) for name, value in head.items() if value is not None), *more]

    def ask(self, method, path, *more, body=None, ends=True, **pseudo):
        """Sends a request; gives its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, self.fields(method, path, *more, **pseudo), end_stream=ends and body is None)
        if body is not None:
            parts = [body[at : at + 16_000] for at in range(0, len(body), 16_000)] or [b""]
            for number, part in enumerate(parts, 1):
                self.h2.send_data(stream, part, end_stream=ends and number == len(parts))
        self.flush()
        return stream

    def raw(self, kind, payload=b"", flags=0, stream=0):
        """Sends a frame that the library would not."""
        self.tls.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def read(self, seconds=PATIENCE_S):
        self.tls.settimeout(seconds)
        try:
            data = self.tls.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came in time; so far {self.events[-5:]}") from None
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.come += data
        while len(self.come) >= 9 and len(self.come) >= (end := 9 + int.from_bytes(self.come[:3], "big")):
            frame, self.come = self.come[:end], self.come[end:]
            try:
                self.events += self.h2.receive_data(frame)
            except ProtocolError:
                # The library knows nothing of what comes behind a GOAWAY, which may be the first of two (RFC 9113 §6.8).
                assert self.of(ConnectionTerminated)
        try:
            self.flush()
        except OSError:
            pass

    def until(self, done, seconds=PATIENCE_S):
        deadline = time.monotonic() + seconds
        while not done():
            assert not self.ended, f"it ended: {self.events[-5:]}"
            self.read(max(0.01, deadline - time.monotonic()))

    def of(self, kind, stream=None):
        return [event for event in self.events if isinstance(event, kind) and (stream is None or event.stream_id == stream)]

    def answer(self, stream):
        """Status and body of an answer, or the code of a reset."""
        self.until(lambda: self.of(StreamEnded, stream) or self.of(StreamReset, stream))
        if not self.of(ResponseReceived, stream):
            return self.of(StreamReset, stream)[0].error_code, b""
        head = dict(self.of(ResponseReceived, stream)[-1].headers)
        return int(head[":status"]), b"".join(event.data for event in self.of(DataReceived, stream))

    def farewell(self):
        """The code of GOAWAY, after which the connection ends."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.ended:
            assert time.monotonic() < deadline, "it goes on"
            self.read()
        return self.of(ConnectionTerminated)[-1].error_code if self.of(ConnectionTerminated) else None


@pytest.fixture
def wild(certificates, closing):
    return lambda server, **more: closing.add(Wild(server, certificates, **more))


def curl(server, certificates, *arguments, check=True):
    told = subprocess.run(["curl", "-sS", "--http2", "--max-time", "20", "--noproxy", "*", "--cacert", str(certificates.ca), *map(str, arguments)], capture_output=True)
    assert not check or told.returncode == 0, told.stderr
    return told


def test_curl_does_over_it_what_it_does_over_http_1(server, certificates, room, tmp_path):
    url = f"https://localhost:{server.port}/r/{room}"
    told = curl(server, certificates, "-v", "-d", "hello", url)
    assert b"HTTP/2 200" in told.stderr and b'"at"' in told.stdout
    for secure, more in [(True, []), (False, ["--http1.1"])]:
        page = json.loads(curl(server, certificates, *more, url).stdout)
        assert [message["data"] for message in page["messages"]] == ["hello"]
    assert b"content-length" in curl(server, certificates, "-I", url).stdout
    # A body without a length, one that waits for leave, and one that is too long.
    piped = subprocess.run(["curl", "-sS", "--http2", "--noproxy", "*", "--cacert", str(certificates.ca), "-X", "POST", "-T", "-", url], input=b"x" * 50_000, capture_output=True, check=True, timeout=20)
    assert b'"at"' in piped.stdout
    assert b'"at"' in curl(server, certificates, "-H", "Expect: 100-continue", "-d", "y" * 60_000, url).stdout
    large = tmp_path / "large"
    large.write_bytes(b"z" * 3_000_000)
    told = curl(server, certificates, "--data-binary", f"@{large}", url)
    assert json.loads(told.stdout)["code"] == "message-too-large", told
    told = curl(server, certificates, "-H", "Origin: https://evil.example", url)
    assert json.loads(told.stdout)["code"] == "origin-refused"
    told = curl(server, certificates, "-H", "Host: evil.example", url)
    assert json.loads(told.stdout)["code"] == "host-refused"
    told = curl(server, certificates, "-i", "-X", "OPTIONS", "-H", "Origin: https://localhost:3", "-H", "Access-Control-Request-Method: POST", url)
    assert b"HTTP/2 204" in told.stdout and b"access-control-allow-origin" in told.stdout


def test_one_connection_carries_many_streams_and_polls(server, wild, room):
    """More event streams than a browser opens connections, and long polls beside them.

    Not by httpx: of its concurrent streams one may wait to read what another one has read already (httpcore's read lock)."""
    one, path = wild(server), f"/r/{room}"
    at = json.loads(one.answer(one.ask("POST", path, body=b"zero"))[1])["at"]
    streams = [one.ask("GET", path, ("accept", kind)) for kind in ["text/event-stream", "application/x-ndjson"] * 10]
    one.until(lambda: all(one.of(ResponseReceived, stream) for stream in streams))
    polls = [one.ask("GET", f"{path}?since={at}&wait=15") for _ in range(5)]
    status, _ = one.answer(one.ask("POST", path, body=b"one"))
    assert status == 200
    for poll in polls:
        status, page = one.answer(poll)
        assert status == 200 and [message["data"] for message in json.loads(page)["messages"]] == ["one"]

    def said(stream):
        return b"".join(event.data for event in one.of(DataReceived, stream))

    one.until(lambda: all(b"one" in said(stream) for stream in streams))


def test_files_come_whole_in_parts_and_not_again(start, certificates, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "large.bin").write_bytes(bytes(range(256)) * 20_000)
    server = start(arguments=[*pair(certificates), "--files", str(folder)])
    context = ssl.create_default_context(cafile=certificates.ca)
    url = f"https://localhost:{server.port}/large.bin"
    with httpx.Client(http2=True, verify=context, trust_env=False, timeout=30) as client:
        whole = client.get(url)
        assert whole.http_version == "HTTP/2" and whole.content == bytes(range(256)) * 20_000
        part = client.get(url, headers={"range": "bytes=255-257"})
        assert part.status_code == 206 and part.content == b"\xff\0\1"
        assert client.get(url, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
        assert client.head(url).headers["content-length"] == "5120000"


def test_fields_that_would_be_other_requests_are_refused(server, certificates, wild, room):
    """RFC 9113 §8.2, §8.3, §10.3: nothing of a request becomes another one's beginning, or another body."""
    smuggled = f"POST /r/{room}/victim HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: 3\r\n\r\nbad"
    path = f"/r/{room}"
    hostile = [
        ((), dict(path=f"/ HTTP/1.1\r\n\r\n{smuggled}")),
        ((), dict(path="/r/a b")),
        ((), dict(path="relative")),
        ((), dict(path="")),
        ((), dict(path=None)),
        ((), dict(method=f"GET / HTTP/1.1\r\n\r\n{smuggled}")),
        ((), dict(method="GET ")),
        ((), dict(method=None)),
        ((), dict(scheme="http")),
        ((), dict(scheme=None)),
        ((), dict(authority=f"localhost:{server.port}\r\nX: y")),
        ((), dict(authority=f"user@localhost:{server.port}")),
        ((), dict(status="200")),
        ([("x", f"a\r\n\r\n{smuggled}")], {}),
        ([("x", "a\nb: c")], {}),
        ([("x", "a\0b")], {}),
        ([("x", " a")], {}),
        ([("x\r\ny", "z")], {}),
        ([("x: y\r\nz", "z")], {}),
        ([("x y", "z")], {}),
        ([("x:y", "z")], {}),
        ([("Upper", "z")], {}),
        ([("", "z")], {}),
        ([("host", "other.example")], {}),
        ([("host", "localhost"), ("host", "localhost")], {}),
        ([("connection", "close")], {}),
        ([("connection", "x-mine")], {}),
        ([("keep-alive", "1")], {}),
        ([("proxy-connection", "keep-alive")], {}),
        ([("transfer-encoding", "chunked")], {}),
        ([("upgrade", "websocket")], {}),
        ([("te", "gzip")], {}),
        ([("content-length", "3")], {}),
        ([("content-length", "200")], {}),
        ([("content-length", "5"), ("content-length", "6")], {}),
        ([("content-length", "x")], {}),
        ([("content-length", "-1")], {}),
        ([("x", "y"), (":path", "/late")], {}),
        ([(":path", "/twice")], {}),
        ([(":unknown", "z")], {}),
    ]
    for more, pseudo in hostile:
        method = pseudo.pop("method", "POST")
        target = pseudo.pop("path", path)
        one = wild(server)
        one.h2.send_headers(1, [pair for pair in one.fields(method, target, *more, **pseudo) if pair[1] is not None], end_stream=False)
        one.h2.send_data(1, b"hello", end_stream=True)
        one.flush()
        while not (one.ended or one.of(ResponseReceived, 1) or one.of(StreamReset, 1) or one.of(ConnectionTerminated)):
            one.read()
        for response in one.of(ResponseReceived, 1):
            status = dict(response.headers)[":status"]
            assert status.startswith("4") or status.startswith("5"), (more, pseudo, method, target, status)
        one.close()
    one = wild(server)
    for room_of in [room, f"{room}/victim"]:
        status, body = one.answer(one.ask("GET", f"/r/{room_of}"))
        assert status == 200 and json.loads(body)["messages"] == [], room_of
    # What is right still is: cookies in parts, TE, the same Host twice over, an early end without a body.
    status, body = one.answer(one.ask("POST", path, ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("host", f"localhost:{server.port}"), body=b"fine"))
    assert status == 200, body
    stream = one.ask("GET", path, ends=False)
    one.h2.end_stream(stream)
    one.flush()
    assert json.loads(one.answer(stream)[1])["messages"][0]["data"] == "fine"
    # Trailers go no further.
    stream = one.ask("POST", path, body=b"with trailers", ends=False)
    one.h2.send_headers(stream, [("x-trailer", "y")], end_stream=True)
    one.flush()
    assert one.answer(stream)[0] == 200


def test_a_reset_flood_ends_the_connection_and_costs_others_nothing(server, certificates, wild):
    """CVE-2023-44487, at once and paced so that each request is begun."""
    for paced in [False, True]:
        one = wild(server)
        try:
            for _ in range(20_000):
                stream = one.ask("GET", "/r/lobby?wait=60&since=0")
                one.h2.reset_stream(stream)
                one.flush()
                if paced and stream % 400 == 1:
                    status = wild(server)
                    assert status.answer(status.ask("GET", "/health/live"))[0] == 200
                    status.close()
                if stream > 6_000 and paced:
                    break
        except OSError:
            pass
        assert one.farewell() in (CALM, None)
    healthy(server, wild)


@pytest.mark.parametrize("name, frame", [
    ("PING", lambda one: one.raw(0x6, b"12345678")),
    ("SETTINGS", lambda one: one.raw(0x4, struct.pack(">HI", 4, 65_535))),
    ("PRIORITY", lambda one: one.raw(0x2, struct.pack(">IB", 0, 1), stream=3)),
    ("unknown", lambda one: one.raw(0xbb, b"x" * 20)),
])
def test_a_flood_of_idle_frames_ends_the_connection(server, certificates, wild, name, frame):
    one = wild(server)
    try:
        for _ in range(200_000):
            frame(one)
    except OSError:
        pass
    assert one.farewell() in (CALM, None)
    healthy(server, wild)


def test_heads_without_end_and_heads_that_are_too_large(server, certificates, wild, room):
    one = wild(server)
    try:
        one.raw(0x1, b"", flags=0, stream=1)
        for _ in range(100_000):
            one.raw(0x9, one.h2.encoder.encode([("x", "y" * 50)]), stream=1)
    except OSError:
        pass
    assert one.farewell() in (CALM, PROTOCOL, None)
    two = wild(server)
    status, _ = two.answer(two.ask("GET", "/", *((f"x-{number}", "y" * 200) for number in range(90))))
    assert status == 431
    status, _ = two.answer(two.ask("GET", "/", *((f"x{number}", "") for number in range(120))))
    assert status == 431, "no more fields than over HTTP/1.1"
    # A small field that becomes a large head, by the table of HPACK.
    three = wild(server)
    status, _ = three.answer(three.ask("GET", "/", ("x", "y" * 3_000)))
    assert status == 200
    three.ask("GET", "/", *[("x", "y" * 3_000)] * 90)
    assert three.farewell() is not None
    healthy(server, wild)


def test_the_last_words_of_a_client_are_not_in_the_log(server, certificates, wild, room):
    """GOAWAY may hold 16 KiB of them, and a client that ends with an error has broken nothing."""
    for code in [0, PROTOCOL, CALM]:
        ends = wild(server)
        ends.raw(7, struct.pack(">II", 0, code) + b"last words\x1b[31m" * 900)
        ends.farewell()
    breaks = wild(server)
    breaks.raw(0, b"data without a stream", stream=1)
    assert breaks.farewell() == PROTOCOL
    deadline = time.monotonic() + 10
    while "a peer broke HTTP/2" not in server.said():
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.05)
    assert server.said().count("a peer broke HTTP/2") == 1 and "last words" not in server.said()
    assert re.search(r'a peer broke HTTP/2 peer="127\.0\.0\.1:\d+" violation="unspecific protocol error detected"', server.said())


def test_a_request_may_name_its_host_in_host_alone(server, certificates, wild, room):
    """Whoever translates from HTTP/1.1 may leave :authority out (RFC 9113 §8.3.1)."""
    asks = wild(server)
    assert asks.answer(asks.ask("GET", f"/r/{room}?history", ("host", f"localhost:{server.port}"), authority=None))[0] == 200
    assert asks.answer(asks.ask("GET", f"/r/{room}?history", ("host", "evil.example"), authority=None))[0] == 403
    assert asks.answer(asks.ask("GET", f"/r/{room}?history", authority=None))[0] == 400


def test_so_many_streams_and_no_more(server, certificates, wild, room):
    one = wild(server)
    one.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1_000
    one.h2.remote_settings.acknowledge()
    streams = [one.ask("GET", f"/r/{room}", ("accept", "text/event-stream")) for _ in range(140)]
    one.until(lambda: len(one.of(ResponseReceived)) == 128 and len(one.of(StreamReset)) == 12)
    assert {event.error_code for event in one.of(StreamReset)} == {REFUSED}
    for stream in streams[:128]:
        one.h2.reset_stream(stream)
    one.flush()
    assert one.answer(one.ask("POST", f"/r/{room}", body=b"hi"))[0] == 200


def test_who_does_not_read_holds_up_only_its_own_stream(server, certificates, wild, room):
    """Flow control reaches from the client's window to the room, and memory is bounded by it."""
    one = wild(server, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0})
    slow = one.ask("GET", f"/r/{room}", ("accept", "text/event-stream"))
    one.until(lambda: one.of(ResponseReceived, slow))
    two = wild(server)
    for _ in range(200):
        assert two.answer(two.ask("POST", f"/r/{room}", body=b"x" * 30_000))[0] == 200
    assert not one.of(DataReceived)
    three = wild(server)
    assert three.answer(three.ask("POST", f"/r/{room}", body=b"last"))[0] == 200
    # The window opens: what the stream has missed comes, from the room's history.
    one.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1_000_000})
    one.h2.increment_flow_control_window(20_000_000)
    one.h2.increment_flow_control_window(20_000_000, slow)
    one.flush()
    one.until(lambda: b"data: last" in b"".join(event.data for event in one.of(DataReceived, slow)[-3:]), 60)


def test_a_stream_counts_as_a_connection_of_its_address(start, certificates, wild, room):
    server = start("[limits]\nexempt = []\n[limits.address]\nconns_max = 5\n", pair(certificates))
    one = wild(server, host="127.0.0.2")
    streams = [one.ask("GET", f"/r/{room}", ("accept", "text/event-stream")) for _ in range(4)]
    one.until(lambda: len(one.of(ResponseReceived)) == 4)
    status, body = one.answer(one.ask("GET", f"/r/{room}"))
    assert status == 429 and json.loads(body)["code"] == "rate-limited"
    assert one.answer(one.ask("GET", "/health/live"))[0] == 200
    other = wild(server, host="127.0.0.3")
    assert other.answer(other.ask("GET", f"/r/{room}"))[0] == 200
    one.h2.reset_stream(streams[0])
    one.flush()
    deadline = time.monotonic() + PATIENCE_S
    while one.answer(one.ask("GET", f"/r/{room}"))[0] != 200:
        assert time.monotonic() < deadline


def test_each_request_stands_for_itself_and_a_certificate_for_all(start, certificates, wild, room):
    certificates.sign("sensor-7", "DNS:sensor-7", usage="clientAuth")
    config = '[auth]\ncertificates = true\ncertificate_roles = ["sensors"]\n[roles.sensors]\n"users/$user/**" = "*"\n'
    server = start(config, [*pair(certificates), "--tls-client-ca", str(certificates.ca)])
    one = wild(server, key="sensor-7")
    assert one.answer(one.ask("POST", "/r/users/sensor-7/heat", body=b"21"))[0] == 200
    assert one.answer(one.ask("POST", "/r/users/other/heat", body=b"21"))[0] == 403
    assert one.answer(one.ask("POST", "/r/users/sensor-7/heat", ("authorization", "Bearer x"), body=b"21"))[0] == 401
    stranger = wild(server)
    assert stranger.answer(stranger.ask("POST", "/r/users/sensor-7/heat", body=b"21"))[0] == 401


def test_clocks_end_what_is_idle_and_what_does_not_begin(start, certificates, wild):
    server = start("[limits]\nkeep_alive_ms_max = 1000\nhandshake_ms_max = 1000\nping_ms = 1000\npong_ms_max = 1000\n", pair(certificates))
    one = wild(server)
    assert one.answer(one.ask("GET", "/health/live"))[0] == 200
    assert one.farewell() == 0
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="localhost") as mute:
        mute.settimeout(10)
        while mute.recv(4_096):
            pass
    # A client that answers PING may listen as long as it likes; one that does not is gone.
    two = wild(server)
    stream = two.ask("GET", "/r/lobby", ("accept", "text/event-stream"))
    two.until(lambda: len(two.of(DataReceived, stream)) >= 4)
    deadline = time.monotonic() + PATIENCE_S
    two.tls.settimeout(PATIENCE_S)
    while two.tls.recv(4_096):
        assert time.monotonic() < deadline, "it goes on without an answer"
    # A body that never comes whole.
    three = wild(server)
    stream = three.ask("POST", "/r/lobby", ("content-length", "10"), body=b"12345", ends=False)
    assert three.answer(stream)[0] == 408


def test_a_shutdown_says_goaway_and_lets_streams_end(server, certificates, wild, room):
    one = wild(server)
    stream = one.ask("GET", f"/r/{room}", ("accept", "text/event-stream"))
    one.until(lambda: one.of(ResponseReceived, stream))
    idle = wild(server)
    url = f"https://localhost:{server.port}/r/{room}"
    listener = subprocess.Popen(["curl", "-sSN", "--http2", "--noproxy", "*", "--cacert", str(certificates.ca), "-H", "Accept: text/event-stream", url], stdout=subprocess.PIPE)
    assert listener.stdout.readline()
    server.process.terminate()
    assert one.farewell() == 0 and idle.farewell() == 0
    assert server.process.wait(20) == 0
    assert b"restart" in listener.communicate(timeout=20)[0] and listener.returncode == 0


def test_clear_text_has_no_http_2(server):
    told = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "5", "--noproxy", "*", f"http://127.0.0.1:{server.port}/"], capture_output=True)
    assert told.returncode != 0
    told = subprocess.run(["curl", "-sS", "--http2", "-i", "--max-time", "5", "--noproxy", "*", f"http://127.0.0.1:{server.port}/health/live"], capture_output=True)
    assert told.stdout.startswith(b"HTTP/1.1 200"), "an upgrade to h2c is not taken"


def test_it_is_counted_and_logged_with_the_clients_address(start, certificates, wild, room):
    port = taut.free_port()
    server = start(arguments=[*pair(certificates), "--metrics-listen", f"127.0.0.1:{port}", "--log-level", "debug"])
    one = wild(server)
    stream = one.ask("GET", f"/r/{room}", ("accept", "text/event-stream"))
    one.until(lambda: one.of(ResponseReceived, stream))
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert "taut_http2_connections 1\n" in page and "taut_http2_streams_total 1\n" in page
    assert 'taut_conns{door="sse"} 1\n' in page
    address = one.tls.getsockname()
    assert re.search(rf'came in conn=\S+ door="sse" peer={address[0]}:{address[1]}', server.said()), server.said()
    assert "h2::" not in server.said()


@pytest.mark.skipif(not shutil.which("nghttp"), reason="nghttp2-client is not installed")
def test_nghttp_and_h2load(server):
    url = f"https://127.0.0.1:{server.port}/health/live"
    told = subprocess.run(["nghttp", "-nv", url], capture_output=True, timeout=20).stdout
    assert b":status: 200" in told
    told = subprocess.run(["h2load", "-n", "3000", "-c", "5", "-m", "50", url], capture_output=True, timeout=60).stdout
    assert b"3000 succeeded, 0 failed" in told, told


def test_node_and_chromium(server, certificates):
    said = subprocess.run(["node", str(HERE / "http2.mjs"), str(server.port), str(certificates.ca)], capture_output=True, timeout=120)
    assert said.stdout == b"fine\n", said.stderr.decode()[-3000:]


def healthy(server, wild):
    one = wild(server)
    assert one.answer(one.ask("GET", "/health/live"))[0] == 200
    server.assert_healthy()


def test_ping_is_answered(server, certificates, wild):
    one = wild(server)
    one.h2.ping(b"12345678")
    one.flush()
    one.until(lambda: one.of(PingAckReceived))
