"""The server API: keys, every request of it, lists over all cores, the OpenAPI document, and `taut admin`."""

import json
import os
import subprocess
import threading
import time
import urllib.parse

import pytest
import websockets.sync.client

from peers import Native, Raw, request, request_bytes
from taut import BINARY, Server, free_port


def make_key():
    said = subprocess.run([BINARY, "token", "key"], capture_output=True, text=True, timeout=20, check=True).stdout
    words = said.split()
    return next(word for word in words if word.startswith("taut_")), next(word for word in words if word.startswith("sha256:"))


class Api:
    """A server with a key, and requests that show it."""

    def __init__(self, folder, cores, config=""):
        self.key, digest = make_key()
        self.server = Server(folder, f'cores = {cores}\n[auth]\napi_keys = ["{digest}"]\n{config}')

    def raw(self, method, path, headers=(), body=None, **query):
        query = urllib.parse.urlencode({name.rstrip("_"): value for name, value in query.items()})
        return request(self.server, method, f"/api/{path}" + (f"?{query}" if query else ""), [("Authorization", f"Bearer {self.key}"), *headers], body)

    def ask(self, method, path, headers=(), body=None, **query):
        response = self.raw(method, path, headers, body, **query)
        assert response.status == 200, response
        return response.json()

    def admin(self, *words, code=0):
        environment = {"TAUT_API_KEY": self.key, "PATH": os.environ["PATH"]}
        done = subprocess.run([BINARY, "admin", *words, "--url", self.server.http], capture_output=True, text=True, timeout=30, env=environment)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module", params=[1, 2])
def api(request, tmp_path_factory):
    running = Api(tmp_path_factory.mktemp("api"), request.param)
    yield running
    running.server.assert_healthy()
    assert running.server.stop() == 0


def test_without_a_key_in_the_configuration_it_is_off_and_says_what_to_set(server):
    for method, path in [("GET", "/api/rooms"), ("POST", "/api/publish?room=a")]:
        problem = request(server, method, path, [("Authorization", "Bearer x")]).assert_problem(403)
        assert "auth.api_keys" in problem["detail"]


def test_another_key_or_none_is_refused_and_nothing_of_it_is_in_the_log(api, room):
    for headers in ([], [("Authorization", "Bearer taut_wrong-secret")], [("Authorization", f"Basic {api.key}")]):
        response = request(api.server, "GET", f"/api/who?room={room}", headers)
        response.assert_problem(401)
        assert response.header("www-authenticate").startswith("Bearer")
    assert "wrong-secret" not in api.server.said()


def test_publish_batch_history_and_state(api, room, closing):
    listener = closing.add(Native(api.server))
    listener.ask(join=room)
    at = api.ask("POST", "publish", [("Content-Type", "application/json")], '{"x":1}', room=room, event="move")["at"]
    heard = listener.message()
    assert (heard["data"], heard["event"], heard["from"], heard["at"]) == ({"x": 1}, "move", "server", at)
    batch = json.dumps([{"data": 1}, {"data": 2}])
    api.ask("POST", "batch", [("Content-Type", "application/json")], batch, room=room)
    page = api.ask("GET", "history", room=room, since=at)
    assert [message["data"] for message in page["messages"]] == [1, 2]
    api.ask("PUT", "state", [("Content-Type", "text/plain")], "1.08", room=room, key="eur")
    assert api.ask("GET", "state", room=room, key="eur")["data"] == "1.08"
    assert "eur" in json.dumps(api.ask("GET", "state", room=room))
    api.ask("DELETE", "state", room=room, key="eur")
    api.raw("GET", "state", room=room, key="eur").assert_problem(404)


def test_many_requests_on_one_connection_and_the_key_holds_for_its_own_only(tmp_path, room):
    api = Api(tmp_path, 2, 'anonymous = ["nobody"]\n[roles.nobody]\n"open/**" = "join"\n')
    raw = Raw(api.server)
    key = [("Authorization", f"Bearer {api.key}")]
    raw.send(request_bytes(api.server, "POST", f"/api/publish?room={room}", key, "one"))
    assert raw.response("POST").status == 200
    raw.send(request_bytes(api.server, "POST", f"/r/{room}", (), "forbidden"))
    raw.response("POST").assert_problem(401)
    raw.send(request_bytes(api.server, "GET", f"/api/history?room={room}", key))
    assert [message["data"] for message in raw.response("GET").json()["messages"]] == ["one"]
    rights = api.ask("GET", "grant", room="open/1")["rights"]
    assert rights["join"]["allowed"] and "role nobody" in rights["join"]["because"]
    assert not rights["publish"]["allowed"]
    raw.close()
    assert api.server.stop() == 0


