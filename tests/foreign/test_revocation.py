"""What is revoked ends at every door in that door's own words, nothing else does, and it stays out after a restart."""

import json
import os
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as websocket

from peers import EventStream, Native, Raw, nc, post, request, request_bytes
from socketio_clients import PythonClient
from taut import Server, free_port
from test_api import Api, make_key
from test_auth import SECRET, token


@pytest.fixture
def api(tmp_path, closing):
    """The API of a server that can be started again on its folder."""
    one = Api.__new__(Api)
    one.key, digest = make_key()
    port = free_port()
    config = f'cores = 2\n[auth]\nsecret = "{SECRET}"\napi_keys = ["{digest}"]\n'

    def again():
        one.server = Server(tmp_path, config, ["--data", str(tmp_path / "data")], port=port)

    again()
    one.again = again
    yield one
    assert request(one.server, "GET", "/health/live").status == 200
    assert "panicked" not in one.server.said()
    assert one.server.stop() == 0


def bearer(good):
    return ("Authorization", f"Bearer {good}")


class Payload:
    def __init__(self, server, room, good):
        self.client = websocket(f"{server.ws}/r/{room}", additional_headers=[bearer(good)]).__enter__()

    def hears(self, said):
        return self.client.recv(10) == said

    def ended(self):
        with pytest.raises(ConnectionClosed) as closed:
            self.client.recv(10)
        return closed.value.rcvd.code == 4003

    def close(self):
        self.client.close()


class NativeSocket(Payload):
    def __init__(self, server, room, good):
        self.client = websocket(f"{server.ws}/r/{room}", subprotocols=["taut"], additional_headers=[bearer(good)]).__enter__()
        assert json.loads(self.client.recv(10))["ok"] == "join"

    def hears(self, said):
        return json.loads(self.client.recv(10))["data"] == said

    def ended(self):
        return json.loads(self.client.recv(10))["bye"] == "revoked" and super().ended()


class SocketIo:
    def __init__(self, server, room, good):
        self.client = PythonClient(server.http, f"/{room}", ["websocket"], auth={"token": good})
        self.client.connected()
        self.close = self.client.close

    def hears(self, said):
        return self.client.event()[1][0] == said

    def ended(self):
        name, args = self.client.event()
        self.client.disconnected()
        return name == "taut:bye" and args[0]["bye"] == "revoked"


class Events:
    def __init__(self, server, room, good):
        self.client = EventStream(server, f"/r/{room}", bearer(good))
        self.close = self.client.close

    def hears(self, said):
        return self.client.event()[1] == said

    def ended(self):
        name, data = self.client.event()[:2]
        return name == "taut:bye" and json.loads(data)["bye"] == "revoked"


class Lines:
    def __init__(self, server, room, good):
        self.client = Native(server)
        assert self.client.ask(auth=good)["ok"] == "auth"
        assert self.client.ask(join=room)["ok"] == "join"
        self.close = self.client.close

    def hears(self, said):
        return self.client.message()["data"] == said

    def ended(self):
        return self.client.unit()["bye"] == "revoked"


class Person:
    def __init__(self, server, room, good):
        self.client = nc(server)
        self.client.type(f"/auth {good}").until("the token is good")
        self.client.type(f"/join {room}").until(f"in {room};")
        self.close = self.client.close

    def hears(self, said):
        return self.client.until(said)

    def ended(self):
        return self.client.until("your token was revoked")


DOORS = [Payload, NativeSocket, SocketIo, Events, Lines, Person]


def come(api, room, good, closing):
    return [closing.add(door(api.server, room, good)) for door in DOORS]


def poll(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)


