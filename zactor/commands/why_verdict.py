"""Verdict: what the rows of `why` come to, in one sentence that is said before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zactor.commands.text import cell
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.values import Atom, Compound, Term

Row = Mapping[str, object]


def of_why(rows: Sequence[Row], name: str) -> str:
    """What a name is, or what became of it; of rows that are oldest first."""
    for functor, say in _MISSING.items():
        for row in rows:
            term = parse_term(str(row["fact"]))
            if not row["present"] or not isinstance(term, Compound):
                continue
            if (term.functor, _said(term, 0)) == (functor, name):
                return say(term, row)
    for functor in ("actor", "node", "factory"):
        for row in reversed(rows):
            term = parse_term(str(row["fact"]))
            if isinstance(term, Compound) and term.functor == functor and _said(term, 0) == name:
                return _present(term, row, rows) if row["present"] else _gone(term, row)
    there = sum(1 for row in rows if row["present"])
    return f"{name} is mentioned by {there} facts, and was by {len(rows) - there} that are gone"


def _a(kind: str) -> str:
    return f"{'an' if kind[:1].lower() in tuple('aeiou') else 'a'} {kind}"


def _lost(term: Compound, row: Row) -> str:
    name, kind, node, why = (_said(term, place) for place in range(4))
    return (
        f"{name} is lost: it was {_a(kind)} on {node} until {cell('at', row['at'])} ({why});"
        f" `zactor restore {name}`, or `zactor forget {name}`"
    )


def _node_gone(term: Compound, row: Row) -> str:
    name, _, why = (_said(term, place) for place in range(3))
    return (
        f"{name} is missed since {cell('at', row['at'])} ({why}): start it again, or"
        f" `zactor forget {name}`"
    )


_MISSING = {"lost": _lost, "gone": _node_gone}
"""What is said of what was ordered and isn't there, by the functor of its fact."""


def _present(term: Compound, row: Row, rows: Sequence[Row]) -> str:
    name = _said(term, 0)
    match term.functor:
        case "actor":
            state, reason = _state(name, rows)
            what = f"is {_a(_said(term, 1))} on {_said(term, 2)}, {state or 'starting'}"
            what += f" ({reason})" if reason else ""
            if owner := _owner(name, rows):
                what += f", because {owner} wants it"
        case "node":
            what = f"is the node at {_said(term, 1)}"
        case _:
            what = "is a type of actors"
    return f"{name} {what}{_since(row)}"


def _since(row: Row) -> str:
    if row["clock"] is None:
        return ", since before what is kept of the past"
    return f", since {cell('at', row['at'])}: {row['who']} did {row['why']}"


def _gone(term: Compound, row: Row) -> str:
    what = {"actor": "an actor", "node": "a node"}.get(term.functor, "a type of actors")
    why = f"{row['until_why']} ({row['until_who']})"
    return f"{_said(term, 0)} was {what} and is gone since {cell('at', row['until_at'])}: {why}"


def _owner(name: str, rows: Sequence[Row]) -> str:
    """Return the name of the file that made an actor."""
    for row in rows:
        term = parse_term(str(row["fact"]))
        if row["present"] and isinstance(term, Compound) and term.functor == "owned":
            thing = term.args[1]
            if isinstance(thing, Compound) and thing.functor == "actor" and _said(thing, 0) == name:
                return _said(term, 0)
    return ""


def _state(name: str, rows: Sequence[Row]) -> tuple[str, str]:
    for row in rows:
        term = parse_term(str(row["fact"]))
        if not row["present"] or not isinstance(term, Compound):
            continue
        if (term.functor, _said(term, 0)) == ("state", name):
            return _said(term, 1), _said(term, 2)
    return "", ""


def _said(term: Compound, place: int) -> str:
    found: Term = term.args[place] if place < len(term.args) else ""
    return found.name if isinstance(found, Atom) else str(found)
