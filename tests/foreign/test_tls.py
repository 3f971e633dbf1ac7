"""TLS on the one port, by clients that others wrote: curl, openssl, Python's ssl, websockets, socket.io-client, Chromium, our own, and sslyze."""

import calendar
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

import taut
from commands import run
from peers import Program, Raw, post, said_in
from servers import Certificates
from test_metrics import Metrics

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    made.sign("other", "DNS:other.example,DNS:*.wild.example")
    return made


def pair(certificates, name="good"):
    return ["--tls-cert", str(certificates.folder / f"{name}.pem"), "--tls-key", str(certificates.folder / f"{name}.key")]


@pytest.fixture
def server(start, certificates):
    return start(arguments=[*pair(certificates), *pair(certificates, "other")])


def trusting(certificates, **more):
    context = ssl.create_default_context(cafile=certificates.ca)
    for name, value in more.items():
        setattr(context, name, value)
    return context


def dial(server, certificates, name="localhost", **more):
    plain = socket.create_connection(("127.0.0.1", server.port), 10)
    return trusting(certificates, **more).wrap_socket(plain, server_hostname=name)


def ask(stream, **unit):
    stream.sendall(json.dumps(unit).encode() + b"\n")
    return line(stream)


def line(stream):
    said = b""
    while not said.endswith(b"\n"):
        said += stream.recv(1) or pytest.fail(f"it ended behind {said!r}")
    return json.loads(said)


def test_curl_says_and_hears_in_both_versions(server, certificates, room):
    url = f"https://localhost:{server.port}/r/{room}"
    base = ["curl", "-sS", "--max-time", "10", "--noproxy", "*", "--cacert", str(certificates.ca)]
    for version in [["--tls-max", "1.2"], ["--tlsv1.3"]]:
        said = subprocess.run([*base, *version, "-d", "hello", url], capture_output=True, check=True)
        assert b'"at"' in said.stdout
    page = json.loads(subprocess.run([*base, url], capture_output=True, check=True).stdout)
    assert [message["data"] for message in page["messages"]] == ["hello", "hello"]
    # Whoever would rather speak HTTP/1.1 speaks it, also where both are offered.
    for version, words in [("--http1.1", b"HTTP/1.1 200"), ("--http2", b"HTTP/2 200")]:
        told = subprocess.run([*base, version, "-v", url], capture_output=True, check=True)
        assert words in told.stderr
    plain = subprocess.run(["curl", "-sS", "--max-time", "10", "--noproxy", "*", f"http://localhost:{server.port}/r/{room}"], capture_output=True, check=True)
    assert json.loads(plain.stdout) == page, "the same port in clear text"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_person_at_openssl_talks_with_one_at_nc(server, certificates, room, closing, version):
    person = closing.add(Program("openssl", "s_client", "-quiet", version, "-verify_return_error", "-CAfile", str(certificates.ca), "-connect", f"127.0.0.1:{server.port}", "-servername", "localhost"))
    person.type(f"/join {room}")
    person.until(f"in {room}")
    post(server, room, "hello you")
    person.until("hello you")
    person.type("/quit")
    person.ended()


@pytest.mark.parametrize("version", ["-ssl3", "-tls1", "-tls1_1"])
def test_old_versions_are_refused(server, version):
    asked = subprocess.run(["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{server.port}"], input=b"", capture_output=True, timeout=20)
    assert b"BEGIN CERTIFICATE" not in asked.stdout


def test_lines_over_python_ssl_and_a_half_close(server, certificates, room):
    with dial(server, certificates) as one, dial(server, certificates) as other:
        assert ask(one, join=room)["ok"] == "join"
        assert ask(other, publish=room, data={"x": 1})["ok"] == "publish"
        assert line(one)["data"] == {"x": 1}
        # Python says close_notify and waits for ours.
        other.unwrap().close()
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="localhost")


