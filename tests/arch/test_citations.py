"""Comments and docstrings cite only what lies in this repository."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from zactor.testing.group_sim import checkers as group_checkers
from zactor.testing.kb_sim import checkers as kb_checkers

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("benchmarks", "bundles", "demos", "kernel", "scripts", "supervisor", "tests", "zactor")
ROOMS = sorted(
    {
        file.parent.relative_to(ROOT).as_posix()
        for top in TOPS
        for file in (ROOT / top).glob("**/*.py")
    }
)

# Numbers of rules as documents write them, alone in brackets or wherever D, A and K stand.
NUMBERED = re.compile(r"\((?!Z85)((?:[A-Z]\d{1,2}[a-z]?(?:, )?)+)\)|\b([ADK]\d{1,2}[a-z]?)\b")
DOCUMENTS = re.compile(
    r"\b(?:DESIGN|HOUSE|STYLE|CASES|INVARIANTS|PAPERS|ISSUES?)\b|\b[Tt]he seed\b"
)


@functools.cache
def rules() -> frozenset[str]:
    """What may be cited by its number: rules of PROTOCOL.md, and what the checkers check."""
    found = re.findall(r"\*\*([A-Z]\d+[a-z]?)\*\*", (ROOT / "kernel" / "PROTOCOL.md").read_text())
    for table in (group_checkers.CHECKERS, kb_checkers.CHECKERS):
        found += [name.split()[0] for name in table]
    return frozenset(found)


def words_for_people(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every comment and docstring."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                said = child.value.value
                if isinstance(said, str):
                    yield from enumerate(said.split("\n"), child.lineno)


def foreign_citations(text: str) -> list[str]:
    found = []
    for number, line in words_for_people(text):
        cited = [
            one for match in NUMBERED.finditer(line) for one in re.split(", ", match[1] or match[2])
        ]
        cited = [one for one in cited if one not in rules()]
        cited += [match[0] for match in DOCUMENTS.finditer(line)]
        found += [f"line {number}: {one}" for one in cited]
    return found


def files_of(room: str) -> list[Path]:
    return [file for file in sorted((ROOT / room).glob("*.py")) if file != Path(__file__)]


@pytest.mark.parametrize("room", ROOMS)
def test_comments_cite_only_what_lies_in_this_repository(room: str) -> None:
    found = [
        f"{file.relative_to(ROOT)} {where}"
        for file in files_of(room)
        for where in foreign_citations(file.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        '"""A door, and nothing else (A1)."""',
        "x = 1  # as the limits allow (D38)",
        'def f():\n    """First line.\n\n    See K77.\n    """',
        "x = 1\n# the seed's spelling",
        '"""The lines of INVARIANTS, no more."""',
        "# see DESIGN.md",
        "# rules (P1, D99)",
    ],
)
def test_a_foreign_citation_would_be_found(text: str) -> None:
    assert foreign_citations(text)


@pytest.mark.parametrize(
    "text",
    [
        "# nobody is asked twice (P10)",
        '"""K1: one history."""',
        "x = '(D38) is no comment'",
        '"""Return the run that `seed` stands for."""',
        "# CURVE keys are Z85 text",
    ],
)
def test_what_lies_here_may_be_cited(text: str) -> None:
    assert not foreign_citations(text)
