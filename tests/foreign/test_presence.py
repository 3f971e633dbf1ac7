"""Presence: users, each counted once over all its connections, whatever doors they came by."""

import time

from websockets.sync.client import connect

from peers import Native, request

GRACE = '[[rooms]]\nmatch = "**"\npresence_grace_ms = "600ms"\n'


def news(watcher, wanted, seconds=10):
    """The next presence unit that says something under `wanted`."""
    deadline = time.monotonic() + seconds
    while True:
        presence = watcher.unit(max(0.01, deadline - time.monotonic())).get("presence", {})
        if presence.get(wanted):
            return presence


def test_a_user_over_two_doors_is_one(start, room, closing):
    server = start(GRACE)
    watcher = closing.add(Native(server))
    joined = watcher.ask(join=room, presence=True, **{"as": "eve"})
    assert (joined["who"]["count"], joined["who"]["members"][0]["name"]) == (1, "eve")

    first = Native(server)
    first.ask(join=room, data={"seat": 1}, **{"as": "ana"})
    came = news(watcher, "joined")
    assert [(user["name"], user["data"]) for user in came["joined"]] == [("ana", {"seat": 1})]
    assert came["count"] == 2

    second = closing.enter_context(connect(f"{server.ws}/r/{room}?as=ana"))
    changed = news(watcher, "changed")
    assert (changed["count"], changed["conns"]) == (2, 3)
    assert sorted(conn["door"] for conn in changed["changed"][0]["conns"]) == ["lines", "websocket"]
    who = request(server, "GET", f"/r/{room}?who").json()
    assert (who["count"], who["conns"], [user["name"] for user in who["members"]]) == (2, 3, ["ana", "eve"])
    counts = request(server, "GET", f"/r/{room}?who&counts").json()
    assert (counts["count"], counts["conns"], counts["members"]) == (2, 3, [])

    first.ask(join=room, data={"seat": 2}, **{"as": "ana"})
    assert news(watcher, "changed")["changed"][0]["data"] == {"seat": 2}
    first.raw.vanish()
    assert news(watcher, "changed")["count"] == 2
    second.close()
    left = news(watcher, "left")
    assert ([user["name"] for user in left["left"]], left["count"]) == (["ana"], 1)


def test_who_is_back_in_time_never_went(start, room, closing):
    server = start('[[rooms]]\nmatch = "**"\npresence_grace_ms = "5s"\n')
    watcher = closing.add(Native(server))
    watcher.ask(join=room, presence=True, **{"as": "eve"})
    gone = Native(server)
    gone.ask(join=room, **{"as": "ana"})
    news(watcher, "joined")
    gone.raw.vanish()
    while request(server, "GET", f"/r/{room}?who").json()["conns"] != 1:
        time.sleep(0.02)
    back = closing.add(Native(server))
    back.ask(join=room, **{"as": "ana"})
    other = closing.add(Native(server))
    other.ask(join=room, **{"as": "bo"})
    # The next that is said is that somebody else came.
    while True:
        presence = watcher.unit()["presence"]
        assert not presence["left"], presence
        if [user["name"] for user in presence["joined"]] == ["bo"]:
            break
    assert presence["count"] == 3


def test_what_one_says_of_itself_is_bounded(server, room, closing):
    native = closing.add(Native(server))
    refused = native.ask(join=room, data={"x": "y" * 3000})
    assert refused["error"] == "label-too-long" and "data" in refused["text"]
    assert native.ask(join=room, data=["fine"])["ok"] == "join"
