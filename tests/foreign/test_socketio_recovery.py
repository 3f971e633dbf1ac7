"""Connection state recovery with an unmodified socket.io-client: what people ask of it, and what Socket.IO's own servers do not do.

Reports that these tests mirror: socketio/socket.io 4733, 4880, 4888, 4968, 5282, 5413, 5419, 5538, 5539; socketio/socket.io-redis-streams-adapter 26, 27, 39, 48.
"""

import random
import socket
import threading
import time

import pytest

from peers import history, post, request
from socketio_clients import TRANSPORTS, Agent, JsClient
from taut import free_port

DURABLE = '[[rooms]]\nmatch = "**"\ndurability = "crash"\n'


class Relay:
    """Stands between a client and the server: it can be cut, closed and opened again, and it can forget a client without telling the server."""

    def __init__(self, server):
        self.server, self.pairs, self.forgotten, self.listener = server, [], [], None
        self.turn = threading.Lock()
        self.port = free_port()
        self.open()

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:  # the server is down
                end(client)
                continue
            with self.turn:
                if listener is not self.listener:  # closed meanwhile
                    end(client)
                    end(upstream)
                    return
                self.pairs.append((client, upstream))
            for source, target in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        # What is forgotten stays open towards the server.
        if not any(target is upstream for _, upstream in self.forgotten):
            end(target)

    def cut(self):
        """Every connection ends on both sides."""
        with self.turn:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for one in pair:
                end(one)

    def forget(self):
        """Every connection ends for the client; the server hears nothing of it."""
        with self.turn:
            pairs, self.pairs = self.pairs, []
        self.forgotten += pairs
        for client, _ in pairs:
            end(client)

    def close(self):
        with self.turn:
            listener, self.listener = self.listener, None
        if listener:
            end(listener)
        self.cut()
        for _, upstream in self.forgotten:
            end(upstream)


def end(one):
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()


@pytest.fixture(scope="module")
def agent():
    running = Agent("node", "latest")
    yield running
    running.close()


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return TRANSPORTS[request.param]


@pytest.fixture
def come(agent, closing, transport):
    """Opens a client, by a relay or straight; it is in its namespace when it is handed out."""

    def opened(place, namespace, transports=transport, **options):
        client = closing.add(JsClient(agent, place.http, namespace, transports, **options))
        client.connected()
        client.upgrades = len(transports) > 1
        settled(client)
        return client

    return opened


@pytest.fixture
def between(closing):
    """Makes relays to a server."""
    return lambda server: closing.add(Relay(server))


def hear(client, wanted="message"):
    """The next event of that name: its first argument and its position."""
    while True:
        name, args = client.event()
        if name == wanted:
            return args[0], args[-1]


def settled(client):
    """Waits until it has upgraded: in the middle of that it notices a loss only when its heartbeat fails."""
    while client.upgrades and client.state()["transport"] != "websocket":
        time.sleep(0.02)


def away(relay, client):
    """The client loses its connection, and cannot come back until the relay opens again."""
    settled(client)
    relay.close()
    client.disconnected()


def without_warning(lose, client):
    """Connections are lost until the client notices: between two polls it has none."""
    settled(client)
    while not client.inbox.waiting("disconnect"):
        lose()
        time.sleep(0.05)
    client.disconnected()


def back(relay, client):
    relay.open()
    return client.connected(20)


def assert_recovered(before, now):
    assert now["recovered"] is True, (before, now)
    assert (now["id"], now["pid"]) == (before["id"], before["pid"])


def assert_new(before, now):
    assert now["recovered"] is False, (before, now)
    assert now["id"] != before["id"] and now["pid"] != before["pid"]


# ---- one room


def test_a_client_that_was_away_misses_nothing(server, room, come, between):
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    post(server, room, "one")
    assert hear(client)[0] == "one"
    away(relay, client)
    for number in range(3):
        post(server, room, f"missed {number}")
    assert_recovered(before, back(relay, client))
    post(server, room, "live")
    assert [hear(client)[0] for _ in range(4)] == ["missed 0", "missed 1", "missed 2", "live"]
    assert client.heard() == []


