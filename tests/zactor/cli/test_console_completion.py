"""What TAB offers in the console."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from zactor.cli import completion
from zactor.commands.command import Kind

NAMES = {
    Kind.ACTOR: ["c1", "c2", "g1"],
    Kind.NODE: ["n1", "n2"],
    Kind.TYPE: ["counter", "gui"],
    Kind.PORT: ["g1.inc", "c1."],
}


def names(kind: Kind) -> Iterable[str]:
    return NAMES[kind]


def offered(line: str) -> list[str]:
    start = max((line.rfind(mark) for mark in completion.DELIMITERS), default=-1) + 1
    return completion.complete(line, line[start:], names)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dep", ["deploy", "deployActor("]),
        ("he", ["help"]),
        ("deploy c", ["counter"]),
        ("deploy counter c9 ", ["n1", "n2"]),
        ("deploy counter c9 n1 ", []),
        ("deploy counter c9 n1 --", ["--arg", "--install", "--intensity", "--json", "--restart"]),
        ("wire g", ["g1.inc"]),
        ("wire g1.inc c", ["c1", "c2"]),
        ("wire g1.inc c1 --service a", ["agreed"]),
        ("kb f", ["facts"]),
        ("kb ", ["facts", "log", "query"]),
        ("ps. destroy g", ["g1"]),
        ("-destroy g", ["g1"]),
        ("describe c", ["c1", "c2"]),
        ("undeclare-factory g", ["gui"]),
        ("upgrade c", ["c1", "c2"]),
        ("upgradeActor(c", ["c1", "c2"]),
        ("undeclareFactory(c", ["counter"]),
        ("deployActor(g", ["gui"]),
        ("deployActor(gui, g2, n", ["n1", "n2"]),
        ("remoteReactInteraction(c1, g", ["g1"]),
        ("reactInteraction(c1, g1, inc, s", ["safe"]),
        ("sendSignal(", ["c1", "c2", "g1"]),
        ("nonsense c", []),
    ],
)
def test_tab_offers_what_fits_there(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_tab_offers_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "counter.py").touch()
    (tmp_path / "counters").mkdir()
    line = f"declare-factory counter {tmp_path}/cou"
    assert offered(line) == [f"{tmp_path}/counter.py", f"{tmp_path}/counters/"]
    assert offered(f"declareFactory(counter, '{tmp_path}/counter.") == [f"{tmp_path}/counter.py"]
