"""The client library at `/socket.io/`, where it is built in: for a page that loads it from the server that it talks to, as Socket.IO's own servers allow."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from peers import history, request
from taut import ROOT

NAMES = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"]
HERE = Path(__file__).parent


@pytest.fixture
def built_in(server):
    if request(server, "GET", "/socket.io/socket.io.js").status != 200:
        pytest.skip("this build has no Socket.IO client library (tools/socketio-client brings it in)")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_library(server, built_in, name):
    version = re.search(r"^version=(\S+)$", (ROOT / "tools/socketio-client").read_text(), re.M)[1]
    answer = request(server, "GET", f"/socket.io/{name}")
    assert answer.status == 200
    assert answer.header("content-type").split(";")[0] == "text/javascript"
    assert f"Socket.IO v{version}".encode() in answer.body[:200]
    assert answer.body.rstrip().endswith(f"//# sourceMappingURL={name}.map".encode())
    tag = answer.header("etag")
    assert tag.startswith('"')
    again = request(server, "GET", f"/socket.io/{name}", [("If-None-Match", tag)])
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    changed = request(server, "GET", f"/socket.io/{name}", [("If-None-Match", '"another"')])
    assert changed.status == 200 and changed.body == answer.body
    head = request(server, "HEAD", f"/socket.io/{name}")
    assert head.status == 200 and head.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("name", NAMES)
def test_its_source_map(server, built_in, name):
    answer = request(server, "GET", f"/socket.io/{name}.map")
    assert answer.status == 200 and answer.header("content-type").split(";")[0] == "application/json"
    assert json.loads(answer.body)["version"] == 3


@pytest.mark.parametrize("name", ["nothing.js", "README.md", "integrity", "socket.io.msgpack.min.js", "..%2fpage/index.html", "SOCKET.IO.JS"])
def test_nothing_else_is_there(server, name):
    assert request(server, "GET", f"/socket.io/{name}").status in (400, 404)


def test_a_server_without_it_says_what_to_do(server):
    answer = request(server, "GET", "/socket.io/socket.io.js")
    if answer.status == 200:
        pytest.skip("this build has the library")
    problem = answer.assert_problem(404)
    assert "tools/socketio-client" in problem["detail"]


def test_a_page_of_the_same_server(start, server, built_in, tmp_path):
    """As everybody writes it: the library by a path, and `io()` without an address."""
    site = tmp_path / "site"
    site.mkdir()
    talk = """
        const socket = io("/r/den", { transports: %s });
        socket.on("connect_error", (error) => { globalThis.result = String(error); });
        socket.emit("hello", NAME, new Uint8Array([0, 255]), (answer) => { globalThis.result = [answer.ok, socket.io.engine.transport.name]; });
    """
    load = {
        "plain": '<script src="/socket.io/socket.io.js"></script><script>',
        "min": '<script src="/socket.io/socket.io.min.js"></script><script>',
        "module": '<script type="module">import { io } from "/socket.io/socket.io.esm.min.js";',
    }
    urls = []
    server = start(arguments=["--files", str(site)])
    for name, head in load.items():
        for transports in (["polling"], ["websocket"]):
            page = f"{name}-{transports[0]}.html"
            script = (talk % json.dumps(transports)).replace("NAME", json.dumps(page))
            (site / page).write_text(f'<!doctype html><link rel="icon" href="data:,">{head}{script}</script>')
            urls.append(f"{server.http}/{page}")
    done = subprocess.run(["node", str(HERE / "socketio_page.mjs"), *urls], cwd=HERE, capture_output=True, text=True, timeout=180, check=False)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["result"], one["errors"]) for one in said] == [(["publish", url.rsplit("-", 1)[1].removesuffix(".html")], []) for url in urls], done.stderr
    assert len(history(server, "den")["messages"]) == len(urls)
