"""`taut serve --files DIR` with curl, httpx, Node's fetch and clients of HTTP/1.0: a web server below the doors, and no way out of its folder."""

import email.utils
import gzip
import json
import subprocess
import time

import httpx
import pytest
from websockets.sync.client import connect

from commands import run
from peers import EventStream, Native, Raw, history, post, read_head, request
from taut import Server

BYTES = bytes(range(256)) * 4
LARGE = b"".join(number.to_bytes(4, "big") for number in range(1_500_000))
PAGE = "<!doctype html><title>mine</title>"


def fill(folder):
    """A site, and a secret beside it."""
    site = folder / "site"
    for name in ["sub", "no-index", ".well-known", ".git", "r"]:
        (site / name).mkdir(parents=True)
    (site / "index.html").write_text(PAGE)
    (site / "sub" / "index.html").write_text("<p>sub</p>")
    (site / "sub" / "a b ü.txt").write_text("spaces")
    (site / "no-index" / "only.txt").write_text("only")
    (site / "app.js").write_text("let a = 1;\n" * 100)
    (site / "app.js.gz").write_bytes(gzip.compress(b"let a = 1;\n" * 100))
    (site / "bytes").write_bytes(BYTES)
    (site / "empty.txt").write_text("")
    (site / "large.bin").write_bytes(LARGE)
    (site / ".env").write_text("SECRET")
    (site / ".git" / "config").write_text("SECRET")
    (site / ".well-known" / "security.txt").write_text("Contact: us")
    (site / "%2e%2e").write_text("a name with percent signs")
    for name in ["r/lobby", "health", "events", "ws"]:
        (site / name).write_text("a file")
    (folder / "secret").write_text("SECRET")
    (site / "out").symlink_to(folder / "secret")
    (site / "out-relative").symlink_to("../secret")
    (site / "up").symlink_to("..")
    (site / "loop").symlink_to("loop")
    (site / "within").symlink_to("sub/index.html")
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, site):
    running = Server(tmp_path_factory.mktemp("taut"), arguments=["--files", str(site)])
    yield running
    try:
        running.assert_healthy()
    finally:
        code = running.stop()
    assert code == 0, running.said()[-3000:]


@pytest.fixture
def http(server, closing):
    return closing.enter_context(httpx.Client(base_url=server.http, trust_env=False, timeout=10))


def curl(server, path, *options):
    done = subprocess.run(["curl", "-sS", "--max-time", "15", *map(str, options), f"{server.http}{path}"], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done
    return done.stdout


# ---- files


def test_the_index_of_the_folder_and_of_those_in_it(server, http):
    assert http.get("/").text == PAGE
    assert http.get("/sub/").text == "<p>sub</p>"
    assert curl(server, "/") == PAGE.encode()
    moved = http.get("/sub?x=1")
    assert (moved.status_code, moved.headers["location"]) == (301, "/sub/?x=1")
    assert http.get("/no-index/").status_code == 404
    assert http.get("/no-index/only.txt").text == "only"


TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "json": "application/json",
    "txt": "text/plain",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "ico": ("image/x-icon", "image/vnd.microsoft.icon"),
    "wasm": "application/wasm",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "woff2": "font/woff2",
    "webmanifest": "application/manifest+json",
    "xml": ("text/xml", "application/xml"),
    "PNG": "image/png",
    "unheard-of": "application/octet-stream",
}


@pytest.mark.parametrize("ending", TYPES)
def test_types(http, site, ending):
    (site / f"typed.{ending}").write_text("x")
    response = http.get(f"/typed.{ending}")
    kind, _, rest = response.headers["content-type"].partition(";")
    assert kind in (TYPES[ending] if isinstance(TYPES[ending], tuple) else [TYPES[ending]])
    assert "utf-8" in rest.lower() if kind.startswith("text/") and kind != "text/xml" else True
    assert response.headers["x-content-type-options"] == "nosniff"


def test_names_with_spaces_umlauts_and_percent_signs(server, http):
    assert http.get("/sub/a%20b%20%C3%BC.txt?version=2").text == "spaces"
    assert curl(server, "/%252e%252e") == b"a name with percent signs"


def test_an_empty_file(http):
    response = http.get("/empty.txt")
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")


