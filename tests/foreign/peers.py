"""Peers with nothing of Taut in them: plain sockets, `nc`, `curl`. Every wait has a deadline, so a silent server is a failure, never a hang."""

import base64
import contextlib
import json
import os
import select
import socket
import subprocess
import time

PATIENCE_S = 10


class Closing(contextlib.ExitStack):
    def add(self, peer):
        self.callback(peer.close)
        return peer


class Raw:
    """A TCP connection, byte by byte; `at` is another place, as Python's sockets name them: a string is a Unix socket's path."""

    def __init__(self, server, receive_buffer=None, at=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(at, str) else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(at or ("127.0.0.1", server.port))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def send_as_far_as_possible(self, data):
        """For requests that the server may refuse before it has read them."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _more(self, deadline):
        self.socket.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came in time; so far {self.buffer[-2000:]!r}") from None
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, marker, seconds=PATIENCE_S):
        """Takes everything up to and with the marker."""
        deadline = time.monotonic() + seconds
        while marker not in self.buffer:
            if not self._more(deadline):
                raise AssertionError(f"the connection ended before {marker!r}; it held {self.buffer[-2000:]!r}")
        head, self.buffer = self.buffer.split(marker, 1)
        return head + marker

    def exactly(self, count, seconds=PATIENCE_S):
        deadline = time.monotonic() + seconds
        while len(self.buffer) < count:
            if not self._more(deadline):
                raise AssertionError(f"the connection ended {count - len(self.buffer)} bytes early: {self.buffer[-2000:]!r}")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self, seconds=PATIENCE_S):
        """Everything until the server closes."""
        deadline = time.monotonic() + seconds
        while self._more(deadline):
            pass
        data, self.buffer = self.buffer, b""
        return data

    def quiet(self, seconds=0.3):
        """Asserts that nothing more comes for a moment."""
        ready, _, _ = select.select([self.socket], [], [], seconds)
        if ready:
            self.socket.settimeout(1)
            self.buffer += self.socket.recv(65536)
        assert self.buffer == b"", f"unasked for: {self.buffer[:2000]!r}"

    def response(self, method="GET", seconds=PATIENCE_S):
        return read_response(self, method, seconds)

    def close(self):
        self.socket.close()

    def vanish(self):
        """Ends with a reset, as a peer that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


# ---- HTTP


class Response:
    def __init__(self, status, headers, body, raw_head):
        self.status, self.headers, self.body, self.raw_head = status, headers, body, raw_head

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1 or name.lower() == "vary", f"{name} stands there {len(values)} times"
        return ", ".join(values) if values else None

    def json(self):
        return json.loads(self.body)

    def assert_problem(self, status=None):
        """RFC 9457, and it tells what to do."""
        assert status is None or self.status == status, f"{self.status}: {self.body!r}"
        assert (self.header("content-type") or "").split(";")[0] == "application/problem+json", self.raw_head
        problem = self.json()
        assert problem["status"] == self.status
        assert problem["title"] and problem.get("detail")
        return problem

    def __repr__(self):
        return f"<{self.raw_head!r} {self.body[:300]!r}>"


def read_head(raw, seconds=PATIENCE_S):
    head = raw.until(b"\r\n\r\n", seconds).decode("latin-1")
    lines = head.split("\r\n")
    version, status, _ = (lines[0] + " ").split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0"), head
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
    return Response(int(status), headers, b"", head)


def read_response(raw, method="GET", seconds=PATIENCE_S):
    response = read_head(raw, seconds)
    if method == "HEAD" or response.status in (101, 204, 304) or response.status < 200:
        return response
    if (response.header("transfer-encoding") or "").lower() == "chunked":
        while chunk := read_chunk(raw, seconds):
            response.body += chunk
    elif response.header("content-length") is not None:
        response.body = raw.exactly(int(response.header("content-length")), seconds)
    else:
        response.body = raw.rest(seconds)
    return response


def read_chunk(raw, seconds=PATIENCE_S):
    size = int(raw.until(b"\r\n", seconds).split(b";")[0], 16)
    data = raw.exactly(size, seconds)
    assert raw.exactly(2, seconds) == b"\r\n"
    return data


def request_bytes(server, method, target, headers=(), body=None):
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *[f"{name}: {value}" for name, value in headers]]
    if body is not None:
        body = body if isinstance(body, bytes) else body.encode()
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def request(server, method, target, headers=(), body=None, seconds=PATIENCE_S):
    """One request on a connection of its own."""
    raw = Raw(server)
    try:
        raw.send_as_far_as_possible(request_bytes(server, method, target, headers, body))
        return raw.response(method, seconds)
    finally:
        raw.close()


