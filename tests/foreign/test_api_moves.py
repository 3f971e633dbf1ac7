"""Conns that a program beside the server brings into rooms and takes out of them, each by its own client."""

import pytest
from websockets.sync.client import connect as websocket

from peers import EventStream, Native, nc, post, request
from socketio_clients import TRANSPORTS, Agent, JsClient, PythonClient
from taut import Server
from test_api import Api
from test_serve_udp import Device


@pytest.fixture(scope="module", params=[1, 2])
def api(request, tmp_path_factory):
    running = Api(tmp_path_factory.mktemp("moves"), request.param)
    yield running
    running.server.assert_healthy()
    assert running.server.stop() == 0


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()
    assert running.page_errors == []


@pytest.fixture(params=["node-websocket", "node-polling", "python-websocket"])
def come(request, api, agent, closing):
    """Opens clients of Socket.IO; each is in its namespace when it is handed out."""
    kind, transport = request.param.split("-")

    def opened(namespace="/", **options):
        if kind == "python":
            client = PythonClient(api.server.http, namespace, TRANSPORTS[transport], **options)
        else:
            client = JsClient(agent, api.server.http, namespace, TRANSPORTS[transport], **options)
        closing.add(client)
        client.connected()
        return client

    opened.kind = kind
    return opened


def conn_of(api, room, door="socketio"):
    conns = api.ask("GET", "conns", room=room, door=door)["conns"]
    assert len(conns) == 1, conns
    return conns[0]["conn"]


def moved(client, what, room):
    name, args = client.event()
    assert (name, args[0]) == (what, {"room": room}), (name, args)
    return args[1]


def come_alone(api, come, room):
    """A client in `/` and its Conn, which is known by a room that it joins for that."""
    client = come()
    client.ask("join", f"{room}/mark")
    moved(client, "taut:joined", f"{room}/mark")
    return client, conn_of(api, f"{room}/mark")


def test_a_client_in_the_namespace_of_no_room_is_brought_into_one_and_taken_out(api, come, room):
    client, conn = come_alone(api, come, room)
    assert api.ask("POST", "join", conn=conn, room=room) == {"done": 1, "refused": 0}
    assert room in moved(client, "taut:joined", room)
    at = post(api.server, room, "hello")
    name, args = client.event()
    assert (name, args[0], args[1]["room"], args[1]["at"]) == ("message", "hello", room, at) and at in args[2]
    assert api.ask("GET", "who", room=room)["count"] == 1
    # Once more is nothing new.
    assert api.ask("POST", "join", conn=conn, room=room)["done"] == 1
    assert client.ask("publish", room, "own")["ok"] == "publish"
    assert api.ask("POST", "leave", conn=conn, room=room) == {"done": 1, "refused": 0}
    assert f":{room}+" not in moved(client, "taut:left", room) + "+"
    api.raw("POST", "leave", conn=conn, room=room).assert_problem(404)
    post(api.server, room, "behind its back")
    post(api.server, f"{room}/mark", "seen")
    assert client.event()[1][0] == "seen"
    assert api.ask("GET", "who", room=room)["count"] == 0


def test_a_client_in_the_namespace_of_a_room_hears_the_other_one_there(api, come, room):
    client = come(f"/{room}")
    conn = conn_of(api, room)
    assert api.ask("POST", "join", conn=conn, room=f"{room}/b")["done"] == 1
    moved(client, "taut:joined", f"{room}/b")
    post(api.server, f"{room}/b", "from b")
    name, args = client.event()
    assert (name, args[0], args[1]["room"]) == ("message", "from b", f"{room}/b")
    at = post(api.server, room, "from its own")
    name, args = client.event()
    assert (name, args[0], len(args)) == ("message", "from its own", 2) and at in args[1]
    assert api.ask("POST", "leave", conn=conn, room=f"{room}/b")["done"] == 1
    moved(client, "taut:left", f"{room}/b")
    at = post(api.server, room, "again")
    assert client.event() == ("message", ["again", at])
    # Its own room is the namespace.
    assert api.ask("POST", "leave", conn=conn, room=room)["done"] == 1
    client.disconnected()
    assert api.ask("GET", "who", room=room)["count"] == 0


def test_a_namespace_is_named_and_one_that_is_not_there_is_a_reason(api, agent, closing, room):
    main = closing.add(JsClient(agent, api.server.http, "/", TRANSPORTS["websocket"]))
    main.connected()
    beside = closing.add(JsClient(agent, api.server.http, f"/{room}", TRANSPORTS["websocket"], beside=main))
    beside.connected()
    conn = conn_of(api, room)
    assert api.ask("POST", "join", conn=conn, room=f"{room}/b", namespace="/nowhere") == {"done": 0, "refused": 1, "reasons": {"namespace": 1}}
    api.ask("POST", "join", conn=conn, room=f"{room}/b", namespace=f"/{room}")
    moved(beside, "taut:joined", f"{room}/b")
    api.ask("POST", "join", conn=conn, room=f"{room}/b")
    moved(main, "taut:joined", f"{room}/b")
    assert api.ask("GET", "who", room=f"{room}/b")["count"] == 1
    post(api.server, f"{room}/b", "both")
    assert main.event()[1][0] == beside.event()[1][0] == "both"
    api.ask("POST", "leave", conn=conn, room=f"{room}/b", namespace="/")
    moved(main, "taut:left", f"{room}/b")
    post(api.server, f"{room}/b", "one")
    assert beside.event()[1][0] == "one"
    post(api.server, "lobby", "in the lobby")
    assert main.event()[1][0] == "in the lobby"