def test_what_is_not_there_is_a_404_for_programs_and_for_people(server, http):
    request(server, "GET", "/nothing", [("Accept", "application/json")]).assert_problem(404)
    page = http.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")


def test_a_large_file_comes_whole_to_several_at_once(server, http):
    raws = [Raw(server, receive_buffer=4096) for _ in range(4)]
    for raw in raws:
        raw.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert http.get("/large.bin").content == LARGE
    assert curl(server, "/large.bin") == LARGE
    for raw in raws:
        assert raw.response(seconds=60).body == LARGE
        raw.close()


def test_node_fetches(server):
    script = f"fetch('{server.http}/large.bin').then(r => r.arrayBuffer()).then(b => console.log(b.byteLength, new Uint8Array(b).reduce((a, x) => (a * 31 + x) | 0, 7)))"
    said = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=30, check=True).stdout
    total = 7
    for byte in LARGE:
        total = (total * 31 + byte) & 0xFFFFFFFF
    assert said.split() == [str(len(LARGE)), str(total - (1 << 32) if total >> 31 else total)]


def test_what_lies_compressed_beside_a_file(server, http):
    plain = http.get("/app.js", headers={"Accept-Encoding": "identity"})
    packed = http.get("/app.js", headers={"Accept-Encoding": "gzip"})
    assert plain.text == packed.text == "let a = 1;\n" * 100
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert "accept-encoding" in packed.headers["vary"].lower() and packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert curl(server, "/app.js", "--compressed") == b"let a = 1;\n" * 100


# ---- ranges


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-9", 206, BYTES[:10], "bytes 0-9/1024"),
        ("bytes=1000-", 206, BYTES[1000:], "bytes 1000-1023/1024"),
        ("bytes=-5", 206, BYTES[-5:], "bytes 1019-1023/1024"),
        ("bytes=-5000", 206, BYTES, "bytes 0-1023/1024"),
        ("bytes=1020-5000", 206, BYTES[1020:], "bytes 1020-1023/1024"),
        ("bytes=1024-", 416, None, "bytes */1024"),
        ("bytes=-0", 416, None, "bytes */1024"),
        ("bytes=9-0", 200, BYTES, None),
        ("lines=0-9", 200, BYTES, None),
        ("bytes=x", 200, BYTES, None),
    ],
)
def test_a_range(http, asked, status, content, told):
    response = http.get("/bytes", headers={"Range": asked})
    assert (response.status_code, response.headers.get("content-range")) == (status, told)
    assert content is None or response.content == content
    assert status == 416 or response.headers["accept-ranges"] == "bytes"


def test_several_ranges(http):
    response = http.get("/bytes", headers={"Range": "bytes=0-3,1020-"})
    kind, boundary = response.headers["content-type"].split("; boundary=")
    assert (response.status_code, kind) == (206, "multipart/byteranges")
    parts = response.content.split(f"--{boundary}".encode())
    assert [part.split(b"\r\n\r\n", 1)[1] for part in parts[1:-1]] == [BYTES[:4] + b"\r\n", BYTES[1020:] + b"\r\n"]
    assert int(response.headers["content-length"]) == len(response.content)


def test_curl_goes_on_where_a_download_stopped(server, tmp_path):
    there = tmp_path / "large.bin"
    there.write_bytes(LARGE[:1_000_003])
    curl(server, "/large.bin", "-C", "-", "-o", there)
    assert there.read_bytes() == LARGE


def test_a_range_only_of_the_file_that_the_client_has(http):
    tag = http.get("/bytes").headers["etag"]
    assert http.get("/bytes", headers={"Range": "bytes=0-0", "If-Range": tag}).status_code == 206
    assert http.get("/bytes", headers={"Range": "bytes=0-0", "If-Range": '"another"'}).content == BYTES


# ---- what a client has already


