"""Who may come in, at every door, by clients that others wrote: curl, nc, websockets, python-socketio, socket.io-client, and our own."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import socket
import subprocess
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import taut
from servers import Certificates
from socketio_clients import TRANSPORTS, Agent, JsClient

SECRET = "a secret of the tests that is long enough"
HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = f"""
[auth]
secret = "{SECRET}"
leeway_ms = 0

[roles.all]
"**" = "*"
"""


def coded(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user="ana", life=600, grants=None, secret=SECRET, kid=None, algorithm="HS256", **claims):
    now = int(time.time())
    head = {"alg": algorithm, "typ": "JWT", **({"kid": kid} if kid else {})}
    body = {"sub": user, "iat": now, "exp": now + life, "taut": {"grants": grants or {"**": "*"}}, **claims}
    signed = f"{coded(head)}.{coded(body)}"
    return f"{signed}.{coded(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


@pytest.fixture
def server(start):
    return start(CONFIG)


def curl(*arguments):
    done = subprocess.run(["curl", "-s", "-i", "-m", "10", *arguments], capture_output=True, text=True, timeout=20)
    return done.stdout


def status(answer):
    return int(answer.split(" ", 2)[1])


def spoken(server, *lines, seconds=3):
    """What a raw connection hears until it ends or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
        raw.sendall("".join(line + "\n" for line in lines).encode())
        raw.settimeout(seconds)
        heard = b""
        try:
            while more := raw.recv(65536):
                heard += more
        except TimeoutError:
            pass
        return heard.decode()


def test_curl_shows_a_token_in_the_header_the_query_and_a_cookie(server, room):
    good, url = token(), f"{server.http}/r/{room}"
    refused = curl("-d", "hi", url)
    assert status(refused) == 401 and 'www-authenticate: bearer realm="taut"' in refused.lower()
    assert status(curl("-d", "hi", "-H", f"Authorization: Bearer {good}", url)) == 200
    assert status(curl(f"{url}?history&token={good}")) == 200
    assert status(curl("-b", f"taut_token={good}", url)) == 200
    late = curl(f"{url}?history&token={token(life=-5)}")
    assert status(late) == 401 and '"expired"' in late and "invalid_token" in late
    for wrong in ("x", token(secret="another secret that is long enough too"), token(algorithm="none")):
        assert status(curl("-d", "hi", "-H", f"Authorization: Bearer {wrong}", url)) == 401


def test_a_cookie_is_of_no_use_to_a_page_of_somebody_else(server, room):
    cookie, url = ["-b", f"taut_token={token()}"], f"{server.http}/r/{room}"
    assert status(curl("-d", "x", *cookie, url)) == 401
    assert status(curl("-d", "x", *cookie, "-H", f"Origin: http://127.0.0.1:{server.port + 1}", url)) == 401
    assert status(curl("-d", "x", *cookie, "-H", "Origin: https://evil.example", url)) == 403
    assert status(curl("-d", "x", *cookie, "-H", f"Origin: {server.http}", url)) == 200
    assert status(curl(*cookie, "-H", "Sec-Fetch-Site: cross-site", url)) == 401
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        with connect(f"{server.ws}/r/{room}", additional_headers={"Cookie": cookie[1]}) as ws:
            ws.recv(5)
    with connect(f"{server.ws}/r/{room}", origin=server.http, additional_headers={"Cookie": cookie[1]}) as ws:
        ws.send("by cookie")
    assert "by cookie" in curl(f"{server.http}/r/{room}?history&token={token()}")


def test_a_websocket_shows_it_wherever_it_can(server, room):
    good = token()
    for url, more in [
        (f"{server.ws}/r/{room}?token={good}", {}),
        (f"{server.ws}/r/{room}", {"additional_headers": {"Authorization": f"Bearer {good}"}}),
        (f"{server.ws}/r/{room}", {"subprotocols": ["taut", f"taut.token.{good}"]}),
        (f"{server.ws}/r/{room}", {"subprotocols": ["bearer", good]}),
    ]:
        with connect(url, **more) as ws:
            assert ws.subprotocol in (None, "taut", "bearer")
            ws.ping().wait(5)
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{server.ws}/r/{room}?token=bad")
    assert refused.value.response.status_code == 401
    with pytest.raises(ConnectionClosed) as closed:
        with connect(f"{server.ws}/r/{room}") as ws:
            ws.recv(5)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "unauthorized")


