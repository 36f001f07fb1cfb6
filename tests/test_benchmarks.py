"""benchmarks/run.py and compare.py: what they say of figures, and that a row runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from deadlines import run_to_end

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import compare  # type: ignore[import-not-found]

    return compare  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([1.2, 1.3, 1.25, 1.1, 1.4], "faster"),
        ([0.8, 0.9, 0.85, 0.7, 0.95], "slower"),
        ([0.8, 1.2, 1.0, 1.1, 0.9], "no difference seen"),
        ([0.5, 1.1, 1.2, 1.3, 1.4], "faster"),  # one bad round is the machine's
        ([1.1], "faster"),
    ],
)
def test_the_middle_half_decides(compare: ModuleType, ratios: list[float], said: str) -> None:
    assert compare.verdict(ratios)[3] == said


@pytest.mark.parametrize(
    ("units", "is_less_better"),
    [
        (["µs p50", "us", "us/commit, median", "ms", "s", "bytes", "MB of memory"], True),
        (["msgs/s", "msgs/s per receiver", "signals/s", "MB/s", "actors/s", "messages/s"], False),
    ],
)
def test_times_and_sizes_are_the_better_the_smaller(
    compare: ModuleType, units: list[str], is_less_better: bool
) -> None:
    run: Any = sys.modules["run"]
    assert {run.less_is_better(unit) for unit in units} == {is_less_better}


def test_a_table_shows_who_is_ahead_in_rates_and_in_times(compare: ModuleType) -> None:
    run: Any = sys.modules["run"]
    rows = [
        {"row": "C", "value": 2_000, "unit": "signals/s", "raw": 4_000, "ratio": 0.5, "cpu_us": 3},
        {"row": "D", "value": 200, "unit": "µs p50", "raw": 100, "ratio": 2.0},
        {"peer": "other", "row": "C", "value": 1_000, "unit": "signals/s"},
        {"peer": "other", "row": "D", "value": 300, "unit": "µs p50"},
        {"row": "bench_x", "failed": "no room"},
    ]
    lines = run.table(rows).splitlines()
    assert lines[2] == "| C | 2,000 | signals/s | 4,000 | 0.50 | 3 | 1,000 (2.0 x) |"
    assert lines[3] == "| D | 200 | µs p50 | 100 | 2.00 |  | 300 (1.5 x) |"
    assert lines[4] == "bench_x failed: no room"


@pytest.mark.parametrize("words", [["zz"], ["b", "--peers", "nobody"]])
def test_what_there_isn_t_is_named(words: list[str]) -> None:
    done = run_to_end([sys.executable, str(FOLDER / "run.py"), *words])
    assert done.returncode == 1
    assert "there are" in done.stderr


@pytest.mark.slow
def test_a_row_runs_and_is_kept(tmp_path: Path) -> None:
    done = run_to_end([sys.executable, str(FOLDER / "run.py"), "b", "--out", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert "| B at once |" in done.stdout
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [row["row"] for row in kept["rows"]] == ["B", "B at once"]
    assert kept["machine"]["python"]
