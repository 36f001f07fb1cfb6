"""Wishes: what a file wants of the network, as it is kept in the knowledge base. Pure.

`wish(File, Hash, keep|once)` says that there is one, `wished(File, Text, Id)` holds it as JSON with
the id of the request that brought it, and `owned(File, Thing)` marks what the file made: actor(c1),
factory(counter), reacts(g1,c1,updateVal).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from zactor.kernel.errors import ConfigError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.supervisor.kb import facts
from zactor.supervisor.kb.policies import DRAIN_S, INTENSITY, TRANSIENT
from zactor.supervisor.kb.restart_groups import ONE_FOR_ONE


class WishedActor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An actor that there should be."""

    name: str
    type: str
    on: tuple[str, ...] = ()  # nodes, the best first: it runs on the first that is there
    arguments: str = "{}"  # as text, see supervisor/operations/constructor_arguments.py
    restart: str = TRANSIENT
    intensity: str = INTENSITY
    drain_s: float = DRAIN_S
    each: str = ""  # a label: one on each node that has it, `on` is empty then


class WishedWire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wire that there should be."""

    emitter: str
    action: str
    reactor: str
    service: str = "fifo"
    meanwhile: str = ""  # of signals while the reactor is away: "hold 1000", block; "": drop


class WishedFactory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A type of actors with its code."""

    type: str
    bundle: str  # its identity, "sha256:…"


class WishedGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Actors that are to be restarted together."""

    name: str
    actors: tuple[str, ...]  # in the order in which they start
    strategy: str = ONE_FOR_ONE
    intensity: str = INTENSITY


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that one file wants."""

    name: str
    keep: bool = True  # the network brings back what a death takes away
    factories: tuple[WishedFactory, ...] = ()
    actors: tuple[WishedActor, ...] = ()
    wires: tuple[WishedWire, ...] = ()
    groups: tuple[WishedGroup, ...] = ()

    def to_text(self) -> str:
        """Return it as JSON, the same text for the same wish."""
        return msgspec.json.encode(self.sorted()).decode()

    def sorted(self) -> Wish:
        """Return it with its parts in the order of their names."""
        return msgspec.structs.replace(
            self,
            factories=tuple(sorted(self.factories, key=lambda each: each.type)),
            actors=tuple(sorted(self.actors, key=lambda each: each.name)),
            wires=tuple(sorted(self.wires, key=lambda w: (w.emitter, w.action, w.reactor))),
            groups=tuple(sorted(self.groups, key=lambda each: each.name)),
        )

    def hash(self) -> str:
        """Return what tells it from another."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()[:16]


def from_text(text: str) -> Wish:
    """Return the wish that is written so.

    Raises:
        ConfigError: it is none.
    """
    try:
        return msgspec.json.decode(text, type=Wish)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"that is no wish: {error}") from None


# -- in the knowledge base -------------------------------------------------------------------
def names(theory: Theory) -> list[str]:
    """Return the names of the files of which there is a wish."""
    return sorted(text_of(facts.arguments_of(fact.term)[0]) for fact in theory.facts("wish", 3))


def wish(theory: Theory, name: str) -> Wish | None:
    """Return what the file `name` wants, as it was applied last."""
    found = _wished(theory, name)
    return from_text(found[0]) if found is not None else None


def applied_by(theory: Theory, name: str) -> str:
    """Return the id of the request that brought the wish `name`; "": there is none."""
    found = _wished(theory, name)
    return found[1] if found is not None else ""


def kept_hash(theory: Theory, name: str) -> str:
    """Return the hash of the wish `name` as it stands there; "": there is none."""
    found = [facts.arguments_of(fact.term) for fact in theory.facts("wish", 3, Atom(name))]
    return text_of(found[0][1]) if found else ""


def _wished(theory: Theory, name: str) -> tuple[str, str] | None:
    for fact in theory.facts("wished", 3, Atom(name)):
        _, text, id_ = map(text_of, facts.arguments_of(fact.term))
        return text, id_
    return None


def wish_facts(wished: Wish, id: str) -> tuple[str, str]:
    """Return the facts that hold a wish."""
    name = quote_atom(wished.name)
    kept = "keep" if wished.keep else "once"
    return (
        f"wish({name}, {quote_atom(wished.hash())}, {kept})",
        f"wished({name}, {format_term(wished.to_text())}, {quote_atom(id)})",
    )


def wish_patterns(name: str) -> tuple[str, str]:
    """Return the patterns of the facts that hold the wish `name`."""
    return f"wish({quote_atom(name)}, _, _)", f"wished({quote_atom(name)}, _, _)"


def actor_mark(name: str) -> str:
    """Return how an actor is written in a mark."""
    return f"actor({quote_atom(name)})"


def factory_mark(type_name: str) -> str:
    """Return how a factory is written in a mark."""
    return f"factory({quote_atom(type_name)})"


def wire_mark(reactor: str, emitter: str, action: str) -> str:
    """Return how a wire is written in a mark."""
    return f"reacts({', '.join(map(quote_atom, (reactor, emitter, action)))})"


def marks(theory: Theory) -> Iterator[tuple[str, str]]:
    """Yield all marks: a file's name and the thing that it made, as written above."""
    for fact in theory.facts("owned", 2):
        name, thing = facts.arguments_of(fact.term)
        functor = getattr(thing, "functor", "")
        parts = ", ".join(quote_atom(text_of(each)) for each in facts.arguments_of(thing))
        yield text_of(name), f"{functor}({parts})"


def owner(theory: Theory, actor: str) -> str:
    """Return the name of the file that made an actor; "": none did."""
    thing = actor_mark(actor)
    return next((name for name, marked in marks(theory) if marked == thing), "")


def mark_fact(name: str, thing: str) -> str:
    """Return the mark on a thing."""
    return f"owned({quote_atom(name)}, {thing})"