def test_nothing_received_before_is_no_obstacle(server, room, come, between):
    """4733, 4888, 5538: such a client has no offset."""
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    assert before["offset"] is None
    away(relay, client)
    post(server, room, "the first of all")
    assert_recovered(before, back(relay, client))
    assert hear(client)[0] == "the first of all"
    assert client.heard() == []


def test_what_the_client_itself_said_does_not_come_back(server, room, come, between):
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    for number in range(3):
        client.ask("mine", number)
    away(relay, client)
    post(server, room, "theirs")
    assert_recovered(before, back(relay, client))
    client.ask("mine", "again")
    post(server, room, "the end")
    assert [client.event()[1][0] for _ in range(2)] == ["theirs", "the end"]


def test_what_has_no_position_is_no_obstacle(server, room, come, between):
    """The lane `latest`: nothing is numbered, so nothing is recovered, and the place in the room stays what it was."""
    relay = between(server)
    client, other = come(relay, f"/r/{room}"), come(server, "/")
    before = client.state()
    post(server, room, "numbered")
    hear(client)
    for number in range(3):
        answer = other.ask("publish", room, {"x": number}, {"event": "cursor", "lane": "latest", "key": "ana"})
        assert answer["ok"] == "publish" and "at" not in answer
        assert client.event() == ("cursor", [{"x": number}, None])
    away(relay, client)
    other.ask("publish", room, {"x": 9}, {"event": "cursor", "lane": "latest", "key": "ana"})
    post(server, room, "missed")
    assert_recovered(before, back(relay, client))
    assert hear(client)[0] == "missed"


def test_a_long_quiet_time_is_no_obstacle(start, room, come, between):
    """5282, redis-streams-adapter 48: the last message that it saw is long gone from the history, but nothing was missed."""
    server = start('[[rooms]]\nmatch = "**"\nhistory.age_ms_max = 300\n')
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    post(server, room, "long ago")
    hear(client)
    while history(server, room)["messages"]:
        time.sleep(0.1)
    away(relay, client)
    time.sleep(0.5)
    assert_recovered(before, back(relay, client))
    post(server, room, "now")
    assert hear(client)[0] == "now"


def test_an_empty_room_that_is_evicted_meanwhile_is_no_obstacle(start, room, come, between):
    server = start('[[rooms]]\nmatch = "**"\nhistory.age_ms_max = 300\n[hub]\nrooms_max = 2\n')
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    away(relay, client)
    time.sleep(0.5)
    for number in range(6):
        request(server, "POST", f"/r/other-{number}", body="x")
    now = back(relay, client)
    # The room begins anew then. Either it was recovered, or it says that it was not; and it goes on either way.
    assert now["recovered"] is (now["pid"] == before["pid"])
    post(server, room, "now")
    assert hear(client)[0] == "now"


def test_over_another_transport(server, room, come, between, transport):
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    other = ["polling"] if before["transport"] == "websocket" else ["websocket"]
    post(server, room, "one")
    hear(client)
    client.do("transports", transports=other)
    settled(client)
    away(relay, client)
    post(server, room, "missed")
    now = back(relay, client)
    assert_recovered(before, now)
    assert now["transport"] == other[0] != before["transport"]
    assert hear(client)[0] == "missed"


