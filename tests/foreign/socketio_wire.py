"""Engine.IO and Socket.IO by hand: one request a connection, one frame at a time, for what no library would send."""

import json

from peers import PATIENCE_S, Raw, frame, raw_websocket, read_frame, request, request_bytes

PATH = "/socket.io/?EIO=4"
POLLING = f"{PATH}&transport=polling"
WEBSOCKET = f"{PATH}&transport=websocket"
SEPARATOR = "\x1e"


def assert_refused(response, code, message, status=400):
    assert response.status == status, response
    assert response.header("content-type").split(";")[0] == "application/json", response
    assert response.json() == {"code": code, "message": message}


class Polling:
    """A session by long-polling. Every request comes by a connection of its own, as through a proxy that keeps none."""

    def __init__(self, server, *headers):
        self.server, self.headers = server, headers
        opened = request(server, "GET", POLLING, headers)
        assert opened.status == 200, opened
        text = opened.body.decode()
        assert text.startswith("0"), text
        self.opened, self.handshake = opened, json.loads(text[1:].split(SEPARATOR)[0])
        self.sid, self.packets = self.handshake["sid"], []

    @property
    def target(self):
        return f"{POLLING}&sid={self.sid}"

    def poll(self, seconds=PATIENCE_S):
        return request(self.server, "GET", self.target, self.headers, seconds=seconds)

    def begin_poll(self, closing):
        """A poll that waits; its answer is read later."""
        return closing.add(Raw(self.server)).send(request_bytes(self.server, "GET", self.target, self.headers))

    def post(self, body):
        return request(self.server, "POST", self.target, [("Content-Type", "text/plain;charset=UTF-8"), *self.headers], body)

    def say(self, *packets):
        answer = self.post(SEPARATOR.join(packets))
        assert (answer.status, answer.body) == (200, b"ok"), answer

    def packet(self):
        """The next packet, polled for where none waits. Pings are answered, as a client does."""
        while True:
            while not self.packets:
                answer = self.poll(40)
                assert answer.status == 200, answer
                self.packets = answer.body.decode().split(SEPARATOR)
            packet = self.packets.pop(0)
            if packet != "2":
                return packet
            self.say("3")

    def enter(self, namespace="", auth=""):
        """CONNECT to a namespace (`/den,`); returns what the answer holds."""
        self.say(f"40{namespace}{auth}")
        packet = self.packet()
        assert packet.startswith(f"40{namespace}"), packet
        return json.loads(packet[2 + len(namespace) :])

    def is_gone(self):
        """Whether the session has ended; its last packets and a close may still be fetched."""
        for _ in range(3):
            answer = self.poll()
            if answer.status != 200:
                return answer.status == 400 and answer.json()["code"] == 1
        return False


class Wire:
    """A session by WebSocket, frame by frame."""

    def __init__(self, server, sid=None, *headers):
        self.raw = raw_websocket(server, WEBSOCKET + (f"&sid={sid}" if sid else ""), *headers)
        self.handshake = None
        if sid is None:
            opened = self.packet()
            assert opened.startswith("0"), opened
            self.handshake = json.loads(opened[1:])

    def send(self, *packets):
        for packet in packets:
            self.raw.send(frame(2, packet) if isinstance(packet, bytes) else frame(1, packet.encode()))
        return self

    def packet(self, seconds=PATIENCE_S):
        """The next packet, text or bytes; Engine.IO's pings are answered."""
        while True:
            opcode, payload = read_frame(self.raw, seconds)
            assert opcode in (1, 2), f"opcode {opcode}: {payload!r}"
            if (opcode, payload) != (1, b"2"):
                return payload.decode() if opcode == 1 else payload
            self.send("3")

    def enter(self, namespace="", auth=""):
        self.send(f"40{namespace}{auth}")
        packet = self.packet()
        assert packet.startswith(f"40{namespace}"), packet
        return json.loads(packet[2 + len(namespace) :])

    def ended(self, seconds=PATIENCE_S):
        """Reads on until the server has closed: the close frame's code, None where there was none; and the packets ahead of it."""
        packets = []
        try:
            while True:
                opcode, payload = read_frame(self.raw, seconds)
                if opcode == 8:
                    return (int.from_bytes(payload[:2], "big") if payload else None), packets
                if opcode in (1, 2):
                    packets.append(payload)
        except AssertionError as problem:
            assert "ended" in str(problem), problem
            return None, packets

    def close(self):
        self.raw.close()
