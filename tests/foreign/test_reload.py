"""SIGHUP reads the configuration again: what is different is said and takes hold, or nothing changes and the log says why, with file and line."""

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from peers import Native, Raw, history, post, request
from taut import BINARY, free_port


class Reloading:
    """A server and its file."""

    def __init__(self, start, config, arguments=()):
        self.server = start(config, arguments)
        self.path = self.server.folder / f"taut-{self.server.port}.toml"
        self.seen = 0

    def reload(self, config=None):
        """Sends SIGHUP and gives back what the log says of it."""
        if config is not None:
            self.path.write_text(config)
        self.seen = len(self.server.said())
        self.server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 15
        while True:
            said = self.server.said()[self.seen :]
            if "the configuration was reloaded" in said:
                return said
            if "was not reloaded" in said:
                time.sleep(0.2)  # the problems come right behind it
                return self.server.said()[self.seen :]
            assert time.monotonic() < deadline, f"nothing was said of the reload: {said}"
            assert self.server.is_running(), self.server.said()[-3000:]
            time.sleep(0.02)


ROOMS = '[[rooms]]\nmatch = "t/**"\nhistory.messages_max = %d\n'


def test_history_shrinks_and_grows_and_the_log_says_from_where_to_where(start, room):
    one = Reloading(start, ROOMS % 100, ["--memory"])
    for number in range(50):
        post(one.server, room, str(number))
    assert len(history(one.server, room)["messages"]) == 50
    said = one.reload(ROOMS % 10)
    assert "rooms[0].history.messages_max: 100 → 10" in said
    kept = history(one.server, room)["messages"]
    assert [message["data"] for message in kept] == [str(number) for number in range(40, 50)]
    said = one.reload(ROOMS % 500)
    assert "rooms[0].history.messages_max: 10 → 500" in said
    for number in range(30):
        post(one.server, room, str(number))
    assert len(history(one.server, room)["messages"]) == 40


def test_a_kept_room_shows_no_more_than_its_new_history(start, room):
    one = Reloading(start, ROOMS % 100)
    for number in range(50):
        post(one.server, room, str(number))
    one.reload(ROOMS % 10)
    assert len(history(one.server, room)["messages"]) == 10
    post(one.server, room, "one more")
    kept = history(one.server, room)["messages"]
    assert len(kept) == 10 and kept[-1]["data"] == "one more"


def test_echo_and_presence_take_hold_for_who_is_there_already(start, room, closing):
    config = '[[rooms]]\nmatch = "t/**"\necho = %s\npresence = %s\n'
    one = Reloading(start, config % ("false", "true"))
    native = closing.add(Native(one.server))
    native.ask(join=room)
    assert native.ask(who=room)["ok"] == "who"
    said = one.reload(config % ("true", "false"))
    assert "rooms[0].echo: false → true" in said
    assert "rooms[0].presence: true → false" in said
    assert native.ask(who=room)["error"] == "presence-off"
    native.send(publish=room, data="mine", ref=8)
    units = [native.unit(), native.unit()]
    assert {"mine"} == {unit["data"] for unit in units if "data" in unit}
    one.reload(config % ("false", "true"))
    assert native.ask(who=room)["ok"] == "who"
    assert native.ask(publish=room, data="mine again")["ok"] == "publish"
    native.raw.quiet()


