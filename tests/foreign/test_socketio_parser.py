"""The vectors of our Socket.IO codec say of the official parser what it does."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parents[1] / "crates/wire/tests/socketio_vectors.txt"


def test_verdicts_are_the_official_parsers():
    done = subprocess.run(["node", str(HERE / "socketio_parser.mjs"), str(VECTORS)], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-3000:]
