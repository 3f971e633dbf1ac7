"""Tokens as an attacker shows them, at every door of a running server: forged, confused, expired, taken back, renewed for less, and searched for wherever a
server may leave one behind. What a verifier makes of each kind is in crates/auth/tests/attacks.rs."""

import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import subprocess
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import taut
from peers import Native, Raw, close_code, handshake_bytes, read_head, request, request_bytes
from servers import Certificates
from socketio_wire import POLLING, Polling
from test_api import make_key
from test_attacks import NASTY, STEERS
from test_auth import SECRET, Signer, coded, curl, token
from test_webhooks import Application, connect_config

EVERYTHING = {"**": "* admin"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A server with a secret, a public RSA key and an Ed25519 key by id, and the API."""
    folder = tmp_path_factory.mktemp("taut")
    private, public = folder / "rsa.pem", folder / "rsa.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True)
    key, digest = make_key()
    signer = Signer(folder, "ed")
    (folder / "jwks.json").write_text(json.dumps({"keys": [signer.jwk]}))
    server = taut.Server(
        folder,
        f'[auth]\nsecret = "{SECRET}"\nleeway_ms = 0\nkeys = ["RS256:{public}"]\njwks_file = "{folder / "jwks.json"}"\napi_keys = ["{digest}"]\n[log]\nlevel = "trace"\n',
        ["--metrics-listen", f"127.0.0.1:{taut.free_port()}"],
    )
    server.key, server.public, server.signer = key, public.read_bytes(), signer
    yield server
    assert server.is_running() and "panicked" not in server.said()
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def others_are_served(keyed, closing):
    one = closing.add(Native(keyed))
    assert one.ask(auth=token("witness"))["ok"] == "auth"
    one.ask(join="witness")
    yield
    assert request(keyed, "POST", "/r/witness", bearer(token("bo")), "still there?").status == 200
    assert one.message()["data"] == "still there?"


def bearer(shown):
    return [("Authorization", f"Bearer {shown}")]


def by_header(server, room, shown):
    return request(server, "POST", f"/r/{room}", bearer(shown), "forged").status == 200


def by_query(server, room, shown):
    return request(server, "GET", f"/r/{room}?history&token={shown}").status == 200


def by_cookie(server, room, shown):
    return request(server, "GET", f"/r/{room}?history", [("Cookie", f"taut_token={shown}")]).status == 200


def by_subprotocol(server, room, shown):
    try:
        with connect(f"{server.ws}/r/{room}", subprotocols=["taut", f"taut.token.{shown}"]):
            return True
    except InvalidStatus as refused:
        assert refused.response.status_code == 401
        return False


def by_stream(server, room, shown):
    raw = Raw(server).send(request_bytes(server, "GET", f"/events?room={room}&token={shown}", [("Accept", "text/event-stream")]))
    try:
        return b" 200 " in raw.until(b"\r\n")
    finally:
        raw.close()


def by_line(server, room, shown):
    peer = Native(server)
    try:
        peer.send(auth=shown, ref=1)
        return "ok" in peer.unit()
    finally:
        peer.close()


def by_text(server, room, shown):
    person = Raw(server).send(f"/auth {shown}\n")
    try:
        person.until(b"\n")  # that one must show a token
        return person.until(b"\n").startswith(b"* the token is good")
    finally:
        person.close()


def by_socketio(server, room, shown):
    opened = request(server, "GET", POLLING)
    if opened.status != 200:
        return False
    session = json.loads(opened.body.decode()[1:].split("\x1e")[0])["sid"]
    target = f"{POLLING}&sid={session}"
    request(server, "POST", target, (), f"40/r/{room},{json.dumps({'token': shown})}")
    return request(server, "GET", target).body.startswith(b"40")


def by_api(server, room, shown):
    return request(server, "POST", f"/api/publish?room={room}", bearer(shown), "forged").status == 200


DOORS = [by_header, by_query, by_cookie, by_subprotocol, by_stream, by_line, by_text, by_socketio, by_api]


def raw_token(head, secret=SECRET, signature=None, digest=hashlib.sha256, **claims):
    now = int(time.time())
    body = {"sub": "ana", "iat": now, "exp": now + 600, "taut": {"grants": EVERYTHING}, **claims}
    signed = f"{coded(head)}.{coded(body)}"
    secret = secret if isinstance(secret, bytes) else secret.encode()
    made = coded(hmac.new(secret, signed.encode(), digest).digest()) if signature is None else signature
    return f"{signed}.{made}"


def forged(server):
    good = token("ana", grants=EVERYTHING)
    head, body, tail = good.split(".")
    ed = server.signer.token()
    yield "no algorithm", raw_token({"alg": "none"}, signature="")
    yield "none, signed", raw_token({"alg": "none"})
    yield "None", raw_token({"alg": "None"}, signature="x")
    yield "nOnE with our signature", raw_token({"alg": "nOnE"})
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{good}.x"
    yield "the signature of another token", f"{head}.{body}.{token('bo').split('.')[2]}"
    yield "claims of another token", f"{head}.{token('root').split('.')[1]}.{tail}"
    yield "the public key as a secret", raw_token({"alg": "HS256"}, server.public)
    yield "the public key as a secret, trimmed", raw_token({"alg": "HS256"}, server.public.strip())
    yield "the Ed25519 key as a secret", raw_token({"alg": "HS256", "kid": "ed"}, coded_bytes(server.signer.jwk["x"]))
    yield "RS256 by the secret", raw_token({"alg": "RS256"})
    yield "EdDSA by the secret", raw_token({"alg": "EdDSA", "kid": "ed"})
    yield "HS512 by a secret of HS256", raw_token({"alg": "HS512"}, digest=hashlib.sha512)
    yield "an EdDSA token called HS256", ".".join([coded({"alg": "HS256", "kid": "ed"}), *ed.split(".")[1:]])
    for kid in ("/dev/null", "../../../../dev/null", "' OR 1=1 --", "ed\0", "http://127.0.0.1/", "", "x" * 257, "ED", "ed/../ed"):
        yield f"kid {kid[:8]!r} and an empty secret", raw_token({"alg": "HS256", "kid": kid}, b"")
        yield f"kid {kid[:8]!r} for EdDSA", ".".join([coded({"alg": "EdDSA", "kid": kid}), ed.split(".")[1], coded(b"\0" * 64)])
    yield "a key that it brings along", raw_token({"alg": "HS256", "jwk": {"kty": "oct", "k": coded(b"x" * 32)}}, b"x" * 32)
    yield "a key that it points to", raw_token({"alg": "RS256", "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"})
    yield "an extension", raw_token({"alg": "HS256", "crit": ["exp"]})
    yield "for a log-out", raw_token({"alg": "HS256", "typ": "logout+jwt"})
    yield "no end", raw_token({"alg": "HS256"}, exp=None)
    yield "an end in a hundred years", raw_token({"alg": "HS256"}, exp=int(time.time()) + 3_000_000_000)
    yield "an end that is over", raw_token({"alg": "HS256"}, exp=int(time.time()) - 1)
    yield "an end as text", raw_token({"alg": "HS256"}, exp=str(int(time.time()) + 600))
    yield "a beginning that is not yet", raw_token({"alg": "HS256"}, nbf=int(time.time()) + 300)
    yield "for somebody else", raw_token({"alg": "HS256"}, aud="somebody-else")
    yield "a user with a line end", raw_token({"alg": "HS256"}, sub="ana\nroot")
    yield "a user in disguise", raw_token({"alg": "HS256"}, sub="\u202eana")
    yield "a user that is a number", raw_token({"alg": "HS256"}, sub=0)
    yield "rights that do not exist", raw_token({"alg": "HS256"}, taut={"grants": {"**": "everything"}})
    yield "a role that does not exist", raw_token({"alg": "HS256"}, taut={"roles": ["root"]})
    yield "padded base64", ".".join(part + "=" * (-len(part) % 4) for part in good.split("."))
    yield "a whole kilobyte more", good + "A" * 9_000


def coded_bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_forged_token_opens_no_door(keyed, room, door):
    assert door(keyed, room, token("ana", grants=EVERYTHING)), "an honest one does"
    if door is not by_api:
        # That one takes no right but `admin`, which these do not have.
        assert door(keyed, room, keyed.signer.token())
    for name, shown in forged(keyed):
        if door in (by_query, by_stream, by_header, by_cookie, by_subprotocol, by_api) and len(shown) > 6_000:
            continue  # the head is refused before
        if door is by_subprotocol and "=" in shown:
            continue  # no subprotocol has such a name
        assert not door(keyed, room, shown), name
    said = [message["data"] for message in history_of(keyed, room)]
    assert len(said) <= 2, said


def history_of(server, room):
    answer = request(server, "GET", f"/r/{room}?history", bearer(token()))
    assert answer.status == 200, answer
    return answer.json()["messages"]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_token_that_was_taken_back_opens_no_door_again(keyed, room, door):
    stolen = token(f"thief-{door.__name__}", grants=EVERYTHING, jti=f"id-{door.__name__}")
    assert door(keyed, room, stolen)
    peer = Native(keyed)
    assert peer.ask(auth=stolen)["ok"] == "auth"
    revoked = request(keyed, "POST", f"/api/revoke?token=id-{door.__name__}", bearer(keyed.key))
    assert revoked.status == 200, revoked
    # The one that is in is out, and the token is worth nothing from now on.
    assert b'"bye"' in peer.raw.rest()
    assert not door(keyed, room, stolen)
    assert door(keyed, room, token(f"thief-{door.__name__}", grants=EVERYTHING, jti="another")), "the user may come back"


ONLY = {"open": "*"}


def test_a_narrow_token_reaches_no_other_room_by_an_odd_door(keyed, closing):
    """Every way of naming a room, with a token for `open` alone."""
    assert request(keyed, "PUT", "/r/secret?key=k", bearer(token("ana")), "hidden words").status == 200
    mine = token("eve", grants=ONLY)
    for method, target, body in [
        ("GET", "/r/secret?history", None),
        ("GET", "/r/secret?who", None),
        ("GET", "/r/secret?state", None),
        ("GET", "/r/secret?key=k", None),
        ("GET", "/r/secret?wait=1s", None),
        ("GET", "/r/%73ecret?history", None),
        ("GET", "/r/open%2f..%2fsecret?history", None),
        ("GET", "/r/open/../secret?history", None),
        ("GET", "/r/./secret?history", None),
        ("GET", "/r//secret?history", None),
        ("GET", "/events?room=open&room=secret", None),
        ("PUT", "/r/secret?key=k", "x"),
        ("DELETE", "/r/secret?key=k", None),
        ("POST", "/r/secret", "x"),
        ("POST", "/r/secret?batch", '[{"data":1}]'),
        ("POST", "/r/secret?lane=latest", "x"),
        ("GET", "/api/history?room=secret", None),
        ("POST", "/api/publish?room=secret", "x"),
        ("GET", "/api/who?room=open", None),
        ("GET", "/api/rooms", None),
        ("POST", "/api/disconnect?user=witness", None),
        ("POST", "/api/revoke?user=witness", None),
    ]:
        headers = bearer(mine) + ([("Content-Type", "application/json")] if "batch" in target else [])
        if "/events" in target or "secret?" not in target:
            headers = [*headers, ("Accept", "text/event-stream"), ("Last-Event-ID", "0-0")]
        answer = request(keyed, method, target, headers, body)
        assert answer.status in (400, 403, 404), (method, target, answer)
        assert b"hidden words" not in answer.body
    peer = closing.add(Native(keyed))
    assert peer.ask(auth=mine)["ok"] == "auth"
    for unit in (
        {"join": "secret"},
        {"join": "secret", "since": "0-0"},
        {"join": "secret", "state": True, "presence": True},
        {"publish": "secret", "data": 1},
        {"publish": "secret", "batch": [{"data": 1}]},
        {"publish": "secret", "data": 1, "lane": "latest"},
        {"set": "secret", "key": "k", "data": 1},
        {"delete": "secret", "key": "k"},
        {"get": "secret", "key": "k"},
        {"state": "secret"},
        {"history": "secret"},
        {"fetch": "secret", "at": "0-0"},
        {"who": "secret"},
        {"join": "open/../secret"},
        {"join": "SECRET"},
        {"join": "secret "},
        {"join": "secret/"},
    ):
        answer = peer.ask(**unit)
        assert "error" in answer, (unit, answer)
        assert "hidden words" not in json.dumps(answer)
    # Over Socket.IO: a namespace, the verbs, and the upgrade of a session that somebody else's token opened.
    session = Polling(keyed, *bearer(mine))
    session.say("40/r/secret,")
    assert session.packet().startswith("44/r/secret,")
    session.enter("/r/open,")
    for verb in (["join", "secret"], ["publish", {"room": "secret", "data": 1}], ["history", {"room": "secret"}], ["auth", "x"]):
        session.say(f"42/r/open,7{json.dumps(verb)}")
        assert "hidden words" not in session.packet()
    assert [message["data"] for message in history_of(keyed, "secret")] == ["hidden words"]


def test_rights_that_a_renewal_takes_away_are_gone(keyed, room, closing):
    """Also those that a member uses without asking again: to hear who comes and goes."""
    watcher = closing.add(Native(keyed))
    watcher.ask(auth=token("eve"))
    assert watcher.ask(join=room, presence=True)["ok"] == "join"
    bo = closing.add(Native(keyed))
    bo.ask(auth=token("bo"))
    bo.ask(join=room, presence=True)
    assert watcher.unit()["presence"]["joined"][0]["user"] == "bo"
    assert watcher.ask(auth=token("eve", grants={room: "join"}))["ok"] == "auth"
    for unit in ({"who": room}, {"history": room}, {"state": room}, {"publish": room, "data": 1}):
        assert watcher.ask(**unit)["error"] == "forbidden", unit
    cy = closing.add(Native(keyed))
    cy.ask(auth=token("cy"))
    cy.ask(join=room)
    assert bo.unit()["presence"]["joined"][0]["user"] == "cy"
    cy.ask(publish=room, data="hello")
    # Nothing of cy's coming before what cy says.
    assert watcher.unit()["data"] == "hello"
    watcher.send(auth=token("eve", grants={"elsewhere": "join"}), ref=8)
    while "ok" not in watcher.unit():
        pass
    cy.ask(publish=room, data="not for eve")
    watcher.send(ping=1, ref=9)
    units = []
    while not units or units[-1].get("ref") != 9:
        units.append(watcher.unit())
    assert "not for eve" not in json.dumps(units)


def test_a_token_in_a_url_is_in_no_log_no_metric_and_no_answer(keyed, room):
    mine = token("ana", grants=EVERYTHING)
    signature = mine.split(".")[2]
    said = ""
    for target, headers in [
        (f"/r/{room}?token={mine}", [("Accept", "text/html")]),
        (f"/r/{room}?token={mine}&since=%zz", [("Accept", "text/html")]),
        (f"/r/{room}?token={mine}&nonsense=1", []),
        (f"/nowhere/{room}?token={mine}", [("Accept", "text/html")]),
        (f"/api/rooms?token={mine}", []),
        (f"/api/history?room={room}&token={mine}", bearer(mine)),
        (f"/socket.io/?EIO=9&transport=polling&token={mine}", []),
        (f"{POLLING}&token={mine}", []),
        (f"/r/{room}?history", [*bearer(mine), ("Origin", "https://evil.example"), ("Referer", f"http://localhost/?token={mine}")]),
        (f"/r/{room}?history&token=x{mine}", []),
        (f"/r/{'x' * 300}?token={mine}", []),
    ]:
        answer = request(keyed, "GET", target, headers)
        said += answer.raw_head + answer.body.decode(errors="replace")
        if (answer.header("content-type") or "").startswith("text/html"):
            assert answer.header("referrer-policy") == "no-referrer"
    port = next(word for word in keyed.process.args if word.startswith("127.0.0.1:") and word != f"127.0.0.1:{keyed.port}").split(":")[1]
    metrics = Raw(keyed, at=("127.0.0.1", int(port))).send(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").rest()
    said += metrics.decode() + keyed.said() + json.dumps(history_of(keyed, room))
    assert b"taut_" in metrics
    assert signature not in said and keyed.key not in said and SECRET not in said


def test_a_page_with_somebodys_cookie_says_nothing_and_opens_nothing(keyed, room):
    cookie = ("Cookie", f"taut_token={token('victim')}")
    for method, target, headers, body in [
        ("POST", f"/r/{room}", [], "forged"),
        ("POST", f"/r/{room}", [("Sec-Fetch-Site", "cross-site")], "forged"),
        ("POST", f"/r/{room}", [("Sec-Fetch-Site", "same-site")], "forged"),
        ("POST", f"/r/{room}", [("Origin", "http://localhost:1")], "forged"),
        ("POST", f"/r/{room}", [("Origin", "null")], "forged"),
        ("PUT", f"/r/{room}?key=k", [("Origin", "http://localhost:1")], "forged"),
        ("GET", f"/r/{room}?history", [("Sec-Fetch-Site", "cross-site")], None),
        ("POST", f"/api/publish?room={room}", [("Origin", f"http://127.0.0.1:{keyed.port}")], "forged"),
    ]:
        answer = request(keyed, method, target, [cookie, *headers], body)
        assert answer.status in (401, 403), (method, target, headers, answer)
    for headers in ([("Origin", "http://localhost:1")], []):
        raw = Raw(keyed).send(handshake_bytes(keyed, f"/r/{room}", cookie, *headers))
        # It may open, as nobody's, and is told so.
        if read_head(raw).status == 101:
            assert close_code(raw) == 1008
        raw.close()
    opened = request(keyed, "GET", POLLING, [cookie, ("Origin", "http://localhost:1")])
    if opened.status == 200:
        session = json.loads(opened.body.decode()[1:].split("\x1e")[0])["sid"]
        request(keyed, "POST", f"{POLLING}&sid={session}", [cookie, ("Origin", "http://localhost:1")], f"40/r/{room},")
        assert request(keyed, "GET", f"{POLLING}&sid={session}", [cookie]).body.startswith(b"44")
    assert history_of(keyed, room) == []


def test_taut_admin_shows_what_others_wrote_without_obeying(keyed, room, closing):
    eve = closing.add(Native(keyed))
    assert eve.ask(auth=token("eve", **{"name": f"eve{NASTY}"}))["ok"] == "auth"
    odd = [f"{room}/{NASTY}", f"{room}/\u202egnp.exe", f"{room}/\u009b31m", f"{room}/a b\u2066"]
    # Those that are names at all.
    rooms = [name for name in [room, *odd] if "ok" in eve.ask(join=name, data={"mood": NASTY})]
    assert room in rooms
    for name in rooms:
        assert "ok" in eve.ask(publish=name, data=f"hi {NASTY}\nERROR forged", event="say\u202e", key="k\u202e")
    environment = {"TAUT_API_KEY": keyed.key, "PATH": os.environ["PATH"]}
    for words in (["rooms"], ["conns"], ["who", room], ["history", room], ["state", room], ["grant", room], ["policy", room], ["rooms", f"{room}/{NASTY}"], ["who", rooms[-1]], ["history", rooms[-1]]):
        words = [word.replace("\0", "") for word in words]
        done = subprocess.run([taut.BINARY, "admin", *words, "--url", keyed.http], capture_output=True, timeout=30, env=environment)
        said = (done.stdout + done.stderr).decode()
        assert said and "unrecognized" not in said, (words, said)
        assert not STEERS.search(said), (words, said)
        assert not any(line.startswith("ERROR forged") for line in said.split("\n")), said


def test_a_user_whom_a_proxy_or_a_certificate_names_stays_out_when_it_is_taken_back(start, room, tmp_path, closing):
    key, digest = make_key()
    made = Certificates(tmp_path)
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    made.sign("ana", "DNS:ana", usage="clientAuth")
    made.sign("bo", "DNS:bo", usage="clientAuth")
    trusted = f'proxies = ["127.0.0.0/8"]\nproxy_header = "X-Forwarded-User"\nproxy_roles = ["all"]\ncertificates = true\ncertificate_roles = ["all"]\napi_keys = ["{digest}"]\n'
    server = start(f'[auth]\n{trusted}\n[roles.all]\n"**" = "*"\n', ["--tls-cert", str(made.folder / "good.pem"), "--tls-key", str(made.folder / "good.key"), "--tls-client-ca", str(made.ca)])

    def by_proxy(user):
        return request(server, "GET", f"/r/{room}?history", [("X-Forwarded-User", user)]).status

    def by_certificate(user):
        own = ["--cacert", str(made.ca), "--cert", str(made.folder / f"{user}.pem"), "--key", str(made.folder / f"{user}.key"), "--resolve", f"localhost:{server.port}:127.0.0.1"]
        return int(curl(*own, f"https://localhost:{server.port}/r/{room}?history").split(" ", 2)[1])

    def by_line(user):
        context = ssl.create_default_context(cafile=made.ca)
        context.load_cert_chain(made.folder / f"{user}.pem", made.folder / f"{user}.key")
        peer = closing.add(context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="localhost"))
        peer.sendall(json.dumps({"join": room}).encode() + b"\n")
        return 200 if b'"ok"' in peer.recv(65536) else 401

    ways = [by_proxy, by_certificate, by_line]
    assert [way(user) for way in ways for user in ("ana", "bo")] == [200] * 6
    assert request(server, "POST", "/api/revoke?user=ana", bearer(key)).status == 200
    assert [way("ana") for way in ways] == [401] * 3
    assert [way("bo") for way in ways] == [200] * 3


@pytest.mark.parametrize("door", ["lines", "socket.io"])
def test_a_token_that_is_taken_back_while_the_application_is_asked_lets_nobody_in(tmp_path, closing, door):
    key, digest = make_key()
    application = Application()
    closing.callback(application.close)

    def decide(asked):
        if (asked.get("user") or "").startswith("thief"):
            revoked = request(server, "POST", "/api/revoke?token=stolen", bearer(key))
            assert revoked.status == 200, revoked
        return 200, b'{"allow":true}', 0

    application.decide = decide
    auth = f'[auth]\nsecret = "{SECRET}"\nleeway_ms = 0\napi_keys = ["{digest}"]\n'
    server = taut.Server(tmp_path, connect_config(application.port, 1, after=auth))
    stolen = token("thief", jti="stolen")
    if door == "lines":
        peer = closing.add(Native(server))
        peer.send(auth=stolen, ref=1)
        assert "ok" not in peer.unit()
    else:
        opened = request(server, "GET", POLLING)
        target = f"{POLLING}&sid={json.loads(opened.body.decode()[1:])['sid']}"
        request(server, "POST", target, (), f'40/r/den,{json.dumps({"token": stolen})}')
        assert request(server, "GET", target).body.startswith(b"44/r/den,")
    assert any((asked.get("user") or "") == "thief" for asked in application.asked)
    peer = closing.add(Native(server))
    assert peer.ask(auth=token("ana"))["ok"] == "auth"
    assert server.stop() == 0
