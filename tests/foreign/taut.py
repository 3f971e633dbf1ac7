"""The server under test, started as a person would: `taut serve` in a process of its own, known only by its sockets."""

import os
import signal
import random
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TAUT") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "taut")


given = set()


def free_port():
    """A port that nobody listens on, and that was not given before: a test may ask for several before it uses one.

    From below those that the system gives to clients, or a busy machine would take it again before the server has it.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        if port in given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))  # free on every address
            except OSError:
                continue
        given.add(port)
        return port


class Server:
    """One `taut serve` on 127.0.0.1. `config` is the text of its TOML file, `files_max` its limit of open files, `within` a command that runs it."""

    def __init__(self, folder, config="", arguments=(), files_max=None, within=(), port=None):
        self.port = port or free_port()
        self.folder = Path(folder)
        self.log = self.folder / f"taut-{self.port}.log"
        command = [str(BINARY), "serve", "--listen", f"127.0.0.1:{self.port}", *arguments]
        if config:
            path = self.folder / f"taut-{self.port}.toml"
            path.write_text(config)
            command += ["--config", str(path)]
        command = [*within, *command]
        if files_max:
            command = ["prlimit", f"--nofile={files_max}:{files_max}", *command]
        # A server under test must not hear of a person's own settings.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TAUT")}
        # Nor of rooms that another server on this port has kept.
        environment["XDG_STATE_HOME"] = str(self.folder / f"state-{self.port}")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT, env=environment)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server left with {self.process.returncode}:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the server does not listen:\n{self.said()}")

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.port}"

    def said(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        """`kill -9`."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops it and says its exit code; a server that does not stop is killed and is a failure."""
        if self.is_running():
            self.terminate()
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not stop within 40 s of SIGTERM") from None

    def assert_healthy(self):
        """It runs, it answers, and nothing in it has panicked."""
        from peers import request

        assert self.is_running(), f"the server left with {self.process.returncode}:\n{self.said()[-3000:]}"
        assert request(self, "GET", "/r/still-there?history").status == 200
        assert "panicked" not in self.said(), self.said()[-3000:]