def test_rooms_are_listed_page_by_page_each_once(api, room, closing):
    names = [f"{room}/{number}" for number in range(25)]
    for name in names:
        api.ask("POST", "publish", (), "x", room=name)
    listener = closing.add(Native(api.server))
    listener.ask(join=names[3])
    found, cursor = [], None
    while True:
        page = api.ask("GET", "rooms", match=f"{room}/*", limit=7, **({"cursor": cursor} if cursor else {}))
        assert len(page["rooms"]) <= 7
        found += page["rooms"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert sorted(entry["room"] for entry in found) == sorted(names)
    counted = {entry["room"]: (entry["conns"], entry["users"]) for entry in found}
    assert counted[names[3]] == (1, 1) and counted[names[4]] == (0, 0)


def test_conns_are_listed_by_room_door_and_address(api, room, closing):
    listeners = [closing.add(Native(api.server)) for _ in range(6)]
    for listener in listeners:
        listener.ask(join=room)
    with websockets.sync.client.connect(f"{api.server.ws}/r/{room}"):
        conns = api.ask("GET", "conns", room=room)["conns"]
        assert sorted(conn["door"] for conn in conns) == ["lines"] * 6 + ["websocket"]
        assert all(conn["address"].startswith("127.0.0.1:") and conn["rooms"] == [room] for conn in conns)
        assert len(api.ask("GET", "conns", room=room, door="lines", address="127.0.0.1")["conns"]) == 6
        assert api.ask("GET", "conns", room=room, address="127.0.0.9")["conns"] == []
        one = conns[0]["conn"]
        assert [conn["conn"] for conn in api.ask("GET", "conns", conn=one)["conns"]] == [one]
    assert api.ask("GET", "who", room=room)["count"] == 6


def test_a_conn_is_brought_into_a_room_out_of_it_and_ended(api, room, closing):
    listener = closing.add(Native(api.server))
    listener.ask(join=room)
    conn = api.ask("GET", "conns", room=room)["conns"][0]["conn"]
    assert api.ask("POST", "join", conn=conn, room=f"{room}/more") == {"done": 1, "refused": 0}
    assert listener.unit()["room"] == f"{room}/more"
    api.ask("POST", "publish", (), "here", room=f"{room}/more")
    assert listener.message()["data"] == "here"
    assert api.ask("POST", "leave", conn=conn, room=f"{room}/more")["done"] == 1
    listener.unit()
    api.raw("POST", "leave", conn=conn, room=f"{room}/more").assert_problem(404)
    assert api.ask("GET", "grant", room=room, conn=conn)["rights"]["join"]["allowed"]
    assert api.ask("POST", "disconnect", conn=conn)["done"] == 1
    assert listener.unit()["bye"] == "refused"
    api.raw("POST", "disconnect", conn=conn).assert_problem(404)
    api.raw("POST", "disconnect", conn="c63-0-1").assert_problem(404)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "rooms?limit=x", 400),
        ("GET", "rooms?limit=1001", 400),
        ("GET", "rooms?limit=0", 400),
        ("GET", "rooms?limit=%2B5", 400),
        ("GET", "who?room=a&counts=no", 400),
        ("GET", "history?room=a&reverse=yes", 400),
        ("GET", "conns?user=", 400),
        ("GET", "rooms?match=a/", 400),
        ("GET", "rooms?cursor=nonsense", 400),
        ("GET", "rooms?color=red", 400),
        ("GET", "rooms?limit=1&limit=2", 400),
        ("GET", "history", 400),
        ("GET", "history?room=a//b", 400),
        ("POST", "disconnect", 400),
        ("POST", "disconnect?conn=c0-1-1&user=ana", 400),
        ("POST", "disconnect?conn=x", 400),
        ("POST", "disconnect?user=", 400),
        ("POST", "disconnect?room=", 400),
        ("POST", "disconnect?conn=c0-1-1&room=a", 400),
        ("POST", "revoke?user=", 400),
        ("POST", "revoke?token=", 400),
        ("POST", "revoke?issued_before=-1", 400),
        ("GET", "conns?address=localhost", 400),
        ("POST", "revoke", 400),
        ("POST", "revoke?user=ana&token=t", 400),
        ("POST", "rooms", 405),
        ("PATCH", "state?room=a&key=b", 405),
        ("GET", "nothing", 404),
        ("GET", "", 404),
        ("PUT", "state?room=a", 400),
    ],
)
def test_what_is_wrong_is_said(api, method, target, status):
    response = request(api.server, method, f"/api/{target}", [("Authorization", f"Bearer {api.key}")], "x" if method == "PUT" else None)
    response.assert_problem(status)


