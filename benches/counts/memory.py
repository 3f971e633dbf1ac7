"""Resident bytes of an idle Conn, as `taut bench idle` tells them."""

import json
import subprocess

from .callgrind import Broken

# What is promised, in bytes (docs/benchmarks.md).
AIMS = {"ws": 256, "socketio": 512}
CONNS = 10_000


def footprint(taut):
    """(least, median, greatest) of three rounds for each door, or why there is none."""
    found = {}
    for door in AIMS:
        line = [str(taut), "bench", "idle", "--door", door, "--members", str(CONNS), "--rounds", "3", "--seconds", "0.5", "--no-floor", "--json"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        try:
            told = json.loads(done.stdout)["measurements"][0]["programs"][0]["conn_bytes"]
            found[door] = (told["min"], told["median"], told["max"])
        except (ValueError, KeyError, IndexError) as error:
            raise Broken(f"`taut bench idle` told nothing ({error!r}): {done.stderr.strip()[-500:]}") from error
    return found
