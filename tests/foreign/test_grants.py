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
from peers import Native, Raw, nc, post, read_head, request, request_bytes
from socketio_clients import TRANSPORTS, Agent, JsClient
from socketio_wire import Polling
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
        assert answer.status in (200, 202, 204, 403, 404, 412), answer
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
            assert answer.get("error") in (None, "forbidden", "no-key", "not-found", "unexpected"), answer
        return [answer.get("error") != "forbidden" for answer in answers]

    def sessions(self):
        """Of Socket.IO: the namespace, and the verbs in a namespace beside it."""
        session = Polling(self.server)
        session.say(f"40/{urllib.parse.quote(self.room)},{json.dumps({'token': self.good})}")
        entered = session.packet()
        assert entered.startswith("40") or '"forbidden"' in entered, entered
        verbs = Polling(self.server)
        verbs.enter("", json.dumps({"token": self.good}))
        may = [entered.startswith("40")]
        for verb in (["join", self.room, {}], ["publish", self.room, 1], ["history", self.room, {}], ["who", self.room]):
            verbs.say(f"421{json.dumps(verb)}")
            while not (answer := verbs.packet()).startswith("431"):
                pass
            assert answer.startswith('431[{"ok"') or '"forbidden"' in answer, answer
            may.append('"forbidden"' not in answer)
        return may


def request_head(server, target, *headers):
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
    for trial in range(int(os.environ.get("TAUT_TRIALS", 40))):
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
            said = subprocess.run([taut.BINARY, "check", "--config", tmp_path / "check.toml", "--token", good, "--", room], capture_output=True, text=True, timeout=60, check=True).stdout
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
            {"delete": room, "key": "z"}, {"fetch": room, "at": "0-0"}, {"join": room}, {"join": room, "presence": True},
        )
        did["lines"] = lines == [publish, history, who, state, state, publish and state, publish and state, history, join, join and who]
        # The verbs are those of the namespace `/`, which is the lobby to who has no other room.
        if decided(rules, "lobby", user)["join"]:
            did["socket.io"] = doors.sessions() == [join, join, publish, history, who]
        wrong = [name for name, right in did.items() if not right]
        assert not wrong, (wrong, told, expected, lines)


def api(server, method, path, room, bearer, body=None):
    answer = request(server, method, f"/api/{path}?room={urllib.parse.quote(room)}", [bearer], body)
    assert answer.status in (200, 401, 403, 404), answer
    return answer.status in (200, 404)


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


def test_a_room_that_is_taken_away_is_said_and_nothing_else_ends(start, closing, agent):
    """Of Socket.IO the one namespace, or the one room of `/`, while the rest of the session goes on; a poll that waits is answered."""
    key, digest = make_key()
    config = f'cores = 2\n[auth]\nsecret = "{SECRET}"\napi_keys = ["{digest}"]\n[roles.all]\n"**" = "*"\n[roles.some]\n"taken/**" = "join"\n'
    server = start(config)
    mine, boss = token("ana", taut={"roles": ["all", "some"]}), ("Authorization", f"Bearer {token('boss')}")
    post(server, "taken/a", "x", boss)
    poll = closing.add(Raw(server))
    poll.send(request_bytes(server, "GET", "/r/taken/a?rewind=0&wait=30", [("Authorization", f"Bearer {mine}")]))
    main = closing.add(JsClient(agent, server.http, "/", TRANSPORTS["websocket"], auth={"token": mine}))
    main.connected()
    for room in ("taken/a", "kept"):
        assert main.ask("join", room)["ok"] == "join"
        assert main.event()[0] == "taut:joined"
    gone = closing.add(JsClient(agent, server.http, "/taken/a", TRANSPORTS["websocket"], auth={"token": mine}))
    gone.connected()
    beside = closing.add(JsClient(agent, server.http, "/kept", beside=gone, auth={"token": mine}))
    beside.connected()

    (server.folder / f"taut-{server.port}.toml").write_text(config.replace('"join"', '"-join"'))
    assert request(server, "POST", "/api/reload", [("Authorization", f"Bearer {key}")]).status == 200
    assert poll.response().assert_problem(403)["code"] == "forbidden"
    name, args = main.event()
    assert name == "taut:left" and args[0] == {"room": "taken/a", "left": "forbidden", "text": "you may not be in this room any more"}, (name, args)
    name, args = gone.event()
    assert name == "taut:bye" and args[0]["bye"] == "refused", (name, args)
    gone.disconnected()
    post(server, "taken/a", "not for ana", boss)
    post(server, "kept", "still here", boss)
    assert main.event()[1][0] == beside.event()[1][0] == "still here"
    assert main.ask("publish", "taken/a", 1)["ok"] == "publish", "only the join was taken away"
    assert main.ask("join", "taken/a")["error"] == "forbidden"


def test_a_person_who_may_not_see_who_is_there_is_not_told_that_nobody_is(start, closing):
    server = start(f'[auth]\nsecret = "{SECRET}"\n')
    other = closing.add(Native(server))
    assert other.ask(auth=token("bo"))["ok"] == "auth"
    assert other.ask(join="den")["ok"] == "join"
    blind = closing.add(nc(server))
    blind.type(f"/auth {token('ana', grants={'den': 'join'})}").until("the token is good")
    blind.type("/join den").until("you are ana in den; /help")
    person = closing.add(nc(server))
    person.type(f"/auth {token('cleo')}").until("the token is good")
    person.type("/join den").until("you are cleo in den; 2 others are here; /help")
