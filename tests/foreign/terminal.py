"""A terminal that a person would sit at: tmux, driven by keys and read from its screen."""

import os
import shlex
import shutil
import subprocess
import time

import pytest

from peers import PATIENCE_S


class Terminal:
    """Runs a command on a screen of its own and says `code N` when it has ended."""

    def __init__(self, folder, *command, width=80, height=24, env=None):
        if not shutil.which("tmux"):
            pytest.skip("tmux is not installed")
        # A Unix socket's path has little space, and a test's folder a long name.
        self.socket = f"/tmp/taut-tmux-{os.getpid()}-{time.monotonic_ns()}"
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TAUT", "TMUX")) and not key.lower().endswith("_proxy")}
        self.env = clean | {"XDG_STATE_HOME": str(folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PS1": "$ "} | (env or {})
        line = shlex.join(map(str, command)) + '; echo "code $?"; stty -a | tr " ;" "\\n\\n" | grep -x -e "-*echo" -e "-*icanon"; sleep 1000'
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sh", "-c", line)

    def _tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], env=self.env, capture_output=True, text=True, check=True, timeout=20).stdout

    def type(self, text):
        self._tmux("send-keys", "-l", "--", text)
        return self

    def press(self, *keys):
        self._tmux("send-keys", *keys)
        return self

    def screen(self):
        return self._tmux("capture-pane", "-p")

    def lines(self):
        return [line.rstrip() for line in self.screen().splitlines()]

    def title(self):
        return self._tmux("display-message", "-p", "#{pane_title}").strip()

    def cursor(self):
        """(column, line), from 0"""
        column, line = self._tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(column), int(line)

    def until(self, condition, seconds=PATIENCE_S):
        """Waits until the screen shows a text, or until it meets a condition."""
        is_met = condition if callable(condition) else lambda: condition in self.screen()
        deadline = time.monotonic() + seconds
        while not is_met():
            assert time.monotonic() < deadline, f"waited for {condition!r} on\n{self.screen()}"
            time.sleep(0.03)
        return self

    def until_line(self, line, seconds=PATIENCE_S):
        """Waits until a line of the screen is exactly this."""
        return self.until(lambda: line in self.lines(), seconds)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False, timeout=20)
        if os.path.exists(self.socket):
            os.unlink(self.socket)