def test_a_file_that_is_known_is_a_304(server, http):
    first = http.get("/app.js")
    for known in [{"If-None-Match": first.headers["etag"]}, {"If-None-Match": f'"x", {first.headers["etag"]}'}, {"If-None-Match": "*"}, {"If-Modified-Since": first.headers["last-modified"]}]:
        again = http.get("/app.js", headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"]), known
        assert "content-length" not in again.headers or again.headers["content-length"] == first.headers["content-length"]
    assert http.get("/app.js", headers={"If-None-Match": '"another"'}).status_code == 200
    assert email.utils.parsedate_to_datetime(first.headers["last-modified"])


def test_curl_keeps_an_etag(server, tmp_path):
    kept, there = tmp_path / "etag", tmp_path / "app.js"
    curl(server, "/app.js", "--etag-save", kept, "-o", there)
    status = curl(server, "/app.js", "--etag-compare", kept, "-o", tmp_path / "again", "-w", "%{http_code}")
    assert status == b"304" and there.stat().st_size == 1_100


def test_a_change_shows_at_once(http, site):
    (site / "changing.txt").write_text("old")
    first = http.get("/changing.txt")
    (site / "changing.txt").write_text("new")
    again = http.get("/changing.txt", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.text) == (200, "new") and again.headers["etag"] != first.headers["etag"]
    (site / "changing.txt").unlink()
    assert http.get("/changing.txt", headers={"If-None-Match": first.headers["etag"]}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/app.js", "/large.bin", "/empty.txt", "/nothing", "/sub", "/.env", "/r/none?history"])
def test_head_is_the_head_of_get(server, path):
    get = request(server, "GET", path)
    raw = Raw(server)
    raw.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = read_head(raw)
    assert raw.rest() == b"", "a body behind HEAD"
    raw.close()

    def told(response):
        return {name.lower(): value for name, value in response.headers if name.lower() not in ("date", "connection")}

    assert (head.status, told(head)) == (get.status, told(get))


# ---- no way out


OUT = [
    "/../secret",
    "/sub/../../secret",
    "/%2e%2e/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/sub/..%2f..%2fsecret",
    "/..%5csecret",
    "/..\\secret",
    "/....//secret",
    "//secret",
    "/./../secret",
    "/%252e%252e/secret",
    "/%c0%ae%c0%ae/secret",
    "/..%00/secret",
    "/secret%00.txt",
    "/..;/secret",
    "/out",
    "/out-relative",
    "/up/secret",
    "/up/",
    "/up/site/.env",
    "/loop",
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/sub/../.env",
    "/app.js/../.env",
    "/no-index",
]


@pytest.mark.parametrize("path", OUT)
def test_no_way_out(server, path):
    # As it is: a library would tidy the path up.
    response = request(server, "GET", path)
    assert response.status in (400, 404) and b"SECRET" not in response.body, response
    assert b"SECRET" not in curl(server, path.replace("\\", "%5C"), "--path-as-is", "-L")


def test_an_absolute_target_leads_nowhere_else(server):
    for target in [f"http://127.0.0.1:{server.port}/../secret", f"http://127.0.0.1:{server.port}/.env", "file:///etc/passwd", "http:///etc/passwd"]:
        response = request(server, "GET", target)
        assert response.status in (400, 403, 404, 421) and b"SECRET" not in response.body and b"root:" not in response.body, response


def test_links_that_stay_inside_and_well_known_names(http):
    assert http.get("/within").text == "<p>sub</p>"
    assert http.get("/.well-known/security.txt").text == "Contact: us"


def test_files_are_only_read(server):
    for method in ["POST", "PUT", "DELETE", "PATCH"]:
        response = request(server, method, "/app.js", body="x" if method != "DELETE" else None)
        assert response.status == 405 and "GET" in response.header("allow"), response
    assert request(server, "GET", "/app.js").status == 200


def test_pages_of_elsewhere_read_nothing(server):
    assert request(server, "GET", "/app.js", [("Origin", "https://elsewhere.example")]).status == 403
    raw = Raw(server)
    raw.send("GET /app.js HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
    assert raw.response().status == 403
    raw.close()


# ---- old clients, many requests


@pytest.mark.parametrize("head", ["GET /bytes HTTP/1.0\r\n\r\n", "GET /bytes HTTP/1.0\r\nHost: localhost\r\nUser-Agent: old\r\n\r\n"])
def test_a_client_of_http_1_0_reads_to_the_end(server, head):
    raw = Raw(server)
    raw.send(head)
    response = read_head(raw)
    assert response.status == 200 and response.header("transfer-encoding") is None
    assert raw.rest() == BYTES
    raw.close()


def test_curl_as_http_1_0(server):
    assert curl(server, "/large.bin", "--http1.0") == LARGE
    assert curl(server, "/", "--http1.0", "-I").startswith(b"HTTP/1.")


def test_an_old_client_that_asks_to_keep_the_connection_is_answered_in_full(server):
    raw = Raw(server)
    raw.send("GET /bytes HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    assert raw.response().body == BYTES
    raw.close()


def test_requests_in_a_row_are_answered_in_theirs(server, room):
    raw = Raw(server)
    asked = ["GET /app.js", f"POST /r/{room}", "HEAD /bytes", "GET /nothing", "GET /sub/", "GET /large.bin", f"GET /r/{room}?history", "GET /empty.txt", "GET /bytes"]
    for line in asked:
        body = "hello" if line.startswith("POST") else ""
        raw.send(f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    answers = [raw.response(line.split()[0]) for line in asked]
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 200, 200, 200, 200, 200]
    assert answers[5].body == LARGE and answers[8].body == BYTES and answers[4].body == b"<p>sub</p>"
    assert [message["data"] for message in answers[6].json()["messages"]] == ["hello"]
    raw.close()


def test_who_leaves_in_the_middle_leaves_nothing_behind(server):
    before = server.open_files()
    for _ in range(30):
        raw = Raw(server, receive_buffer=4096)
        raw.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").until(b"\r\n\r\n")
        raw.vanish()
    deadline = time.monotonic() + 10
    while server.open_files() > before:
        assert time.monotonic() < deadline, f"{server.open_files()} files are open, {before} were"
        time.sleep(0.05)


# ---- doors come first


def test_a_room_wins_over_a_file(server, http, room, closing):
    assert "messages" in http.get("/r/lobby?history").json()
    for path in ["/r/lobby", "/health", "/events", "/ws"]:
        assert http.get(path).text != "a file", path
    assert post(server, "lobby", "said")
    assert history(server, "lobby")["messages"][-1]["data"] == "said"
    stream = closing.add(EventStream(server, f"/r/{room}"))
    with connect(f"{server.ws}/r/{room}", proxy=None, open_timeout=10) as socket:
        socket.send("from a page")
        assert stream.event()[1] == "from a page"
    with connect(f"{server.ws}/", proxy=None, open_timeout=10) as socket:
        socket.ping().wait(10)
    program = closing.add(Native(server))
    assert program.ask(ping=1)["ok"] == "ping"


def test_the_room_s_page_is_still_there(server, http):
    page = http.get("/r/lobby", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "<html" in page.text and page.text != PAGE


# ---- settings


def test_without_an_index_the_front_page_is_taut_s(start, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.txt").write_text("a")
    server = start(arguments=["--files", str(tmp_path / "bare")])
    page = request(server, "GET", "/", [("Accept", "text/html")])
    assert page.status == 200 and b"<html" in page.body
    assert request(server, "GET", "/a.txt").body == b"a"


def test_a_listing_only_if_asked_for(start, site):
    server = start(arguments=["--files", str(site), "--files-listing"])
    listed = request(server, "GET", "/no-index/", [("Accept", "text/html")])
    assert listed.status == 200 and b"only.txt" in listed.body
    told = request(server, "GET", "/no-index/", [("Accept", "application/json")])
    assert told.status == 200 and "only.txt" in json.dumps(told.json())
    top = request(server, "GET", "/sub/", [("Accept", "text/html")])
    assert top.body == b"<p>sub</p>"
    assert request(server, "GET", "/no-index").header("location") == "/no-index/"
    assert request(server, "GET", "/.git/").status == 404
    assert request(server, "GET", "/up/").status == 404


def test_the_file_may_name_the_folder(start, site):
    server = start(f'files = "{site}"\n')
    assert request(server, "GET", "/").body == PAGE.encode()


def test_a_folder_that_is_none_is_a_wrong_command_line(tmp_path, site):
    for folder in [tmp_path / "nowhere", site / "app.js"]:
        code, _, said = run("serve", "--listen", "127.0.0.1:0", "--files", folder)
        assert code == 2 and str(folder) in said, (code, said)


def test_without_files_nothing_is_served(start):
    server = start()
    assert request(server, "GET", "/app.js").status == 404
    assert request(server, "GET", "/etc/passwd").status == 404
