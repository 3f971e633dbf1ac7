"""Peers of Socket.IO that do whatever comes to mind, in whatever order: nothing of it ends the server, or anybody else's conversation."""

import contextlib
import random
import threading

import pytest

from peers import Closing, Raw, frame, handshake_bytes, post, request, request_bytes
from socketio_clients import TRANSPORTS, Agent, JsClient
from socketio_wire import POLLING, SEPARATOR, WEBSOCKET, Polling, Wire

PIECES = ["0", "1", "2", "3", "4", "5", "6", "b", "2probe", "3probe", "40", "41", "42", "43", "44", "450-", "451-", "452-", "461-", "/den", "/r/den", "/", ",", "[", "]", "{", "}", '"', '"x"', "1", "-1", "null", '{"_placeholder":true,"num":0}',
          '["x"]', '["x",{"_placeholder":true,"num":0}]', '["join","den"]', '["publish","den","y"]', '["history","den"]', '["who","den"]', '["leave","den"]', '{"pid":"x","offset":"y"}', SEPARATOR, "AQID", "\\u0000", "ü", "\x00", "999999999999999999999"]
WHOLE = ["40", "40/den,", "41", "41/den,", '42["x"]', '42/den,["x",1]', '42/den,7["x",{"a":[]}]', '451-/den,["x",{"_placeholder":true,"num":0}]', "3", "2", '420["join","den"]', '421["history","den",{"limit":3}]', '422["who","den"]', "5", "6", "1"]


QUICK = """
[limits]
handshake_ms_max = 500
[socketio]
ping_ms = 300
pong_ms_max = 300
upgrade_ms_max = 400
connect_ms_max = 400
[[rooms]]
match = "**"
presence_grace_ms = 0
"""


def packet(chance):
    if chance.random() < 0.6:
        return chance.choice(WHOLE)
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 6)))


class Peer:
    """One session, and what has been done with it."""

    def __init__(self, server, chance, closing):
        self.server, self.chance, self.closing, self.raws = server, chance, closing, []
        self.polling, self.wire = None, None
        if chance.random() < 0.6:
            self.polling = Polling(server)
        else:
            self.wire = Wire(server)
            self.raws.append(self.wire.raw)

    def act(self):
        if self.wire:
            acts = [self.say, self.say, self.say, self.bytes, self.frame, self.end]
        else:
            acts = [self.post, self.post, self.post, self.poll, self.poll, self.half, self.probe, self.end, self.odd]
        with contextlib.suppress(OSError):
            self.chance.choice(acts)()

    def say(self):
        self.wire.raw.send(frame(1, packet(self.chance).encode()))

    def bytes(self):
        self.wire.raw.send(frame(2, self.chance.randbytes(self.chance.randrange(2000))))

    def frame(self):
        self.wire.raw.send(frame(self.chance.choice([0, 1, 2, 8, 9, 10]), packet(self.chance).encode()[:100], fin=self.chance.random() < 0.7))

    def raw(self):
        raw = Raw(self.server)
        self.raws.append(raw)
        return raw

    def poll(self):
        self.raw().send(request_bytes(self.server, "GET", self.polling.target))

    def post(self):
        body = SEPARATOR.join(packet(self.chance) for _ in range(self.chance.randrange(1, 4)))
        self.raw().send(request_bytes(self.server, "POST", self.polling.target, body=body))

    def half(self):
        self.raw().send(request_bytes(self.server, "POST", self.polling.target, body="40/den,x")[: -self.chance.randrange(1, 8)])

    def probe(self):
        raw = self.raw().send(handshake_bytes(self.server, f"{WEBSOCKET}&sid={self.polling.sid}"))
        for _ in range(self.chance.randrange(4)):
            raw.send(frame(1, self.chance.choice(["2probe", "5", "2probe", "5", packet(self.chance)]).encode()))

    def odd(self):
        method = self.chance.choice(["PUT", "DELETE", "OPTIONS", "HEAD", "GET", "POST"])
        target = self.chance.choice([POLLING, f"{self.polling.target}&sid=x", self.polling.target + "&t=abc", self.polling.target.replace("polling", "websocket"), "/socket.io/", "/socket.io/?EIO=4&transport=polling&sid="])
        self.raw().send(request_bytes(self.server, method, target, body="4x" if method in ("PUT", "POST") else None))

    def end(self):
        if self.raws:
            raw = self.raws.pop(self.chance.randrange(len(self.raws)))
            self.chance.choice([Raw.vanish, Raw.close])(raw)

    def close(self):
        for raw in self.raws:
            raw.close()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_to_mind(start, closing, seed):
    chance = random.Random(seed)
    server = start(QUICK, ["--cores", "3", "--memory"])
    one, other = closing.add(Wire(server)), closing.add(Wire(server))
    one.enter("/witness,")
    other.enter("/witness,")
    files = server.open_files()
    for round in range(8):
        with Closing() as these:
            peers = [these.add(Peer(server, chance, these)) for _ in range(8)]
            for _ in range(60):
                chance.choice(peers).act()
            one.send(f'42/witness,["round",{round}]')
            assert other.packet().startswith(f'42/witness,["round",{round},"')
            other.send('42/witness,["back"]')
            assert one.packet().startswith('42/witness,["back","')
    server.assert_healthy()
    # Everything that was begun is over some time.
    for _ in range(300):
        if server.open_files() <= files + 2:
            break
        request(server, "GET", "/r/den?who")
        other.send("3")
        one.send("3")
        with contextlib.suppress(AssertionError):
            one.packet(0.1)
    assert server.open_files() <= files + 2
    for _ in range(600):
        if request(server, "GET", "/r/den?who").json()["count"] == 0:
            break
        with contextlib.suppress(AssertionError):
            one.packet(0.1)
    assert request(server, "GET", "/r/den?who").json()["count"] == 0


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


def test_many_that_upgrade_while_much_is_said(server, room, agent, closing):
    """Each hears everything from its first message on, once and in order."""
    stop = threading.Event()
    said = []

    def speak():
        while not stop.is_set():
            post(server, room, str(len(said)))
            said.append(len(said))

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        clients = []
        for number in range(40):
            client = closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS["upgrade"]))
            client.connected()
            clients.append(client)
            if number % 2:
                client.emit("mine", number)
        for client in clients:
            while client.state()["transport"] != "websocket":
                pass
    finally:
        stop.set()
        speaker.join()
    post(server, room, "end")
    for client in clients:
        heard = []
        while heard[-1:] != ["end"]:
            name, args = client.event()
            if name == "message":
                heard.append(args[0])
        numbers = [int(one) for one in heard[:-1]]
        assert numbers == list(range(numbers[0], len(said))) if numbers else True


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_connections_that_come_and_go_leave_nothing_behind(start, room, agent, closing, transport):
    server = start(arguments=["--memory"])
    closing.add(JsClient(agent, server.http, f"/r/{room}", TRANSPORTS[transport])).connected()

    def many(count):
        for _ in range(count):
            client = JsClient(agent, server.http, f"/r/{room}", TRANSPORTS[transport])
            client.connected()
            client.ask("x", 1)
            client.close()

    many(20)
    before, files = server.resident_bytes(), server.open_files()
    many(150)
    for _ in range(200):
        if request(server, "GET", f"/r/{room}?who").json()["count"] == 1:
            break
    assert request(server, "GET", f"/r/{room}?who").json()["count"] == 1
    assert server.resident_bytes() - before < 4 << 20
    assert server.open_files() <= files + 4
