"""Programs on a bare socket (native JSON lines) and people at nc (text)."""

import json
import socket

import pytest

from peers import Native, Raw, history, nc, post


def test_a_program_of_five_lines(server, room):
    connection = socket.create_connection(("127.0.0.1", server.port), 5)
    connection.sendall(f'{{"join":"{room}"}}\n'.encode())
    lines = connection.makefile()
    assert json.loads(lines.readline())["ok"] == "join"
    post(server, room, "hello")
    assert json.loads(lines.readline())["data"] == "hello"
    connection.close()


def test_numbers_and_spaces_of_json_stay_as_they_were_written(server, room, closing):
    one, other = closing.add(Native(server)), closing.add(Native(server))
    one.ask(join=room)
    body = '{"x":1.50, "big":123456789012345678901234567890,"e":"\\u00e9"}'
    other.raw.send(f'{{"publish":"{room}","data":{body}}}\n')
    assert one.raw.until(b"\n").decode().endswith(f'"data":{body}}}\n')


def test_binary_travels_as_base64(server, room, closing):
    one, other = closing.add(Native(server)), closing.add(Native(server))
    one.ask(join=room)
    assert other.ask(publish=room, base64="AAH/")["ok"] == "publish"
    assert one.message()["base64"] == "AAH/"


def test_ids_make_a_publish_idempotent(server, room, closing):
    program = closing.add(Native(server))
    first = program.ask(publish=room, data=1, id="x", **{"as": "ana"})
    again = program.ask(publish=room, data=1, id="x", **{"as": "ana"})
    assert again["at"] == first["at"] and again["duplicate"] is True
    assert program.ask(publish=room, data=2, id="x", **{"as": "ana"})["error"] == "id-conflict"
    assert len(history(server, room)["messages"]) == 1


def test_a_line_may_come_in_pieces_and_several_in_one(server, room, closing):
    program = closing.add(Native(server))
    for byte in f'{{"join":"{room}"}}\r\n'.encode():
        program.raw.send(bytes([byte]))
    assert program.unit()["ok"] == "join"
    program.raw.send("\n\n" + '{"ping":1}\n' * 100)
    assert [program.unit() for _ in range(100)] == [{"ok": "ping"}] * 100


def test_the_end_of_the_stream_ends_the_last_line_and_the_reader_still_hears(server, room, closing):
    program = closing.add(Native(server))
    program.raw.send(f'{{"join":"{room}"}}').finish()
    assert program.unit()["ok"] == "join"
    post(server, room, "after your fin")
    assert program.message()["data"] == "after your fin"


def test_after_its_last_line_a_publisher_is_answered_and_let_go(server, room):
    program = Native(server)
    program.raw.send(f'{{"publish":"{room}","data":"last words","ref":1}}').finish()
    assert program.unit()["ok"] == "publish"
    assert program.raw.rest() == b""
    program.close()


def test_a_publish_without_ref_is_answered_too(server, room):
    program = Native(server)
    program.raw.send(f'{{"publish":"{room}","data":"said"}}\n{{"publish":"a//b","data":1}}\n').finish()
    answers = [program.unit(), program.unit()]
    assert sorted(next(iter(answer)) for answer in answers) == ["error", "ok"]
    assert program.raw.rest() == b""
    assert [message["data"] for message in history(server, room)["messages"]] == ["said"]
    program.close()


def test_nothing_comes_after_leave(server, room, closing):
    program = closing.add(Native(server))
    program.ask(join=room)
    program.ask(leave=room)
    post(server, room, "you should not hear this")
    program.raw.quiet()


def test_256_rooms_on_one_connection_and_no_more(server, room, closing):
    program = closing.add(Native(server))
    for number in range(256):
        assert program.ask(join=f"{room}/{number}")["ok"] == "join"
    assert program.ask(join=f"{room}/more")["error"] == "too-many-rooms-per-conn"
    program.ask(leave=f"{room}/0")
    assert program.ask(join=f"{room}/more")["ok"] == "join"


