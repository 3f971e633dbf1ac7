"""SECURITY.md: every test that it names is there, and every threat has one."""

import re
from pathlib import Path

from taut import ROOT

ROWS = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if re.match(r"\| (?!threat|asset|-)", line) and line.count(" | ") == 2]


def names():
    found = set()
    for folder, ending in [("crates", "rs"), ("tests", "py")]:
        for path in (ROOT / folder).rglob(f"*.{ending}"):
            if "node_modules" not in path.parts:
                found |= set(re.findall(r"\b(?:fn|def) ([a-z_0-9]+)", path.read_text()))
    return found


def test_every_test_that_it_names_exists():
    there, missing = names(), []
    for row in ROWS:
        cell = row.rsplit(" | ", 1)[1]
        named = [name for name in re.findall(r"`([^`]+)`", cell) if re.fullmatch(r"[a-z_0-9]+(_…)?", name)]
        files = [name for name in re.findall(r"`([a-z_]+\.(?:py|rs|mjs))`", cell)]
        targets = re.findall(r"fuzz targets? `([a-z_]+)`", cell)
        assert named or files or "fuzz" in cell, f"no test: {row}"
        for name in named:
            prefix = name.removesuffix("…")
            is_there = name in there or name in targets or (prefix != name and any(one.startswith(prefix) for one in there))
            missing += [] if is_there else [name]
        missing += [file for file in files if not any(path for path in [*(ROOT / "tests").glob(f"*/{file}"), *(ROOT / "crates").glob(f"*/tests/{file}")])]
        missing += [target for target in targets if not (ROOT / "fuzz" / "fuzz_targets" / f"{target}.rs").exists()]
    assert not missing, missing
    assert len(ROWS) > 60


def test_the_files_of_attacks_are_named():
    text = (ROOT / "SECURITY.md").read_text()
    for path in Path(__file__).parent.glob("test_*.py"):
        if "attacks" in path.name or "slow" in path.name or "hostile" in path.name:
            assert path.name in text
