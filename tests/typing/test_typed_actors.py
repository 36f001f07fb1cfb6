"""mypy over a file of right and wrong uses: it must find every wrong one and nothing else."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from deadlines import run_to_end

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("typed_actors.py")


def test_mypy_finds_exactly_the_planted_errors(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    # A tree of links, since checkers don't read setup.cfg's package_dir: see scripts/stage.py.
    package = tmp_path / "stage" / "zactor"
    package.mkdir(parents=True)
    for entry in (ROOT / "zactor").iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for folder in ("kernel", "supervisor", "bundles", "demos"):
        (package / folder).symlink_to(ROOT / folder)
    done = run_to_end(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file", "", "--follow-imports=silent"),
            *("--cache-dir", str(tmp_path / "cache"), str(FILE)),
        ],
        env={**os.environ, "MYPYPATH": str(tmp_path / "stage")},
        cwd=tmp_path,
    )
    assert done.stderr == ""
    found = {int(line) for line in re.findall(r"typed_actors\.py:(\d+): error", done.stdout)}
    source = FILE.read_text().splitlines()
    planted = {number for number, line in enumerate(source, 1) if line.endswith("# E")}
    assert found == planted, done.stdout
