"""The log: as text or JSON, with a Conn's id throughout; nothing that peers say ends a line, speaks to a terminal or gives a secret away, and a flood of peers
is no flood of lines."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest
from websockets.sync.client import connect

from peers import Native, Raw, request_bytes
from taut import BINARY, free_port

# What a terminal obeys, ends a line or turns its direction, as UTF-8; without NUL, which Python's own tools dislike.
NASTY = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\x7f\u202e\u2028\u2066"
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]")


def until_said(server, text, seconds=10):
    deadline = time.monotonic() + seconds
    while text not in server.said():
        assert time.monotonic() < deadline, f"{text!r} was not said:\n{server.said()[-3000:]}"
        time.sleep(0.02)
    return server.said()


def lines_of(server):
    """The log's lines; what is said at the start on stdout is not among them."""
    return [line for line in server.said().split("\n") if line.startswith(("{", "20"))]


def insult(server, room):
    """Breaks protocols with words that should not reach a terminal."""
    for host in (f"evil{NASTY}.example", "evil.example"):
        Raw(server).send_as_far_as_possible(f"GET /r/{room} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()).rest()
    Raw(server).send_as_far_as_possible(f"GET /r/{room} HTTP/1.1\r\nHost: a\r\nHost: {NASTY}\r\n\r\n".encode()).rest()
    Raw(server).send_as_far_as_possible(f"GET /r/{room}?as={NASTY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()).rest()
    for nasty in (NASTY, "\x9b31m", "\u202e\u2028"):
        origin = f"https://evil{nasty}.example".encode()
        Raw(server).send_as_far_as_possible(b"GET /r/x HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + b"\r\nConnection: close\r\n\r\n").rest()
    native = Native(server)
    native.raw.send(json.dumps({"publish": f"r{NASTY}\n2026-01-01 ERROR forged", "data": 1}) + "\n")
    native.unit()
    native.raw.send(json.dumps({NASTY: NASTY, "join": room, "as": NASTY}) + "\n")
    native.unit()
    native.close()
    person = Raw(server).send(NASTY + "\n/nick " + NASTY + "\n/join " + NASTY + "\n/bogus\n")
    person.until(b"/bogus")
    person.close()
    with connect(f"{server.ws}/r/{room}") as socket:
        socket.socket.sendall(b"\xff\xff")
        for _ in range(20):
            if "a peer broke its protocol" in server.said():
                break
            time.sleep(0.1)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_peers_say_neither_ends_a_line_nor_speaks_to_a_terminal(start, room, form):
    server = start(f'[log]\nlevel = "trace"\nformat = "{form}"\n')
    insult(server, room)
    until_said(server, "a peer broke its protocol")
    text = server.log.read_bytes().decode()  # it is UTF-8 throughout
    assert not DANGEROUS.search(text), repr(DANGEROUS.search(text))
    assert "\nERROR" not in text
    assert not any(line.startswith("2026-01-01 ERROR forged") for line in text.split("\n"))
    lines = lines_of(server)
    assert lines
    for line in lines:
        if form == "json":
            entry = json.loads(line)
            assert {"timestamp", "level", "fields", "target"} <= set(entry), line
        else:
            assert re.match(r"20\d\d-\d\d-\d\dT[\d:.]+Z +(ERROR|WARN|INFO|DEBUG|TRACE) [a-z_:]+: ", line), line


def test_a_conn_is_named_from_its_coming_to_its_end(start, room):
    server = start('[log]\nlevel = "taut_server=debug"\nformat = "json"\n')
    native = Native(server)
    native.ask(join=room)
    peer = "{}:{}".format(*native.raw.socket.getsockname())
    native.raw.send("x" * 70_000)
    native.raw.rest()
    until_said(server, '"message":"closed"')
    entries = [json.loads(line) for line in lines_of(server)]
    of_peer = [entry["fields"] for entry in entries if entry["fields"].get("peer") == peer]
    assert [fields["message"] for fields in of_peer] == ["came in", "a peer broke its protocol", "closed"], of_peer
    assert {fields["conn"] for fields in of_peer} == {of_peer[0]["conn"]}
    assert re.fullmatch(r"c\d+-\d+-\d+", of_peer[0]["conn"])
    assert {fields["door"] for fields in of_peer} == {"lines"}
    assert of_peer[1]["reason"] == of_peer[2]["reason"] == "violation"


def test_refused_origins_name_the_setting_and_the_conn(start, room):
    server = start()
    Raw(server).send(request_bytes(server, "GET", f"/r/{room}", [("Origin", "https://evil.example"), ("Connection", "close")])).rest()
    said = until_said(server, "origins = [")
    line = next(line for line in said.split("\n") if "origins = [" in line)
    assert " WARN " in line and "reason=\"origin-refused\"" in line and "conn=c" in line and "peer=127.0.0.1:" in line


def test_no_secret_is_in_the_log_at_any_level(start, room):
    server = start('[log]\nlevel = "trace"\n')
    secret = "s3cr3t-tok3n"
    headers = [("Authorization", f"Bearer {secret}"), ("Cookie", f"token={secret}"), ("Sec-WebSocket-Protocol", f"taut, {secret}")]
    for path in (f"/r/{room}?token={secret}", f"/r/{room}?token={secret}&since=nonsense", f"/nowhere?token={secret}", f"/socket.io/?EIO=4&transport=polling&token={secret}"):
        for more in ([], [("Host", "b")], [("Origin", "https://evil.example")]):
            Raw(server).send(request_bytes(server, "GET", path, [*headers, *more, ("Connection", "close")])).rest()
    native = Native(server)
    native.raw.send('{"auth":"%s","token":"%s"}\n' % (secret, secret))
    native.raw.send('{"auth":"%s"\n' % secret)
    native.unit()
    native.close()
    person = Raw(server).send(f"/auth {secret}\n")
    person.until(b"asks nobody")
    person.close()
    until_said(server, "closed")
    assert secret not in server.said()


@pytest.mark.parametrize("form", ["text", "json"])
def test_whoever_reads_the_log_may_go(tmp_path, form):
    port = free_port()
    serve = [str(BINARY), "serve", "--memory", "--listen", f"127.0.0.1:{port}", "--log-format", form]
    process = subprocess.Popen(serve, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert b"listens on" in process.stdout.readline()
        process.stdout.close()
        process.stderr.close()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 10) as raw:
                raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                assert raw.recv(100).startswith(b"HTTP/1.1 400")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()


def test_a_flood_of_peers_is_no_flood_of_lines(start):
    server = start()
    for _ in range(600):
        Raw(server).send_as_far_as_possible(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").rest()
    seconds_at_most = 60
    lines = [line for line in lines_of(server) if "a peer broke HTTP" in line]
    by_second = {}
    for line in lines:
        by_second.setdefault(line[:19], []).append(line)
    assert lines and len(by_second) < seconds_at_most
    for second, written in by_second.items():
        # A clock of whole seconds and one of the line may differ by a moment.
        assert len(written) <= 20, f"{len(written)} lines at {second}"
    if len(lines) < 600 and len(by_second) > 1:
        assert any("left_out=" in line for line in lines), "what was left out is said"
    server.assert_healthy()
