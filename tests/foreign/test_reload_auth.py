"""A reload of who may come in, of certificates and of rates, by SIGHUP and by the server API: what it does to who is there, and that it is all or nothing."""

import json
import os
import socket
import subprocess
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from peers import PATIENCE_S, Native, Raw, request
from servers import Certificates
from taut import BINARY
from test_api import make_key
from test_auth import SECRET, curl, status, token
from test_limits import From
from test_reload import Reloading
from test_tls import dial, pair

OPEN = "# nothing is said here\n"
OTHER = "another secret of the tests that is long enough"


def auth(roles, secret=SECRET, more=""):
    return f'[auth]\nsecret = "{secret}"\nleeway_ms = 0\n{more}\n[roles.member]\n{roles}\n'


def member(user="ana", secret=SECRET, **claims):
    return token(user, secret=secret, **{"taut": {"roles": ["member"]}, **claims})


def authed(closing, server, shown):
    peer = closing.add(Native(server))
    assert peer.ask(auth=shown)["ok"] == "auth"
    return peer


def farewell(peer):
    """What a native connection hears until it ends: its last unit."""
    lines = peer.raw.rest().splitlines()
    return json.loads(lines[-1])


@pytest.mark.parametrize("cores", ["1", "2"])
def test_a_role_that_loses_a_right_takes_it_from_who_is_there(start, closing, room, cores):
    one = Reloading(start, auth('"t/**" = "join publish who"'), ["--cores", cores])
    peers = [authed(closing, one.server, member(user)) for user in ("ana", "bo", "cy", "di")]
    for peer in peers:
        assert peer.ask(join=room)["ok"] == "join"
        assert peer.ask(join=f"{room}/more")["ok"] == "join"
    said = one.reload(auth(f'"t/**" = "join who"\n"{room}/more" = "-join"'))
    assert 'roles.member."t/**": "join publish who" → "join who"' in said
    assert f'roles.member."{room}/more": nothing → "-join"' in said
    for peer in peers:
        left = peer.unit()
        assert left["room"] == f"{room}/more" and left["left"] == "forbidden", left
        assert peer.ask(publish=room, data=1)["error"] == "forbidden"
        assert peer.ask(who=room)["ok"] == "who", "what is left stays"
    one.reload(auth('"t/**" = "join publish"'))
    for peer in peers:
        assert peer.ask(who=room)["error"] == "forbidden"
    assert peers[0].ask(publish=room, data="again")["ok"] == "publish"


def test_a_role_that_is_gone_ends_who_has_it(start, closing, room):
    other = '[roles.guest]\n"t/**" = "join"\n'
    one = Reloading(start, auth('"t/**" = "join publish"') + other)
    ana = authed(closing, one.server, member())
    guest = authed(closing, one.server, token("bo", taut={"roles": ["guest"]}))
    one.reload(f'[auth]\nsecret = "{SECRET}"\nleeway_ms = 0\n{other}')
    assert farewell(ana)["bye"] == "revoked"
    assert guest.ask(join=room)["ok"] == "join"


def test_a_key_that_is_gone_ends_its_connections_and_a_new_one_counts(start, closing, room):
    rights = '"t/**" = "join publish"'
    one = Reloading(start, auth(rights))
    ana = authed(closing, one.server, member())
    ana.ask(join=room)
    payload = closing.enter_context(connect(f"{one.server.ws}/r/{room}?token={member('bo')}"))
    assert one.reload(auth(rights)).count("changed=0"), "nothing is different"
    assert ana.ask(publish=room, data=1)["ok"] == "publish"
    assert payload.recv(PATIENCE_S) == "1"
    said = one.reload(auth(rights, OTHER))
    assert "auth.secret: another one" in said and "1 keys for tokens came, 1 went" in said
    assert SECRET not in said and OTHER not in said
    assert farewell(ana)["bye"] == "revoked"
    with pytest.raises(ConnectionClosed) as ended:
        payload.recv(PATIENCE_S)
    assert 4000 <= ended.value.rcvd.code < 5000
    url = f"{one.server.http}/r/{room}"
    assert status(curl("-d", "x", "-H", f"Authorization: Bearer {member()}", url)) == 401
    assert status(curl("-d", "x", "-H", f"Authorization: Bearer {member(secret=OTHER)}", url)) == 200