def test_each_host_gets_its_certificate_and_an_unknown_one_the_first(server, certificates):
    for name in ["localhost", "other.example", "a.wild.example"]:
        with dial(server, certificates, name) as stream:
            assert ask(stream, who="lobby")["ok"] == "who"
    for name in ["stranger.example", "a.b.wild.example"]:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            dial(server, certificates, name)


def test_a_session_is_resumed(server, certificates):
    for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
        context = trusting(certificates, maximum_version=version, minimum_version=version)
        session, reused = None, []
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", server.port), 10)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as stream:
                assert ask(stream, who="lobby")["ok"] == "who"
                session = stream.session
                reused.append(stream.session_reused)
        assert reused == [False, True], version


def test_websockets_over_wss(server, certificates, room):
    with connect(f"wss://localhost:{server.port}/r/{room}", ssl=trusting(certificates), proxy=None, open_timeout=10) as one:
        post(server, room, "from clear text")
        assert one.recv(10) == "from clear text"
        one.send("x" * 60_000)
        said_in(server, room, 2)
    with connect(f"wss://localhost:{server.port}/r/{room}?rewind=1", ssl=trusting(certificates), proxy=None, open_timeout=10) as one:
        assert one.recv(10) == "x" * 60_000


def test_socket_io_and_chromium(server, certificates):
    said = subprocess.run(["node", str(HERE / "tls.mjs"), str(server.port), str(certificates.ca)], capture_output=True, timeout=120)
    assert said.stdout == b"fine\n", said.stderr.decode()[-3000:]


def test_our_own_commands(server, certificates, room):
    for url in [f"https://localhost:{server.port}", f"wss://localhost:{server.port}", f"tls://localhost:{server.port}"]:
        code, _, said = run("pub", room, "hello", "--url", url, "--ca", certificates.ca)
        assert code == 0, said
        code, out, said = run("sub", room, "--url", url, "--ca", certificates.ca, "--rewind", "1", "--count", "1")
        assert code == 0 and b"hello" in out, said
        code, _, said = run("pub", room, "hello", "--url", url)
        assert code == 7, said
    code, out, said = run("connect", "--ca", certificates.ca, f"tls://localhost:{server.port}", stdin=f'{{"who":"{room}"}}\n'.encode())
    assert code == 0 and b'"ok":"who"' in out, said


def test_a_client_certificate(start, certificates, room):
    certificates.sign("sensor", "DNS:sensor-7", usage="clientAuth")
    certificates.self_signed("stranger")
    server = start(arguments=[*pair(certificates), "--tls-client-ca", str(certificates.ca), "--tls-clients", "required", "--log-level", "debug"])
    known = trusting(certificates)
    known.load_cert_chain(certificates.folder / "sensor.pem", certificates.folder / "sensor.key")
    with known.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="localhost") as stream:
        assert ask(stream, who=room)["ok"] == "who"
    assert re.search("a client showed a certificate.*sensor", server.said()), server.said()
    stranger = trusting(certificates)
    stranger.load_cert_chain(certificates.folder / "stranger.pem", certificates.folder / "stranger.key")
    for context in [stranger, trusting(certificates)]:
        with pytest.raises(OSError), context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="localhost") as stream:
            stream.sendall(b"{}\n")
            if not stream.recv(1):
                raise OSError("it ended")
    code, _, said = run("pub", room, "hi", "--url", f"https://localhost:{server.port}", "--ca", certificates.ca, "--cert", certificates.folder / "sensor.pem", "--cert-key", certificates.folder / "sensor.key")
    assert code == 0, said