def test_a_websocket_ends_with_its_token(server, room):
    with connect(f"{server.ws}/r/{room}?token={token(life=2)}") as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(20)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "expired")


def test_event_streams_end_with_it_and_say_so(server, room):
    heard = curl("-N", "-H", "Accept: text/event-stream", f"{server.http}/r/{room}?token={token(life=2)}")
    assert status(heard) == 200 and "event: taut:bye" in heard and '"expired"' in heard
    assert status(curl("-H", "Accept: text/event-stream", f"{server.http}/r/{room}")) == 401


def test_nc_types_auth(server):
    heard = spoken(server, f"/auth {token('ana')}", "hello")
    assert "you are the user ana" in heard and "you are ana in lobby" in heard
    assert "no token" in spoken(server, "/auth rubbish")


def test_json_lines_renew_and_stay_one_user(server):
    units = [json.loads(line) for line in spoken(
        server,
        json.dumps({"auth": token("ana"), "ref": 1}),
        json.dumps({"auth": token("ana", 700), "ref": 2}),
        json.dumps({"auth": token("bo"), "ref": 3}),
        json.dumps({"join": "lobby", "ref": 4}),
    ).splitlines()]
    assert [unit.get("ok", unit.get("error")) for unit in units] == ["auth", "auth", "unauthorized", "join"]


def test_who_shows_nothing_in_time_is_sent_away(start):
    server = start(CONFIG, ["--limits-handshake-ms-max", "1000"])
    assert '"bye":"refused"' in spoken(server, '{"ping":true}', seconds=15)
    assert "token" in spoken(server, "hello", seconds=15)


def test_python_socketio_shows_it_by_auth_and_by_the_query(server, room):
    socketio = pytest.importorskip("socketio")
    for transports in (["polling"], ["websocket"]):
        client = socketio.SimpleClient()
        client.connect(server.http, auth={"token": token("ana")}, transports=transports, wait_timeout=10)
        assert client.call("who", "lobby")["members"][0]["user"] == "ana"
        assert client.call("auth", token("ana", 900))["ok"] == "auth"
        assert client.call("auth", token("bo"))["error"] == "unauthorized"
        client.disconnect()
        client.connect(f"{server.http}/?token={token('bo')}", transports=transports, wait_timeout=10)
        assert client.call("who", "lobby")["members"][0]["user"] == "bo"
        client.disconnect()
        for auth in ({"token": "rubbish"}, None):
            said = []
            plain = socketio.Client(reconnection=False)
            plain.on("connect_error", said.append)
            with pytest.raises(socketio.exceptions.ConnectionError):
                plain.connect(server.http, auth=auth, transports=transports, wait_timeout=5)
            plain.disconnect()
            assert any("unauthorized" in json.dumps(one) for one in said), said


def test_socket_io_client_shows_it_by_auth(server, room):
    agent = Agent("node", "latest")
    try:
        for transports in TRANSPORTS.values():
            client = JsClient(agent, server.http, f"/r/{room}", transports, auth={"token": token("ana")})
            client.connected()
            client.emit("hi", 1)
            client.close()
            client = JsClient(agent, server.http, f"/r/{room}", transports, auth={"token": "rubbish"})
            assert client.refused()["data"]["error"] == "unauthorized"
            client.close()
        short = JsClient(agent, server.http, f"/r/{room}", ["websocket"], auth={"token": token("ana", life=2)}, reconnection=False)
        short.connected()
        assert short.event(20)[0] == "taut:bye"
        short.disconnected(20)
    finally:
        agent.close()
    assert '"user":"ana"' in curl(f"{server.http}/r/{room}?history&token={token()}")


def test_what_is_said_bears_the_user_and_our_own_commands_show_it(server, room, tmp_path):
    file = tmp_path / "token"
    file.write_text(token("u-17", taut={"as": "Ana", "grants": {"**": "*"}}) + "\n")
    url = ["--url", server.http]
    run = lambda *words, **more: subprocess.run([str(taut.BINARY), *words], capture_output=True, text=True, timeout=30, **more)
    said = run("pub", room, "hello", "--token-file", str(file), *url)
    assert said.returncode == 0, said.stderr
    environment = {**os.environ, "TAUT_TOKEN": token("bo")}
    heard = run("sub", room, "--rewind", "1", "--count", "1", "--json", *url, env=environment)
    assert json.loads(heard.stdout)["by"]["user"] == "u-17", heard
    refused = run("pub", room, "hello", *url)
    assert refused.returncode != 0 and "unauthorized" in refused.stderr + refused.stdout
    wrong = run("who", room, "--token", "rubbish", *url)
    assert wrong.returncode != 0 and "rubbish" not in wrong.stderr + wrong.stdout