def test_a_key_file_with_another_key_counts_although_no_setting_changed(start, closing, tmp_path, room):
    path = tmp_path / "secret"
    path.write_text(SECRET)
    config = f'[auth]\nsecret_file = "{path}"\nleeway_ms = 0\n[roles.member]\n"t/**" = "join publish"\n'
    one = Reloading(start, config)
    ana = authed(closing, one.server, member())
    path.write_text(OTHER)
    assert "auth: 1 keys for tokens came, 1 went" in one.reload()
    assert farewell(ana)["bye"] == "revoked"
    path.write_text("short")
    said = one.reload()
    assert "the old one stays in force" in said and "short" not in said.replace("is shorter", "")
    authed(closing, one.server, member(secret=OTHER))


def test_an_audience_that_is_asked_for_ends_whose_token_has_none(start, closing, room):
    rights = '"t/**" = "join publish"'
    one = Reloading(start, auth(rights))
    ana = authed(closing, one.server, member())
    one.reload(auth(rights, more='audiences = ["here"]'))
    assert farewell(ana)["bye"] == "revoked"
    bo = authed(closing, one.server, member("bo", aud="here"))
    one.reload(auth(rights, more='audiences = ["here", "there"]'))
    assert bo.ask(join=room)["ok"] == "join"


def test_who_has_shown_nothing_goes_by_the_new_roles(start, closing, room):
    guests = '[roles.guest]\n"t/**" = "%s"\n'
    one = Reloading(start, auth("", more='anonymous = ["guest"]') + guests % "join publish who")
    peer = closing.add(Native(one.server))
    assert peer.ask(join=room)["ok"] == "join"
    payload = closing.enter_context(connect(f"{one.server.ws}/r/{room}"))
    one.reload(auth("", more='anonymous = ["guest"]') + guests % "join who")
    assert peer.ask(publish=room, data=1)["error"] == "unauthorized"
    assert peer.ask(who=room)["ok"] == "who"
    one.reload(auth("", more='anonymous = ["guest"]') + guests % "who")
    left = peer.unit()
    assert room in json.dumps(left), left
    with pytest.raises(ConnectionClosed):
        payload.recv(PATIENCE_S)
    one.reload(OPEN)
    assert peer.ask(join=room)["ok"] == "join", "nobody is asked any more"


def test_an_open_server_becomes_one_that_asks_and_back(start, closing, room):
    one = Reloading(start, OPEN)
    peer = closing.add(Native(one.server))
    assert peer.ask(join=room)["ok"] == "join"
    one.reload(auth('"t/**" = "join publish"'))
    assert room in json.dumps(peer.unit())
    assert peer.ask(join=room)["error"] == "unauthorized"
    assert peer.ask(auth=member())["ok"] == "auth"
    assert peer.ask(join=room)["ok"] == "join"
    one.reload(OPEN)
    assert peer.ask(publish=f"{room}/anything", data=1)["ok"] == "publish", "and it lives"


def test_who_shows_nothing_in_time_ends_after_such_a_change(start, closing):
    one = Reloading(start, "[limits]\nhandshake_ms_max = 500\n")
    peer = closing.add(Native(one.server))
    assert peer.ask(publish="a", data=1)["ok"] == "publish"
    one.reload("[limits]\nhandshake_ms_max = 500\n" + auth('"t/**" = "join"'))
    assert farewell(peer)["bye"]


