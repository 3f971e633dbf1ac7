"""`taut listen http://` with curl, httpx, Node's fetch and clients of HTTP/1.0: pages, echoes, events and a folder of files."""

import gzip
import json
import os
import subprocess

import httpx
import pytest

from commands import Listening
from peers import EventStream, Raw, request


@pytest.fixture
def listen(closing):
    return lambda *arguments: closing.add(Listening("http://127.0.0.1:0", *arguments))


@pytest.fixture
def site(tmp_path, listen):
    """A folder with something in it, and something beside it; and who serves it."""
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>top</h1>")
    (folder / "app.js").write_text("let a = 1;\n" * 100)
    (folder / "app.js.gz").write_bytes(gzip.compress(b"let a = 1;\n" * 100))
    (folder / "bytes").write_bytes(bytes(range(256)) * 4)
    (folder / "sub" / "a b.txt").write_text("sub")
    (folder / ".env").write_text("SECRET")
    (tmp_path / "secret").write_text("SECRET")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    listening = listen("--files", folder)
    listening.folder = folder
    listening.http = f"http://127.0.0.1:{listening.port}"
    return listening


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "15", *map(str, arguments)], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done
    return done.stdout


def test_a_page_on_localhost(listen):
    listening = listen("--greet", "<h1>Hi</h1>")
    response = httpx.get(f"http://127.0.0.1:{listening.port}/any/path", trust_env=False)
    assert response.status_code == 200 and response.text.strip() == "<h1>Hi</h1>"
    assert response.headers["content-type"].startswith("text/html")
    said = subprocess.run(["node", "-e", f"fetch('http://127.0.0.1:{listening.port}/').then(r => r.text()).then(t => console.log(t))"], capture_output=True, text=True, timeout=20, check=True)
    assert said.stdout.strip() == "<h1>Hi</h1>"


def test_an_echo_of_bodies(listen):
    listening = listen("--echo")
    url = f"http://127.0.0.1:{listening.port}/echo"
    for body in [b"text", bytes(range(256)), b"x" * 500_000]:
        assert httpx.post(url, content=body, trust_env=False, timeout=20).content == body
    assert curl("-d", "from curl", url) == b"from curl"
    assert curl("-H", "Transfer-Encoding: chunked", "-d", "in chunks", url) == b"in chunks"
    with httpx.Client(trust_env=False) as client:
        for number in range(20):
            assert client.post(url, content=str(number)).text == str(number)


def test_requests_are_printed_and_answered_with_what_they_said(listen):
    listening = listen()
    said = curl("-d", "the body", "-H", "X-Test: yes", f"http://127.0.0.1:{listening.port}/path?q=1").decode()
    assert "POST /path?q=1" in said and "8 bytes" in said, said
    shown = listening.out.until(b"POST /path?q=1") + listening.out.until(b"the body")
    assert b"X-Test: yes" in shown, shown


def test_what_is_typed_goes_to_event_streams(listen, closing):
    listening = listen()
    stream = closing.add(EventStream(listening, "/"))
    listening.type("to all\n")
    assert stream.event()[1] == "to all"


def test_http_1_0_clients_are_served(site, closing):
    raw = closing.add(Raw(site))
    response = raw.send("GET /app.js HTTP/1.0\r\n\r\n").response()
    assert response.status == 200 and response.body == b"let a = 1;\n" * 100
    assert raw.rest() == b""
    raw = closing.add(Raw(site))
    assert raw.send("HEAD / HTTP/1.0\r\n\r\n").response("HEAD").header("content-length") == "12"
    assert raw.rest() == b""


def test_files_come_with_type_length_and_validators(site):
    with httpx.Client(trust_env=False, base_url=site.http) as client:
        page = client.get("/")
        assert (page.status_code, page.text) == (200, "<h1>top</h1>")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert client.get("/index.html").content == page.content
        assert client.head("/bytes").headers["content-length"] == "1024"
        assert client.get("/bytes").content == bytes(range(256)) * 4
        assert client.get("/sub/a%20b.txt").text == "sub"
        assert page.headers["accept-ranges"] == "bytes" and page.headers["x-content-type-options"] == "nosniff"
        same = client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        same = client.get("/", headers={"If-Modified-Since": page.headers["last-modified"]})
        assert same.status_code == 304
        # The connection is still in step after an answer without a body.
        assert client.get("/nothing").status_code == 404
        assert client.get("/").text == "<h1>top</h1>"
        assert client.post("/", content=b"x").status_code == 405
        assert client.options("/").headers["allow"] == "GET, HEAD, OPTIONS"


