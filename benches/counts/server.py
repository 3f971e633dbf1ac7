"""The whole server under callgrind, all its threads: what a delivery, a round trip and a visit cost it in user space.

A run starts the server, does something, and ends the server; what is told is the difference of two runs, of which one did more of it. So
what starting, ending and getting there cost does not count. Everything goes in lock-step: the next message is published when the one before
has been read by everybody, so what is gathered into one write is the same each time. What is left of chance (who wakes first, the
seeds of hashes) is some tenths of a percent, on a busy machine up to 3 %.
"""

import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import callgrind
from .client import PAYLOAD, socketio, unit, websocket

MEMBERS = 400
START_S = 60
# No ping comes in between, however slow the machine is.
SETTINGS = """\
[limits]
ping_ms = 600_000
[socketio]
ping_ms = 600_000
[[rooms]]
match = "cave"
echo = true
"""


def fan_out(door, messages, at_once):
    """So many messages to all members of one room."""

    def drive(port):
        conns = [door(port, "crowd") for _ in range(MEMBERS + 1)]
        units = [unit(door, "crowd")] * at_once
        for _ in range(messages // at_once):
            conns[0].say(*units)
            for member in conns[1:]:
                if PAYLOAD not in member.take(at_once):
                    raise ConnectionError("a member read something else than what was said")
        return conns

    return drive


def rooms(door, rounds):
    """A message in each of 10 rooms of 10, one room after the other."""

    def drive(port):
        crowds = [[door(port, f"room-{number}") for _ in range(10)] for number in range(10)]
        for _ in range(rounds):
            for number, crowd in enumerate(crowds):
                crowd[0].say(unit(door, f"room-{number}"))
                for member in crowd[1:]:
                    member.take()
        return [conn for crowd in crowds for conn in crowd]

    return drive


def echo(door, rounds):
    """A client hears what it says."""

    def drive(port):
        conn = door(port, "cave")
        for _ in range(rounds):
            conn.say(unit(door, "cave"))
            conn.take()
        return [conn]

    return drive


def visits(door, count):
    """Clients that come, are let in, and go, one after the other."""

    def drive(port):
        for _ in range(count):
            door(port, "crowd").end()
        return []

    return drive


# What is told, how many units the second run did more than the first, and the two runs. Equal runs are made once.
def workloads():
    told = []
    for door, name in [(websocket, "ws"), (socketio, "socketio")]:
        crowd = (fan_out, door, 0, 1)
        told.append((f"taut serve: a delivery, {name}, 1 in flight", 100 * MEMBERS, crowd, (fan_out, door, 100, 1)))
        told.append((f"taut serve: a delivery, {name}, 16 in flight", 800 * MEMBERS, crowd, (fan_out, door, 800, 16)))
        told.append((f"taut serve: a delivery, {name}, rooms of 10", 200 * 10 * 9, (rooms, door, 1), (rooms, door, 201)))
        told.append((f"taut serve: a round trip, {name}", 2_000, (echo, door, 10), (echo, door, 2_010)))
        told.append((f"taut serve: connect and close, {name}", 300, (visits, door, 20), (visits, door, 320)))
    return told


def counts(taut):
    """Instructions for one unit of each workload."""
    told = workloads()
    runs = {run for *_, less, more in told for run in (less, more)}
    # Two at a time: a client mostly waits for its server.
    with ThreadPoolExecutor(2) as pool:
        totals = dict(zip(runs, pool.map(lambda run: total(taut, run), runs)))
    return {what: (totals[more] - totals[less]) / units for what, units, less, more in told}


def total(taut, run):
    """All instructions of a server that is driven like that."""
    how, *arguments = run
    with tempfile.TemporaryDirectory(prefix="taut-counts-") as folder:
        settings, out, log = (Path(folder, name) for name in ["taut.toml", "out", "log"])
        settings.write_text(SETTINGS)
        port = free_port()
        line = [str(taut), "serve", "--memory=true", "--cores", "1", "--log-level", "warn", "--listen", f"127.0.0.1:{port}", "--config", str(settings)]
        with open(log, "wb") as said:
            process = subprocess.Popen(callgrind.command(out) + line, cwd=folder, env=callgrind.environment(), stdout=said, stderr=said)
        try:
            wait_until_it_listens(process, port, log)
            for conn in how(*arguments)(port):
                conn.end()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise callgrind.Broken(f"{how.__name__}: {error}; the server said: {log.read_text()[-2000:]}") from error
        finally:
            process.kill()
            process.wait()
        return callgrind.total(out)


def wait_until_it_listens(process, port, log):
    deadline = time.monotonic() + START_S
    while f":{port}" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise callgrind.Broken(f"the server did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
