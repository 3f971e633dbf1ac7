import os
import re

import pytest

import taut
from peers import Closing


def pytest_collection_modifyitems(items):
    # What takes longest comes last, so that a plain fault shows early.
    last = ["test_hostile", "test_slow"]
    items.sort(key=lambda item: last.index(item.module.__name__) + 1 if item.module.__name__ in last else 0)


@pytest.fixture(scope="session", autouse=True)
def binary(tmp_path_factory):
    assert taut.BINARY.exists(), f"{taut.BINARY} is not built: cargo build --release -p taut"
    # Rooms that servers under test keep are nobody's own.
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server with default settings for all tests of a module: each uses rooms of its own."""
    running = taut.Server(tmp_path_factory.mktemp("taut"))
    yield running
    try:
        running.assert_healthy()
    finally:
        code = running.stop()
    assert code == 0, running.said()[-3000:]


@pytest.fixture
def start(tmp_path):
    """Starts servers with settings of their own; they are stopped when the test ends."""
    running = []

    def started(config="", arguments=(), files_max=None, within=(), port=None):
        running.append(taut.Server(tmp_path, config, arguments, files_max, within, port))
        return running[-1]

    yield started
    for one in running:
        if one.is_running():
            one.process.terminate()
        try:
            one.process.wait(5)
        except Exception:  # a server that drains slowly is not what the test was about
            one.process.kill()
            one.process.wait()
        assert "panicked" not in one.said() and "fatal runtime error" not in one.said(), one.said()[-3000:]


@pytest.fixture
def room(request):
    """A room that only this test is in."""
    return "t/" + re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-").lower()[:80]


@pytest.fixture
def closing():
    """Closes what is handed to it when the test ends."""
    with Closing() as stack:
        yield stack
