"""Clients of a server that is counted: plain sockets, in lock-step, so that the server does the same in each run."""

import os
import socket
import struct

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PAYLOAD = (b"the quick brown fox jumps over the lazy dog " * 3)[:128]
PATIENCE_S = 60


class Conn:
    """One WebSocket."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        fields = f"Host: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"the server refused: {head.decode(errors='replace')}")

    def fill(self):
        came = self.socket.recv(1 << 16)
        if not came:
            raise ConnectionError("the server closed a connection")
        self.rest += came

    def take(self, count=1):
        """The payload of the last of the next `count` frames; waits until all are there."""
        at = 0
        for _ in range(count):
            begin, end = self.frame(at)
            while end > len(self.rest):
                self.fill()
                begin, end = self.frame(at)
            at = end
        payload, self.rest = self.rest[begin:at], self.rest[at:]
        return payload

    def frame(self, at):
        """Where the payload of the frame at `at` begins and ends, as far as its head is there."""
        head = self.rest[at : at + 4]
        if len(head) < 4:
            return at, at + 4
        short = head[1]
        if short == 127:
            raise ConnectionError("a frame is longer than any that is asked for")
        begin = at + (4 if short == 126 else 2)
        return begin, begin + (struct.unpack(">H", head[2:])[0] if short == 126 else short)

    def say(self, *payloads):
        """All of them in one write. The mask is zeros, which the server unmasks like any other."""
        self.socket.sendall(b"".join(framed(payload) for payload in payloads))

    def end(self):
        """The closing handshake, to its end."""
        self.socket.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        self.socket.close()


def framed(payload):
    length = len(payload)
    head = struct.pack(">BB", 0x81, 0x80 | length) if length < 126 else struct.pack(">BBH", 0x81, 0x80 | 126, length)
    return head + bytes(4) + payload


def websocket(port, room):
    return Conn(port, f"/r/{room}")


def socketio(port, room):
    conn = Conn(port, "/socket.io/?EIO=4&transport=websocket")
    conn.take()
    conn.say(f"40/{room},".encode())
    if not conn.take().startswith(b"40"):
        raise ConnectionError("the namespace was refused")
    return conn


def unit(door, room):
    """What a client sends to publish the payload."""
    return PAYLOAD if door is websocket else b'42/%s,["chat","%s"]' % (room.encode(), PAYLOAD)
