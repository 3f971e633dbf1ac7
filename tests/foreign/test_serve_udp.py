"""`taut serve --listen udp://`: native JSON, a datagram each, from Python, from Node and at nc."""

import base64
import json
import re
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest

from commands import Command
from peers import PATIENCE_S, Native, Program, history, post, said_in
from taut import Server

HERE = Path(__file__).parent
DATAGRAM_BYTES_MAX = 1_200


class Device:
    """A program that sends a datagram and looks at what comes; on one machine none gets lost."""

    spent = set()  # addresses; a server may still know who was there, and would not ask another one for a proof

    def __init__(self, server, source=None, at=None):
        at = at or ("127.0.0.1", udp_port(server))
        self.socket = self.bound(source or at[0])
        while self.socket.getsockname() in self.spent:
            self.socket = self.bound(source or at[0])
        self.spent.add(self.socket.getsockname())
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(at)

    def bound(self, host):
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((host, 0))
        return bound

    def send(self, **unit):
        self.socket.send(json.dumps(unit).encode())
        return self

    def datagram(self):
        data = self.socket.recv(65536)
        assert len(data) <= DATAGRAM_BYTES_MAX
        return data

    def unit(self):
        return json.loads(self.datagram())

    def ask(self, **unit):
        answer = self.send(**unit, ref=7).unit()
        assert answer.get("ref") == 7, answer
        return answer

    def join(self, room, **fields):
        challenge = self.send(join=room, ref=7, **fields).unit()
        assert "prove" in challenge, challenge
        answer = self.ask(join=room, proof=challenge["prove"], **fields)
        assert answer["ok"] == "join", answer
        return answer

    def message(self):
        unit = self.unit()
        while "presence" in unit:
            unit = self.unit()
        assert "event" in unit, unit
        return unit

    def quiet(self, seconds=0.3):
        ready, _, _ = select.select([self.socket], [], [], seconds)
        assert not ready, self.socket.recv(65536)

    def close(self):
        self.socket.close()


