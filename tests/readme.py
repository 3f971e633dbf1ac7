#!/usr/bin/env python3
"""Runs the shell examples of README.md as they stand, each against a fresh server.

    TAUT=target/release/taut tests/readme.py [README.md]

What a comment before a fenced block says about it:

    <!-- test -->            it ends with 0 within 30 s; a ```text block right behind it is what it prints, `…` standing for anything
    <!-- test: exit N -->    it ends with N
    <!-- test: stream -->    it goes on, and shows what somebody else says in the lobby meanwhile (a line is typed into it first)
    <!-- file: NAME -->      the block is that file for the blocks below

localhost:8080 in a block stands for the server's own address, and `taut` for the program under test.
The ```rust blocks must stand, word for word, in the documentation of crates/taut/src/lib.rs, where they are compiled.
Python's standard library only. The last line is `N passed, N failed`; the exit code is 1 on any failure.
"""

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAUT = Path(os.environ.get("TAUT", ROOT / "target/release/taut")).resolve()
SECONDS_MAX = 30
BLOCK = re.compile(r"(?:^<!-- (?P<mark>test|file)(?:: (?P<how>[^>]*?))? -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


class Failed(Exception):
    """An example that does not do what the page says."""


class Server:
    """A server on a free port, for one example."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="taut-readme-server-")
        port = free_port()
        command = [TAUT, "serve", "--listen", f"127.0.0.1:{port}", "--listen", f"[::1]:{port}", "--log-level", "off"]
        self.process = subprocess.Popen(command if has_ipv6() else command[:4] + command[6:], cwd=self.folder.name, env=environment(XDG_STATE_HOME=self.folder.name), stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise Failed(f"the server did not start: {command}")
        self.port = port
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def say(self, text):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/r/lobby", data=text.encode(), headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=10).close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def environment(**more):
    """The machine's own, without settings that would change what the examples do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAUT")}
    return kept | {"NO_COLOR": "1"} | more


def shell(text, server, folder):
    """A shell that runs `text`, in a process group of its own."""
    text = re.sub(r"\blocalhost([: ]|\",)8080\b", rf"localhost\g<1>{server.port}", text)
    programs = Path(folder, ".programs")
    programs.mkdir(exist_ok=True)
    if not (programs / "taut").exists():
        (programs / "taut").symlink_to(TAUT)
    return subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=folder,
        # An example that starts a server keeps its rooms here, and not where those of the user are.
        env=environment(
            PATH=f"{programs}:{os.environ['PATH']}",
            TAUT_URL=f"http://localhost:{server.port}",
            XDG_STATE_HOME=str(Path(folder, ".state")),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ends(text, server, folder, code, expected):
    process = shell(text, server, folder)
    try:
        out, err = (stream.decode(errors="replace") for stream in process.communicate(timeout=SECONDS_MAX))
    except subprocess.TimeoutExpired as expired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"it has not ended after {SECONDS_MAX} s") from expired
    if process.returncode != code:
        raise Failed(f"it left with {process.returncode}, not {code}\n{out}{err}")
    # The same text for people who read the page: what differs from run to run is written as an ellipsis.
    if expected is not None and not re.fullmatch(".*?".join(map(re.escape, expected.split("…"))), out):
        raise Failed(f"it prints\n{out}")


def streams(text, server, folder):
    process = shell(text, server, folder)
    try:
        process.stdin.write(b"is anybody here?\n")
        process.stdin.flush()
        seen, said, end = b"", 0, time.monotonic() + SECONDS_MAX
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while b"said by somebody else" not in seen:
                if time.monotonic() > end or process.poll() is not None:
                    raise Failed(f"it shows nothing of what was said {said} times, but\n{seen.decode(errors='replace')}")
                # When it is in the room nobody can tell from outside, so it is said until it is heard.
                server.say("said by somebody else")
                said += 1
                if ready.select(0.3):
                    seen += os.read(process.stdout.fileno(), 65536)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def is_documented(text, documentation):
    """Whether a Rust example is one of the documentation's, whose hidden lines (`# …`) it may show."""
    shown = [line.strip() for line in text.splitlines() if line.strip()]
    for example in re.findall(r"```(?:no_run)?\n(.*?)```", documentation, re.S):
        lines = [line.strip() for line in example.splitlines() if line.strip() not in ("", "#")]
        if [line.removeprefix("# ") for line in lines] == shown or [line for line in lines if not line.startswith("# ")] == shown:
            return
    raise Failed("crates/taut/src/lib.rs does not have it, so nobody knows whether it compiles")


def main():
    page = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "README.md").read_text()
    source = (ROOT / "crates/taut/src/lib.rs").read_text()
    documentation = "".join(line[3:].removeprefix(" ") for line in source.splitlines(keepends=True) if line.startswith("//!"))
    blocks = list(BLOCK.finditer(page))
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="taut-readme-") as folder:
        for block, behind in zip(blocks, blocks[1:] + [None]):
            mark, how, kind, text = block["mark"], block["how"] or "", block["kind"], block["text"]
            if mark == "file":
                Path(folder, how).write_text(text)
            if kind != "rust" and mark != "test":
                continue
            line = page.count("\n", 0, block.start("text")) + 1
            try:
                if kind == "rust":
                    is_documented(text, documentation)
                else:
                    follows = behind and behind["kind"] == "text" and not page[block.end() : behind.start()].strip()
                    with Server() as server:
                        if how == "stream":
                            streams(text, server, folder)
                        else:
                            code = int(how.removeprefix("exit ")) if how else 0
                            ends(text, server, folder, code, behind["text"] if follows else None)
                passed += 1
            except (Failed, OSError) as failure:
                failed += 1
                print(f"README.md:{line}: {failure}\n{text}")
    # A page whose marks are no longer understood would pass in silence.
    if passed + failed < 10:
        failed += 1
        print(f"only {passed} examples were found")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