def test_what_is_precompressed_is_sent_so_to_who_takes_it(site):
    plain = (site.folder / "app.js").read_bytes()
    answer = httpx.get(f"{site.http}/app.js", trust_env=False)
    assert answer.headers["content-encoding"] == "gzip" and answer.content == plain
    assert curl("--compressed", f"{site.http}/app.js") == plain
    assert curl("-H", "Accept-Encoding: gzip", f"{site.http}/app.js") == (site.folder / "app.js.gz").read_bytes()
    assert curl(f"{site.http}/app.js") == plain


def test_ranges_and_resumed_downloads(site, tmp_path):
    data = bytes(range(256)) * 4
    assert curl("-r", "10-19", f"{site.http}/bytes") == data[10:20]
    assert curl("-r", "-5", f"{site.http}/bytes") == data[-5:]
    part = tmp_path / "part"
    part.write_bytes(data[:100])
    curl("-C", "-", "-o", part, f"{site.http}/bytes")
    assert part.read_bytes() == data
    several = httpx.get(f"{site.http}/bytes", headers={"Range": "bytes=0-1,5-6"}, trust_env=False)
    assert several.status_code == 206 and several.headers["content-type"].startswith("multipart/byteranges")
    assert b"\r\n\r\n\x00\x01\r\n" in several.content and b"\r\n\r\n\x05\x06\r\n" in several.content
    beyond = httpx.get(f"{site.http}/bytes", headers={"Range": "bytes=5000-"}, trust_env=False)
    assert beyond.status_code == 416 and beyond.headers["content-range"] == "bytes */1024"


def test_curl_asks_only_for_what_is_newer(site, tmp_path):
    os.utime(site.folder / "bytes", (1_000_000_000, 1_000_000_000))
    copy = tmp_path / "copy"
    curl("-R", "-o", copy, f"{site.http}/bytes")
    assert int(copy.stat().st_mtime) == 1_000_000_000
    assert curl("-z", copy, "-o", tmp_path / "again", "-w", "%{http_code}", f"{site.http}/bytes") == b"304"


def test_a_folder_is_redirected_to_its_slash(site):
    (site.folder / "sub" / "index.html").write_text("below")
    assert curl("-L", f"{site.http}/sub") == b"below"
    assert httpx.get(f"{site.http}/sub?x=1", trust_env=False).headers["location"] == "/sub/?x=1"


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/..%2fsecret", "/%2e%2e/secret", "/sub/../../secret", "/.env", "/%2eenv", "/out", "/up/secret", "//secret", "/\\..\\secret", "/sub/%00", "/up/", "/sub"],
)
def test_there_is_no_way_out(site, path):
    response = request(site, "GET", path)
    assert response.status in (400, 404) and b"SECRET" not in response.body, response


def test_folders_are_listed_if_asked_for(site, listen):
    assert request(site, "GET", "/sub/").status == 404
    listening = listen("--files", site.folder, "--listing")
    page = httpx.get(f"http://127.0.0.1:{listening.port}/sub/", trust_env=False).text
    assert 'href="a%20b.txt"' in page and ">a b.txt<" in page
    entries = httpx.get(f"http://127.0.0.1:{listening.port}/sub/", headers={"Accept": "application/json"}, trust_env=False).json()
    assert entries[0]["name"] == "a b.txt" and entries[0]["size"] == 3


def test_a_large_file_comes_whole_to_many_at_once(site):
    data = os.urandom(5_000_000)
    (site.folder / "large").write_bytes(data)
    running = [subprocess.Popen(["curl", "-sS", "--max-time", "30", f"{site.http}/large"], stdout=subprocess.PIPE) for _ in range(6)]
    for one in running:
        assert one.communicate(timeout=40)[0] == data


def test_a_client_that_goes_in_the_middle_disturbs_nobody(site):
    (site.folder / "large").write_bytes(os.urandom(20_000_000))
    for _ in range(10):
        raw = Raw(site)
        raw.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").exactly(1000)
        raw.vanish()
    assert request(site, "GET", "/").status == 200


def test_a_fifo_in_the_folder_hangs_nobody(site):
    os.mkfifo(site.folder / "fifo")
    assert request(site, "GET", "/fifo").status == 404


def test_strict_about_what_two_programs_could_read_differently(site, closing):
    for head in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"]:
        raw = closing.add(Raw(site))
        assert raw.send(head).response().status == 400, head
        assert raw.rest() == b""


def test_events_of_requests_as_json(listen):
    listening = listen("--json", "--echo")
    curl("-d", "x", f"http://127.0.0.1:{listening.port}/path")
    event = json.loads(listening.out.until(b"\n"))
    assert (event["event"], event["method"], event["path"], event["text"]) == ("request", "POST", "/path", "x")