def post(server, room, body, *headers, query=""):
    response = request(server, "POST", f"/r/{room}{query}", headers, body)
    assert response.status == 200, response
    return response.json()["at"]


def history(server, room, query=""):
    response = request(server, "GET", f"/r/{room}?history{query}")
    assert response.status == 200, response
    return response.json()


def said_in(server, room, count):
    """What was said in a room, once there are so many: a message without a receipt is there when it is committed, and nobody tells when."""
    deadline = time.monotonic() + PATIENCE_S
    while len(messages := history(server, room)["messages"]) < count:
        assert time.monotonic() < deadline, messages
        time.sleep(0.02)
    return [message["data"] for message in messages]


class EventStream:
    """An event stream, read by the letter of the WHATWG rules that matter here. `chunked` is taken off."""

    def __init__(self, server, target, *headers):
        self.raw = Raw(server)
        self.raw.send(request_bytes(server, "GET", target, [("Accept", "text/event-stream"), *headers]))
        self._begin()

    @classmethod
    def on(cls, raw):
        """Reads the answer to a request that was already sent."""
        stream = cls.__new__(cls)
        stream.raw = raw
        stream._begin()
        return stream

    def _begin(self):
        self.head = read_head(self.raw)
        assert self.head.status == 200, self.head
        assert self.head.header("content-type").split(";")[0] == "text/event-stream", self.head
        self.chunked = (self.head.header("transfer-encoding") or "") == "chunked"
        self.text, self.last_id, self.comments, self.ended = b"", None, 0, False

    def _pull(self, deadline):
        seconds = max(0.01, deadline - time.monotonic())
        if self.chunked:
            chunk = read_chunk(self.raw, seconds)
        else:
            chunk = self.raw.exactly(1, seconds) + self.raw.buffer
            self.raw.buffer = b""
        self.ended = chunk == b""
        self.text += chunk

    def block(self, seconds=PATIENCE_S):
        """The next block up to its blank line as (field, value) pairs."""
        deadline = time.monotonic() + seconds
        while b"\n\n" not in self.text:
            assert not self.ended, f"the stream ended with {self.text!r} unfinished"
            self._pull(deadline)
        block, self.text = self.text.split(b"\n\n", 1)
        fields = []
        for line in block.decode().split("\n"):
            if line.startswith(":"):
                self.comments += 1
                continue
            field, _, value = line.partition(":")
            fields.append((field, value.removeprefix(" ")))
        for field, value in fields:
            if field == "id":
                self.last_id = value
        return fields

    def event(self, seconds=PATIENCE_S):
        """The next event that a client would dispatch: (event, data, id)."""
        deadline = time.monotonic() + seconds
        while True:
            fields = self.block(max(0.01, deadline - time.monotonic()))
            data = [value for field, value in fields if field == "data"]
            if data:
                kind = [value for field, value in fields if field == "event"]
                return (kind[-1] if kind else "message", "\n".join(data), self.last_id)

    def close(self):
        self.raw.close()


# ---- lines: the native protocol, and people


