"""One resolver: random grants are asked about at many doors, by the API and by `taut check`, and all answer as the rules on paper do."""

import json
import os
import random
import subprocess
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import taut
from peers import Native, nc, request
from socketio_clients import PythonClient
from test_api import make_key
from test_auth import SECRET, token

RIGHTS = ["join", "publish", "history", "who", "state"]
USERS = ["ana", "*", "**", "a/b", "$user", "..", "%2e", "ä", "x" * 128, "bo bo", "lobby", "#+>", "🦀", "-"]
SEGMENTS = ["a", "b", "docs", "users", "ana", "bo bo", "$user", "%2e", "ä", "lobby", "🦀", "-", "A", "a.b", "..."]
ROLES = {"reader": {"**": "join history who", "docs/**": "state"}, "muted": {"**": "-publish"}, "own": {"users/$user/**": "*", "*/$user": "join publish"}}


def covers(pattern, room, user):
    if not pattern:
        return not room
    first, *rest = pattern
    if first == "**":
        return any(covers(rest, room[at:], user) for at in range(len(room) + 1))
    return bool(room) and (first == "*" or room[0] == (user if first == "$user" else first)) and covers(rest, room[1:], user)


def decided(rules, room, user):
    """What is allowed, as PROTOCOL.md has it: what one rule forbids nothing allows."""
    allowed, denied = set(), set()
    for pattern, rights in rules:
        if covers(pattern.split("/"), room.split("/"), user):
            for right in rights.split():
                forbids, right = right.startswith("-"), right.removeprefix("-")
                every = [*RIGHTS, "admin"] if forbids else RIGHTS
                (denied if forbids else allowed).update(every if right == "*" else [right])
    return {right: right in allowed - denied for right in [*RIGHTS, "admin"]}


def some(rng):
    """Grants and roles by chance."""
    grants = {}
    for _ in range(rng.randrange(1, 6)):
        pattern = "/".join(rng.choice([*SEGMENTS, "*", "**", "$user"]) for _ in range(rng.randrange(1, 4)))
        rights = rng.sample([*RIGHTS, "admin", "*"], rng.randrange(1, 5))
        grants[pattern] = " ".join(("-" if rng.random() < 0.2 else "") + right for right in rights)
    if rng.random() < 0.5:
        grants["**"] = rng.choice(["*", "join", "* admin", "publish state"])
    roles = rng.sample(sorted(ROLES), rng.randrange(0, 3))
    return grants, roles, [*grants.items(), *(rule for role in roles for rule in ROLES[role].items())]


def some_room(rng, user):
    # Names that begin with `$` are the server's own.
    segments = [name for name in [*SEGMENTS, user] if not set(name) & set("+#*>/$") and name != ".."]
    return "/".join(rng.choice(segments) for _ in range(rng.randrange(1, 4)))


class Doors:
    """Does each thing at several doors, and says whether it was let through."""

    def __init__(self, server, room, good, closing):
        self.server, self.room, self.good, self.closing = server, room, good, closing
        self.path = "/r/" + urllib.parse.quote(room)
        self.bearer = ("Authorization", f"Bearer {good}")

    def http(self, method, query="", body=None, *headers):
        answer = request(self.server, method, self.path + query, [self.bearer, *headers], body)
        assert answer.status in (200, 204, 403, 404, 412), answer
        return answer.status != 403

    def streams(self, accept, target=None):
        answer = request_head(self.server, target or self.path, self.bearer, ("Accept", accept))
        assert answer in (200, 403), answer
        return answer == 200

    def socket(self, protocol):
        try:
            with connect(f"ws://127.0.0.1:{self.server.port}{self.path}", subprotocols=protocol, additional_headers=[self.bearer]) as client:
                if protocol:
                    return "ok" in json.loads(client.recv(10))
                # Whoever is in says nothing: a ping's answer stands for it.
                return client.ping().wait(10) and not client.close_code
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1008
            return False

    def natively(self, *units):
        peer = Native(self.server)
        try:
            assert peer.ask(auth=self.good)["ok"] == "auth"
            answers = [peer.ask(**unit) for unit in units]
        finally:
            peer.close()
        for answer in answers:
            assert answer.get("error") in (None, "forbidden", "no-key", "not-found", "not-joined"), answer
        return [answer.get("error") != "forbidden" for answer in answers]

    def namespace(self, verbs):
        client = PythonClient(self.server.http, f"/{self.room}", ["websocket"], auth={"token": self.good})
        try:
            client.connected()
        except Exception:
            assert client.refused()["data"]["error"] == "forbidden"
            client.close()
            return False
        client.close()
        return True


