"""`taut connect` and `taut listen` as a script uses them: by stdin, stdout, stderr and the exit code. Every wait has a deadline."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

from peers import PATIENCE_S
from taut import BINARY


class Pipe:
    """What a process writes, gathered by a thread, so that it never waits for us."""

    def __init__(self, file, name):
        self.file, self.name = file, name
        self.data, self.taken, self.is_over = b"", 0, False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._gather, daemon=True)
        self.thread.start()

    def _gather(self):
        while piece := os.read(self.file.fileno(), 65536):
            with self.changed:
                self.data += piece
                self.changed.notify_all()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def _wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                remaining = deadline - time.monotonic()
                assert remaining > 0 and not self.is_over, f"{what} did not come on {self.name}{' before its end' if self.is_over else ''}; all of it: {self.data[-3000:]!r}"
                self.changed.wait(remaining)

    def until(self, marker, seconds=PATIENCE_S):
        """Everything up to and with the marker; what was taken is not given again."""
        marker = marker if isinstance(marker, bytes) else marker.encode()
        self._wait(lambda: marker in self.data[self.taken :], seconds, repr(marker))
        begin, self.taken = self.taken, self.data.index(marker, self.taken) + len(marker)
        return self.data[begin : self.taken]

    def exactly(self, count, seconds=PATIENCE_S):
        self._wait(lambda: len(self.data) - self.taken >= count, seconds, f"{count} bytes")
        begin, self.taken = self.taken, self.taken + count
        return self.data[begin : self.taken]

    def rest(self, seconds=PATIENCE_S):
        """Everything until its end."""
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"{self.name} does not end; so far {self.data[-3000:]!r}"
        begin, self.taken = self.taken, len(self.data)
        return self.data[begin:]


class Command:
    """One run of `taut`."""

    def __init__(self, *arguments, stdin=subprocess.PIPE, env=None):
        # A command under test must not hear of a person's own settings or proxies.
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TAUT") and not key.lower().endswith("_proxy")}
        command = [str(BINARY), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean | (env or {}))
        self.out, self.err = Pipe(self.process.stdout, "stdout"), Pipe(self.process.stderr, "stderr")

    def type(self, text):
        self.process.stdin.write(text if isinstance(text, bytes) else text.encode())
        self.process.stdin.flush()
        return self

    def end_input(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self

    def code(self, seconds=PATIENCE_S):
        """Waits for its end, whoever ends it."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; stdout {self.out.data[-1000:]!r}, stderr {self.err.data[-2000:]!r}") from None

    def ended(self, seconds=PATIENCE_S):
        """(exit code, the rest of stdout, all of stderr as text)"""
        code = self.code(seconds)
        rest = self.out.rest()
        self.err.rest()
        said = self.err.data.decode(errors="replace")
        assert "panicked" not in said, said
        return code, rest, said

    def is_running(self):
        return self.process.poll() is None

    def close(self):
        if self.is_running():
            self.process.kill()
        self.process.wait()
        self.end_input() if self.process.stdin else None
        for pipe in (self.out, self.err):
            pipe.thread.join(5)
            pipe.file.close()
        assert b"panicked" not in self.err.data, self.err.data.decode(errors="replace")


class Listening(Command):
    """`taut listen` that listens. Where the URL has port 0, `port` is the one that the system chose."""

    def __init__(self, url, *arguments, **more):
        super().__init__("listen", *arguments, url, **more)
        said = self.err.until(b"listening on ").decode() + self.err.until(b"\n").decode()
        self.url = said.rsplit("listening on ", 1)[1].strip()
        found = re.search(r":(\d+)/?$", self.url)
        self.port = int(found[1]) if found else None

    def stop(self):
        """Ends it as a service manager would; that is no failure."""
        self.signal()
        code, rest, said = self.ended()
        assert code == 0, (code, said)
        return rest


def run(*arguments, stdin=b"", seconds=PATIENCE_S, env=None):
    """Runs `taut` to its end with this stdin: (exit code, stdout, stderr as text)."""
    command = Command(*arguments, env=env)
    try:
        with contextlib.suppress(BrokenPipeError):
            command.type(stdin)
        command.end_input()
        return command.ended(seconds)
    finally:
        command.close()
