"""Who is verified to have said something: at every door that shows anything beside the message itself."""

import json

import httpx
import pytest
from websockets.sync.client import connect as websocket

from peers import EventStream, Native, history, nc, request
from socketio_clients import TRANSPORTS, Agent, JsClient
from test_auth import SECRET, token

CONFIG = f'[auth]\nsecret = "{SECRET}"\nanonymous = ["all"]\n[roles.all]\n"**" = "*"\n'


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


def test_every_door_that_shows_who_said_it_shows_the_stamp(start, room, closing, agent):
    server = start(CONFIG)
    ana = ("Authorization", f"Bearer {token('ana')}")
    lines = closing.add(Native(server))
    lines.ask(join=room)
    native = websocket(f"{server.ws}/r/{room}", subprotocols=["taut"]).__enter__()
    native.recv(10)
    events = closing.add(EventStream(server, f"/events?room={room}"))
    client = closing.add(JsClient(agent, server.http, "/", TRANSPORTS["websocket"]))
    client.connected()
    client.ask("join", room)
    assert client.event()[0] == "taut:joined"
    person = closing.add(nc(server))
    person.type(f"/join {room}").until(f"in {room};")
    # What shows nothing but the message.
    payload = websocket(f"{server.ws}/r/{room}").__enter__()
    stream = closing.add(EventStream(server, f"/r/{room}"))
    inside = closing.add(JsClient(agent, server.http, f"/{room}", TRANSPORTS["websocket"]))
    inside.connected()

    said = request(server, "POST", f"/r/{room}?as=Someone&key=k", [ana], "hello")
    assert said.status == 200, said
    shown = {
        "lines": lines.message()["by"],
        "native": json.loads(native.recv(10))["by"],
        "events": json.loads(events.event()[1])["by"],
        "socket.io": client.event()[1][1]["by"],
        "history": history(server, room)["messages"][0]["by"],
        "state": request(server, "GET", f"/r/{room}?state").json()["state"][0]["by"],
        "ndjson": ndjson(server, room)["by"],
    }
    for door, by in shown.items():
        assert (by["user"], by["door"]) == ("ana", "http") and by["conn"].startswith("c"), (door, by)
    person.until("Someone:ana: hello")
    assert payload.recv(10) == stream.event()[1] == inside.event()[1][0] == "hello"
    for one in (native, payload):
        one.close()


def ndjson(server, room):
    with httpx.stream("GET", f"{server.http}/r/{room}?rewind=1", headers={"Accept": "application/x-ndjson"}, trust_env=False, timeout=10) as lines:
        units = (json.loads(line) for line in lines.iter_lines() if line)
        return next(unit for unit in units if "from" in unit)


def test_a_user_by_an_odd_name_seems_to_be_nobody_else_on_a_terminal(start, room, closing):
    """Who may choose its user's name must not speak as another by it: what ends a speaker there is a colon and a space."""
    server = start(CONFIG)
    person = closing.add(nc(server))
    person.type(f"/join {room}").until(f"in {room};")
    for user in ("root: I quit", "root| more", "root joined (websocket)"):
        said = request(server, "POST", f"/r/{room}?as=eve", [("Authorization", f"Bearer {token(user)}")], "hello")
        assert said.status == 200, said
        person.until(f'eve:"{user}": hello')