class Native:
    """The native protocol over a stream: a JSON object a line."""

    def __init__(self, server, receive_buffer=None, at=None):
        self.raw = Raw(server, receive_buffer, at)

    def send(self, **unit):
        self.raw.send(json.dumps(unit) + "\n")
        return self

    def unit(self, seconds=PATIENCE_S):
        line = self.raw.until(b"\n", seconds)
        return json.loads(line)

    def ask(self, **unit):
        """Sends a verb with a `ref` and returns its answer; what comes in between must wait in line, so it is an error here."""
        self.send(**unit, ref=7)
        answer = self.unit()
        assert answer.get("ref") == 7, answer
        return answer

    def message(self, seconds=PATIENCE_S):
        """The next message; presence is passed over."""
        deadline = time.monotonic() + seconds
        while True:
            unit = self.unit(max(0.01, deadline - time.monotonic()))
            if "from" in unit and "event" in unit:
                return unit
            assert "presence" in unit, f"not a message: {unit}"

    def close(self):
        self.raw.close()


@contextlib.contextmanager
def a_witness(server, closing):
    """Somebody who stands in a room before an attack and still hears it afterwards."""
    one = closing.add(Native(server))
    one.ask(join="witness")
    yield
    server.assert_healthy()
    post(server, "witness", "still there?")
    assert one.message()["data"] == "still there?"


class Program:
    """A process that one types to and reads from by lines: nc, curl."""

    def __init__(self, *command):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def type(self, line):
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()
        return self

    def until(self, text, seconds=PATIENCE_S):
        """Reads until the text has come; returns everything up to it."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"{text!r} did not come; so far:\n{self.text}"
            ready, _, _ = select.select([self.process.stdout], [], [], remaining)
            if ready:
                data = self.process.stdout.read()
                assert data, f"the program ended before {text!r}; it said:\n{self.text}"
                self.text += data.decode(errors="replace")
        before, self.text = self.text.split(text, 1)
        return before + text

    def ended(self, seconds=PATIENCE_S):
        """Waits for its end; returns what it had still to say."""
        os.set_blocking(self.process.stdout.fileno(), True)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("the program did not end") from None
        return self.text + self.process.stdout.read().decode(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


def nc(server, *options):
    return Program("nc", *options, "127.0.0.1", server.port)


def curl(server, target, *options):
    """Runs curl to its end: (exit code, output)."""
    done = subprocess.run(["curl", "-sS", "--max-time", "15", *map(str, options), f"{server.http}{target}"], capture_output=True, check=False, timeout=20)
    return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


# ---- WebSocket frames by hand, for what no library would send


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake_bytes(server, target="/", *headers, version="13", key=KEY):
    return request_bytes(server, "GET", target, [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", version), ("Sec-WebSocket-Key", key), *headers])


def raw_websocket(server, target="/", *headers):
    raw = Raw(server)
    raw.send(handshake_bytes(server, target, *headers))
    head = read_head(raw)
    assert head.status == 101, head
    assert head.header("sec-websocket-accept") == ACCEPT
    return raw


def frame(opcode, payload=b"", fin=True, mask=b"\x11\x22\x33\x44", rsv=0, length=None):
    size = len(payload) if length is None else length
    out = bytes([(0x80 if fin else 0) | rsv | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        out += bytes([flag | size])
    elif size < 65536:
        out += bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        out += bytes([flag | 127]) + size.to_bytes(8, "big")
    if mask:
        out += mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    else:
        out += payload
    return out


def read_frame(raw, seconds=PATIENCE_S):
    """(opcode, payload) of a server's frame."""
    first, second = raw.exactly(2, seconds)
    assert second & 0x80 == 0, "a server must not mask"
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(raw.exactly(2, seconds), "big")
    elif size == 127:
        size = int.from_bytes(raw.exactly(8, seconds), "big")
    return first & 0x0F, raw.exactly(size, seconds)


def close_code(raw, seconds=PATIENCE_S):
    """The code of the close frame that comes next, past whatever else is under way."""
    while True:
        opcode, payload = read_frame(raw, seconds)
        if opcode == 8:
            return int.from_bytes(payload[:2], "big") if payload else None


def to_base64(data):
    return base64.b64encode(data).decode()
