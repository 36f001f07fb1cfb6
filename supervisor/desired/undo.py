"""Undo: what takes a change of the knowledge base back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel.errors import Refused
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.values import Compound
from zactor.kernel.knowledge.writer import quote_atom, text_of
from zactor.supervisor.desired.draft import Draft, Transaction
from zactor.supervisor.kb.provenance import ChangeReport
from zactor.supervisor.kb.wishes import Wish, from_text

PLAIN = frozenset({"reacts", "down", "meanwhile", "factory", "owned", "policy"})
"""Facts that are what they say: taking them away, or bringing them again, takes them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerWish:
    """What a file wanted before a change; None: there was no wish of it."""

    name: str
    wish: Wish | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerCode:
    """The code that an actor had before a change, and the change gave it."""

    name: str
    bundle: str
    given: str


def inverse(change: ChangeReport) -> FormerWish | FormerCode | Transaction:
    """Return what takes `change` back: a wish to be applied again, code, or facts.

    Raises:
        Refused: nothing can.
    """
    before, after = _wished(change.retracted), _wished(change.asserted)
    if after is not None or before is not None:
        named = after or before
        assert named is not None
        return FormerWish(name=named.name, wish=before)
    code = _former_code(change)
    if code is not None:
        return code
    kinds = {_functor(text) for text in (*change.asserted, *change.retracted)}
    if kinds - PLAIN and change.why.startswith("apply("):
        raise Refused(
            f"{change.clock} ({change.why}) changed nothing of what is wanted, it brought back what"
            " is: there is nothing to take back"
        )
    if others := sorted(kinds - PLAIN):
        raise Refused(
            f"{change.clock} ({change.why}) can't be taken back: it changed {', '.join(others)};"
            " an apply, an upgrade, a wire or a factory can be"
        )
    draft = Draft()
    for text in change.asserted:
        draft.require(text, f"{text} is gone")
        draft.retract(text)
    for text in change.retracted:
        draft.require(f"\\+ {text}", f"{text} is there again")
        draft.bring(text)
    for text in (*change.asserted, *change.retracted):
        term = parse_term(text)
        if isinstance(term, Compound) and term.functor == "reacts" and text in change.retracted:
            for name in (term.args[0], term.args[1]):
                draft.require(
                    f"actor({quote_atom(text_of(name))}, _, _)", f"{text_of(name)} is gone"
                )
    return draft.transaction(f"undo({change.clock}: {change.why})")


def _functor(text: str) -> str:
    term = parse_term(text)
    return term.functor if isinstance(term, Compound) else text_of(term)


def _wished(texts: tuple[str, ...]) -> Wish | None:
    for text in texts:
        term = parse_term(text)
        if isinstance(term, Compound) and (term.functor, len(term.args)) == ("wished", 3):
            return from_text(text_of(term.args[1]))
    return None


def _former_code(change: ChangeReport) -> FormerCode | None:
    """Return what an upgrade changed; None: the change was no upgrade."""
    specs = [_spec(text) for text in (*change.retracted, *change.asserted)]
    if len(specs) != 2 or None in specs or len(change.asserted) != 1:
        return None
    (name, former, *before), (other, given, *after) = (spec or () for spec in specs)
    if (name, before) != (other, after):
        return None
    return FormerCode(name=name, bundle=former, given=given)


def _spec(text: str) -> tuple[str, ...] | None:
    term = parse_term(text)
    if isinstance(term, Compound) and (term.functor, len(term.args)) == ("spec", 4):
        return tuple(map(text_of, term.args))
    return None
