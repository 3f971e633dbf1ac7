"""The promise: whatever can open a socket stands in the same room and talks to the others."""

from websockets.sync.client import connect

from peers import Native, Program, curl, nc


def test_five_terminals_in_one_room(server, closing):
    person = closing.add(nc(server))
    person.type("/nick ana").until("ana")
    listener = closing.add(Program("curl", "-sSN", "-H", "Accept: text/event-stream", f"{server.http}/r/lobby"))
    listener.until("id: ")
    browser = closing.enter_context(connect(f"{server.ws}/r/lobby"))
    program = closing.add(Native(server))
    assert program.ask(join="lobby", **{"as": "robot"})["ok"] == "join"

    person.type("from nc")
    listener.until("data: from nc")
    assert browser.recv(5) == "from nc"
    heard = program.message()
    assert (heard["from"], heard["data"]) == ("ana", "from nc")

    code, said = curl(server, "/r/lobby?as=shell", "-d", "from curl")
    assert code == 0 and '"at"' in said
    person.until("shell: from curl\n")
    listener.until("data: from curl")
    assert browser.recv(5) == "from curl"
    assert program.message()["data"] == "from curl"

    browser.send("from a websocket")
    person.until(": from a websocket\n")
    listener.until("data: from a websocket")
    assert program.message()["data"] == "from a websocket"

    assert program.ask(publish="lobby", data={"from": "json"})["ok"] == "publish"
    person.until('robot: {"from": "json"}\n')
    listener.until('data: {"from": "json"}')
    assert browser.recv(5) == '{"from": "json"}'


def test_the_bare_websocket_url_is_the_lobby(server, closing):
    first = closing.enter_context(connect(f"{server.ws}/"))
    second = closing.enter_context(connect(f"{server.ws}/r/lobby"))
    first.send("hi")
    assert second.recv(5) == "hi"


def test_nobody_hears_what_they_said_themselves(server, room, closing):
    one = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    other = closing.enter_context(connect(f"{server.ws}/r/{room}"))
    one.send("mine")
    assert other.recv(5) == "mine"
    other.send("yours")
    assert one.recv(5) == "yours"


def test_a_room_is_heard_only_in_that_room(server, room, closing):
    here = closing.enter_context(connect(f"{server.ws}/r/{room}/here"))
    there = closing.enter_context(connect(f"{server.ws}/r/{room}/there"))
    speaker = closing.add(Native(server))
    speaker.ask(publish=f"{room}/there", data="there")
    speaker.ask(publish=f"{room}/here", data="here")
    assert here.recv(5) == "here"
    assert there.recv(5) == "there"


def test_rooms_have_names_in_every_script_and_depth(server, closing):
    program = closing.add(Native(server))
    program.ask(join="spiele/42/züge ✓")
    code, _ = curl(server, "/r/spiele/42/z%C3%BCge%20%E2%9C%93", "-d", "Läufer")
    assert code == 0
    heard = program.message()
    assert (heard["room"], heard["data"]) == ("spiele/42/züge ✓", "Läufer")


def test_a_reader_may_drop_on_one_door_and_resume_on_another(server, room, closing):
    from peers import EventStream, post

    first = closing.enter_context(connect(f"{server.ws}/r/{room}", subprotocols=["taut"]))
    first.recv(5)
    at = post(server, room, "before")
    first.recv(5)
    first.close()
    missed = [post(server, room, f"missed {n}") for n in range(3)]
    stream = closing.add(EventStream(server, f"/r/{room}?since={at}"))
    assert [stream.event()[1] for _ in missed] == ["missed 0", "missed 1", "missed 2"]
    assert stream.last_id == missed[-1]
