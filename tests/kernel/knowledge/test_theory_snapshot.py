"""A snapshot says what the theory said when it was taken, whatever changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.query import solve
from zactor.kernel.knowledge.theory import Fact, Theory
from zactor.kernel.knowledge.theory_snapshot import TheorySnapshot
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term
from zactor.kernel.messages.knowledge import Change

TEXTS = [f"p({one},{two})" for one in "abc" for two in "abc"] + ["q(a)", "alone"]
GOALS = ["p(X,Y)", "p(a,X)", "p(X,X)", "q(X), p(X,Y)", "\\+ alone", "alone", "p(X,Y), \\+ q(Y)"]

STEPS = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(["add", "take", "again"])))


def change(theory: Theory, text: str, kind: str, index: int) -> None:
    """One change: the fact comes, goes, or goes and comes in one."""
    is_there = text in theory
    retracted = (text,) if is_there and kind in ("take", "again") else ()
    asserted = (text,) if kind == "again" or (kind == "add" and not is_there) else ()
    theory.apply(Change(2, index, "", "me", "test", 0.0, retracted, asserted, b""))


def answers(facts: Theory | TheorySnapshot) -> list[list[str]]:
    found = []
    for goal in GOALS:
        rows = solve(goal, facts)
        found.append([str({n: format_term(v) for n, v in row.items()}) for row in rows])
    return found


def failures(
    kind: type[TheorySnapshot], first: list[tuple[str, str]], then: list[tuple[str, str]]
) -> int:
    """How often a snapshot says something else than a copy."""
    theory = Theory()
    for index, step in enumerate(first):
        change(theory, *step, index)
    copy = Theory(theory.rows())
    wrong = 0
    with kind(theory) as snapshot:
        for index, step in enumerate(then, len(first)):
            change(theory, *step, index)
            wrong += answers(snapshot) != answers(copy)
            wrong += [text in snapshot for text in TEXTS] != [text in copy for text in TEXTS]
    return wrong


@settings(max_examples=200, deadline=None)
@given(STEPS, STEPS)
def test_a_snapshot_says_what_the_theory_said(
    first: list[tuple[str, str]], then: list[tuple[str, str]]
) -> None:
    assert not failures(TheorySnapshot, first, then)


class ForgetsWhatWent(TheorySnapshot):
    def went(self, fact: Fact) -> None:
        self._new.discard(fact.text)


class SeesWhatCame(TheorySnapshot):
    def came(self, fact: Fact) -> None:
        pass


class KeepsWhatCameAndWent(TheorySnapshot):
    def went(self, fact: Fact) -> None:
        self._gone.add(fact)


@pytest.mark.parametrize("kind", [ForgetsWhatWent, SeesWhatCame, KeepsWhatCameAndWent])
def test_the_test_would_find_a_snapshot_that(kind: type[TheorySnapshot]) -> None:
    first = [("p(a,b)", "add"), ("q(a)", "add")]
    then = [("p(b,c)", "add"), ("p(a,b)", "take"), ("p(b,c)", "take"), ("q(a)", "again")]
    assert failures(kind, first, then)


def test_a_closed_snapshot_is_told_nothing() -> None:
    theory = Theory()
    with TheorySnapshot(theory) as snapshot:
        pass
    theory.add(Fact("alone", Atom("alone"), Clock(1, 1), "me", "test", 0.0))
    assert not snapshot._new
