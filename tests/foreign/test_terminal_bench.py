"""`taut bench` at a terminal: what is going on is shown while it goes on, and only the table stays."""

from taut import BINARY
from terminal import Terminal


def test_progress_is_shown_and_leaves_nothing_behind(tmp_path, closing):
    terminal = closing.add(Terminal(tmp_path, BINARY, "bench", "fanout", "--members", "3", "--rounds", "1", "--window", "1", "--no-floor", "--pin", "none", "--seconds", "2", width=220))
    terminal.until("delivered")
    terminal.until("code 0").until_line("echo")
    screen = terminal.screen()
    assert "delivered" not in screen and "CPU µs per delivery" in screen, screen
