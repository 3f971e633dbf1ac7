"""How much one verified user may do over all of its connections, and how fast anybody may read.

Users are counted wherever they come from, so these tests come from 127.0.0.1, which is exempt from the limits of addresses.
"""

import json
import time

import pytest
import socketio
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from peers import PATIENCE_S, Native, Raw, request, request_bytes
from test_api import make_key
from test_auth import CONFIG, curl, status, token
from test_limits import EXEMPT, From, ask, wait_s


def bearer(user="ana"):
    return [("Authorization", f"Bearer {token(user)}")]


@pytest.fixture
def limited(start):
    """A server that asks who somebody is and limits users."""
    return lambda user, arguments=(): start(f"{CONFIG}\n[limits.user]\n{user}\n", arguments)


def authed(closing, server, user="ana"):
    peer = closing.add(Native(server))
    assert peer.ask(auth=token(user))["ok"] == "auth"
    return peer


def test_connections_of_a_user_are_counted_and_given_back(limited, closing, room):
    server = limited("conns_max = 2")
    first = authed(closing, server)
    second = authed(closing, server)
    third = closing.add(Native(server))
    refused = third.ask(auth=token("ana"))
    assert refused["error"] == "rate-limited" and refused["retry_ms"] > 0
    assert "limits.user.conns_max" in refused["text"]
    # It lives, and is somebody else's to be; another user has places of its own.
    assert third.ask(publish=room, data=1)["error"] == "unauthorized"
    assert third.ask(auth=token("bo"))["ok"] == "auth"
    assert first.ask(auth=token("ana"))["ok"] == "auth", "a renewed token takes no second place"
    second.close()
    fourth = closing.add(Native(server))
    deadline = time.monotonic() + PATIENCE_S
    while "ok" not in fourth.ask(auth=token("ana")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_doors_with_a_request_say_429_and_when(limited, closing, room):
    server = limited("conns_max = 1")
    holder = authed(closing, server)
    url = f"{server.http}/r/{room}"
    refused = curl("-d", "hi", "-H", f"Authorization: Bearer {token()}", url)
    assert status(refused) == 429 and "retry-after: 10" in refused.lower() and "rate-limited" in refused
    assert status(curl("-N", "-H", "Accept: text/event-stream", f"{url}?token={token()}")) == 429
    with pytest.raises(InvalidStatus) as error:
        connect(f"ws://127.0.0.1:{server.port}/r/{room}?token={token()}")
    assert error.value.response.status_code == 429 and int(error.value.response.headers["retry-after"]) == 10
    assert status(curl("-d", "hi", "-H", f"Authorization: Bearer {token('bo')}", url)) == 200
    holder.close()


def test_text_and_socketio_are_told_in_their_own_words(limited, closing, room):
    server = limited("conns_max = 1")
    authed(closing, server)
    person = closing.add(Raw(server))
    person.send("hello\n")
    person.send(f"/auth {token()}\n")
    person.until(b"* wait 10 s: ")
    client = socketio.Client()
    told = []
    client.on("connect_error", told.append, namespace=f"/r/{room}")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.http, namespaces=[f"/r/{room}"], auth={"token": token()}, wait_timeout=5)
    client.disconnect()
    assert "rate-limited" in json.dumps(told) and "retry_ms" in json.dumps(told), told


