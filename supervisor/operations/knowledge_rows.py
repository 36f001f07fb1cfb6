"""What is asked of the whole knowledge base, as rows that are made bit by bit: see query_turns.py.

Each answers from one moment, that of its first step, though the theory changes meanwhile.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.query import in_order, solve_in_steps
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.theory_snapshot import TheorySnapshot
from zactor.kernel.knowledge.values import Term
from zactor.kernel.knowledge.writer import text_of, to_json
from zactor.kernel.messages.operations import Subject
from zactor.supervisor.kb import facts, provenance
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.operations.query_turns import Rows
from zactor.supervisor.operations.report_rows import FactReport


def solutions(goal: str, kb: KnowledgeBase) -> Rows:
    """Yield the values of the variables of `goal` for each way in which it holds.

    Raises:
        TermError, Refused: see `query.solve`.
    """
    with TheorySnapshot(kb.theory) as snapshot:
        for row in solve_in_steps(goal, snapshot):
            yield None if row is None else {name: to_json(term) for name, term in row.items()}


def facts_now(theory: Theory) -> Rows:
    """Yield every fact, by its text."""
    for fact in in_order(theory.snapshot(), operator.attrgetter("text")):
        yield None if fact is None else _row(fact.text, fact.term, fact.clock)


def facts_at(clock: str, kb: KnowledgeBase) -> Rows:
    """Yield every fact as it was at a clock, by its text.

    Raises:
        NoSuchThing: the clock hasn't come yet, or is older than what is kept here.
    """
    when = provenance.read_clock(clock)
    found = provenance.facts_at_in_steps(when, kb.clock, kb.theory, kb.history())
    for each in found:
        yield None if each is None else _row(each[0], parse_term(each[0]), each[1])


def why(name: str, kb: KnowledgeBase) -> Rows:
    """Yield each time that a fact came which mentions `name`.

    Raises:
        NoSuchThing: nothing mentions it.
    """
    yield from provenance.why_in_steps(name, kb.theory, kb.history())


def log(kb: KnowledgeBase) -> Rows:
    """Yield the last changes, oldest first."""
    yield from kb.history()


ROWS: Mapping[Subject, Callable[[str, KnowledgeBase], Rows]] = {
    Subject.FACTS: lambda clock, kb: facts_at(clock, kb) if clock else facts_now(kb.theory),
    Subject.WHY: why,
    Subject.LOG: lambda _, kb: log(kb),
}
"""Reports that grow with the knowledge base or with its past, by what they are about."""


def _row(text: str, term: Term, clock: Clock | None) -> FactReport:
    return FactReport(
        fact=text,
        functor=getattr(term, "functor", text_of(term)),
        args=[to_json(argument) for argument in facts.arguments_of(term)],
        clock=clock,
    )
