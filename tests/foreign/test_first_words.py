"""A door that says it is open is open: what is said after the 101 or the stream's head is heard, whichever core the room lives on."""

import pytest

from peers import EventStream, Raw, post, raw_websocket, read_frame, read_head, request_bytes

ROUNDS = 200


@pytest.mark.parametrize("door", ["websocket", "event stream", "lines"])
def test_what_is_said_once_the_door_is_open_is_heard(server, room, door):
    for number in range(ROUNDS):
        name, text = f"{room}/{number}", f"first words {number}"
        if door == "websocket":
            raw = raw_websocket(server, f"/r/{name}")
            post(server, name, text)
            assert read_frame(raw, 3) == (1, text.encode()), f"in round {number}"
        elif door == "event stream":
            stream = EventStream(server, f"/r/{name}")
            raw = stream.raw
            post(server, name, text)
            assert stream.event(3)[1] == text
        else:
            raw = Raw(server)
            raw.send(request_bytes(server, "GET", f"/r/{name}", [("Accept", "application/x-ndjson")]))
            read_head(raw)
            post(server, name, text)
            raw.until(text.encode(), 3)
        raw.close()