def test_a_key_set_takes_the_place_of_a_secret(start, closing, tmp_path, room):
    cryptography = pytest.importorskip("cryptography")
    assert cryptography
    import base64
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def coded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    private = Ed25519PrivateKey.generate()
    point = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": coded(point)}]}))

    def signed(user):
        head = coded(json.dumps({"alg": "EdDSA", "typ": "JWT", "kid": "one"}).encode())
        now = int(time.time())
        body = coded(json.dumps({"sub": user, "iat": now, "exp": now + 600, "taut": {"roles": ["member"]}}).encode())
        return f"{head}.{body}.{coded(private.sign(f'{head}.{body}'.encode()))}"

    rights = '[roles.member]\n"t/**" = "join %s"\n'
    one = Reloading(start, auth('"t/**" = "join publish"'))
    ana = authed(closing, one.server, member())
    said = one.reload(f'[auth]\njwks_file = "{path}"\nleeway_ms = 0\n' + rights % "publish")
    assert "auth.jwks_file" in said
    assert farewell(ana)["bye"] == "revoked"
    deadline = time.monotonic() + PATIENCE_S
    peer = closing.add(Native(one.server))
    while "ok" not in peer.ask(auth=signed("bo")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert peer.ask(publish=room, data=1)["ok"] == "publish"
    # The same set with other roles: who is there stays, with the new rights.
    one.reload(f'[auth]\njwks_file = "{path}"\nleeway_ms = 0\n' + rights % "who")
    assert peer.ask(publish=room, data=1)["error"] == "forbidden"
    one.reload(auth('"t/**" = "join publish"'))
    assert farewell(peer)["bye"] == "revoked"


def test_a_mistake_in_roles_changes_nothing(start, closing, room):
    one = Reloading(start, auth('"t/**" = "join publish"'))
    ana = authed(closing, one.server, member())
    said = one.reload(auth('"t/**" = "join dance"', OTHER))
    assert "the old one stays in force" in said and "dance" in said
    assert ana.ask(publish=room, data=1)["ok"] == "publish"
    authed(closing, one.server, member("bo"))


def test_users_and_addresses_that_count_from_now_on_count_who_is_there(start, closing, room):
    rights = auth('"t/**" = "join publish history"')
    one = Reloading(start, rights)
    peers = [authed(closing, one.server, member()) for _ in range(3)]
    said = one.reload(rights + "[limits.user]\nconns_max = 3\nmessages_per_s = 1\nmessages_burst = 4\n")
    assert "limits.user.conns_max: 0 → 3" in said and "changed=3 waiting=0" in said
    late = closing.add(Native(one.server))
    assert late.ask(auth=member())["error"] == "rate-limited"
    answers = [peer.ask(publish=room, data=number) for number in range(3) for peer in peers]
    assert 4 <= sum("ok" in answer for answer in answers) < 9
    # Nobody owes anything of rates that are no more.
    one.reload(rights + "[limits.user]\nconns_max = 4\nmessages_per_s = 1\nmessages_burst = 100\n")
    assert all("ok" in peer.ask(publish=room, data=1) for peer in peers)
    assert late.ask(auth=member())["ok"] == "auth"
    one.reload(rights)
    assert authed(closing, one.server, member())


def test_rates_of_connections_and_addresses_take_hold(start, closing, room):
    here = '[limits]\nexempt = ["127.0.0.1"]\n'
    one = Reloading(start, here)
    old = [closing.add(From(one.server, "127.0.0.2")) for _ in range(2)]
    exempt = closing.add(Native(one.server))
    for peer in [*old]:
        peer.unit(publish=room, data=1)
        assert peer.heard()["ok"] == "publish"
    one.reload(here + "[limits.address]\nconns_max = 2\n[limits.conn]\nmessages_per_s = 1\nmessages_burst = 2\n")
    answers = []
    for number in range(4):
        old[0].unit(publish=room, data=number)
        answers.append(old[0].heard())
    assert "limits.conn.messages_per_s" in answers[-1]["text"]
    third = closing.add(From(one.server, "127.0.0.2"))
    third.unit(publish=room, data=1)
    assert b"rate-limited" in third.rest()
    assert all(exempt.ask(publish=room, data=1).get("ok") for _ in range(10))
    # Who is exempt no more counts at once, and who is from now on does not.
    one.reload('[limits]\nexempt = ["127.0.0.2"]\n[limits.conn]\nmessages_per_s = 1\nmessages_burst = 2\n')
    assert [exempt.ask(publish=room, data=1).get("ok") for _ in range(4)][-1] is None
    for number in range(8):
        old[1].unit(publish=room, data=number)
        assert old[1].heard()["ok"] == "publish"


def subject(server, name):
    """Whose certificate is shown to who asks for a host."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", name]
    said = subprocess.run(command, input="", capture_output=True, text=True, timeout=20).stdout
    return next((line for line in said.splitlines() if line.startswith("subject=")), "")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    made.sign("other", "DNS:other.example")
    made.sign("client", "DNS:client.example", usage="clientAuth")
    return made


def tls(certificates, *names, more=""):
    def listed(end):
        return json.dumps([str(certificates.folder / f"{name}.{end}") for name in names])

    return f"[tls]\ncert = {listed('pem')}\nkey = {listed('key')}\n{more}\n"


def test_certificates_by_name_and_authorities_of_clients_take_hold(start, closing, certificates):
    one = Reloading(start, tls(certificates, "good"))
    old = dial(one.server, certificates)
    assert "CN=good" in subject(one.server, "other.example").replace(" ", "")
    said = one.reload(tls(certificates, "good", "other"))
    assert "reloaded: tls.cert:" in said and "waiting=0" in said
    assert "CN=other" in subject(one.server, "other.example").replace(" ", "")
    assert "CN=good" in subject(one.server, "localhost").replace(" ", "")
    one.reload(tls(certificates, "other", more=f'client_ca = "{certificates.ca}"\nclients = "required"'))
    stream = socket.create_connection(("127.0.0.1", one.server.port), 10)
    stream.close()
    command = ["curl", "-s", "-k", "-m", "10", f"https://127.0.0.1:{one.server.port}/health/live"]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode != 0, "who shows no certificate stays out"
    shown = ["--cert", str(certificates.folder / "client.pem"), "--key", str(certificates.folder / "client.key")]
    assert subprocess.run([*command, *shown], capture_output=True, timeout=20).returncode == 0
    old.sendall(b'{"publish":"a","data":1}\n')
    assert b"publish" in old.recv(1000), "a connection that is open stays"
    # What cannot be used is refused as a whole.
    said = one.reload('hosts = ["new.example"]\n' + tls(certificates, "good").replace("good.key", "other.key"))
    assert "was not reloaded" in said
    assert status(curl("-H", "Host: new.example", f"http://127.0.0.1:{one.server.port}/r/a?history")) == 403
    assert "CN=other" in subject(one.server, "localhost").replace(" ", "")
    said = one.reload(OPEN)
    assert "needs a restart: tls.cert:" in said and "reloaded: tls.cert" not in said
    old.close()


def test_clear_text_is_refused_from_a_reload_on(start, closing, certificates):
    one = Reloading(start, tls(certificates, "good"))
    kept = closing.add(Native(one.server))
    assert kept.ask(publish="a", data=1)["ok"] == "publish"
    said = one.reload(tls(certificates, "good", more="required = true"))
    assert "reloaded: tls.required: false → true" in said
    late = closing.add(Raw(one.server))
    late.send('{"publish":"a","data":2}\n')
    assert b"tls" in late.rest().lower()
    assert kept.ask(publish="a", data=3)["ok"] == "publish", "who is there stays"
    said = one.reload(tls(certificates, "good"))
    assert closing.add(Native(one.server)).ask(publish="a", data=4)["ok"] == "publish"


def test_a_server_without_tls_says_that_it_takes_a_restart(start, certificates):
    one = Reloading(start, OPEN)
    said = one.reload(tls(certificates, "good"))
    assert "needs a restart: tls.cert" in said and "needs a restart: tls.key" in said
    one.server.assert_healthy()


def admin(one, key, *words, code=0):
    environment = {"TAUT_API_KEY": key, "PATH": os.environ["PATH"]}
    done = subprocess.run([BINARY, "admin", *words, "--url", one.server.http], capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def api(one, key, target="/api/reload", method="POST"):
    return request(one.server, method, target, [("Authorization", f"Bearer {key}")])


def test_the_api_reloads_and_says_what_changed_or_why_not(start, closing, room):
    key, digest = make_key()
    keys = f'[auth]\napi_keys = ["{digest}"]\n'
    one = Reloading(start, keys)
    assert api(one, key).json() == {"changed": [], "waiting": []}
    one.path.write_text(f'cores = 7\nhosts = ["chat.example"]\n{keys}')
    outcome = api(one, key).json()
    assert outcome["changed"] == ['hosts: [] → ["chat.example"]']
    assert outcome["waiting"] == ["cores: 0 → 7"]
    assert "the configuration was reloaded" in one.server.said()
    one.path.write_text(f"{keys}[limits]\npong = 1\n")
    problem = api(one, key).assert_problem(422)
    assert problem["code"] == "bad-configuration" and "limits.pong" in problem["detail"]
    assert status(curl("-H", "Host: chat.example", f"{one.server.http}/r/{room}?history")) == 200, "the old one stays"
    one.path.write_text(keys)
    assert "hosts:" in admin(one, key, "reload")
    assert json.loads(admin(one, key, "reload", "--json")) == {"changed": [], "waiting": []}
    one.path.write_text("nonsense")
    assert "nothing was changed" in admin(one, key, "reload", code=4)


def test_nobody_else_reloads_and_no_file_can_be_named(start, tmp_path):
    key, digest = make_key()
    one = Reloading(start, auth('"**" = "*"', more=f'api_keys = ["{digest}"]'))
    other = tmp_path / "other.toml"
    other.write_text("cores = 3\n")
    for target in [f"/api/reload?config={other}", f"/api/reload?path={other}", "/api/reload?"]:
        answer = api(one, key, target)
        assert answer.status == (400 if "=" in target else 200), answer
    with_body = request(one.server, "POST", "/api/reload", [("Authorization", f"Bearer {key}")], f'{{"config":"{other}"}}')
    assert with_body.status == 400
    assert api(one, "taut_wrong").status == 401
    assert api(one, token()).status == 403, "a token that grants admin has rooms, not the server"
    assert request(one.server, "POST", "/api/reload").status == 401
    assert api(one, key, method="GET").status == 405
    assert "cores" not in one.server.said()


def test_a_key_of_the_api_is_replaced_by_its_own_request(start):
    (old, old_digest), (new, new_digest) = make_key(), make_key()
    one = Reloading(start, f'[auth]\napi_keys = ["{old_digest}"]\n')
    one.path.write_text(f'[auth]\napi_keys = ["{new_digest}"]\n')
    assert api(one, old).status == 200, "whoever asks hears what came of it"
    assert api(one, old).status == 401
    assert api(one, new).status == 200


def test_many_reloads_at_once_are_all_answered(start, closing):
    key, digest = make_key()
    one = Reloading(start, f'[auth]\napi_keys = ["{digest}"]\n')
    peers = [closing.add(Raw(one.server)) for _ in range(12)]
    for peer in peers:
        peer.send(f"POST /api/reload HTTP/1.1\r\nHost: 127.0.0.1:{one.server.port}\r\nAuthorization: Bearer {key}\r\nContent-Length: 0\r\n\r\n")
    assert {peer.response("POST").status for peer in peers} <= {200, 503}
    one.server.assert_healthy()


def test_many_connections_are_judged_again_and_go_on(start, closing, room):
    one = Reloading(start, auth('"t/**" = "join publish who"'))
    peers = [authed(closing, one.server, member(f"user-{number}")) for number in range(300)]
    for peer in peers:
        assert peer.ask(join=room)["ok"] == "join"
    one.reload(auth('"t/**" = "join publish"'))
    for peer in peers:
        assert peer.ask(who=room)["error"] == "forbidden"
    assert peers[0].ask(publish=room, data="still here")["ok"] == "publish"
    assert all(peer.message()["data"] == "still here" for peer in peers[1:])