def test_a_proxy_names_the_user_only_from_where_it_is_listed(start, room):
    config = """
[auth]
proxies = ["{0}"]
proxy_header = "X-Forwarded-User"
proxy_roles = ["all"]

[roles.all]
"**" = "*"
"""
    listed = start(config.format("127.0.0.0/8"))
    named = ["-H", "X-Forwarded-User: ana"]
    assert status(curl("-d", "hi", *named, f"{listed.http}/r/{room}")) == 200
    assert '"user":"ana"' in curl(*named, f"{listed.http}/r/{room}?history")
    assert status(curl("-d", "hi", f"{listed.http}/r/{room}")) == 401
    assert status(curl("-d", "hi", *named, "-H", "X-Forwarded-User: bo", f"{listed.http}/r/{room}")) == 401
    unlisted = start(config.format("10.0.0.0/8"))
    assert status(curl("-d", "hi", *named, f"{unlisted.http}/r/{room}")) == 401


def test_a_certificate_names_the_user(start, room, tmp_path):
    made = Certificates(tmp_path)
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    made.sign("sensor-7", "DNS:sensor-7", usage="clientAuth")
    config = """
[auth]
certificates = true
certificate_roles = ["sensors"]

[roles.sensors]
"t/**" = "*"
"users/$user/**" = "*"
"""
    server = start(config, ["--tls-cert", str(made.folder / "good.pem"), "--tls-key", str(made.folder / "good.key"), "--tls-client-ca", str(made.ca)])
    url = f"https://localhost:{server.port}/r"
    mine = ["--cacert", str(made.ca), "--resolve", f"localhost:{server.port}:127.0.0.1"]
    own = [*mine, "--cert", str(made.folder / "sensor-7.pem"), "--key", str(made.folder / "sensor-7.key")]
    assert status(curl("-d", "21", *own, f"{url}/users/sensor-7/heat")) == 200
    assert status(curl("-d", "21", *own, f"{url}/users/other/heat")) == 403
    assert status(curl("-d", "21", *mine, f"{url}/{room}")) == 401
    curl("-d", "21", *own, f"{url}/{room}")
    assert '"by":{"user":"sensor-7"' in curl(*own, f"{url}/{room}?history")


def test_the_proxy_protocol_is_taken_only_where_and_from_whom_it_is_asked_for(start, room):
    config = """
[auth]
proxies = ["{0}"]
proxy_header = "X-Forwarded-User"
proxy_roles = ["all"]

[roles.all]
"**" = "*"
"""

    def said(port, header, user="ana"):
        request = f"GET /r/{room}?history HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User: {user}\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.settimeout(10)
            heard = b""
            try:
                raw.sendall(header + request.encode())
                while more := raw.recv(65536):
                    heard += more
            except OSError:
                pass
            return heard.decode()

    line = b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n"
    near = b"PROXY TCP4 127.0.0.2 127.0.0.1 1 2\r\n"
    binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([127, 0, 0, 2, 127, 0, 0, 1, 0, 1, 0, 2])
    port, proxied = taut.free_port(), taut.free_port()
    start(config.format("127.0.0.0/8"), ["--listen", f"proxy://127.0.0.1:{proxied}"], port=port)
    assert status(said(port, b"")) == 200
    # A client behind the proxy is no proxy, whatever it writes.
    assert status(said(proxied, line)) == 401
    assert status(said(proxied, b"PROXY UNKNOWN\r\n")) == 401
    assert status(said(proxied, near)) == 200
    assert status(said(proxied, binary)) == 200
    assert "200 OK" not in said(proxied, b"")
    assert "200 OK" not in said(port, line)
    port, proxied = taut.free_port(), taut.free_port()
    start(config.format("10.0.0.0/8"), ["--listen", f"proxy://127.0.0.1:{proxied}"], port=port)
    assert said(proxied, line) == ""


