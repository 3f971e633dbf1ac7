"""`taut connect tls://`, `wss://` and `https://` to Python's ssl with certificates of every kind."""

import ssl

import pytest

from commands import run
from servers import Certificates, Serving, echo, http_head, says


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(closing):
    return lambda context, talk=echo: closing.add(Serving(talk, tls=context))


def at(server, host="localhost", scheme="tls"):
    return f"{scheme}://{host}:{server.port}"


def test_a_certificate_of_a_known_authority_is_good(certificates, serve):
    server = serve(certificates.signed())
    for host in ["localhost", "127.0.0.1"]:
        code, out, said = run("connect", "--ca", certificates.ca, at(server, host), stdin=b"secret\n")
        assert (code, out) == (0, b"secret\n"), said


def test_tls_1_2_is_still_spoken(certificates, serve):
    server = serve(certificates.signed("old", version=ssl.TLSVersion.TLSv1_2))
    code, out, said = run("connect", "--ca", certificates.ca, at(server), stdin=b"x")
    assert (code, out) == (0, b"x"), said


def test_an_unknown_authority_is_7_and_says_what_to_do(certificates, serve):
    server = serve(certificates.signed("unknown"))
    code, out, said = run("connect", at(server), stdin=b"secret")
    assert (code, out) == (7, b"") and "--ca" in said and "--insecure" in said, said


def test_a_self_signed_certificate_is_7_and_passes_if_told(certificates, serve):
    server = serve(certificates.self_signed())
    code, out, said = run("connect", at(server), stdin=b"secret")
    assert (code, out) == (7, b"") and "self-signed" in said and "--insecure" in said, said
    code, out, said = run("connect", "--insecure", at(server), stdin=b"x")
    assert (code, out) == (0, b"x"), said
    code, out, said = run("connect", "--ca", certificates.folder / "self.pem", at(server), stdin=b"x")
    assert (code, out) == (0, b"x"), said


def test_a_wrong_name_is_7_and_names_the_right_ones(certificates, serve):
    server = serve(certificates.signed("other", "DNS:example.org,DNS:www.example.org"))
    code, out, said = run("connect", "--ca", certificates.ca, at(server), stdin=b"secret")
    assert (code, out) == (7, b"") and "example.org" in said and "localhost" in said, said


@pytest.mark.parametrize(("dates", "word"), [(("20200101000000Z", "20210101000000Z"), "2021"), (("20980101000000Z", "20990101000000Z"), "2098")])
def test_a_certificate_out_of_its_time_is_7_and_says_when(certificates, serve, dates, word):
    server = serve(certificates.signed("time", dates=dates))
    code, _, said = run("connect", "--ca", certificates.ca, at(server))
    assert code == 7 and word in said, said


def test_a_client_certificate_is_shown_when_asked(certificates, serve):
    certificates.sign("ana", "DNS:ana", usage="clientAuth")
    server = serve(certificates.signed("strict", asks_for_client=True))
    folder = certificates.folder
    code, out, said = run("connect", "--ca", certificates.ca, "--cert", folder / "ana.pem", "--key", folder / "ana.key", at(server), stdin=b"x")
    assert (code, out) == (0, b"x"), said
    code, _, said = run("connect", "--ca", certificates.ca, at(server), stdin=b"x")
    assert code == 7 and "certificate" in said, (code, said)


def test_a_peer_without_tls_is_told(closing):
    server = closing.add(Serving(says(b"220 hello, this is no TLS\r\n")))
    code, _, said = run("connect", f"tls://127.0.0.1:{server.port}")
    assert code == 7 and "TLS" in said, (code, said)


def test_https_and_its_files(certificates, serve):
    def page(connection):
        http_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")

    server = serve(certificates.signed("web"), page)
    code, out, said = run("connect", "--ca", certificates.ca, at(server, scheme="https"))
    assert code == 0 and out.endswith(b"secret"), said


def test_the_story_shows_the_certificate(certificates, serve):
    server = serve(certificates.signed("shown"))
    code, _, said = run("connect", "-v", "--ca", certificates.ca, at(server), stdin=b"x")
    assert code == 0 and "TLS 1.3" in said and "Test authority" in said and "localhost" in said, said


def test_what_is_trusted_blindly_is_said_in_the_story(certificates, serve):
    server = serve(certificates.self_signed("blind"))
    code, _, said = run("connect", "-v", "--insecure", at(server), stdin=b"x")
    assert code == 0 and "self-signed" in said, said


# ---- pub, sub and who: the same words, the same codes


COMMANDS = [("pub", "lobby", "hello"), ("sub", "lobby"), ("who", "lobby")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("scheme", ["tls", "wss", "https"])
def test_the_commands_of_a_room_leave_with_7_too(certificates, serve, command, scheme):
    server = serve(certificates.self_signed(f"{command[0]}-{scheme}"))
    code, out, said = run(*command, "--url", at(server, scheme=scheme))
    assert (code, out) == (7, b"") and "self-signed" in said and "--insecure" in said, (code, said)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_peer_that_does_not_trust_them_is_7(certificates, serve, command):
    """In TLS 1.3 it says so only after the handshake."""
    server = serve(certificates.signed(f"strict-{command[0]}", asks_for_client=True))
    code, out, said = run(*command, "--ca", certificates.ca, "--url", at(server))
    assert (code, out) == (7, b"") and "certificate" in said, (code, said)


@pytest.mark.parametrize("command", [("connect",), *COMMANDS], ids=lambda command: command[0])
def test_a_file_that_is_not_there_is_a_wrong_command_line(certificates, serve, command, tmp_path):
    url = at(serve(certificates.signed(f"missing-{command[0]}")))
    place = [url] if command[0] == "connect" else ["--url", url]
    code, _, said = run(*command, "--ca", tmp_path / "nothing.pem", *place)
    assert code == 2 and "nothing.pem" in said, (code, said)
