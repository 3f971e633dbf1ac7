"""Programs under callgrind, which counts their instructions in user space."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.M)


class Broken(Exception):
    """A count that could not be taken."""


def command(out, *more):
    return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", *more]


def environment():
    """The machine's own, without settings of the user's server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TAUT_")}


def total(path):
    """The instructions of one file that callgrind wrote."""
    found = TOTAL.findall(Path(path).read_text())
    if not found:
        raise Broken(f"{path} has no total: is this another callgrind than that of Debian 12?")
    return int(found[-1])


def codecs(program):
    """Instructions for one unit of each workload of crates/gate/examples/counts."""
    with tempfile.TemporaryDirectory(prefix="taut-counts-") as folder:
        out = Path(folder, "out")
        counted = "counts::counted"
        line = command(out, f"--toggle-collect={counted}", f"--dump-after={counted}") + [str(program)]
        done = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Broken(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
        workloads = [text.split("\t") for text in done.stdout.splitlines()]
        dumps = [Path(folder, f"out.{number}") for number in range(1, len(workloads) + 1)]
        if not all(dump.exists() for dump in dumps):
            raise Broken("callgrind wrote no dump for each workload: is `counted` in crates/gate/examples/counts/main.rs inlined or renamed?")
        return {what: total(dump) / int(units) for (what, units), dump in zip(workloads, dumps)}