@pytest.mark.parametrize("namespace", ["/", "/room"])
def test_who_comes_back_is_in_the_rooms_that_it_was_brought_into(api, agent, closing, room, namespace):
    namespace = namespace.replace("room", room)
    client = closing.add(JsClient(agent, api.server.http, namespace, TRANSPORTS["websocket"]))
    before = client.connected()
    if namespace == "/":
        client.ask("join", f"{room}/mark")
        moved(client, "taut:joined", f"{room}/mark")
    conn = conn_of(api, f"{room}/mark" if namespace == "/" else room)
    api.ask("POST", "join", conn=conn, room=f"{room}/b")
    moved(client, "taut:joined", f"{room}/b")
    client.drop()
    client.disconnected()
    post(api.server, f"{room}/b", "meanwhile")
    now = client.connected()
    assert (now["recovered"], now["id"]) == (True, before["id"])
    assert client.event()[1][0] == "meanwhile"
    post(api.server, f"{room}/b", "and now")
    assert client.event()[1][0] == "and now"
    if namespace != "/":
        post(api.server, room, "its own")
        assert client.event()[1][0] == "its own"


def test_a_person_at_nc_is_moved(api, closing, room):
    person = closing.add(nc(api.server))
    person.type(f"/join {room}")
    person.until(f"in {room};")
    conn = conn_of(api, room, "text")
    assert api.ask("POST", "join", conn=conn, room=f"{room}/b")["done"] == 1
    person.until(f"in {room}/b;")
    assert api.ask("GET", "who", room=room)["count"] == 0
    post(api.server, f"{room}/b", "welcome")
    person.until("welcome")
    assert api.ask("POST", "leave", conn=conn, room=f"{room}/b")["done"] == 1
    person.until(f"you were taken out of {room}/b")
    person.type("hello?").until("you are in no room")


def test_doors_whose_rooms_are_their_url_s_are_refused_with_a_reason(api, closing, room):
    stream = closing.add(EventStream(api.server, f"/r/{room}"))
    with websocket(f"{api.server.ws}/r/{room}"), websocket(f"{api.server.ws}/r/{room}/n", subprotocols=["taut"]) as native:
        native.recv(10)
        for door in ("websocket", "sse"):
            conn = conn_of(api, room, door)
            assert api.ask("POST", "join", conn=conn, room=f"{room}/b") == {"done": 0, "refused": 1, "reasons": {"door": 1}}
        assert api.ask("POST", "join", conn=conn_of(api, f"{room}/n", "websocket"), room=f"{room}/b")["done"] == 1
        assert f"{room}/b" in native.recv(10)
    stream.close()


def test_who_watches_sees_them_come_and_go(api, come, room, closing):
    watcher = closing.add(Native(api.server))
    assert watcher.ask(join=room, presence=True)["ok"] == "join"
    client, conn = come_alone(api, come, room)
    api.ask("POST", "join", conn=conn, room=room)
    assert watcher.unit()["presence"]["joined"][0]["door"] == "socketio"
    api.ask("POST", "leave", conn=conn, room=room)
    assert watcher.unit()["presence"]["left"][0]["door"] == "socketio"
    assert request(api.server, "GET", "/health/live").status == 200


def test_the_grant_decides(tmp_path, agent, closing):
    api = Api(tmp_path, 2, 'anonymous = ["few"]\n[roles.few]\n"lobby" = "join publish"\n"open/**" = "join publish"\n')
    client = closing.add(JsClient(agent, api.server.http, "/", TRANSPORTS["websocket"]))
    client.connected()
    conn = conn_of(api, "lobby")
    assert api.ask("POST", "join", conn=conn, room="closed/1") == {"done": 0, "refused": 1, "reasons": {"forbidden": 1}}
    assert api.ask("POST", "join", conn=conn, room="open/1") == {"done": 1, "refused": 0}
    moved(client, "taut:joined", "open/1")
    assert "open/1" in api.admin("conns", "--room", "open/1")
    assert "refused" in api.admin("join", "closed/1", "--conn", conn)
    assert "done" in api.admin("leave", "open/1", "--conn", conn, "--namespace", "/")
    moved(client, "taut:left", "open/1")
    assert api.server.stop() == 0


def test_native_connections_over_udp_and_a_unix_socket_are_moved_like_all(tmp_path, room, closing):
    path = str(tmp_path / "t.sock")
    api = Api(tmp_path, 2)
    assert api.server.stop() == 0
    api.server = Server(tmp_path, api.server.folder.joinpath(f"taut-{api.server.port}.toml").read_text(), ["--listen", "udp://127.0.0.1:0", "--listen", f"unix:{path}"], port=api.server.port)
    device = closing.add(Device(api.server))
    device.join(f"{room}/udp")
    near = closing.add(Native(api.server, at=path))
    near.ask(join=f"{room}/unix")
    for peer, mark in ((device, "udp"), (near, "unix")):
        conn = api.ask("GET", "conns", room=f"{room}/{mark}")["conns"][0]["conn"]
        assert api.ask("POST", "join", conn=conn, room=room) == {"done": 1, "refused": 0}
        assert (joined := peer.unit())["ok"] == "join" and joined["room"] == room
        post(api.server, room, "hello")
        assert peer.message()["data"] == "hello"
        assert api.ask("POST", "leave", conn=conn, room=room)["done"] == 1
        assert peer.unit()["ok"] == "leave"
    device.close()
    near.close()
    assert api.server.stop() == 0