@pytest.mark.parametrize("stop", ["kill -9", "SIGTERM"])
def test_after_a_restart_of_the_server(start, tmp_path, room, come, between, stop):
    """5413, redis-streams-adapter 27: the room is durable, so the session survives."""
    port, data = free_port(), str(tmp_path / "data")
    server = start(DURABLE, ["--data", data], port=port)
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    post(server, room, "before")
    hear(client)
    away(relay, client)
    post(server, room, "missed on the old server")
    if stop == "kill -9":
        server.kill()
    else:
        server.stop()
    server = start(DURABLE, ["--data", data], port=port)
    post(server, room, "missed on the new server")
    assert_recovered(before, back(relay, client))
    assert [hear(client)[0] for _ in range(2)] == ["missed on the old server", "missed on the new server"]
    post(server, room, "live")
    assert hear(client)[0] == "live"
    assert client.heard() == []


def test_after_a_restart_in_a_room_where_nothing_was_ever_said(start, tmp_path, room, come, between):
    port, data = free_port(), str(tmp_path / "data")
    server = start(DURABLE, ["--data", data], port=port)
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    away(relay, client)
    server.stop()
    server = start(DURABLE, ["--data", data], port=port)
    post(server, room, "the first of all")
    now = back(relay, client)
    # Nothing was kept of the room, so its numbering has begun anew; but all that was ever said is there.
    assert now["recovered"] is True and now["pid"] == before["pid"]
    assert hear(client)[0] == "the first of all"
    post(server, room, "the second")
    assert hear(client)[0] == "the second"


def test_a_server_that_stops_is_come_back_to(start, tmp_path, room, come):
    """The client is connected while its server goes down."""
    port, data = free_port(), str(tmp_path / "data")
    server = start(DURABLE, ["--data", data], port=port)
    client = come(server, f"/r/{room}")
    before = client.state()
    post(server, room, "before")
    hear(client)
    server.stop()
    client.disconnected()
    server = start(DURABLE, ["--data", data], port=port)
    assert_recovered(before, client.connected(20))
    post(server, room, "after")
    assert hear(client)[0] == "after"


def test_a_restart_that_loses_the_room_is_told(start, room, come):
    port = free_port()
    server = start("", ["--memory"], port=port)
    client = come(server, f"/r/{room}")
    before = client.state()
    post(server, room, "lost")
    hear(client)
    server.kill()
    client.disconnected()
    server = start("", ["--memory"], port=port)
    assert_new(before, client.connected(20))
    post(server, room, "goes on")
    assert hear(client)[0] == "goes on"


def test_history_that_is_gone_is_told(start, room, come, between):
    server = start('[[rooms]]\nmatch = "**"\nhistory.messages_max = 3\n')
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    post(server, room, "one")
    hear(client)
    away(relay, client)
    for number in range(10):
        post(server, room, f"too much {number}")
    lost = back(relay, client)
    assert_new(before, lost)
    post(server, room, "goes on")
    while hear(client)[0] != "goes on":
        pass
    # The client still holds the offset of its former life; without anything new it must not spoil the next recovery.
    away(relay, client)
    post(server, room, "missed")
    assert_recovered(lost, back(relay, client))
    assert hear(client)[0] == "missed"


def test_an_offset_of_a_former_life_does_not_spoil_the_next_recovery(start, room, come, between):
    server = start('[[rooms]]\nmatch = "**"\nhistory.messages_max = 3\n')
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    post(server, room, "one")
    hear(client)
    away(relay, client)
    for number in range(10):
        post(server, room, f"too much {number}")
    lost = back(relay, client)
    assert_new(before, lost)
    away(relay, client)
    again = back(relay, client)
    assert_recovered(lost, again)


@pytest.mark.parametrize("which", ["unknown", "tampered", "of another room", "empty"])
def test_a_pid_that_is_not_ours_is_a_new_session(server, room, come, between, which):
    relay = between(server)
    client, other = come(relay, f"/r/{room}"), come(server, f"/r/{room}/other")
    before = client.state()
    post(server, room, "one")
    hear(client)
    pid = before["pid"]
    forged = {"unknown": "aaaaaaaaaaaaaaaaaaaa", "tampered": pid[:8] + ("A" if pid[8] != "A" else "B") + pid[9:], "of another room": other.state()["pid"], "empty": ""}[which]
    client.do("forge", pid=forged)
    away(relay, client)
    now = back(relay, client)
    assert now["recovered"] is not True and now["id"] != before["id"] and now["pid"] not in (forged, pid)
    post(server, room, "two")
    assert hear(client)[0] == "two"
    assert other.heard() == []


