"""Who somebody is, where carriers disagree, are empty, or are shown in an odd place."""

import json
import socket
import ssl
import subprocess

import pytest

from peers import Native, request
from servers import Certificates
from socketio_wire import Polling
from test_auth import SECRET, curl, status, token

CONFIG = f"""
[auth]
secret = "{SECRET}"
leeway_ms = 0
anonymous = ["guest"]
[roles.guest]
"open/**" = "join history"
"""


@pytest.fixture
def server(start):
    return start(CONFIG)


def reads(server, room, *headers, query=""):
    return request(server, "GET", f"/r/{room}?history{query}", headers).status


def test_what_is_empty_is_no_token(server):
    """So an application takes a cookie back, and a page sends what it has."""
    for headers, query in [
        ([("Cookie", "taut_token=")], ""),
        ([("Cookie", 'taut_token=""')], ""),
        ([("Authorization", "Bearer ")], ""),
        ([], "&token="),
        ([("Sec-WebSocket-Protocol", "taut, taut.token.")], ""),
    ]:
        assert reads(server, "open/a", *headers, query=query) == 200, (headers, query)
        # The next carrier counts.
        both = [*headers, ("Cookie", f"other=1; taut_token = {token()} ")]
        assert reads(server, "closed", *both, query=query) == 200, (headers, query)
    assert Polling(server).enter("/open/a,", '{"token":""}')
    # What is there and wrong is refused, whatever stands behind it.
    assert reads(server, "open/a", ("Authorization", "Bearer x"), ("Cookie", f"taut_token={token()}")) == 401
    assert reads(server, "open/a", ("Cookie", f"taut_token={token()}"), query="&token=x") == 401


def test_a_token_that_is_emitted_reaches_no_room(server, closing):
    """A client that is only in a room's namespace renews there, too."""
    listener = closing.add(Native(server))
    assert listener.ask(auth=token("bo"))["ok"] == "auth"
    assert listener.ask(join="den")["ok"] == "join"
    session = Polling(server)
    session.enter("/den,", json.dumps({"token": token("ana", 30)}))

    def emitted(*arguments):
        session.say(f"42/den,7{json.dumps(['auth', *arguments])}")
        packet = session.packet()
        assert packet.startswith("43/den,7"), packet
        return json.loads(packet.removeprefix("43/den,7"))[0]

    newer = emitted(token("ana", 900))
    assert newer["ok"] == "auth" and newer["user"] == "ana"
    assert emitted(token("bo"))["error"] == "unauthorized"
    assert emitted("rubbish")["error"] == "unauthorized"
    assert "token" in emitted()["text"] and emitted(7)["error"] == "bad-field"
    session.say('42/den,8["hello",1]')
    while not session.packet().startswith("43/den,8"):
        pass
    assert listener.message()["event"] == "hello", "nothing came before it"


def test_on_an_open_server_it_is_an_event_of_the_room_as_it_was(start, closing):
    server = start()
    listener = closing.add(Native(server))
    listener.ask(join="den")
    session = Polling(server)
    session.enter("/den,")
    session.say('42/den,["auth","of the application"]')
    assert listener.message()["event"] == "auth"


def client_certificate(made, subject):
    """curl's arguments for a certificate of this subject."""
    path = made.folder / f"client-{len(list(made.folder.iterdir()))}"
    key, signed, wish, extensions = (path.with_suffix(f".{end}") for end in ("key", "pem", "csr", "ext"))
    extensions.write_text("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")
    for arguments in [
        ["req", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", wish, "-subj", subject],
        ["x509", "-req", "-in", wish, "-extfile", extensions, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-out", signed],
    ]:
        subprocess.run(["openssl", *map(str, arguments)], cwd=made.folder, check=True, capture_output=True)
    return ["--cert", str(signed), "--key", str(key)]


def test_a_name_that_no_user_can_have_is_said_to_be_the_certificate_s_or_the_proxy_s(start, room, tmp_path):
    made = Certificates(tmp_path)
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    shown = client_certificate(made, "/CN=an\u3164a")
    config = """
[auth]
certificates = true
certificate_roles = ["all"]
proxies = ["127.0.0.1"]
proxy_header = "X-User"
proxy_roles = ["all"]
[roles.all]
"**" = "*"
"""
    server = start(config, ["--tls-cert", str(made.folder / "good.pem"), "--tls-key", str(made.folder / "good.key"), "--tls-client-ca", str(made.ca)])
    url = f"https://localhost:{server.port}/r/{room}?history"
    heard = curl("--cacert", str(made.ca), *shown, url)
    assert status(heard) == 401 and "certificate, or the proxy" in heard, heard
    for headers in (["-H", "X-User: a\tb"], ["-H", "X-User: a", "-H", "X-User: b"]):
        heard = curl(*headers, f"{server.http}/r/{room}?history")
        assert status(heard) == 401 and "certificate, or the proxy" in heard, heard
    assert "the proxy's header, stands there twice" in server.said() and "no token" not in server.said()


def test_a_certificate_that_names_two_names_nobody(start, room, tmp_path):
    made = Certificates(tmp_path)
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    folder = made.folder
    two, one = client_certificate(made, "/CN=ana/CN=root"), client_certificate(made, "/CN=ana")
    config = '[auth]\ncertificates = true\ncertificate_roles = ["all"]\n[roles.all]\n"**" = "*"\n'
    server = start(config, ["--tls-cert", str(folder / "good.pem"), "--tls-key", str(folder / "good.key"), "--tls-client-ca", str(made.ca)])
    heard = [status(curl("--cacert", str(made.ca), *shown, f"https://localhost:{server.port}/r/{room}?history")) for shown in (one, two)]
    assert heard == [200, 401]


def test_a_certificate_that_is_refused_is_told_why(start, tmp_path):
    """In TLS 1.3 the client has said its request by then; closing with that unread had taken the alert back."""
    (tmp_path / "others").mkdir()
    made, others = Certificates(tmp_path), Certificates(tmp_path / "others")
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    server = start("", ["--tls-cert", str(made.folder / "good.pem"), "--tls-key", str(made.folder / "good.key"), "--tls-client-ca", str(made.ca)])
    strange = client_certificate(others, "/CN=ana")
    trusting = ssl.create_default_context(cafile=made.ca)
    trusting.load_cert_chain(strange[1], strange[3])
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), 10) as raw, pytest.raises(ssl.SSLError, match="ALERT"):
            tunnel = trusting.wrap_socket(raw, server_hostname="localhost")
            tunnel.sendall(b"POST /r/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000)
            tunnel.recv(1)