def test_hosts_and_origins_take_hold_at_once(start, room):
    one = Reloading(start, "hosts = []\n")

    def status(host):
        raw = Raw(one.server)
        try:
            raw.send(f"GET /r/{room}?history HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            return raw.response().status
        finally:
            raw.close()

    def opens(origin):
        try:
            with connect(f"{one.server.ws}/r/{room}", origin=origin):
                pass
            return True
        except InvalidStatus:
            return False

    assert status("chat.example") == 403
    assert not opens("https://app.example")
    said = one.reload('hosts = ["chat.example"]\norigins = ["https://app.example"]\n')
    assert 'hosts: [] → ["chat.example"]' in said
    assert 'origins: [] → ["https://app.example"]' in said
    assert status("chat.example") == 200
    assert opens("https://app.example")
    one.reload("hosts = []\n")
    assert status("chat.example") == 403
    assert not opens("https://app.example")


def test_limits_and_the_level_of_the_log_take_hold(start, room):
    one = Reloading(start, "[limits]\nmessage_bytes_max = 1000\n[log]\nlevel = \"info\"\n")
    assert request(one.server, "POST", f"/r/{room}", (), "x" * 2000).status == 413
    said = one.reload("[limits]\nmessage_bytes_max = \"4KiB\"\nconns_max = 3\n[log]\nlevel = \"debug\"\n")
    assert 'limits.message_bytes_max: "1000B" → "4KiB"' in said
    assert "limits.conns_max: 0 → 3" in said
    assert 'log.level: "info" → "debug"' in said
    assert request(one.server, "POST", f"/r/{room}", (), "x" * 2000).status == 200
    peers = [Raw(one.server) for _ in range(6)]
    deadline = time.monotonic() + 10
    while "a connection was turned away" not in one.server.said():
        assert time.monotonic() < deadline, one.server.said()[-2000:]
        time.sleep(0.02)
    for peer in peers:
        peer.close()
    deadline = time.monotonic() + 10
    while "DEBUG" not in one.server.said():
        assert time.monotonic() < deadline, "the level of the log is what it was"
        time.sleep(0.02)


def test_a_file_with_mistakes_changes_nothing_and_says_where(start, room):
    one = Reloading(start, ROOMS % 100, ["--memory"])
    for number in range(20):
        post(one.server, room, str(number))
    broken = ROOMS % 5 + 'echo = "yes"\n[limits]\nping_ms = 20000\npong = 1\n'
    said = one.reload(broken)
    name = one.path.name
    assert "the old one stays in force" in said
    assert f"{name}:4: `echo`" in said, said
    assert f"{name}:7: unknown key `limits.pong`" in said, said
    assert "reloaded:" not in said.replace("not reloaded:", "")
    assert len(history(one.server, room)["messages"]) == 20
    said = one.reload("[[rooms\n")
    assert f"{name}:1: this is not TOML" in said, said
    one.path.unlink()
    said = one.reload()
    assert "cannot read the configuration file" in said and "no such file" in said
    assert len(history(one.server, room)["messages"]) == 20
    said = one.reload(ROOMS % 5)
    assert "100 → 5" in said, "it is compared with what is in force, not with what was refused"
    assert len(history(one.server, room)["messages"]) == 5
    one.server.assert_healthy()


def test_a_file_that_is_not_there_is_a_mistake_and_nothing_becomes_open(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "taut.toml").write_text('[auth]\nsecret = "a secret that is long enough for anybody"\n')
    port = free_port()
    log = (tmp_path / "log").open("wb")
    command = [str(BINARY), "serve", "--memory", "--listen", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def said(wanted):
        deadline = time.monotonic() + 15
        while wanted not in (text := (tmp_path / "log").read_text()):
            assert time.monotonic() < deadline and server.poll() is None, text
            time.sleep(0.05)

    def status():
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/r/a"], capture_output=True, text=True, timeout=20)
        return done.stdout

    try:
        said("They all meet")
        assert status() == "401"
        # As while somebody puts another file in its place.
        (folder / "taut.toml").rename(folder / "old.toml")
        server.send_signal(signal.SIGHUP)
        said("`taut.toml` is not there any more")
        assert status() == "401"
        (folder / "old.toml").rename(folder / "taut.toml")
        server.send_signal(signal.SIGHUP)
        said("the configuration was reloaded")
        assert status() == "401"
    finally:
        server.terminate()
        server.wait(20)


def test_what_needs_a_restart_is_said_each_time_and_changes_nothing(start):
    one = Reloading(start, "cores = 1\n")
    for _ in range(2):
        said = one.reload(f'cores = 2\ndata = "elsewhere"\nopen = true\n[metrics]\nlisten = "127.0.0.1:{free_port()}"\n')
        assert "needs a restart: cores: 1 → 2" in said
        assert 'needs a restart: data: "" → "elsewhere"' in said
        assert "needs a restart: metrics.listen" in said
        assert "changed=0 waiting=4" in said
    assert not (Path.cwd() / "elsewhere").exists()
    said = one.reload("cores = 1\n")
    assert "changed=0 waiting=0" in said
    # Flags win over the file, as they did at the start.
    said = one.reload('cores = 1\nlisten = ["127.0.0.1:1"]\n')
    assert "changed=0 waiting=0" in said


def test_two_reloads_in_a_row_end_with_the_last_one(start, room):
    one = Reloading(start, ROOMS % 100, ["--memory"])
    for number in range(60):
        post(one.server, room, str(number))
    for messages_max in (50, 40, 30, 20):
        one.path.write_text(ROOMS % messages_max)
        one.server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 15
    while len(history(one.server, room)["messages"]) != 20:
        assert time.monotonic() < deadline, one.server.said()[-2000:]
        time.sleep(0.05)


def test_another_durability_waits_for_new_rooms(start, room):
    config = '[[rooms]]\nmatch = "t/**"\ndurability = "%s"\n'
    one = Reloading(start, config % "memory")
    post(one.server, room, "before")
    said = one.reload(config % "crash")
    assert 'rooms[0].durability: "memory" → "crash", for rooms made from now on' in said
    post(one.server, room, "after")
    post(one.server, f"{room}/new", "kept")
    assert len(history(one.server, room)["messages"]) == 2
    assert len(history(one.server, f"{room}/new")["messages"]) == 1
    one.server.assert_healthy()


@pytest.mark.parametrize("memory", [["--memory"], []], ids=["memory", "kept"])
def test_a_reload_under_load_loses_nobody_a_message(start, room, closing, memory):
    config = '[limits]\nping_ms = %d\n[[rooms]]\nmatch = "t/**"\nhistory.messages_max = 1000\npresence_grace_ms = %d\n'
    one = Reloading(start, config % (20_000, 1000), ["--cores", "2", *memory])
    readers = [closing.add(Native(one.server)) for _ in range(6)]
    for reader in readers:
        reader.ask(join=room)
    sockets = [closing.enter_context(connect(f"{one.server.ws}/r/{room}")) for _ in range(2)]
    count, over = 600, threading.Event()

    def reloads():
        step = 0
        while not over.is_set():
            step += 1
            one.path.write_text(config % (20_000 + step % 2, 1000 + step % 2))
            one.server.process.send_signal(signal.SIGHUP)
            time.sleep(0.02)

    thread = threading.Thread(target=reloads)
    thread.start()
    try:
        for number in range(count):
            post(one.server, room, str(number))
        expected = [str(number) for number in range(count)]
        for reader in readers:
            heard = []
            while len(heard) < count:
                unit = reader.unit()
                if "data" in unit:
                    heard.append(unit["data"])
            assert heard == expected
        for socketed in sockets:
            assert [socketed.recv(10) for _ in range(count)] == expected
    finally:
        over.set()
        thread.join()
    # Signals that come during one reload are one after it, so a slow machine sees few.
    assert "the configuration was reloaded" in one.server.said()
    one.server.assert_healthy()


def test_reloads_are_counted(start):
    port = free_port()
    one = Reloading(start, "cores = 1\n", ["--metrics-listen", f"127.0.0.1:{port}"])
    one.reload("cores = 1\n")
    one.reload("cores = none\n")
    raw = Raw(one.server, at=("127.0.0.1", port)).send(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
    body = raw.response().body.decode()
    raw.close()
    assert 'taut_config_reloads_total{outcome="applied"} 1\n' in body
    assert 'taut_config_reloads_total{outcome="refused"} 1\n' in body