@pytest.mark.parametrize(
    ("data", "bye"),
    [
        (b'{"join":"' + b"x" * 70_000, "violation"),
        (b'{"publish":"lobby","data":"' + b"x" * 70_000 + b'"}\n', "violation"),
    ],
)
def test_a_line_over_the_limit_ends_the_connection_with_a_bye(server, data, bye):
    program = Native(server)
    program.raw.send_as_far_as_possible(data)
    unit = program.unit()
    assert unit["bye"] == bye and "retry_ms" not in unit, unit
    assert program.raw.rest() == b""
    program.close()


@pytest.mark.parametrize("line", [b'{"join":"\xff"}', b"{", b'{"a":{"a":', b'{"join":"lobby","join":"lobby"}', b'{"publish":"lobby","data":' + b"[" * 500 + b"]" * 500 + b"}", b"{}", b'{"x":1}\x00'])
def test_a_bad_line_is_refused_and_the_connection_lives(server, line, closing):
    program = closing.add(Native(server))
    program.raw.send(line + b"\n")
    assert "error" in program.unit()
    assert program.ask(ping=1)["ok"] == "ping"


# ---- people


def test_a_person_at_nc(server, room, closing):
    ana, bo = closing.add(nc(server)), closing.add(nc(server))
    ana.type(f"/join {room}").type("/nick ana").type("/who").until("ana (text)")
    bo.type("/nick bo").type(f"/join {room}")
    ana.until("* bo joined (text)\n")
    bo.type("hi ana")
    ana.until("bo: hi ana\n")
    ana.type("//not a command")
    bo.until("ana: /not a command\n")
    ana.type("/history 5").until("bo: hi ana")
    ana.type("/jion x").until("! no command /jion; did you mean /join?\n")
    ana.type("/help").until("/quit")
    bo.type("/quit")
    bo.ended()
    ana.until("* bo left\n")


def test_a_person_may_be_in_a_room_without_presence(start, closing, room):
    server = start('[[rooms]]\nmatch = "**"\npresence = false\n')
    ana, bo = closing.add(nc(server)), closing.add(nc(server))
    for person, name in ((ana, "ana"), (bo, "bo")):
        person.type(f"/join {room}").type(f"/nick {name}").until(name)
    ana.type("can you hear me?")
    bo.until("ana: can you hear me?\n")


def test_what_others_write_cannot_paint_on_a_terminal(server, room, closing):
    ana = closing.add(nc(server))
    ana.type(f"/join {room}").type("/who").until("(text)")
    post(server, room, "\x1b[31mred\x07\r\n* bo joined (text)\x9b", query="?as=eve")
    post(server, room, b"\0" * 12, ("Content-Type", "application/octet-stream"), query="?as=eve")
    post(server, room, "{}", query="?as=eve&event=move")
    ana.until("eve: \\x1b[31mred\\x07\n")
    assert ana.until("\n").startswith("eve| * bo joined (text)")
    ana.until("eve: <12 bytes>\n")
    ana.until("eve [move]: {}\n")


def test_a_word_that_looks_like_http_is_said(server, closing):
    listener = closing.add(Native(server))
    listener.ask(join="lobby")
    person = closing.add(nc(server))
    person.type("GET some milk")
    assert listener.message()["data"] == "GET some milk"


def test_nc_with_its_input_ended_says_its_last_line(server, closing):
    listener = closing.add(Native(server))
    listener.ask(join="lobby")
    raw = closing.add(Raw(server))
    raw.send("no line end").finish()
    assert listener.message()["data"] == "no line end"
    post(server, "lobby", "still there?")
    raw.until(b": still there?\n")


def test_the_port_never_speaks_first(server):
    raw = Raw(server)
    raw.quiet(1)
    raw.close()


def test_a_text_listener_greets_at_once(start):
    from taut import free_port

    port = free_port()
    server = start(arguments=["--listen", f"text://127.0.0.1:{port}"])
    person = socket.create_connection(("127.0.0.1", port), 5)
    assert person.recv(1000).startswith(b"* ")
    person.sendall(b"GET / HTTP/1.1\n")
    person.close()
    assert [message["data"] for message in history(server, "lobby")["messages"]] in ([], ["GET / HTTP/1.1"])


def test_bad_utf8_from_a_person_ends_the_connection_with_a_word(server):
    raw = Raw(server)
    raw.send(b"hello \xff\n")
    said = raw.rest()
    assert b"UTF-8" in said and said.rstrip().split(b"\n")[-1].startswith(b"! "), said
    raw.close()
