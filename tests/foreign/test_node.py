"""Clients from the npm registry and a real browser. Each script runs once; each of its scenarios counts."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import taut

HERE = Path(__file__).parent
SCRIPTS = ["ws.mjs", "eventsource.mjs", "browser.mjs"]
SCENARIOS = [(script, name) for script in SCRIPTS for name in re.findall(r'^scenario\("([^"]+)"', (HERE / script).read_text(), re.M)]


@pytest.fixture(scope="module")
def results(server):
    """What each script said, run when the first of its scenarios is asked for."""
    pictures = taut.BINARY.parents[1] / "test-logs"
    pictures.mkdir(exist_ok=True)
    ran = {}

    def result(script, name):
        if script not in ran:
            done = subprocess.run(["node", str(HERE / script), str(server.port), str(pictures)], cwd=HERE, capture_output=True, text=True, timeout=240, check=False)
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            ran[script] = ({line["name"]: line for line in lines}, done)
        verdicts, done = ran[script]
        assert name in verdicts, f"{script} left with {done.returncode} before it came to this:\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
        return verdicts[name]

    return result


@pytest.mark.parametrize(("script", "name"), SCENARIOS)
def test_node(results, script, name):
    verdict = results(script, name)
    assert verdict["ok"], verdict["why"]