def test_an_offset_that_is_none_loses_nothing(server, room, come, between):
    """No event of ours leaves such an offset behind. It is a new session, or the old one from its beginning; never one that is said to be whole and is not."""
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    for offset in ("connected", "zzzzzz-1", "x" * 5000):
        client.do("forge", offset=offset)
        away(relay, client)
        post(server, room, f"missed with {offset[:10]}")
        now = back(relay, client)
        assert now["recovered"] is (now["pid"] == before["pid"])
        if now["recovered"]:
            while hear(client)[0] != f"missed with {offset[:10]}":
                pass
        before = now


def test_it_works_over_and_over_and_brings_nothing_twice(server, room, come, between):
    """4880, 5419: several times in a row, also without anything new in between."""
    relay = between(server)
    client = come(relay, f"/r/{room}")
    before = client.state()
    for number in range(4):
        away(relay, client)
        post(server, room, f"missed {number}")
        assert_recovered(before, back(relay, client))
        assert hear(client)[0] == f"missed {number}"
        for _ in range(2):
            away(relay, client)
            assert_recovered(before, back(relay, client))
    post(server, room, "the end")
    assert hear(client)[0] == "the end"
    assert client.heard() == []


def test_reconnecting_at_once_is_always_recovered(server, room, come):
    """redis-streams-adapter 26: failed about every third time."""
    client = come(server, f"/r/{room}")
    before = client.state()
    for number in range(15):
        client.drop()
        client.disconnected()
        assert_recovered(before, client.connected())
        post(server, room, str(number))
        assert hear(client)[0] == str(number)
    assert client.heard() == []


def test_the_server_need_not_know_that_the_connection_is_gone(server, room, come, between):
    """4880: the old connection is half-dead while the client is back on another."""
    relay = between(server)
    client = come(relay, f"/r/{room}", auth={"as": "ana"})
    before = client.state()
    for number in range(3):
        without_warning(relay.forget, client)
        post(server, room, f"missed {number}")
        assert_recovered(before, client.connected(20))
        assert hear(client)[0] == f"missed {number}"
    who = request(server, "GET", f"/r/{room}?who").json()
    assert [member["name"] for member in who["members"]].count("ana") == 1 and who["count"] == 1, who
    assert client.heard() == []


def test_a_string_at_the_end_of_what_others_say_is_not_taken_for_the_offset(server, room, come, between):
    """5539: also not where it was volatile."""
    relay = between(server)
    client, other = come(relay, f"/r/{room}"), come(server, f"/r/{room}")
    before = client.state()
    post(server, room, "numbered")
    hear(client)
    for _ in range(500):  # a client may drop what is volatile by itself
        other.emit("status", "connected", volatile=True)
        if client.heard():
            break
    assert hear(client, "status")[0] == "connected"
    assert client.state()["offset"] != "connected"
    other.ask("status", "away")
    away(relay, client)
    post(server, room, "missed")
    assert_recovered(before, back(relay, client))
    assert hear(client)[0] == "missed"


def test_binary_and_several_arguments_are_recovered(server, room, come, between):
    relay = between(server)
    client, other = come(relay, f"/r/{room}"), come(server, f"/r/{room}")
    before = client.state()
    away(relay, client)
    said = [1, {"blob": b"\x00\xff"}, [b"x"], "end"]
    at = other.ask("file", *said)["at"]
    assert_recovered(before, back(relay, client))
    name, args = client.event()
    assert (name, args) == ("file", [*said, at])


