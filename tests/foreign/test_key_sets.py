"""Key sets as identity providers serve them: over https with a private authority, slow, led elsewhere, compressed, mixed; and replaced while the server runs.
The tokens are signed by the Python library `cryptography`."""

import base64
import gzip
import http.server
import json
import os
import signal
import ssl
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

import taut
from peers import request
from servers import Certificates


def coded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value, length=None):
    return coded(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


CURVES = {"ES256": (ec.SECP256R1(), "P-256", 32, hashes.SHA256()), "ES384": (ec.SECP384R1(), "P-384", 48, hashes.SHA384()), "ES512": (ec.SECP521R1(), "P-521", 66, hashes.SHA512())}


class Key:
    """A pair, with its public half as a JWK."""

    def __init__(self, algorithm, kid, **more):
        self.algorithm, self.kid = algorithm, kid
        if algorithm in CURVES:
            curve, name, length, self.hash = CURVES[algorithm]
            self.length, self.private = length, ec.generate_private_key(curve)
            point = self.private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": name, "x": number(point.x, length), "y": number(point.y, length)}
        elif algorithm == "RS256":
            self.private = rsa.generate_private_key(65537, 2048)
            numbers = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": coded(self.private.public_key().public_bytes_raw())}
        self.jwk |= {"kid": kid, "use": "sig", "alg": algorithm, **more}

    def token(self, head=None, der=False, **claims):
        now = int(time.time())
        body = {"sub": "ana", "iat": now, "exp": now + 600, "taut": {"grants": {"**": "*"}}, **claims}
        signed = f"{coded({'alg': self.algorithm, 'kid': self.kid, **(head or {})})}.{coded(body)}"
        if self.algorithm in CURVES:
            made = self.private.sign(signed.encode(), ec.ECDSA(self.hash))
            if not der:
                made = b"".join(part.to_bytes(self.length, "big") for part in decode_dss_signature(made))
        elif self.algorithm == "RS256":
            made = self.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            made = self.private.sign(signed.encode())
        return f"{signed}.{coded(made)}"


class Source:
    """A provider of keys, over http or https, which answers as it is told."""

    def __init__(self, *keys, certificate=None):
        self.status, self.headers, self.asked, self.holds = 200, [], 0, threading.Event()
        self.holds.set()
        self.keys = [key.jwk for key in keys]
        self.body = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                outer.holds.wait(60)
                body = outer.body if outer.body is not None else json.dumps({"keys": outer.keys}).encode()
                self.send_response(outer.status)
                for header in [*outer.headers, ("Content-Length", str(len(body)))]:
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://localhost:{self.server.server_port}/keys?tenant=hidden-in-logs"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def ask(server, token):
    return request(server, "POST", "/r/keys", [("Authorization", f"Bearer {token}")], "hi").status


def becomes(server, token, wanted):
    until = time.monotonic() + 30
    while ask(server, token) != wanted:
        assert time.monotonic() < until, server.said()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("ca"))
    made.sign("good", "DNS:localhost,IP:127.0.0.1")
    made.sign("elsewhere", "DNS:elsewhere.example")
    return made


def pair(certificates, name):
    return certificates.folder / f"{name}.pem", certificates.folder / f"{name}.key"


def test_keys_come_by_https_from_whom_a_private_authority_vouches_for(start, certificates):
    key = Key("EdDSA", "a")
    source = Source(key, certificate=pair(certificates, "good"))
    url = f'[auth]\njwks_url = "{source.url}"\n'
    trusting = start(f'{url}jwks_ca_file = "{certificates.ca}"\n')
    assert ask(trusting, key.token()) == 200
    assert "hidden-in-logs" not in trusting.said()
    # Nobody else vouches for it, and the log says what to do.
    strict = start(url)
    assert ask(strict, key.token()) == 401
    assert "UnknownIssuer" in strict.said() and "auth.jwks_ca_file" in strict.said()
    # A reload that names the authority is all that it takes.
    (strict.folder / f"taut-{strict.port}.toml").write_text(f'{url}jwks_ca_file = "{certificates.ca}"\n')
    strict.process.send_signal(signal.SIGHUP)
    becomes(strict, key.token(), 200)


