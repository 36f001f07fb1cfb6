"""What the knowledge base remembers: why a fact is there, or was, and what there was at a clock.

Pure: it reads a theory and the changes that are kept of the past, as `KnowledgeBase.history` gives
them. Nothing is kept for it, so it reaches back as far as they do (D26).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zactor.kernel.errors import ConfigError, NoSuchThing
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom, Compound, Term

Row = dict[str, Any]
History = Sequence[Mapping[str, Any]]
"""Changes, oldest first: clock, who, why, at, asserted, retracted."""

_CLOCK = re.compile(r"(\d{1,15})\.(\d{1,12})")
_PLAIN = re.compile(r"[A-Za-z0-9_@.\-]+")


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


def why(name: str, theory: Theory, history: History) -> list[Row]:
    """Return a row for each time that a fact which mentions `name` came, oldest first.

    Its fields: fact; clock, at, who, why of its coming (None and "" where that is older than what
    is kept); present; until, until_at, until_who, until_why of its going, None and "" if present.

    Raises:
        NoSuchThing: nothing mentions it.
    """
    rows: list[Row] = []
    present: dict[str, Row] = {}
    for change in history:
        for text in _about(name, change["retracted"]):
            row = present.pop(text, None)
            if row is None:
                row = _came(text, None)
                rows.append(row)
            row |= {
                "present": False,
                "until": change["clock"],
                "until_at": change["at"],
                "until_who": change["who"],
                "until_why": change["why"],
            }
        for text in _about(name, change["asserted"]):
            present[text] = _came(text, change)
            rows.append(present[text])
    for fact in theory:
        if fact.text not in present and mentions(fact.term, name):
            origin = {"clock": [*fact.clock], "at": fact.at, "who": fact.who, "why": fact.why}
            rows.append(_came(fact.text, origin))
    if not rows:
        raise NoSuchThing(
            f"no fact mentions {name!r}, nor did one in what is kept here of the past"
            f"{_begins(history)}"
        )
    return sorted(rows, key=lambda row: (row["clock"] or [], row["until"] or [], row["fact"]))


def _came(text: str, origin: Mapping[str, Any] | None) -> Row:
    known = origin or {"clock": None, "at": None, "who": "", "why": ""}
    return {
        "fact": text,
        **{key: known[key] for key in ("clock", "at", "who", "why")},
        "present": True,
        "until": None,
        "until_at": None,
        "until_who": "",
        "until_why": "",
    }


def _begins(history: History) -> str:
    if not history:
        return ", which is nothing"
    return f", which begins at {Clock(*history[0]['clock'])}"


def _about(name: str, texts: Iterable[str]) -> list[str]:
    plain = _PLAIN.fullmatch(name) is not None
    return [
        text
        for text in texts
        # Reading a term costs 20 us, looking for its name nothing; odd names may be escaped.
        if (not plain or name in text) and mentions(parse_term(text), name)
    ]


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
    if clock > now:
        raise NoSuchThing(f"clock {clock} has not come yet: the knowledge base is at {now}")
    if clock < now and (not history or clock < Clock(*history[0]["clock"])):
        raise NoSuchThing(
            f"clock {clock} is older than what is kept here of the past{_begins(history)}"
        )
    found: dict[str, Clock | None] = {fact.text: fact.clock for fact in theory}
    for change in reversed(history):
        if Clock(*change["clock"]) > clock:
            for text in change["asserted"]:
                found.pop(text, None)
            found |= dict.fromkeys(change["retracted"])
    lacking = {text for text, came in found.items() if came is None}
    for change in history:
        if Clock(*change["clock"]) <= clock:
            here = Clock(*change["clock"])
            found |= {text: here for text in change["asserted"] if text in lacking}
    return dict(sorted(found.items()))