def test_who_one_is_survives(server, room, come, between):
    relay = between(server)
    client, other = come(relay, f"/r/{room}", auth={"as": "ana"}), come(server, "/")
    assert other.ask("join", room)["ok"] == "join"
    away(relay, client)
    back(relay, client)
    client.emit("hi", 1)
    while True:
        name, args = other.event()
        if name == "hi":
            break
    assert args[1]["from"] == "ana"


def test_every_namespace_of_a_connection_is_recovered(server, room, agent, come, between, closing):
    relay = between(server)
    first = come(relay, f"/r/{room}/a")
    second = closing.add(JsClient(agent, relay.http, f"/r/{room}/b", beside=first))
    second.connected()
    before = [first.state(), second.state()]
    post(server, f"{room}/a", "one")
    hear(first)
    away(relay, first)
    second.disconnected()
    post(server, f"{room}/a", "for a")
    post(server, f"{room}/b", "for b")
    assert_recovered(before[0], back(relay, first))
    assert_recovered(before[1], second.connected())
    assert hear(first)[0] == "for a"
    assert hear(second)[0] == "for b"
    assert first.heard() == second.heard() == []


@pytest.mark.parametrize("rooms", [1, 3], ids=["a namespace", "three rooms"])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_connections_and_server(start, tmp_path, room, agent, closing, seed, rooms):
    """Connections are cut and forgotten, the server is killed; each client hears what the rooms hold from the first message on, in order, and nothing twice."""
    chance = random.Random(seed)
    port, data = free_port(), str(tmp_path / "data")
    config = f'{DURABLE}history = {{ messages_max = 100_000, age_ms_max = "1h", bytes_max = "100MiB" }}\n[socketio]\nping_ms = 1500\npong_ms_max = 2000\n'
    server = start(config, ["--data", data, "--cores", "3"], port=port)
    names = [f"{room}/{number}" for number in range(rooms)]
    for name in [*names, "lobby"]:
        post(server, name, "first")  # the store knows the room from now on
    relays, clients, stop = [], [], threading.Event()
    for transports in [*TRANSPORTS.values()] * 2:
        relays.append(closing.add(Relay(server)))
        clients.append(closing.add(JsClient(agent, relays[-1].http, f"/r/{names[0]}" if rooms == 1 else "/", transports)))
        clients[-1].before = clients[-1].connected()
        for name in names if rooms > 1 else []:
            assert clients[-1].ask("join", name)["ok"] == "join"

    def speak():
        number = 0
        while not stop.is_set():
            number += 1
            try:
                post(server, names[number % rooms], str(number))
            except (OSError, AssertionError):
                time.sleep(0.02)  # the server is down; whether it took this one, the room will tell

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        for _ in range(25):
            time.sleep(chance.random() * 0.2)
            what = chance.random()
            if what < 0.15:
                server.kill()
                server = start(config, ["--data", data, "--cores", "3"], port=port)
            else:
                relay = chance.choice(relays)
                (relay.cut if what < 0.7 else relay.forget)()
    finally:
        stop.set()
        speaker.join()
    for relay in relays:
        relay.cut()
    for name in names:
        post(server, name, "end")
    held = {name: [message["data"] for message in pages(server, name)][1:] for name in names}
    for client in clients:
        heard, repeats = {name: [] for name in names}, 0
        while any(one[-1:] != ["end"] for one in heard.values()):
            event, args = client.event(60)
            if event == "message":
                name, text = args[1]["room"] if rooms > 1 else names[0], args[0]
                if text in heard[name]:
                    repeats += 1
                else:
                    heard[name].append(text)
        for name in names:
            assert heard[name] == held[name], "the room's own order, and nothing is missing"
        # What the library held back of a recovery that broke, it shows twice; nothing else comes twice.
        assert repeats <= sum(one["count"] for one in client.inbox.waiting("buffered"))
        for now in client.inbox.waiting("connect"):
            assert_recovered(client.before, now)


