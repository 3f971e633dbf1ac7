"""`taut pub`, `sub` and `who` with everybody else in the room."""

import json
import os
import subprocess

import pytest

from peers import Program, curl, history, nc, post
from taut import BINARY, free_port


def run(server, *arguments, stdin="", scheme="http"):
    done = subprocess.run([str(BINARY), *arguments, "--url", f"{scheme}://127.0.0.1:{server.port}"], input=stdin, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("scheme", ["http", "ws", "tcp"])
def test_the_three_commands_by_every_scheme(server, room, closing, scheme):
    room = f"{room}/{scheme}"
    url = f"{scheme}://127.0.0.1:{server.port}"
    listener = closing.add(Program(BINARY, "sub", room, "--rewind", "10", "--url", url))
    assert run(server, "pub", room, "one", "two", "--as", "ana", scheme=scheme)[0] == 0
    listener.until("ana: one\n")
    listener.until("ana: two\n")
    assert curl(server, f"/r/{room}?as=shell", "-d", "three")[0] == 0
    listener.until("shell: three\n")
    code, said, _ = run(server, "who", room, "--json", scheme=scheme)
    assert code == 0 and json.loads(said)["count"] == 1


def test_each_line_of_stdin_is_a_message(server, room):
    assert run(server, "pub", room, stdin="a\nb\n\nlast without end")[0] == 0
    said = [message["data"] for message in history(server, room)["messages"]]
    assert [line for line in said if line] == ["a", "b", "last without end"]


def test_sub_counts_and_resumes(server, room):
    positions = [post(server, room, str(number)) for number in range(5)]
    code, said, _ = run(server, "sub", room, "--since", positions[1], "--count", "3", "--json")
    assert code == 0 and [json.loads(line)["data"] for line in said.splitlines()] == ["2", "3", "4"]


def test_pub_is_heard_at_nc_and_json_stays_json(server, room, closing):
    person = closing.add(nc(server))
    person.type(f"/join {room}").type("/who").until("(text)")
    assert run(server, "pub", room, '{"bid":1.08}', "--json", "--event", "bid", "--as", "desk")[0] == 0
    person.until('desk [bid]: {"bid":1.08}\n')


def test_sub_comes_back_when_the_server_does(start, closing, tmp_path, room):
    server = start()
    listener = closing.add(Program(BINARY, "sub", room, "--url", server.http))
    for _ in range(100):
        if json.loads(run(server, "who", room, "--json")[1])["count"]:
            break
    post(server, room, "before")
    listener.until("before\n")
    server.stop()
    again = subprocess.Popen([str(BINARY), "serve", "--memory", "--listen", f"127.0.0.1:{server.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listener.until("connected again", 20)
        post(server, room, "after")
        listener.until("after\n")
    finally:
        again.terminate()
        assert again.wait(15) == 0


def test_no_server_is_exit_code_3_and_says_what_to_do():
    done = subprocess.run([str(BINARY), "pub", "lobby", "x", "--url", f"http://127.0.0.1:{free_port()}"], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 3 and "taut serve" in done.stderr, done


def test_what_the_server_refuses_is_exit_code_4(server):
    code, _, said = run(server, "pub", "lobby", "x" * 100_000)
    assert code == 4 and said


def test_check_prints_a_configuration_that_it_accepts(tmp_path):
    done = subprocess.run([str(BINARY), "check"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 0, done
    (tmp_path / "taut.toml").write_text(done.stdout)
    again = subprocess.run([str(BINARY), "check", "--config", str(tmp_path / "taut.toml")], capture_output=True, text=True, check=False, timeout=10)
    assert again.returncode == 0, again


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ('listen = ["0.0.0.0:%d"]', "--open"),
        ('listen = ["127.0.0.1:%d"]\n[metrics]\nlisten = "0.0.0.0:1"', "metrics.key_file"),
        ('listen = ["127.0.0.1:%d"]\n[metrics]\nlisten = "127.0.0.1:1"\nkey_file = "/no/such"', "/no/such"),
        ('listen = ["127.0.0.1:%d"]\nfiles = "/no/such"', "/no/such"),
        ('listen = ["127.0.0.1:%d"]\nmemory = true\ndata = "rooms"', "taut.toml:3: `memory` and `data`"),
        ('listen = ["127.0.0.1:{0}", "text://127.0.0.1:{0}"]', "twice"),
        ('listen = ["127.0.0.1:{0}"]\n[metrics]\nlisten = "127.0.0.1:{0}"', "twice"),
        ('listen = ["udp://127.0.0.1:%d"]\n[tls]\nself_signed = true\nrequired = true', "`tls.required`"),
    ],
)
def test_check_refuses_what_the_start_would_refuse(tmp_path, config, why):
    port = free_port()
    (tmp_path / "taut.toml").write_text((config.format(port) if "{0}" in config else config % port) + "\n")
    for command in ("check", "serve"):
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
        done = subprocess.run([str(BINARY), command], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and why in done.stderr and not done.stdout, (command, done)


def test_words_of_admin_say_what_is_missing():
    environment = {**os.environ, "TAUT_API_KEY": "taut_" + "x" * 43}
    for word in (["revoke"], ["disconnect"], ["join", "lobby"], ["leave", "lobby"]):
        done = subprocess.run([str(BINARY), "admin", *word], env=environment, capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and "--user <USER>" in done.stderr, done
