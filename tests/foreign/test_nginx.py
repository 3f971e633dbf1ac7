"""nginx from Debian in front of `taut serve`: WebSockets, events and requests go through."""

import json
import socket

import httpx
import pytest
from websockets.sync.client import connect

from nginx import Nginx
from peers import post
from socketio_clients import TRANSPORTS, Agent, JsClient
from test_api import make_key


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


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8"])
def test_nginx_names_the_client_and_no_client_another(start, closing, tmp_path, room, proxies):
    key, digest = make_key()
    server = start(f'[auth]\nproxies = ["{proxies}"]\napi_keys = ["{digest}"]\n')
    nginx = closing.add(Nginx(tmp_path, proxy_to=server.port))
    near = socket.create_connection(("127.0.0.1", nginx.port), 10, source_address=("127.0.0.2", 0))
    with connect(f"ws://127.0.0.1:{nginx.port}/to-room/{room}", sock=near, proxy=None, additional_headers={"X-Forwarded-For": "6.6.6.6"}):
        conns = httpx.get(f"{server.http}/api/conns", params={"room": room}, headers={"Authorization": f"Bearer {key}"}, trust_env=False).json()["conns"]
        assert [conn["address"].split(":")[0] for conn in conns] == ["127.0.0.2" if proxies == "127.0.0.1" else "127.0.0.1"]


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