def test_a_renewed_certificate_is_shown_while_messages_flow(start, certificates, room, tmp_path):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def install(name):
        for path, source in [(chain, f"{name}.pem"), (key, f"{name}.key")]:
            fresh = path.with_suffix(".new")
            fresh.write_bytes((certificates.folder / source).read_bytes())
            fresh.rename(path)

    def serial():
        with dial(server, certificates) as stream:
            return stream.getpeercert()["serialNumber"] + stream.getpeercert()["subject"][0][0][1]

    install("good")
    certificates.sign("renewed", "DNS:localhost,IP:127.0.0.1")
    server = start(arguments=["--tls-cert", str(chain), "--tls-key", str(key), "--tls-reload-ms", "100"])
    before, ends, said = serial(), threading.Event(), []

    def speak():
        with dial(server, certificates) as stream:
            while not ends.is_set():
                assert ask(stream, publish=room, data=len(said))["ok"] == "publish"
                said.append(len(said))

    with dial(server, certificates) as listener:
        assert ask(listener, join=room)["ok"] == "join"
        speaker = threading.Thread(target=speak)
        speaker.start()
        chain.write_text("broken")
        deadline = time.monotonic() + 20
        while "stays in force" not in server.said():
            assert time.monotonic() < deadline, server.said()
            time.sleep(0.05)
        assert serial() == before
        install("renewed")
        while serial() == before:
            assert time.monotonic() < deadline, server.said()
            time.sleep(0.05)
        ends.set()
        speaker.join(20)
        assert [line(listener)["data"] for _ in said] == said


def test_whoever_looks_at_the_metrics_sees_when_certificates_end_and_that_a_renewal_failed(start, certificates):
    """And the log says of whom a handshake was that failed."""
    certificates.sign("short", "DNS:short.example", ("20250101000000Z", "20330517000000Z"))
    metrics = Metrics(start, arguments=[*pair(certificates, "good"), *pair(certificates, "short"), "--tls-reload-ms", "100"])
    metrics.until(0, "taut_tls_files_unusable")
    ends = calendar.timegm((2033, 5, 17, 0, 0, 0))
    metrics.until(ends, "taut_tls_certificate_end_timestamp_seconds")
    chain = certificates.folder / "short.pem"
    chain.write_bytes(chain.read_bytes()[:200])
    metrics.until(1, "taut_tls_files_unusable")
    metrics.until(ends, "taut_tls_certificate_end_timestamp_seconds")
    server = metrics.server
    assert "short.pem: a section has no line -----END, so the file is cut off" in server.said()
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        address = "{}:{}".format(*plain.getsockname())
        with pytest.raises(ssl.SSLError):
            trusting(certificates, maximum_version=ssl.TLSVersion.TLSv1_3).wrap_socket(plain, server_hostname="elsewhere.example")
    deadline = time.monotonic() + 10
    while f'does not trust this server\'s certificate peer="{address}"' not in server.said():
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.05)


def test_tls_only_refuses_clear_text_in_its_own_words(start, certificates, closing):
    port = taut.free_port()
    server = start(arguments=[*pair(certificates), "--listen", f"tls://127.0.0.1:{port}"])
    told = subprocess.run(["curl", "-sS", "--max-time", "10", "--noproxy", "*", "-L", "--cacert", str(certificates.ca), f"http://localhost:{port}/r/lobby?who"], capture_output=True, check=True)
    assert json.loads(told.stdout)["room"] == "lobby", "sent on to https"
    told = subprocess.run(["curl", "-sS", "--max-time", "10", "--noproxy", "*", "-d", "hi", f"http://localhost:{port}/r/lobby"], capture_output=True, check=True)
    assert json.loads(told.stdout)["code"] == "tls-required"
    raw = closing.add(Raw(server, at=("127.0.0.1", port)))
    raw.send(b"hello\n")
    assert b"TLS only" in raw.rest()
    assert "tls.required" in server.said()


def test_without_a_certificate_there_is_an_alert_and_the_log_says_what_to_set(start):
    server = start()
    told = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}"], input=b"", capture_output=True, timeout=20)
    assert b"alert handshake failure" in told.stderr, told.stderr
    assert "--tls-cert" in server.said() and "--tls-self-signed" in server.said()


