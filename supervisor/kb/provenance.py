"""What the knowledge base remembers: why a fact is there, or was, and what there was at a clock.

Pure: it reads a theory and the changes that are kept of the past, as `KnowledgeBase.history` gives
them. Nothing is kept for it, so it reaches back as far as they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from zactor.kernel.errors import ConfigError, NoSuchThing
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.query import in_order
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.theory import Fact, Theory
from zactor.kernel.knowledge.values import Atom, Compound, Term
from zactor.kernel.messages.knowledge import Change

T = TypeVar("T")


class ChangeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A change that took place."""

    clock: Clock
    who: str
    why: str
    at: float  # s since 1970
    asserted: tuple[str, ...]
    retracted: tuple[str, ...]

    @classmethod
    def of(cls, change: Change) -> ChangeReport:
        """Return what people read of a change."""
        return cls(
            clock=Clock(change.epoch, change.index),
            who=change.who,
            why=change.why,
            at=change.at,
            asserted=change.asserted,
            retracted=change.retracted,
        )


class OriginReport(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a fact was there: how it came, and how it was taken away if it was."""

    fact: str
    clock: Clock | None = None  # of its coming; None where that is older than what is kept
    at: float | None = None
    who: str = ""
    why: str = ""
    present: bool = True
    until: Clock | None = None  # of its going; None while it is there
    until_at: float | None = None
    until_who: str = ""
    until_why: str = ""


History = Sequence[ChangeReport]
"""Changes, oldest first."""

_CLOCK = re.compile(r"(\d{1,15})\.(\d{1,12})")
_PLAIN = re.compile(r"[A-Za-z0-9_@.\-]+")
_AT_ONCE = 64  # facts or changes looked at between two pauses: reading one's texts takes ~20 us


def read_clock(text: str) -> Clock:
    """Return the clock that `text` says.

    Raises:
        ConfigError: it says none.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"{text!r} is no clock: want EPOCH.INDEX, like 3.17 (see `zactor kb log`)"
        )
    return Clock(int(found[1]), int(found[2]))


def why(name: str, theory: Theory, history: History) -> list[OriginReport]:
    """Return a row for each time that a fact which mentions `name` came, oldest first.

    Raises:
        NoSuchThing: nothing mentions it.
    """
    return [row for row in why_in_steps(name, theory, history) if row is not None]


def why_in_steps(name: str, theory: Theory, history: History) -> Iterator[OriginReport | None]:
    """Yield the same, as of the first step, and None again and again after little work."""
    facts = theory.snapshot()
    past: list[OriginReport] = []
    present: dict[str, OriginReport] = {}
    for change in _with_pauses(history):
        if change is None:
            yield None
            continue
        for text in _about(name, change.retracted):
            row = present.pop(text, None) or OriginReport(fact=text)
            past.append(
                msgspec.structs.replace(
                    row,
                    present=False,
                    until=change.clock,
                    until_at=change.at,
                    until_who=change.who,
                    until_why=change.why,
                )
            )
        for text in _about(name, change.asserted):
            present[text] = _came(text, change)
    for fact in _with_pauses(facts):
        if fact is None:
            yield None
        elif fact.text not in present and mentions(fact.term, name):
            present[fact.text] = _came(fact.text, fact)
    rows = [*past, *present.values()]
    if not rows:
        raise NoSuchThing(
            f"no fact mentions {name!r}, nor did one in what is kept here of the past"
            f"{_begins(history)}"
        )
    yield from in_order(rows, lambda row: (row.clock or (), row.until or (), row.fact))


def _with_pauses(items: Iterable[T]) -> Iterator[T | None]:
    for number, item in enumerate(items, 1):
        yield item
        if not number % _AT_ONCE:
            yield None


def _came(text: str, origin: ChangeReport | Fact) -> OriginReport:
    return OriginReport(fact=text, clock=origin.clock, at=origin.at, who=origin.who, why=origin.why)


def _begins(history: History) -> str:
    if not history:
        return ", which is nothing"
    return f", which begins at {history[0].clock}"


def _about(name: str, texts: Iterable[str]) -> list[str]:
    plain = _PLAIN.fullmatch(name) is not None
    return [
        text
        for text in texts
        # Reading a term costs 20 us, looking for its name nothing; odd names may be escaped.
        if (not plain or name in text) and mentions(parse_term(text), name)
    ]


def mentions_any(texts: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of these names stands somewhere in these facts."""
    known = tuple(texts)
    return any(_about(name, known) for name in names)


def mentions(term: Term, name: str) -> bool:
    """Whether `name` stands somewhere in a fact, as an atom or a string."""
    if isinstance(term, Atom):
        return term.name == name
    if isinstance(term, Compound):
        return any(mentions(each, name) for each in term.args)
    if isinstance(term, tuple):
        return any(mentions(each, name) for each in term)
    return term == name


def facts_at(clock: Clock, now: Clock, theory: Theory, history: History) -> dict[str, Clock | None]:
    """Return the facts as they were after the change at `clock`, each with the clock of its coming.

    That is None where it is older than what is kept.

    Raises:
        NoSuchThing: `clock` hasn't come yet, or is older than what is kept.
    """
    found = facts_at_in_steps(clock, now, theory, history)
    return dict([row for row in found if row is not None])


def facts_at_in_steps(
    clock: Clock, now: Clock, theory: Theory, history: History
) -> Iterator[tuple[str, Clock | None] | None]:
    """Yield the same, as of the first step, and None again and again after little work."""
    if clock > now:
        raise NoSuchThing(f"clock {clock} has not come yet: the knowledge base is at {now}")
    if clock < now and (not history or clock < history[0].clock):
        raise NoSuchThing(
            f"clock {clock} is older than what is kept here of the past{_begins(history)}"
        )
    found: dict[str, Clock | None] = {fact.text: fact.clock for fact in theory.snapshot()}
    yield None
    for change in _with_pauses(reversed(history)):
        if change is None:
            yield None
        elif change.clock > clock:
            for text in change.asserted:
                found.pop(text, None)
            found |= dict.fromkeys(change.retracted)
    lacking = {text for text, came in found.items() if came is None}
    yield None
    for change in _with_pauses(history):
        if change is None:
            yield None
        elif change.clock <= clock:
            found |= {text: change.clock for text in change.asserted if text in lacking}
    yield from in_order(found.items(), lambda row: row[0])
