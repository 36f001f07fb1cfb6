"""The audit of a run bites: each kind of loss, planted, is complained about."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from deadlines import run_to_end

AUDIT = Path(__file__).with_name("kb_audit.py")


def applied(process: str, index: int, digest: str, **more: Any) -> dict[str, Any]:
    return {"t": index, "p": process, "k": "kb_apply", "clock": [1, index], "hash": digest, **more}


def audit(
    run: Path, *lines: dict[str, Any], acknowledged: str = "f1", **facts: list[str]
) -> tuple[int, str]:
    (run / "trace").mkdir()
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (run / "trace" / "log.jsonl").write_text(f'{text}{{"t": 9, "p": "torn by a ki')
    (run / "acknowledged.txt").write_text(acknowledged)
    for name, copy in (facts or {"n1": ["factory(f1,b)"]}).items():
        (run / f"facts-{name}.json").write_text(json.dumps(copy))
    done = run_to_end([sys.executable, str(AUDIT), str(run)])
    return done.returncode, done.stdout


def test_a_whole_run_has_no_complaint(tmp_path: Path) -> None:
    lines = (applied("n1@1", 1, "a"), applied("n2@1", 1, "a"), applied("n1@1", 2, "b"))
    again = applied("n2@1", 2, "b", taken=True)
    assert audit(tmp_path, *lines, again, again) == (
        0,
        "5 changes applied, 1 acknowledged, 0 complaints\n",
    )


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([applied("n1@1", 1, "a"), applied("n2@1", 1, "b")], "two histories at [1, 1]"),
        ([applied("n1@1", 1, "a"), applied("n1@1", 1, "a")], "n1@1 went back from [1, 1]"),
        (
            [applied("n1@1", 2, "a", t=1), applied("n1@1", 1, "b", t=2)],
            "n1@1 went back from [1, 2]",
        ),
    ],
)
def test_a_history_that_forks_or_repeats_is_complained_about(
    tmp_path: Path, lines: list[dict[str, Any]], complaint: str
) -> None:
    code, text = audit(tmp_path, *lines)
    assert code == 1
    assert complaint in text


@pytest.mark.parametrize(
    ("acknowledged", "facts", "complaint"),
    [
        ("f1 f2", {"n1": ["factory(f1,b)"]}, "facts-n1 lacks f2"),
        ("f1 f1", {"n1": ["factory(f1,b)"]}, "f1 was acknowledged twice"),
        ("f1", {"n1": ["factory(f1,b)", "factory(f1,c)"]}, "facts-n1 has f1 twice"),
        ("f1", {"n1": ["factory(f1,b)"], "n2": ["factory(f1,c)"]}, "the nodes' facts differ"),
    ],
)
def test_what_is_lost_or_there_twice_is_complained_about(
    tmp_path: Path, acknowledged: str, facts: dict[str, list[str]], complaint: str
) -> None:
    code, text = audit(tmp_path, acknowledged=acknowledged, **facts)
    assert code == 1
    assert complaint in text