def test_a_self_signed_certificate_is_kept_and_says_how_to_trust_it(start, tmp_path):
    port, data = taut.free_port(), tmp_path / "rooms"
    prints = []
    for _ in range(2):
        server = start(arguments=["--tls-self-signed", "--data", str(data)], port=port)
        # It listens before it says so.
        deadline = time.monotonic() + 10
        while not (shown := re.search("SHA-256 is ([0-9A-F:]{95})", server.said())):
            assert time.monotonic() < deadline, server.said()
            time.sleep(0.02)
        prints.append(shown[1])
        certificate = data / "self-signed.crt"
        told = subprocess.run(["curl", "-sS", "--max-time", "10", "--noproxy", "*", "--cacert", str(certificate), f"https://localhost:{port}/r/lobby?who"], capture_output=True, check=True)
        assert json.loads(told.stdout)["room"] == "lobby"
        code, _, said = run("pub", "lobby", "hi", "--url", f"https://127.0.0.1:{port}", "--ca", certificate)
        assert code == 0, said
        code, _, said = run("pub", "lobby", "hi", "--url", f"https://127.0.0.1:{port}", "--insecure")
        assert code == 0, said
        server.stop()
    assert prints[0] == prints[1]
    assert (data / "self-signed.pem").stat().st_mode & 0o77 == 0
    assert b"PRIVATE" not in certificate.read_bytes()


def test_what_is_wrong_is_said_by_check_and_at_the_start(certificates, tmp_path):
    certificates.sign("old", "DNS:localhost", ("20200101000000Z", "20210203000000Z"))
    folder = certificates.folder
    for arguments, words in [
        (["--tls-cert", folder / "good.pem", "--tls-key", folder / "other.key"], "is not that of the certificate"),
        (["--tls-cert", folder / "old.pem", "--tls-key", folder / "old.key"], "expired on 2021-02-03"),
        (["--tls-cert", folder / "gone.pem"], "there is no such file"),
        (["--tls-key", folder / "good.key"], "there is a key and no certificate"),
        (["--tls-cert", folder / "good.pem"], "no private key"),
        (["--tls-required"], "there is no certificate"),
        (["--listen", "tls://127.0.0.1:0"], "needs a certificate"),
        (["--tls-clients", "required"], "tls.client_ca"),
        (["--tls-self-signed", "--tls-cert", folder / "good.pem"], "contradicts"),
    ]:
        for command in ["check", "serve"]:
            code, _, said = run(command, *arguments, "--memory")
            assert code == 2 and words in said, (command, arguments, said)
    code, _, said = run("check", *pair(certificates), "--hosts", "chat.example")
    assert code == 0 and "no certificate is for `chat.example`" in said, said


def test_slow_handshakes_hold_up_nobody(server, certificates, closing):
    hello = bytes.fromhex("1603010200010001fc0303")
    slow = []
    for number in range(500):
        stream = closing.add(socket.create_connection(("127.0.0.1", server.port), 10))
        stream.sendall(hello[: 3 + number % 8])
        slow.append(stream)
    for _ in range(10):
        with dial(server, certificates) as stream:
            assert ask(stream, who="lobby")["ok"] == "who"
    server.assert_healthy()


def test_sslyze_finds_nothing_against_mozillas_intermediate_profile(start, certificates, tmp_path):
    pytest.importorskip("sslyze")
    begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86_400)) for days in (-1, 30))
    certificates.sign("short", "DNS:localhost", (begin, end))
    server = start(arguments=pair(certificates, "short"))
    report = tmp_path / "sslyze.json"
    command = [sys.executable, "-m", "sslyze", "--mozilla_config=intermediate", "--resum", "--early_data", f"--certinfo_ca_file={certificates.ca}", f"--json_out={report}", f"localhost:{server.port}"]
    told = subprocess.run(command, capture_output=True, timeout=180).stdout.decode()
    assert "COMPLIANCE" in told, told[-2000:]
    faults = [line.strip() for line in told.split("COMPLIANCE", 1)[1].splitlines() if line.strip().startswith("* ")]
    assert faults == [], told[-2000:]
    result = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    assert result["tls_1_3_early_data"]["result"]["supports_early_data"] is False
    assert result["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert result["session_resumption"]["result"]["session_id_resumption_result"] == "FULLY_SUPPORTED"
    server.assert_healthy()
