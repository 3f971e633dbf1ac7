"""nginx from Debian in front of `taut serve`: WebSockets, events and requests go through."""

import json

import httpx
import pytest
from websockets.sync.client import connect

from nginx import Nginx
from peers import post
from socketio_clients import TRANSPORTS, Agent, JsClient


@pytest.fixture
def nginx(server, closing, tmp_path):
    return closing.add(Nginx(tmp_path, proxy_to=server.port))


def test_a_websocket_through_nginx_is_in_the_room(server, nginx, room):
    with connect(f"ws://127.0.0.1:{nginx.port}/to-room/{room}", proxy=None, open_timeout=10) as client:
        post(server, room, "from curl")
        assert client.recv(10) == "from curl"
        client.send("from behind nginx")
        client.ping().wait(10)
    assert [message["data"] for message in httpx.get(f"{nginx.http}/to-room/{room}", trust_env=False).json()["messages"]] == ["from curl", "from behind nginx"]


def test_the_native_protocol_through_nginx(nginx, room):
    with connect(f"ws://127.0.0.1:{nginx.port}/to-room/{room}", subprotocols=["taut"], proxy=None, open_timeout=10) as client:
        assert client.subprotocol == "taut"
        client.send(json.dumps({"publish": room, "data": {"x": 1}, "ref": 1}))
        while "ok" not in (said := json.loads(client.recv(10))) or said.get("ref") != 1:
            pass
        assert said["ok"] == "publish"


def test_an_event_stream_through_nginx_comes_at_once(server, nginx, room):
    with httpx.stream("GET", f"{nginx.http}/to-room/{room}", headers={"Accept": "text/event-stream"}, trust_env=False, timeout=10) as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("id"))
        post(server, room, "live")
        assert next(line for line in lines if line.startswith("data")) == "data: live"


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_socket_io_through_nginx(server, nginx, room, agent, closing, transport):
    options = {"path": "/proxy/socket.io/"}
    one = closing.add(JsClient(agent, nginx.http, f"/r/{room}", TRANSPORTS[transport], **options))
    other = closing.add(JsClient(agent, nginx.http, f"/r/{room}", TRANSPORTS[transport], **options))
    before = one.connected()
    other.connected()
    at = one.ask("file", "from behind nginx", {"blob": bytes(100_000)})["at"]
    assert other.event() == ("file", ["from behind nginx", {"blob": bytes(100_000)}, at])
    post(server, room, "from curl")
    assert one.event()[1][0] == other.event()[1][0] == "from curl"
    one.drop()
    one.disconnected()
    now = one.connected()
    assert (now["recovered"], now["id"]) == (True, before["id"])
