"""Servers for `taut connect`: honest ones in Python and Node, and such as no honest program is. Each runs until it is closed."""

import base64
import contextlib
import json
import select
import socket
import ssl
import subprocess
import threading
from pathlib import Path

HERE = Path(__file__).parent


class Serving:
    """Runs `talk(socket)` in a thread for each client. `where` is a path for a Unix socket, else it is a port of 127.0.0.1."""

    def __init__(self, talk, where=None, tls=None, backlog=50):
        self.talk, self.tls = talk, tls
        self.faults, self.connections = [], []
        self.socket = socket.socket(socket.AF_UNIX if where else socket.AF_INET)
        self.socket.bind(str(where) if where else ("127.0.0.1", 0))
        self.socket.listen(backlog)
        self.where = where
        self.port = None if where else self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        """For the kind of stream that it is."""
        return f"unix:{self.where}" if self.where else f"{'tls' if self.tls else 'tcp'}://127.0.0.1:{self.port}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        # A peer that goes is no fault of the test.
        with contextlib.suppress(OSError):
            try:
                if self.tls:
                    connection.settimeout(10)
                    connection = self.tls.wrap_socket(connection, server_side=True)
                self.talk(connection)
            except ssl.SSLError as error:
                self.faults.append(str(error))
            finally:
                connection.close()

    def close(self):
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.connections:
            connection.close()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def says(data, then=None):
    """Says something to whoever comes, and closes, or does `then`."""

    def talk(connection):
        connection.sendall(data)
        if then:
            then(connection)

    return talk


def silent(connection):
    """Reads and never answers."""
    while connection.recv(65536):
        pass


def deaf(connection):
    """Neither reads nor answers, until it is closed."""
    connection.settimeout(None)
    threading.Event().wait(60)


def floods(piece=b"x" * 65536):
    """Sends without end, whatever the other does."""

    def talk(connection):
        while True:
            connection.sendall(piece)

    return talk


def resets(connection):
    """Ends with a reset once something has come."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def http_head(connection):
    """A request's head, up to its empty line."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("it ended in its head")
        head += piece
    return head.split(b"\r\n\r\n")[0].decode("latin-1")


class Datagrams:
    """Answers each datagram with `answers(data)`, a list."""

    def __init__(self, answers):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"udp://127.0.0.1:{self.port}"
        self.came = []
        self.is_over = False
        self.answers = answers
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.is_over:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            data, peer = self.socket.recvfrom(65536)
            self.came.append(data)
            for answer in self.answers(data):
                self.socket.sendto(answer, peer)

    def close(self):
        self.is_over = True
        self.thread.join(5)
        self.socket.close()


class Node:
    """A script of Node that prints where it listens."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(["node", str(HERE / script), *map(str, arguments)], cwd=HERE, stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline().strip()
        assert said, "node did not start"
        self.port = int(said) if said.isdigit() else None
        self.where = said

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# ---- proxies


class Proxy(Serving):
    """A proxy of both kinds that writes down what it was asked for. `password` is what it wants to hear, `refuses` makes it say no."""

    def __init__(self, kind, password=None, refuses=False):
        self.asked, self.password, self.refuses = [], password, refuses
        self.kind = kind
        super().__init__(self._connect if kind == "http" else self._socks)

    @property
    def url(self):
        user = f"ana:{self.password}@" if self.password else ""
        return f"{self.kind}://{user}127.0.0.1:{self.port}"

    def _connect(self, connection):
        head = http_head(connection)
        self.asked.append(head)
        if self.refuses:
            return connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        if self.password and base64.b64encode(f"ana:{self.password}".encode()).decode() not in head:
            return connection.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
        host, port = head.split()[1].rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port)), 5) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(connection, onward)

    def _socks(self, connection):
        version, count = connection.recv(2)
        methods = connection.recv(count)
        self.asked.append((version, methods))
        if self.password:
            if 2 not in methods:
                return connection.sendall(b"\x05\xff")
            connection.sendall(b"\x05\x02")
            _, size = connection.recv(2)
            name = connection.recv(size)
            password = connection.recv(connection.recv(1)[0])
            is_right = (name, password) == (b"ana", self.password.encode())
            connection.sendall(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return None
        else:
            connection.sendall(b"\x05\x00")
        _, _, _, kind = connection.recv(4)
        if kind == 3:
            host = connection.recv(connection.recv(1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, connection.recv(4 if kind == 1 else 16))
        port = int.from_bytes(connection.recv(2), "big")
        self.asked.append((kind, host, port))
        if self.refuses:
            return connection.sendall(b"\x05\x02\x00\x01\0\0\0\0\0\0")
        with socket.create_connection((host, port), 5) as onward:
            connection.sendall(b"\x05\x00\x00\x01\x7f\0\0\1\0\0")
            relay(connection, onward)
        return None


def relay(one, other):
    """Bytes both ways until both sides have ended."""
    open_ways = {one: other, other: one}
    while open_ways:
        for ready in select.select(list(open_ways), [], [], 30)[0]:
            data = ready.recv(65536)
            if data:
                open_ways[ready].sendall(data)
            else:
                with contextlib.suppress(OSError):
                    open_ways.pop(ready).shutdown(socket.SHUT_WR)


# ---- certificates


class Certificates:
    """A certificate authority of its own, made with openssl in a folder, and what it signs."""

    def __init__(self, folder):
        self.folder = Path(folder) / "tls"
        self.folder.mkdir()
        self.ca = self._key_and("ca", "-x509", "-days", "30", "-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, check=True, capture_output=True)

    def _key_and(self, name, *arguments):
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", *arguments)
        return self.folder / f"{name}.pem"

    def self_signed(self, name="self", host="localhost"):
        names = f"subjectAltName=DNS:{host},IP:127.0.0.1"
        self._key_and(name, "-x509", "-days", "30", "-subj", f"/CN={host}", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE")
        return self._context(name)

    def signed(self, name="good", names="DNS:localhost,IP:127.0.0.1", dates=(), usage="serverAuth", **more):
        """A server's context with a certificate of our authority; `dates` as `openssl ca` wants them."""
        self.sign(name, names, dates, usage)
        return self._context(name, **more)

    def sign(self, name, names, dates=(), usage="serverAuth"):
        self._key_and(name, "-subj", f"/CN={name}")
        (self.folder / "index").write_text("")
        (self.folder / "serial").write_text("1000\n")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\nauthorityKeyIdentifier=keyid\n")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\ndefault_days=30\n[p]\ncommonName=supplied\n"
        )
        begin, end = dates or ("20250101000000Z", "20991231000000Z")
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.pem", "-out", f"{name}.pem.signed", "-notext", "-extfile", f"{name}.ext", "-startdate", begin, "-enddate", end)
        (self.folder / f"{name}.pem.signed").rename(self.folder / f"{name}.pem")

    def _context(self, name, asks_for_client=False, alpn=(), version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        if asks_for_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if version:
            context.maximum_version = version
        return context


def json_lines(data):
    return [json.loads(line) for line in data.decode().splitlines() if line]