class Keys(threading.Thread):
    """A key set over HTTP, which changes and fails as it is told."""

    def __init__(self):
        super().__init__(daemon=True)
        self.keys, self.fails, self.asked = [], False, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(503 if outer.fails else 200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": outer.keys}).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.start()

    def run(self):
        self.server.serve_forever()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/jwks"


class Signer:
    """An Ed25519 key of openssl."""

    def __init__(self, folder, kid):
        self.kid, self.path = kid, folder / f"{kid}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(self.path)], check=True)
        der = subprocess.run(["openssl", "pkey", "-in", str(self.path), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": coded(der[-32:])}

    def token(self, user="ana"):
        now = int(time.time())
        signed = f"{coded({'alg': 'EdDSA', 'kid': self.kid})}.{coded({'sub': user, 'iat': now, 'exp': now + 600, 'taut': {'grants': {'**': '*'}}})}"
        text = self.path.with_suffix(".txt")
        text.write_text(signed)
        made = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", str(self.path), "-rawin", "-in", str(text)], check=True, capture_output=True)
        return f"{signed}.{coded(made.stdout)}"


def test_keys_come_from_a_url_and_outlive_it(start, room, tmp_path):
    source, first, second = Keys(), Signer(tmp_path, "first"), Signer(tmp_path, "second")
    source.keys = [first.jwk]
    server = start(f'[auth]\njwks_url = "{source.url}"\n')
    ask = lambda made: status(curl("-d", "hi", "-H", f"Authorization: Bearer {made}", f"{server.http}/r/{room}"))
    assert ask(first.token()) == 200
    source.fails = True
    assert ask(first.token()) == 200
    # An unknown key is asked for once in a while, and refused meanwhile.
    before = source.asked
    assert [ask(second.token()) for _ in range(5)] == [401] * 5
    assert source.asked - before <= 2


def test_keys_in_a_file_are_read_again(start, room, tmp_path):
    first, second, file = Signer(tmp_path, "first"), Signer(tmp_path, "second"), tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [first.jwk]}))
    server = start(f'[auth]\njwks_file = "{file}"\n')
    ask = lambda made: status(curl("-d", "hi", "-H", f"Authorization: Bearer {made}", f"{server.http}/r/{room}"))

    def becomes(made, wanted):
        until = time.monotonic() + 20
        while ask(made) != wanted:
            assert time.monotonic() < until
            time.sleep(0.1)

    becomes(first.token(), 200)
    assert ask(second.token()) == 401
    file.write_text(json.dumps({"keys": [second.jwk], "rotated": True}))
    becomes(second.token(), 200)
    assert ask(first.token()) == 401


def test_no_token_is_in_any_output(start, room):
    server = start(CONFIG, ["--log-level", "trace"])
    good, bad = token("ana"), token("eve", secret="another secret that is long enough too")
    said = ""
    for made in (good, bad):
        said += curl(f"{server.http}/r/{room}?token={made}&rewind=x")
        said += curl("-d", "hi", "-H", f"Authorization: Bearer {made}", f"{server.http}/r/{room}")
        said += spoken(server, f"/auth {made}", seconds=1) + spoken(server, json.dumps({"auth": made}), seconds=1)
        said += spoken(server, json.dumps({"auth": made, "join": "x"}), seconds=1)
        try:
            with connect(f"{server.ws}/r/{room}", subprotocols=["taut", f"taut.token.{made}"]):
                pass
        except InvalidStatus:
            pass
    said += server.said()
    for made in (good, bad):
        assert made not in said and made.split(".")[2] not in said
    assert SECRET not in said


def test_the_room_s_page_asks_for_a_token(start):
    guarded = start(f'{CONFIG}\n[roles.guest]\n"heard/**" = "join"\n'.replace("leeway_ms = 0", 'leeway_ms = 0\nanonymous = ["guest"]'))
    pictures = taut.BINARY.parents[1] / "test-logs"
    pictures.mkdir(exist_ok=True)
    script = os.path.join(HERE, "browser_auth.mjs")
    done = subprocess.run(["node", script, str(guarded.port), str(pictures), SECRET], cwd=HERE, capture_output=True, text=True, timeout=240, check=False)
    verdicts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(verdicts) == 4, done.stdout[-1000:] + done.stderr[-3000:]
    assert all(verdict["ok"] for verdict in verdicts), verdicts
    assert "eyJ" not in guarded.said()