def test_a_certificate_of_another_name_vouches_for_nothing(start, certificates):
    key = Key("EdDSA", "a")
    source = Source(key, certificate=pair(certificates, "elsewhere"))
    server = start(f'[auth]\njwks_url = "{source.url}"\njwks_ca_file = "{certificates.ca}"\n')
    assert ask(server, key.token()) == 401
    assert source.asked == 0 and "not valid for name" in server.said()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('jwks_ca_file = "/nowhere.pem"', "cannot read the file `/nowhere.pem`"),
        ('jwks_ca_file = "{key}"', "it holds no certificate"),
    ],
)
def test_an_authority_that_is_none_is_told_at_the_start(certificates, tmp_path, line, says):
    config = tmp_path / "taut.toml"
    _, key = pair(certificates, "good")
    config.write_text(f'[auth]\njwks_url = "https://localhost:1/"\n{line.format(key=key)}\n')
    done = subprocess.run([taut.BINARY, "check", "--config", str(config)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "auth.jwks_ca_file" in done.stderr and says in done.stderr, done


def test_a_source_that_hangs_refuses_and_does_not_hold_requests_until_they_time_out(start):
    key = Key("EdDSA", "a")
    source = Source(key)
    source.holds.clear()
    server = start(f'[auth]\njwks_url = "{source.url}"\n')
    # It had been 408, after 10 s: each attempt that failed began another one, for which the request waited anew.
    assert ask(server, key.token()) == 401
    source.holds.set()
    becomes(server, key.token(), 200)


@pytest.mark.parametrize(
    ("status", "headers", "body", "says"),
    [
        (302, [("Location", "http://127.0.0.1:1/")], b"", "redirects are not followed"),
        (200, [("Content-Encoding", "gzip")], gzip.compress(b'{"keys":[]}'), "Content-Encoding: gzip"),
        (200, [], b'{"keys":[{"kty":"oct","k":"AAAA"}]}', "none of the 1 keys of the set can be used"),
        (200, [], b'{"keys":' + b"[" * 100_000, "this is no key set"),
        (200, [], b" " * 300_000, "larger than"),
    ],
)
def test_what_is_wrong_with_a_source_is_said_and_its_keys_of_before_stay(start, tmp_path, status, headers, body, says):
    key = Key("EdDSA", "a")
    source = Source(key)
    source.status, source.headers, source.body = status, headers, body
    server = start(f'[auth]\njwks_url = "{source.url}"\n')
    assert ask(server, key.token()) == 401
    assert says in server.said(), server.said()
    source.status, source.headers, source.body = 200, [("Cache-Control", "public, Max-Age=600")], None
    becomes(server, key.token(), 200)


def test_a_mixed_set_of_every_kind(start, tmp_path):
    keys = [Key(algorithm, algorithm) for algorithm in ("RS256", "ES256", "ES384", "ES512", "EdDSA")]
    named, twin = Key("EdDSA", "named", alg="Ed25519"), Key("EdDSA", "ES256")
    odd = [7, None, [], {}, {"kty": "new"}, {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, {"kty": "oct", "k": coded(b"x" * 64), "kid": "oct", "alg": "HS256"}]
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"keys": [*odd, *(key.jwk for key in [*keys, named, twin])], "also": {}}))
    server = start(f'[auth]\njwks_file = "{file}"\n')
    becomes(server, keys[0].token(), 200)
    for key in [*keys, named, twin]:
        assert ask(server, key.token()) == 200, key.algorithm
    # RFC 9864: a name of its own for Ed25519.
    assert ask(server, named.token({"alg": "Ed25519"})) == 200
    assert ask(server, keys[1].token(der=True)) == 401, "DER is no signature of a JWT"
    assert ask(server, keys[3].token({"alg": "ES256"})) == 401
    assert "skipped=7" in server.said()


def test_a_file_that_another_replaces_with_the_same_length_and_time_is_read(start, tmp_path):
    first, second = Key("EdDSA", "a"), Key("EdDSA", "b")
    file, next_one = tmp_path / "set.json", tmp_path / "next.json"
    file.write_text(json.dumps({"keys": [first.jwk]}))
    next_one.write_text(json.dumps({"keys": [second.jwk]}))
    facts = file.stat()
    os.utime(next_one, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert next_one.stat().st_size == facts.st_size
    server = start(f'[auth]\njwks_file = "{file}"\n')
    becomes(server, first.token(), 200)
    next_one.rename(file)
    becomes(server, second.token(), 200)
    assert ask(server, first.token()) == 401


def test_token_explain_and_check_ask_the_same_source(certificates, tmp_path):
    key, other = Key("ES512", "a"), Key("ES512", "b")
    source = Source(key, certificate=pair(certificates, "good"))
    config = tmp_path / "taut.toml"
    config.write_text(f'[auth]\njwks_url = "{source.url}"\njwks_ca_file = "{certificates.ca}"\n')

    def run(*words):
        return subprocess.run([taut.BINARY, *words, "--config", str(config)], capture_output=True, text=True, timeout=30, check=False)

    good = run("token", "explain", key.token())
    assert good.returncode == 0 and "accepted  user ana" in good.stdout, good
    assert "join     yes" in run("check", "--token", key.token(), "lobby").stdout
    unknown = run("token", "explain", other.token())
    assert unknown.returncode == 4 and 'no key for ES512 with the id "b"' in unknown.stdout, unknown
    over = run("token", "explain", key.token(exp=int(time.time()) - 60))
    assert over.returncode == 4 and "seconds ago" in over.stdout, over
    # What it refuses it shows all the same.
    strange = run("token", "explain", key.token({"typ": "logout+jwt"}))
    assert strange.returncode == 4 and '"typ":"logout+jwt"' in strange.stdout and "claims  {" in strange.stdout, strange
    source.status = 500
    gone = run("token", "explain", key.token())
    assert gone.returncode == 4 and "`auth.jwks_url` cannot be had: it answered with the status 500" in gone.stdout, gone
