"""What has no door yet, and what a server must not do unasked: each says no clearly."""

import socket
import ssl
import subprocess

import pytest

import taut
from peers import Raw, curl


def test_tls_is_refused_with_an_alert(server):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError) as refused, socket.create_connection(("127.0.0.1", server.port), 5) as plain:
        context.wrap_socket(plain)
    assert "ALERT" in str(refused.value).upper(), f"not an alert but {refused.value}"
    assert "TLS" in server.said(), "the log says why"


def test_curl_https_fails_at_once_and_not_by_a_time_out(server):
    done = subprocess.run(["curl", "-sS", "-k", "--max-time", "5", f"https://127.0.0.1:{server.port}/"], capture_output=True, text=True, check=False)
    assert done.returncode == 35, done


def test_mqtt_3_1_1_is_refused_by_a_connack(server):
    raw = Raw(server)
    raw.send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
    assert raw.rest() == b"\x20\x02\x00\x03", "CONNACK, server unavailable"
    raw.close()


def test_mqtt_5_is_refused_by_a_connack_that_says_why(server):
    raw = Raw(server)
    raw.send(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a")
    answer = raw.rest()
    assert answer[0] == 0x20 and answer[3] in (0x84, 0x88), answer
    assert b"\x1f" in answer[4:], "a reason string"
    raw.close()


def test_http_2_with_prior_knowledge_is_refused(server):
    raw = Raw(server)
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    answer = raw.rest()
    assert b"\x00\x00\x00\x0d" in answer, "GOAWAY with HTTP_1_1_REQUIRED"
    raw.close()
    code, _ = curl(server, "/", "--http2-prior-knowledge", "--max-time", "5")
    assert code not in (0, 28), "curl fails, and not by a time-out"


def leaves(*arguments):
    """Starts a server that must not start: (exit code, what it said)."""
    done = subprocess.run([str(taut.BINARY), "serve", "--memory", *arguments], capture_output=True, text=True, check=False, timeout=10)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_a_public_address_is_refused_without_open(address):
    code, said = leaves("--listen", f"{address}:{taut.free_port()}")
    assert code != 0 and "--open" in said, said


def test_a_public_address_is_served_with_open(start):
    server = start(arguments=["--listen", f"0.0.0.0:{taut.free_port()}", "--open"])
    assert server.is_running()


def test_a_port_in_use_says_which_listener_and_how_to_choose_another(server):
    code, said = leaves("--listen", f"127.0.0.1:{server.port}")
    assert code != 0
    assert f"127.0.0.1:{server.port}" in said and "--listen" in said, said


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:", "::1:8080", "quic://127.0.0.1:1", "256.0.0.1:80"])
def test_an_address_that_is_none_says_what_one_looks_like(address):
    code, said = leaves("--listen", address)
    assert code not in (0, 101, 134) and address.split("://")[-1].split(":")[0] in said, said


def test_unknown_keys_are_refused_with_file_and_line(tmp_path):
    path = tmp_path / "taut.toml"
    path.write_text('hosts = []\n\n[limits]\nmesage_bytes_max = 5\n')
    code, said = leaves("--config", str(path), "--listen", f"127.0.0.1:{taut.free_port()}")
    assert code != 0 and f"{path.name}:4" in said and "message_bytes_max" in said, said


def test_the_start_lines_are_lines_to_paste(server):
    said = server.said()
    for line in (f"nc localhost {server.port}", f"localhost:{server.port}/r/lobby", f'new WebSocket("ws://localhost:{server.port}/r/lobby")'):
        assert line in said, said