def pages(server, room):
    """All that the room holds."""
    messages, at = [], ""
    while True:
        page = request(server, "GET", f"/r/{room}?history{at}").json()
        if not at:
            at = f"&since={page['messages'][0]['at'].split('-')[0]}-0"
            continue
        messages += page["messages"]
        if not page.get("more"):
            return messages
        at = f"&since={page['at']}"


# ---- several rooms in the namespace `/`


def test_rooms_that_were_joined_are_kept(server, room, come, between):
    relay = between(server)
    client = come(relay, "/")
    before = client.state()
    rooms = [f"{room}/{name}" for name in ("a", "b", "c")]
    for one in rooms:
        assert client.ask("join", one)["ok"] == "join"
    for one in rooms:
        post(server, one, f"to {one}", query="?event=tick")
        assert hear(client, "tick")[0] == f"to {one}"
    away(relay, client)
    missed = [(one, f"{number} missed in {one}") for number in range(3) for one in rooms]
    for one, text in missed:
        post(server, one, text, query="?event=tick")
    assert_recovered(before, back(relay, client))
    heard = [hear_in(client, "tick") for _ in missed]
    for one in rooms:
        assert [text for where, text in heard if where == one] == [text for where, text in missed if where == one]
    for one in rooms:
        post(server, one, f"live in {one}", query="?event=tick")
        assert hear_in(client, "tick") == (one, f"live in {one}")
    assert [name for name, _ in client.heard() if name == "tick"] == []


def hear_in(client, wanted):
    while True:
        name, args = client.event()
        if name == wanted:
            return args[1]["room"], args[0]


def test_rooms_without_anything_received_are_kept(server, room, come, between):
    relay = between(server)
    client = come(relay, "/")
    client.ask("join", f"{room}/a")
    client.ask("join", f"{room}/b")
    client.ask("leave", f"{room}/b")
    before = client.state()
    away(relay, client)
    post(server, f"{room}/a", "in a", query="?event=tick")
    post(server, f"{room}/b", "in b, which it left", query="?event=tick")
    post(server, "lobby", f"in the lobby {room}", query="?event=tock")
    assert_recovered(before, back(relay, client))
    assert hear_in(client, "tick") == (f"{room}/a", "in a")
    post(server, f"{room}/a", "the end", query="?event=tick")
    assert hear_in(client, "tick") == (f"{room}/a", "the end")


def test_the_lobby_is_recovered_too(server, room, come, between):
    relay = between(server)
    client = come(relay, "/")
    before = client.state()
    event = f"e{time.monotonic_ns()}"
    away(relay, client)
    post(server, "lobby", "missed", query=f"?event={event}")
    assert_recovered(before, back(relay, client))
    assert hear(client, event)[0] == "missed"


def test_several_rooms_after_a_restart_of_the_server(start, tmp_path, room, come, between):
    port, data = free_port(), str(tmp_path / "data")
    server = start(DURABLE, ["--data", data], port=port)
    relay = between(server)
    post(server, "lobby", "something is kept of it")
    client = come(relay, "/")
    before = client.state()
    rooms = [f"{room}/{name}" for name in "abc"]
    for one in rooms:
        assert client.ask("join", one)["ok"] == "join"
        post(server, one, f"before in {one}", query="?event=tick")
        assert hear_in(client, "tick") == (one, f"before in {one}")
    away(relay, client)
    for one in rooms:
        post(server, one, f"old in {one}", query="?event=tick")
    server.kill()
    server = start(DURABLE, ["--data", data], port=port)
    for one in rooms:
        post(server, one, f"new in {one}", query="?event=tick")
    assert_recovered(before, back(relay, client))
    heard = [hear_in(client, "tick") for _ in range(2 * len(rooms))]
    for one in rooms:
        assert [text for where, text in heard if where == one] == [f"old in {one}", f"new in {one}"]
    for one in rooms:
        post(server, one, "live", query="?event=tick")
        assert hear_in(client, "tick") == (one, "live")
    assert [name for name, _ in client.heard() if name == "tick"] == []