def test_the_document_is_valid_and_has_what_there_is(api):
    import openapi_spec_validator

    response = request(api.server, "GET", "/api/openapi.json")
    assert response.status == 200, response
    document = response.json()
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = request(api.server, method.upper(), path)
            assert answer.status == (200 if operation.get("security") == [] else 400 if any(p["required"] for p in operation["parameters"]) else answer.status), (path, answer)


def test_every_answer_is_as_the_document_says(api, room, closing):
    """A client that is generated from the document reads every answer, errors among them."""
    import jsonschema

    document = request(api.server, "GET", "/api/openapi.json").json()
    listener = closing.add(Native(api.server))
    listener.ask(join=room)
    typed = [("Content-Type", "application/json")]
    cases = [
        ("POST", "publish", (), "x", {"room": room}, 200),
        ("POST", "publish", (), "x", {"room": room, "lane": "latest", "key": "k"}, 202),
        ("POST", "publish", (), "x", {"room": "a//b"}, 400),
        ("POST", "batch", typed, '[{"data":1},{"args":[1,"a"],"event":"e"},{"base64":"AA==","key":"k","ttl_ms":60000}]', {"room": room}, 200),
        ("POST", "batch", typed, '[{"colour":2}]', {"room": room}, 400),
        ("PUT", "state", typed, "[1]", {"room": room, "key": "set"}, 200),
        ("PUT", "state", (), "x", {"room": room, "key": "set", "expect": ""}, 412),
        ("DELETE", "state", (), None, {"room": room, "key": "set"}, 200),
        ("GET", "state", (), None, {"room": room}, 200),
        ("GET", "state", (), None, {"room": room, "key": "k"}, 200),
        ("GET", "state", (), None, {"room": room, "key": "nothing"}, 404),
        ("GET", "history", (), None, {"room": room, "limit": 1, "since": "gone-1"}, 200),
        ("GET", "history", (), None, {"room": room, "limit": 2, "reverse": "true"}, 200),
        ("GET", "rooms", (), None, {}, 200),
        ("GET", "conns", (), None, {"room": room}, 200),
        ("GET", "who", (), None, {"room": room}, 200),
        ("GET", "who", (), None, {"room": room, "counts": "true"}, 200),
        ("GET", "policy", (), None, {"room": room}, 200),
        ("GET", "grant", (), None, {"room": room}, 200),
        ("POST", "join", (), None, {"room": room, "user": "nobody"}, 200),
        ("POST", "disconnect", (), None, {"user": "nobody"}, 200),
        ("POST", "revoke", (), None, {"token": "none-such"}, 200),
        ("POST", "reload", (), None, {}, 200),
    ]
    for method, path, headers, body, query, status in cases:
        answer = api.raw(method, path, headers, body, **query)
        assert answer.status == status, (method, path, query, answer.body)
        operation = document["paths"][f"/api/{path}"][method.lower()]
        known = {parameter["name"] for parameter in operation["parameters"]}
        assert set(query) <= known, (path, query)
        said = operation["responses"].get(str(status)) or operation["responses"]["default"]
        if "$ref" in said:
            said = document["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
        kind = answer.header("content-type")
        schema = {**said["content"][kind]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())
        if body and path == "batch" and status == 200:
            schema = {**operation["requestBody"]["content"]["application/json"]["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(json.loads(body))


def test_all_of_a_room_and_of_an_address_are_ended_but_not_who_asks(api, room, closing):
    inside, outside = [closing.add(Native(api.server)) for _ in range(3)], closing.add(Native(api.server))
    for listener in inside:
        listener.ask(join=room)
    outside.ask(join=f"{room}/other")
    assert api.ask("POST", "disconnect", room=room, address="192.0.2.1") == {"done": 0, "refused": 0}
    assert api.ask("POST", "disconnect", room=room) == {"done": 3, "refused": 0}
    for listener in inside:
        assert listener.unit()["bye"] == "refused"
    assert outside.ask(publish=f"{room}/other", data=1)["ok"] == "publish"
    assert api.ask("POST", "disconnect", address="127.0.0.1")["done"] >= 1
    while "bye" not in outside.unit():
        pass


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_of_socket_io_hears_that_the_server_ended_it_and_stays_away(api, room, closing, transport):
    import socketio

    client, ended, byes, comings = socketio.Client(reconnection_delay=0.1), threading.Event(), [], []
    closing.callback(client.disconnect)
    client.on("connect", lambda: comings.append(1), namespace=f"/r/{room}")
    client.on("disconnect", lambda reason: (byes.append(reason), ended.set()), namespace=f"/r/{room}")
    client.on("taut:bye", lambda bye: byes.append(bye["bye"]), namespace=f"/r/{room}")
    client.connect(api.server.http, transports=[transport], namespaces=[f"/r/{room}"])
    conn = api.ask("GET", "conns", room=room)["conns"][0]
    assert api.ask("POST", "disconnect", room=room, address="127.0.0.1")["done"] == 1, conn
    assert ended.wait(10)
    assert byes == ["refused", client.reason.SERVER_DISCONNECT], byes
    time.sleep(0.5)
    assert len(comings) == 1 and api.ask("GET", "conns", room=room)["conns"] == []


def test_taut_admin(api, room, closing):
    listener = closing.add(Native(api.server))
    listener.ask(join=room)
    api.admin("publish", room, "hello there")
    assert listener.message()["data"] == "hello there"
    assert "hello there" in api.admin("history", room)
    assert room in api.admin("rooms", room)
    api.admin("set", room, "eur", "1.08")
    assert "1.08" in api.admin("state", room, "--json")
    conn = json.loads(api.admin("conns", "--room", room, "--json"))["conns"][0]["conn"]
    assert conn in api.admin("conns", "--room", room)
    assert "history.messages_max" in api.admin("policy", room)
    assert "yes" in api.admin("grant", room, "--conn", conn)
    assert "done" in api.admin("join", f"{room}/b", "--conn", conn)
    assert "done" in api.admin("leave", f"{room}/b", "--conn", conn)
    assert "done" in api.admin("disconnect", "--conn", conn)
    api.admin("disconnect", "--conn", conn, code=4)
    assert "done     0" in api.admin("disconnect", "--room", room, "--address", "192.0.2.1")
    api.admin("disconnect", code=2)


def test_a_token_that_grants_admin_acts_in_its_rooms_only_and_revoked_ones_end(tmp_path, closing):
    secret = "a secret of the tests, long enough!"
    api = Api(tmp_path, 2, f'secret = "{secret}"\n')

    def mint(*words):
        environment = {"TAUT_AUTH_SECRET": secret, "PATH": os.environ["PATH"]}
        return subprocess.run([BINARY, "token", "mint", *words], capture_output=True, text=True, timeout=20, check=True, env=environment, cwd=tmp_path).stdout.strip()

    token = mint("--user", "ana", "--grant", "team/**=join publish admin")
    headers = [("Authorization", f"Bearer {token}")]
    assert request(api.server, "POST", "/api/publish?room=team/1", headers, "from ana").status == 200
    message = api.ask("GET", "history", room="team/1")["messages"][0]
    assert message["by"]["user"] == "ana"
    request(api.server, "POST", "/api/publish?room=other", headers, "x").assert_problem(403)
    request(api.server, "GET", "/api/rooms", headers).assert_problem(403)
    request(api.server, "GET", "/api/conns?room=team/1", headers).assert_problem(403)
    plain = mint("--user", "bo", "--grant", "team/**=join publish")
    request(api.server, "POST", "/api/publish?room=team/1", [("Authorization", f"Bearer {plain}")], "x").assert_problem(403)
    rights = api.ask("GET", "grant", [("Taut-Token", token)], room="team/1")
    assert rights["user"] == "ana" and rights["rights"]["admin"]["allowed"]
    native = closing.add(Native(api.server))
    native.ask(auth=token)
    native.ask(join="team/1")
    assert api.ask("GET", "conns", user="ana")["conns"][0]["rooms"] == ["team/1"]
    assert api.ask("POST", "disconnect", user="nobody") == {"done": 0, "refused": 0}
    assert api.ask("POST", "revoke", user="ana")["done"] == 1
    assert native.unit()["bye"] == "revoked"
    request(api.server, "POST", "/api/publish?room=team/1", headers, "x").assert_problem(401)
    assert api.server.stop() == 0


def listed(api, **query):
    """All rooms of a list, page by page."""
    found, cursor = [], None
    while True:
        page = api.ask("GET", "rooms", **query, **({"cursor": cursor} if cursor else {}))
        assert len(page["rooms"]) <= query.get("limit", 100)
        found += page["rooms"]
        cursor = page["cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("cores", [1, 2])
def test_rooms_that_only_the_disk_has_are_listed_behind_those_in_memory_by_their_names(tmp_path, cores):
    port = free_port()

    def again():
        one = Api.__new__(Api)
        one.key, digest = make_key()
        config = f'cores = {cores}\n[auth]\napi_keys = ["{digest}"]\n'
        one.server = Server(tmp_path, config, ["--data", str(tmp_path / "data")], port=port)
        return one

    api = again()
    names = [f"a/{number:02}" for number in range(25)] + ["a/b/c", "b"]
    for count, name in enumerate(names):
        for _ in range(count % 3 + 1):
            api.ask("POST", "publish", (), "x", room=name)
    heads = {name: api.ask("GET", "history", room=name)["at"] for name in names}
    assert api.server.stop() == 0
    api = again()
    rooms = listed(api, limit=7)
    assert [room["room"] for room in rooms] == sorted(names)
    assert {room["room"]: room["at"] for room in rooms} == heads
    assert all(room["durable"] and not room["in_memory"] and room["conns"] == 0 for room in rooms)
    assert [room["messages"] for room in rooms if room["room"] in ("a/00", "a/01", "a/02")] == [1, 2, 3]
    # Two of them are used, and one is new.
    for name in ("a/03", "b", "c"):
        api.ask("POST", "publish", (), "x", room=name)
    for limit in (1, 2, 7, 1000):
        rooms = listed(api, limit=limit)
        assert sorted(room["room"] for room in rooms) == sorted([*names, "c"])
        assert sorted(room["room"] for room in rooms if room["in_memory"]) == ["a/03", "b", "c"]
    assert [room["room"] for room in listed(api, match="a/*/c", limit=3)] == ["a/b/c"]
    assert listed(api, match="none/**") == []
    said = api.admin("rooms", "a/*", "--all", "--limit", "4")
    assert all(name in said for name in names[:25]) and "a/b/c" not in said
    api.raw("GET", "rooms", cursor="store:a//b").assert_problem(400)
    assert api.server.stop() == 0


def test_taut_admin_over_a_unix_socket_and_nothing_where_there_is_nothing(tmp_path):
    key, digest = make_key()
    path = tmp_path / "taut.sock"
    server = Server(tmp_path, f'[auth]\napi_keys = ["{digest}"]\n', ["--listen", f"unix:{path}"])

    def admin(*words):
        environment = {"TAUT_API_KEY": key, "PATH": os.environ["PATH"]}
        return subprocess.run([BINARY, "admin", *words, "--url", f"unix:{path}"], capture_output=True, text=True, timeout=30, env=environment, check=True).stdout

    assert admin("who", "lobby") == "" and admin("state", "lobby") == ""
    assert admin("publish", "lobby", "hello").startswith("at")
    assert "hello" in admin("history", "lobby")
    assert server.stop() == 0