def request_head(server, target, *headers):
    from peers import Raw, read_head, request_bytes

    raw = Raw(server)
    raw.send(request_bytes(server, "GET", target, headers))
    try:
        return read_head(raw).status
    finally:
        raw.close()


def test_all_doors_and_the_tools_answer_as_the_rules_do(start, tmp_path, closing):
    rng = random.Random(os.environ.get("TAUT_SEED", "grants"))
    key, digest = make_key()
    roles = "".join(f"[roles.{name}]\n" + "".join(f'"{p}" = "{r}"\n' for p, r in rules.items()) for name, rules in ROLES.items())
    config = f'cores = 2\n[auth]\nsecret = "{SECRET}"\nleeway_ms = 0\napi_keys = ["{digest}"]\n[limits]\nhandshake_ms_max = 20000\n{roles}'
    server = start(config)
    (tmp_path / "check.toml").write_text(config)
    for trial in range(int(os.environ.get("TRIALS", 40))):
        user = rng.choice(USERS)
        grants, roles, rules = some(rng)
        room = some_room(rng, user)
        good = token(user, taut={"grants": grants, "roles": roles})
        told = f"{user} in {room} by {rules}"
        expected = decided(rules, room, user)
        answer = request(server, "GET", f"/api/grant?room={urllib.parse.quote(room)}", [("Authorization", f"Bearer {key}"), ("Taut-Token", good)])
        assert answer.status == 200, (told, answer)
        assert {right: one["allowed"] for right, one in answer.json()["rights"].items()} == expected, told
        if trial % 8 == 0:
            said = subprocess.run([taut.BINARY, "check", "--config", tmp_path / "check.toml", "--token", good, room], capture_output=True, text=True, timeout=60, check=True).stdout
            lines = dict(line.split(None, 1) for line in said.splitlines() if line.startswith("  "))
            assert {right: line.startswith("yes") for right, line in lines.items()} == expected, (told, said)
        doors = Doors(server, room, good, closing)
        join, publish, history, who, state, admin = (expected[right] for right in [*RIGHTS, "admin"])
        did = {
            "post": doors.http("POST", "", "x") == publish,
            "batch": doors.http("POST", "?batch", '[{"data":1}]', ("Content-Type", "application/json")) == publish,
            "latest": doors.http("POST", "?lane=latest", "x") == publish,
            "put": doors.http("PUT", "?key=k", "x") == (publish and state),
            "delete": doors.http("DELETE", "?key=other") == (publish and state),
            "read a key": doors.http("GET", "?key=k") == state,
            "state": doors.http("GET", "?state") == state,
            "history": doors.http("GET", "?history") == history,
            "who": doors.http("GET", "?who") == who,
            "sse": doors.streams("text/event-stream") == join,
            "ndjson": doors.streams("application/x-ndjson") == join,
            "events": doors.streams("text/event-stream", f"/events?room={urllib.parse.quote(room)}") == join,
            "payload": doors.socket(None) == join,
            "websocket": doors.socket(["taut"]) == join,
            "api publish": api(server, "POST", "publish", room, doors.bearer, "x") == (admin),
            "api history": api(server, "GET", "history", room, doors.bearer) == admin,
            "api who": api(server, "GET", "who", room, doors.bearer) == admin,
        }
        lines = doors.natively(
            {"publish": room, "data": 1}, {"history": room}, {"who": room}, {"state": room}, {"get": room, "key": "k"}, {"set": room, "key": "k", "data": 1},
            {"delete": room, "key": "z"}, {"fetch": room, "at": "0-0"}, {"join": room, "presence": True}, {"join": room},
        )
        did["lines"] = lines == [publish, history, who, state, state, publish and state, publish and state, history, join and who, join]
        if trial % 4 == 0:
            did["socket.io"] = doors.namespace([]) == join
        wrong = [name for name, right in did.items() if not right]
        assert not wrong, (wrong, told, expected, lines)


def api(server, method, path, room, bearer, body=None):
    answer = request(server, method, f"/api/{path}?room={urllib.parse.quote(room)}", [bearer], body)
    assert answer.status in (200, 401, 403, 404), answer
    return answer.status in (200, 404)