def udp_port(server):
    """Behind its TCP port a server of this file listens on a UDP port of the system's choice."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := re.search(r"listens on .*udp://127\.0\.0\.1:(\d+)", server.said())):
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.02)
    return int(found[1])


UDP = ["--listen", "udp://127.0.0.1:0"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("taut"), arguments=UDP)
    yield running
    try:
        running.assert_healthy()
    finally:
        code = running.stop()
    assert code == 0, running.said()[-3000:]


@pytest.fixture
def device(server, closing):
    return closing.add(Device(server))


# ---- what needs no proof


def test_a_publish_with_a_ref_is_acknowledged_and_heard_on_tcp(server, device, room, closing):
    member = closing.add(Native(server))
    member.ask(join=room)
    answer = device.ask(publish=room, data={"celsius": 21.50})
    assert answer["ok"] == "publish"
    message = member.message()
    assert (message["data"], message["at"]) == ({"celsius": 21.5}, answer["at"])


def test_a_publish_without_a_ref_is_fire_and_forget(server, device, room):
    device.send(publish=room, data="said")
    assert device.ask(ping=1) == {"ok": "ping", "ref": 7}
    device.quiet()
    assert said_in(server, room, 1) == ["said"]


def test_an_id_makes_it_safe_to_send_again(server, device, room):
    answers = [device.ask(publish=room, data=1, id="reading-1", **{"as": "sensor"}) for _ in range(3)]
    assert len({answer["at"] for answer in answers}) == 1 and answers[2]["duplicate"] is True
    assert len(history(server, room)["messages"]) == 1


def test_what_is_wrong_is_said_even_without_a_ref(device):
    device.send(publish="a//b", data="padded so that an answer has space")
    assert device.unit()["error"] == "bad-room"


def test_white_space_around_a_unit_is_nothing(server, device, room):
    device.socket.send(b"\r\n " + json.dumps({"publish": room, "data": 1, "ref": 1}).encode() + b"\r\n")
    assert device.unit()["ok"] == "publish"
    device.socket.send(b" \r\n")
    device.socket.send(b"")
    device.quiet()


def test_a_line_from_nc(server, room, closing):
    member = closing.add(Native(server))
    member.ask(join=room)
    person = closing.add(Program("nc", "-u", "127.0.0.1", udp_port(server)))
    person.type(json.dumps({"publish": room, "data": "from nc", "ref": 1})).until('"ok":"publish"')
    assert member.message()["data"] == "from nc"


def test_the_line_that_the_start_shows(server, closing):
    member = closing.add(Native(server))
    member.ask(join="lobby")
    shown = re.search(r"udp +(echo .*)", server.said())[1]
    subprocess.run(["sh", "-c", shown], stdout=subprocess.DEVNULL, timeout=20, check=False)
    assert member.message()["data"] == "hello"


def test_taut_connect(server, device, room, closing):
    """Each line a datagram: a person can do by hand what a device does."""
    command = closing.add(Command("connect", f"udp://127.0.0.1:{udp_port(server)}", "--wait", "forever"))
    command.type(json.dumps({"publish": room, "data": "by hand", "ref": 1}) + "\n").out.until('"ok":"publish"')
    command.out.until("}")
    command.type(json.dumps({"join": room, "ref": 2}) + "\n")
    challenge = json.loads(command.out.until("}"))["prove"]
    command.type(json.dumps({"join": room, "ref": 2, "proof": challenge}) + "\n").out.until('"ok":"join"')
    post(server, room, "to whoever is there")
    command.out.until("to whoever is there")


def test_ipv6(start, room, closing):
    server = start(arguments=["--listen", "udp://[::1]:0"])
    deadline = time.monotonic() + PATIENCE_S
    while not (found := re.search(r"udp://\[::1\]:(\d+)", server.said())):
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.02)
    device = closing.add(Device(server, at=("::1", int(found[1]))))
    device.join(room)
    post(server, room, "hello")
    assert device.message()["data"] == "hello"


# ---- proof


def test_a_device_proves_its_address_and_is_a_member(server, device, room, closing):
    member = closing.add(Native(server))
    member.ask(join=room)
    device.join(room, **{"as": "ana"})
    who = member.ask(who=room)
    assert [one["door"] for one in who["members"] if one["name"] == "ana"] == ["udp"]
    member.ask(publish=room, data="hello, device")
    assert device.message()["data"] == "hello, device"
    device.send(publish=room, data="hello, program")
    message = member.message()
    assert (message["data"], message["from"]) == ("hello, program", "ana")
    assert device.ask(leave=room)["ok"] == "leave"
    post(server, room, "you should not hear this")
    device.quiet()


def test_node_proves_and_joins_and_answers(server, room):
    with subprocess.Popen(["node", str(HERE / "udp.mjs"), str(udp_port(server)), room], stdout=subprocess.PIPE, text=True) as node:
        try:
            units = [json.loads(node.stdout.readline()) for _ in range(2)]
            assert "prove" in units[0] and units[1]["ok"] == "join"
            post(server, room, "from curl")
            rest = node.communicate(timeout=PATIENCE_S)[0].splitlines()
        finally:
            node.kill()
    assert json.loads(rest[-1])["ok"] == "publish"
    assert history(server, room)["messages"][-1]["data"] == {"heard": "from curl"}
    assert history(server, room)["messages"][-1]["from"] == "device"


def test_a_proof_is_worth_nothing_at_another_address(server, device, room, closing):
    challenge = device.send(join=room, ref=7).unit()["prove"]
    for thief in [closing.add(Device(server)), closing.add(Device(server, "127.0.0.2"))]:
        answer = thief.send(join=room, ref=7, proof=challenge).unit()
        assert "prove" in answer and answer["prove"] != challenge
    assert device.ask(join=room, proof=challenge)["ok"] == "join"


def test_a_repeated_join_with_proof_does_no_harm(device, room):
    """The answer got lost, so it asks again."""
    challenge = device.send(join=room, ref=7).unit()["prove"]
    assert [device.ask(join=room, proof=challenge)["ok"] for _ in range(3)] == ["join"] * 3
    assert device.ask(who=room)["count"] == 1


UNPROVEN = [
    b"{",
    b"x",
    b"[]",
    b"\xff\xfe",
    b"{}",
    b'{"x":1}',
    b'{"jion":"lobby"}',
    b'{"join":"a"}',
    b'{"join":"lobby"}',
    b'{"join":"lobby","rewind":1000,"presence":true}',
    b'{"join":"lobby","proof":""}',
    b'{"join":"lobby","proof":"AAAA"}',
    b'{"join":"lobby","proof":"AAAAAAAAAAA"}',
    b'{"join":"lobby","proof":1}',
    b'{"who":"lobby"}',
    b'{"history":"lobby","ref":"0123456789"}',
    b'{"fetch":"lobby","at":"x-1"}',
    b'{"leave":"lobby"}',
    b'{"nick":"a"}',
    b'{"ping":1}',
    b'{"ping":1,"ref":1}',
    b'{"publish":"lobby"}',
    b'{"publish":"a//b","data":1}',
    b'{"publish":"lobby","data":1,"ref":1}',
    b'{"publish":"lobby","data":1,"lane":"latest"}',
    b'{"publish":"lobby","data":1,"ref":"' + b"r" * 100 + b'"}',
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\xff\x00\x01",  # a DNS question
    b"x" * 3_000,
    b"[" * 3_000,
    b'{"join":"' + b"x" * 60_000 + b'"}',
]


@pytest.mark.parametrize("data", UNPROVEN, ids=lambda data: repr(data[:40]))
def test_nothing_longer_than_the_request_goes_to_an_address_without_proof(device, data):
    device.socket.send(data)
    # A pong comes behind whatever it had to say.
    ping = b'{"ping":true,"ref":"the last"}'
    device.socket.send(ping)
    heard = []
    while not heard or b"the last" not in heard[-1]:
        heard.append(device.datagram())
    assert sum(map(len, heard[:-1])) <= len(data) and len(heard[-1]) <= len(ping), heard


def test_a_challenge_stands_in_the_shortest_request(device):
    device.socket.send(b'{"join":"lobby"}')
    challenge = device.unit()["prove"]
    assert len(challenge) == 4
    device.socket.send(json.dumps({"join": "lobby", "proof": challenge}).encode())
    assert device.unit()["ok"] == "join"


def test_a_room_s_messages_do_not_go_to_strangers(server, device, room):
    device.send(join=room, ref=7).unit()
    post(server, room, "for members only")
    device.quiet()


# ---- staying


def test_traffic_renews_the_proof_and_silence_ends_it(start, closing, room):
    server = start('[limits]\nproof_ms_max = 2500\n[[rooms]]\nmatch = "**"\npresence_grace_ms = 0\n', arguments=UDP)
    watching = closing.add(Native(server))
    lively, silent = closing.add(Device(server)), closing.add(Device(server))
    for device in (lively, silent):
        device.join(room)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert lively.ask(ping=1)["ok"] == "ping"
        time.sleep(0.2)
    assert silent.unit()["bye"] == "silent"
    assert "prove" in silent.send(who=room, ref="a reference").unit()
    post(server, room, "who is still here?")
    assert lively.message()["data"] == "who is still here?"
    silent.quiet()
    silent.join(room)
    assert watching.ask(who=room)["count"] == 2


def test_members_are_told_when_the_server_stops(start, closing, room):
    server = start(arguments=UDP)
    device = closing.add(Device(server))
    device.join(room)
    server.terminate()
    unit = device.unit()
    assert unit["bye"] == "restart" and unit["retry_ms"] > 0
    assert server.stop() == 0


# ---- what does not fit


def test_a_long_message_is_announced_and_fetched(server, device, room):
    device.join(room)
    text = 'äöü "quoted" ' * 3_000
    at = post(server, room, text, query="?as=ana&event=document")
    announced = device.message()
    assert (announced["at"], announced["from"], announced["event"]) == (at, "ana", "document") and "data" not in announced
    whole = b""
    while len(whole) < announced["bytes"]:
        piece = device.ask(fetch=room, at=at, offset=len(whole))
        assert (piece["ok"], piece["offset"], piece["bytes"]) == ("fetch", len(whole), announced["bytes"]), piece
        whole += base64.b64decode(piece["base64"], validate=True)
    assert json.loads(whole)["data"] == text
    assert json.loads(whole)["at"] == at
    assert device.ask(fetch=room, at=at, offset=len(whole) + 1)["error"] == "not-found"


def test_what_just_fits_comes_whole(server, device, room):
    device.join(room)
    whole = announced = 0
    for length in range(1_000, 1_200, 7):
        post(server, room, "x" * length)
        message = device.message()
        if "data" in message:
            assert message["data"] == "x" * length and not announced
            whole += 1
        else:
            announced += 1
    assert whole and announced


def test_history_comes_page_by_page(server, device, room):
    for number in range(60):
        post(server, room, f"{number:0>60}")
    device.join(room)
    page = device.ask(history=room, rewind=50)
    seen = page["messages"]
    while page.get("more"):
        page = device.ask(history=room, since=page["at"])
        seen += page["messages"]
    assert [int(message["data"]) for message in seen] == list(range(10, 60))


def test_a_hundred_devices_hear_each_message_once_and_in_order(server, room, closing):
    devices = [closing.add(Device(server)) for _ in range(100)]
    for device in devices:
        device.join(room)
    speaker = closing.add(Device(server))
    for number in range(30):
        assert speaker.ask(publish=room, data=number)["ok"] == "publish"
    for device in devices:
        assert [device.message()["data"] for _ in range(30)] == list(range(30))
