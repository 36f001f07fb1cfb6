"""The checklist of Spread's promises names tests that are there, and leaves no promise out."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "spread-checklist.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def missing(text: str) -> list[str]:
    return [
        f"{file}::{test}"
        for file, test in NAMED.findall(text)
        if not (ROOT / file).exists() or f"def {test}" not in (ROOT / file).read_text()
    ]


def test_every_test_that_it_names_is_there() -> None:
    assert len(NAMED.findall(TEXT)) > 50
    assert not missing(TEXT)


def test_a_test_that_is_not_there_would_be_found() -> None:
    assert missing("`tests/arch/test_spread_checklist.py::test_nothing`")
    assert missing("`tests/arch/test_no_such_file.py`")


def test_every_promise_and_fault_has_a_line_with_a_test() -> None:
    numbers = set()
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and NAMED.search(cells[3]):
            numbers.update(part.strip() for part in cells[1].split(","))
    wanted = {str(number) for number in range(1, 31)} | {f"c{number}" for number in range(1, 10)}
    assert wanted <= numbers
