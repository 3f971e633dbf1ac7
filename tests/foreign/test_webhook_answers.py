"""What an application's web server may do to a call of a webhook: interim answers, half answers, closings, dribbles. Every byte is written here by hand."""

import socket
import threading
import time

import pytest

from peers import request
from servers import Certificates
from taut import Server, free_port
from test_webhooks import config

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + b'{"allow":true}'
NO = b'{"allow":false,"reason":"sold out"}'


class Scripted:
    """An application that answers by a script: `script(connection, number of the call)`. It says how often it was asked and over how many connections."""

    def __init__(self, script, family=socket.AF_INET, tls=None):
        self.script, self.tls, self.calls, self.connections, self.closing = script, tls, 0, 0, threading.Event()
        self.port = free_port()
        self.listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", self.port), family=family)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            while self.read(peer):
                self.calls += 1
                if self.script(peer, self.calls) == "close":
                    break
        except OSError:
            pass
        finally:
            peer.close()

    def read(self, peer):
        """One request, to its end."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = peer.recv(65536)
            if not more:
                return False
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += peer.recv(65536)
        return True

    def close(self):
        self.closing.set()
        self.listener.close()


@pytest.fixture
def scripted(tmp_path, closing):
    """A server and an application that goes by the script."""

    def start(script, host="127.0.0.1", **more):
        application = Scripted(script, socket.AF_INET6 if ":" in host else socket.AF_INET)
        closing.callback(application.close)
        url = f'"http://{host}:{application.port}/taut"'
        server = Server(tmp_path, config(application.port, 2, url=url, concurrency=1, **more))
        closing.callback(server.stop)
        return server, application

    return start


def said(server, body="x", room="orders/1"):
    """The status of a message and its detail."""
    response = request(server, "POST", f"/r/{room}", [("Content-Type", "text/plain")], body)
    return response.status, response.json().get("detail", "")


def answers(*parts, seconds=0.0, then=None):
    def script(peer, _):
        for part in parts:
            peer.sendall(part)
            time.sleep(seconds)
        return then

    return script


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + YES],
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + YES],
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20", YES[11:]],
    ],
    ids=["hints", "twice", "cut"],
)
def test_interim_answers_in_one_segment_with_the_last_one_are_passed_over(scripted, parts):
    server, application = scripted(answers(*parts, seconds=0.1))
    for _ in range(2):
        assert said(server)[0] == 200
    assert (application.calls, application.connections) == (2, 1)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 35\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 35\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n",
    ],
    ids=["closing", "chunked", "old", "kept"],
)
def test_an_answer_that_is_cut_off_is_no_yes(scripted, head):
    """An application that ends between the head of its no and its body has not said yes."""
    server, application = scripted(answers(head, then="close"))
    status, detail = said(server)
    assert status == 503, detail
    assert said(server, room="free")[0] == 200


def test_answers_that_end_with_their_connection_are_whole(scripted):
    server, application = scripted(answers(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n" + NO, then="close"))
    assert said(server) == (403, "sold out")


def test_what_a_kept_connection_says_unasked_answers_no_question(scripted):
    """A web server that gives up a silent connection says 408 first: the next call has another connection, and is made once."""

    def script(peer, _):
        peer.sendall(YES)
        time.sleep(0.3)
        peer.sendall(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return "close"

    server, application = scripted(script)
    assert said(server)[0] == 200
    time.sleep(0.8)
    assert said(server)[0] == 200
    assert (application.calls, application.connections) == (2, 2)


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_second_call(scripted):
    server, application = scripted(answers(YES, then="close"))
    for count in range(1, 4):
        assert said(server)[0] == 200
        assert application.calls == count
        time.sleep(0.2)


def test_an_application_at_an_ipv6_address(scripted):
    server, _ = scripted(answers(YES), host="[::1]")
    assert said(server)[0] == 200


def dribble(peer, data, seconds):
    for byte in data:
        peer.sendall(bytes([byte]))
        time.sleep(seconds)


def test_an_answer_byte_by_byte_is_late_at_the_deadline(scripted):
    server, _ = scripted(lambda peer, _: dribble(peer, YES, 0.2), deadline_ms=1000)
    assert said(server)[0] == 503


def serve_each(port, closing, take):
    """Hands each connection to a thread of its own."""
    listener = socket.create_server(("127.0.0.1", port))
    closing.callback(listener.close)

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=take, args=(peer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_who_reads_a_call_byte_by_byte_holds_its_thread_no_longer_than_the_deadline(tmp_path, closing):
    """The kernel takes some of it each time: only a deadline for all of the writing ends it."""

    def sip(peer):
        try:
            while peer.recv(20_000):
                time.sleep(0.4)
        except OSError:
            pass

    port = free_port()
    serve_each(port, closing, sip).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = Server(tmp_path, 'limits.message_bytes_max = "16MiB"\n' + config(port, 2, concurrency=1, deadline_ms=1500))
    closing.callback(server.stop)
    assert said(server, "x" * 12_000_000)[0] == 503


def test_tls_byte_by_byte_holds_a_thread_no_longer_than_the_deadline(tmp_path, closing):
    """One record over many reads, none of which is late by itself."""
    certificates = Certificates(tmp_path)
    inner = Scripted(answers(YES), tls=certificates.signed())
    closing.callback(inner.close)

    def stand_between(peer):
        behind = socket.create_connection(("127.0.0.1", inner.port))
        threading.Thread(target=pour, args=(peer, behind, 0), daemon=True).start()
        pour(behind, peer, 0.3)

    def pour(source, sink, seconds):
        try:
            while data := source.recv(65536):
                if seconds:
                    dribble(sink, data, seconds)
                else:
                    sink.sendall(data)
        except OSError:
            pass

    port = free_port()
    serve_each(port, closing, stand_between)
    url = f'"https://localhost:{port}/taut"'
    server = Server(tmp_path, config(port, 2, url=url, ca_file=f'"{certificates.ca}"', concurrency=1, deadline_ms=1500))
    closing.callback(server.stop)
    assert said(server)[0] == 503