def test_a_session_of_socketio_keeps_its_place_through_its_upgrade(limited, room):
    server = limited("conns_max = 2")
    client = socketio.Client()
    client.connect(server.http, namespaces=[f"/r/{room}"], auth={"token": token()})
    assert client.transport() == "websocket"
    other = Native(server)
    assert other.ask(auth=token())["ok"] == "auth"
    third = Native(server)
    assert third.ask(auth=token())["error"] == "rate-limited"
    client.disconnect()
    deadline = time.monotonic() + PATIENCE_S
    while "ok" not in third.ask(auth=token()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other.close()
    third.close()


def test_connections_a_second_have_a_rate(limited, closing, room):
    server = limited("opens_per_s = 1\nopens_burst = 3")
    for _ in range(3):
        authed(closing, server)
    late = closing.add(Native(server))
    refused = late.ask(auth=token())
    assert refused["error"] == "rate-limited" and 0 < refused["retry_ms"] <= 1_000
    assert "limits.user.opens_per_s" in refused["text"]
    time.sleep(refused["retry_ms"] / 1000)
    assert late.ask(auth=token())["ok"] == "auth"


def test_a_connection_kept_for_several_users_counts_for_who_asks(limited, closing, room):
    server = limited("conns_max = 1")
    kept = closing.add(Raw(server))
    for user in ["ana", "bo", "ana"]:
        assert ask(kept, server, "POST", f"/r/{room}", bearer(user), "x").status == 200
    # The place is ana's now, and bo's is free again.
    other = closing.add(Raw(server))
    assert wait_s(ask(other, server, "POST", f"/r/{room}", bearer("ana"), "x")) == 10
    other = closing.add(Raw(server))
    assert ask(other, server, "POST", f"/r/{room}", bearer("bo"), "x").status == 200
    # Who asks without a token is nobody.
    assert ask(kept, server, "GET", f"/r/{room}?history").status == 401
    third = closing.add(Raw(server))
    assert ask(third, server, "POST", f"/r/{room}", bearer("ana"), "x").status == 200


@pytest.mark.parametrize("cores", ["1", "3"])
def test_messages_are_counted_over_all_connections_and_cores(limited, closing, room, cores):
    server = limited("messages_per_s = 1\nmessages_burst = 6", ["--cores", cores])
    peers = [authed(closing, server) for _ in range(3)]
    said, refused = 0, []
    for number in range(5):
        for peer in peers:
            answer = peer.ask(publish=room, data=number)
            if "ok" in answer:
                said += 1
            else:
                refused.append(answer)
    assert 6 <= said < 12 and refused
    assert refused[0]["error"] == "rate-limited" and "limits.user.messages_per_s" in refused[0]["text"]
    # Another user goes on, and so does whoever is nobody in particular.
    assert authed(closing, server, "bo").ask(publish=room, data="x")["ok"] == "publish"


def test_bytes_and_joins_of_a_user_have_rates(limited, closing, room):
    server = limited("bytes_per_s = 10\nbytes_burst = 100\njoins_per_s = 1\njoins_burst = 2")
    one, other = authed(closing, server), authed(closing, server)
    assert one.ask(publish=room, data="x" * 80)["ok"] == "publish"
    assert "limits.user.bytes_per_s" in other.ask(publish=room, data="x" * 80)["text"]
    assert one.ask(join=f"{room}/1")["ok"] == "join"
    assert other.ask(join=f"{room}/1")["ok"] == "join"
    assert "limits.user.joins_per_s" in one.ask(join=f"{room}/2")["text"]


def test_rooms_of_a_user_are_counted_over_all_connections(limited, closing, room):
    server = limited("rooms_max = 3")
    one, other = authed(closing, server), authed(closing, server)
    assert one.ask(join=f"{room}/1")["ok"] == "join"
    assert one.ask(join=f"{room}/2")["ok"] == "join"
    assert other.ask(join=f"{room}/1")["ok"] == "join"
    refused = other.ask(join=f"{room}/3")
    assert refused["error"] == "rate-limited" and refused["retry_ms"] > 0 and "limits.user.rooms_max" in refused["text"]
    # Joining again where one is takes no more space.
    assert one.ask(join=f"{room}/1")["ok"] == "join"
    assert one.ask(leave=f"{room}/2")["ok"] == "leave"
    assert other.ask(join=f"{room}/3")["ok"] == "join"
    assert one.ask(join=f"{room}/4")["error"] == "rate-limited"
    other.close()
    deadline = time.monotonic() + PATIENCE_S
    while "ok" not in one.ask(join=f"{room}/4"):
        assert time.monotonic() < deadline
        # A peer that has gone is found out by what is said to it.
        assert one.ask(publish=f"{room}/3", data="are you there?")["ok"] == "publish"
        time.sleep(0.05)


def test_many_joins_at_once_do_not_pass_the_bound(limited, closing, room):
    server = limited("rooms_max = 5")
    peers = [authed(closing, server) for _ in range(4)]
    for peer in peers:
        for number in range(10):
            peer.send(join=f"{room}/{number}")
    answers = [peer.unit() for peer in peers for _ in range(10)]
    assert sum("ok" in answer for answer in answers) == 5, answers


READS = "reads_per_s = 1\nreads_burst = 3\n"


def reading(start, conn="", address="", user="", more=""):
    return start(f"{more}\n[limits]\n{EXEMPT}[limits.conn]\n{conn}\n[limits.address]\n{address}\n[limits.user]\n{user}\n")


def test_every_way_to_read_counts_for_the_connection(start, closing, room):
    server = reading(start, conn=READS)
    native = closing.add(From(server, "127.0.0.2"))
    native.unit(join=room)
    assert native.heard()["ok"] == "join"
    for verb in [{"history": room}, {"who": room}, {"state": room}]:
        native.unit(**verb)
        assert "ok" in native.heard(), verb
    for verb in [{"history": room}, {"who": room}, {"state": room}]:
        native.unit(**verb)
        told = native.heard()
        assert told["error"] == "rate-limited" and "limits.conn.reads_per_s" in told["text"], told
    # What is said is not read.
    native.unit(publish=room, data=1)
    assert native.heard()["ok"] == "publish"

    kept = closing.add(From(server, "127.0.0.2"))
    for query in ["history", "who", "state"]:
        assert ask(kept, server, "GET", f"/r/{room}?{query}").status == 200
    for query in ["history", "who", "state", "since="]:
        answer = ask(kept, server, "GET", f"/r/{room}?{query}")
        assert answer.status in (429, 400), answer
    wait_s(ask(kept, server, "GET", f"/r/{room}"))
    assert ask(kept, server, "POST", f"/r/{room}", body="x").status == 200

    person = closing.add(From(server, "127.0.0.2"))
    person.send("hello\n")
    for word in ["/who", "/history", "/state", "/who"]:
        person.send(f"{word}\n")
    person.until(b"* wait 1 s: ")


def test_reads_of_an_address_and_of_a_user_have_rates(start, closing, room):
    server = reading(start, address=READS)
    peers = [closing.add(From(server, "127.0.0.2")) for _ in range(4)]
    answers = [ask(peer, server, "GET", f"/r/{room}?history") for peer in peers]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert "limits.address.reads_per_s" in answers[3].json()["detail"]
    server = reading(start, user=READS, more=CONFIG)
    peers = [closing.add(Raw(server)) for _ in range(4)]
    answers = [ask(peer, server, "GET", f"/r/{room}?history", bearer()) for peer in peers]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert "limits.user.reads_per_s" in answers[3].json()["detail"]


def test_a_key_of_the_api_reads_as_fast_as_it_likes(start, closing, room):
    key, digest = make_key()
    server = reading(start, conn=READS, address=READS, more=f'[auth]\napi_keys = ["{digest}"]\n')
    peer = closing.add(From(server, "127.0.0.2"))
    for _ in range(20):
        assert ask(peer, server, "GET", f"/api/history?room={room}", [("Authorization", f"Bearer {key}")]).status == 200
    for _ in range(3):
        assert ask(peer, server, "GET", f"/r/{room}?history").status == 200
    wait_s(ask(peer, server, "GET", f"/r/{room}?history"))


def test_socketio_reads_count_as_well(start, closing, room):
    server = reading(start, conn=READS, address="", user="")
    plain = From(server, "127.0.0.2").socket
    with connect(f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket", sock=plain) as peer:
        peer.recv(PATIENCE_S)
        peer.send("40")
        assert peer.recv(PATIENCE_S).startswith("40")
        told = []
        for number in range(4):
            peer.send(f'42{number}["who","{room}"]')
            while True:
                heard = peer.recv(PATIENCE_S)
                if heard.startswith("43"):
                    told.append(heard)
                    break
    assert "rate-limited" in told[3], told
    assert not any("rate-limited" in answer for answer in told[:3])


def test_users_count_behind_a_proxy_that_vouches_for_them(start, closing, room):
    config = '[auth]\nproxies = ["127.0.0.1"]\nproxy_header = "X-User"\nproxy_roles = ["all"]\n[roles.all]\n"**" = "*"\n'
    server = start(config + "[limits.user]\nmessages_per_s = 1\nmessages_burst = 2\n")
    kept = closing.add(Raw(server))
    said = [ask(kept, server, "POST", f"/r/{room}", [("X-User", "ana")], "x").status for _ in range(3)]
    assert said == [200, 200, 429]
    assert ask(kept, server, "POST", f"/r/{room}", [("X-User", "bo")], "x").status == 200


def test_a_user_stays_counted_when_a_proxy_hands_on_its_requests_from_elsewhere(start, closing, room):
    config = CONFIG + '\n[limits.user]\nconns_max = 1\n[limits]\nexempt = []\n'
    server = start(config.replace("leeway_ms = 0", 'leeway_ms = 0\nproxies = ["127.0.0.1"]'))
    kept = closing.add(Raw(server))
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.2"]:
        said = ask(kept, server, "POST", f"/r/{room}", [*bearer(), ("X-Forwarded-For", address)], "x")
        assert said.status == 200, said
        other = closing.add(Raw(server))
        wait_s(ask(other, server, "POST", f"/r/{room}", [*bearer(), ("X-Forwarded-For", "192.0.2.9")], "x"))
    kept.close()
    late = closing.add(Raw(server))
    deadline = time.monotonic() + PATIENCE_S
    while ask(late, server, "GET", f"/r/{room}?history", [*bearer(), ("X-Forwarded-For", "192.0.2.9")]).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
