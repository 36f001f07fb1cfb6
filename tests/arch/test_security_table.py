"""SECURITY.md names tests that are there, and every attack has its row."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_test_that_the_table_names_is_there() -> None:
    named = NAMED.findall(TEXT)
    assert len(named) > 40
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or f"def {test}" not in (ROOT / file).read_text()
    ]
    assert not missing


def test_every_attack_has_a_row_with_a_result() -> None:
    rows = {
        cells[1].strip(): cells
        for line in TEXT.splitlines()
        if (cells := line.split("|"))[0] == "" and len(cells) == 7
    }
    assert {f"S{number}" for number in range(1, 24)} <= rows.keys()
    assert all(cells[-2].strip() for cells in rows.values())
    assert all(
        "`" in cells[4] or "part" in cells[5] or "not promised" in cells[5]
        for number, cells in rows.items()
        if number.startswith("S")
    )