def test_what_was_joined_last_is_kept(server, room, come, between):
    """The place that the client holds names every room that it is in, also one in which nothing was said since."""
    relay = between(server)
    client = come(relay, "/")
    before = client.state()
    client.ask("join", f"{room}/old")
    post(server, f"{room}/old", "x", query="?event=tick")
    hear(client, "tick")
    client.ask("join", f"{room}/new")
    client.ask("leave", f"{room}/old")
    hear(client, "taut:left")
    away(relay, client)
    post(server, f"{room}/old", "left", query="?event=tick")
    post(server, f"{room}/new", "joined", query="?event=tick")
    assert_recovered(before, back(relay, client))
    assert hear_in(client, "tick") == (f"{room}/new", "joined")
    post(server, f"{room}/old", "still left", query="?event=tick")
    post(server, f"{room}/new", "the end", query="?event=tick")
    assert hear_in(client, "tick") == (f"{room}/new", "the end")


@pytest.mark.parametrize(("count", "kept"), [(15, True), (40, False)], ids=["15 besides the lobby", "40"])
def test_as_many_rooms_as_a_place_holds(server, room, come, between, count, kept):
    relay = between(server)
    client = come(relay, "/")
    before = client.state()
    rooms = [f"{room}/{number}" for number in range(count)]
    for one in rooms:
        assert client.ask("join", one)["ok"] == "join"
    post(server, rooms[-1], "x", query="?event=tick")
    hear(client, "tick")
    away(relay, client)
    post(server, rooms[0], "missed", query="?event=tick")
    now = back(relay, client)
    if kept:
        assert_recovered(before, now)
        assert hear_in(client, "tick") == (rooms[0], "missed")
    else:
        assert_new(before, now)


def test_of_several_rooms_one_that_lost_something_makes_a_new_session(start, room, come, between):
    server = start('[[rooms]]\nmatch = "**/short"\nhistory.messages_max = 3\n')
    relay = between(server)
    client = come(relay, "/")
    client.ask("join", f"{room}/long")
    client.ask("join", f"{room}/short")
    before = client.state()
    post(server, f"{room}/long", "one", query="?event=tick")
    hear(client, "tick")
    away(relay, client)
    for number in range(10):
        post(server, f"{room}/short", f"too much {number}", query="?event=tick")
    assert_new(before, back(relay, client))
    assert client.ask("join", f"{room}/long")["ok"] == "join", "it begins anew"


def test_messages_of_several_rooms_at_once_are_neither_lost_nor_doubled(server, room, come, between):
    relay = between(server)
    client = come(relay, "/")
    rooms = [f"{room}/{number}" for number in range(4)]
    for one in rooms:
        client.ask("join", one)
    before, stop, said = client.state(), threading.Event(), {one: [] for one in rooms}

    def speak(one):
        number = 0
        while not stop.is_set() and number < 3000:
            post(server, one, str(number), query="?event=tick")
            said[one].append(str(number))
            number += 1

    speakers = [threading.Thread(target=speak, args=(one,)) for one in rooms]
    for speaker in speakers:
        speaker.start()
    try:
        for _ in range(5):
            hear(client, "tick")
            without_warning(relay.cut, client)
            assert_recovered(before, client.connected(20))
    finally:
        stop.set()
        for speaker in speakers:
            speaker.join()
    heard = {one: [] for one in rooms}
    for one in rooms:
        post(server, one, "end", query="?event=tick")
    # Five were taken above; they are the first of their rooms.
    ended = 0
    while ended < len(rooms):
        where, text = hear_in(client, "tick")
        heard[where].append(text)
        ended += text == "end"
    for one in rooms:
        whole = [*said[one], "end"]
        assert heard[one] == whole[len(whole) - len(heard[one]) :], one
    assert sum(map(len, heard.values())) == sum(map(len, said.values())) + len(rooms) - 5