@pytest.mark.parametrize("by", ["user", "token", "issued_before"])
@pytest.mark.parametrize("how", ["api", "admin"])
def test_what_is_revoked_ends_at_every_door_and_stays_out(api, room, closing, by, how):
    now = int(time.time())
    bad = token("ana", jti="t-1", iat=now - 100)
    good = token("bo" if by == "user" else "ana", jti="t-2", iat=now - 10)
    victims, others = come(api, room, bad, closing), come(api, room, good, closing)
    value = {"user": "ana", "token": "t-1", "issued_before": str(now - 50)}[by]
    if how == "api":
        assert api.ask("POST", "revoke", **{by: value})["done"] == 1
    else:
        option = {"user": "--user", "token": "--token-id", "issued_before": "--issued-before"}[by]
        assert "done" in api.admin("revoke", option, value)
    for victim in victims:
        assert victim.ended(), type(victim).__name__
    poll(lambda: len(api.ask("GET", "conns", room=room)["conns"]) == len(others))
    post(api.server, room, "still here", bearer(good))
    for other in others:
        assert other.hears("still here"), type(other).__name__
    refused(api.server, room, bad)
    for other in others:
        other.close()
    assert api.server.stop() == 0
    api.again()
    refused(api.server, room, bad)
    accepted = request(api.server, "POST", f"/r/{room}", [bearer(good)], "after")
    assert accepted.status == 200, accepted


def refused(server, room, bad):
    """At each door, in its words."""
    assert request(server, "POST", f"/r/{room}", [bearer(bad)], "x").assert_problem(401)["code"] == "unauthorized"
    assert request(server, "GET", f"/r/{room}", [bearer(bad), ("Accept", "text/event-stream")]).status == 401
    for protocols in (None, ["taut"]):
        with pytest.raises(InvalidStatus) as error, websocket(f"{server.ws}/r/{room}", subprotocols=protocols, additional_headers=[bearer(bad)]):
            pass
        assert error.value.response.status_code == 401
    lines = Native(server)
    assert lines.ask(auth=bad)["error"] == "unauthorized"
    lines.close()
    client = PythonClient(server.http, f"/{room}", ["websocket"], auth={"token": bad})
    assert client.refused()["data"]["error"] == "unauthorized"
    client.close()


def test_thousands_at_once_cost_no_thread_each_and_outlive_a_kill(api, room):
    """All that wait are written together, and what was acknowledged is there after `kill -9`."""
    connections = [Raw(api.server) for _ in range(200)]
    tasks = f"/proc/{api.server.process.pid}/task"
    before, most = len(os.listdir(tasks)), 0
    for turn in range(10):
        for index, raw in enumerate(connections):
            raw.send(request_bytes(api.server, "POST", f"/api/revoke?user=u{turn}-{index}", [("Authorization", f"Bearer {api.key}")]))
        most = max(most, len(os.listdir(tasks)))
        for raw in connections:
            assert raw.response("POST").status == 200
    assert most <= before + 2, (before, most)
    for raw in connections:
        raw.close()
    old = int(time.time()) - 5
    api.server.kill()
    api.again()
    for turn, index in [(0, 0), (3, 77), (9, 0), (9, 198), (9, 199)]:
        answer = request(api.server, "POST", f"/r/{room}", [bearer(token(f"u{turn}-{index}", iat=old))], "x")
        assert answer.assert_problem(401)["code"] == "unauthorized"
    assert request(api.server, "POST", f"/r/{room}", [bearer(token("u10-0", iat=old))], "x").status == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"user": ""},
        {"user": " ana"},
        {"user": "ana\n"},
        {"user": "an\u200ba"},
        {"user": "a" * 129},
        {"token": ""},
        {"token": "t" * 257},
        {"issued_before": str(int(time.time()) * 1000)},
        {"issued_before": str(2**64 - 1)},
        {"issued_before": str(int(time.time()) + 7200)},
    ],
    ids=str,
)
def test_what_takes_nothing_back_or_everybody_for_good_is_refused(api, room, asked):
    """"done" about a user that no token names is a lie; a moment in milliseconds would lock out all tokens to come, and nothing undoes it."""
    response = api.raw("POST", "revoke", **asked)
    assert response.assert_problem(400)["code"] == "bad-query", response
    assert request(api.server, "POST", f"/r/{room}", [bearer(token("ana"))], "x").status == 200


def test_a_moment_that_is_just_now_takes_back_all_that_was_issued(api, room):
    good = token("ana", iat=int(time.time()) - 2)
    assert api.ask("POST", "revoke", issued_before=str(int(time.time()) + 1))["done"] == 1
    refused(api.server, room, good)
