"""The facts that a change took away and brought, read once for all who want to know.

Pure. What no part of the supervisor follows isn't among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from zactor.kernel.ids import signal_and_action
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.values import Compound, Term
from zactor.kernel.knowledge.writer import text_of
from zactor.kernel.messages.knowledge import Change


@dataclass(frozen=True, slots=True)
class NodeFact:
    """node/2 or incarnation/2 of a node that is there, drained/1, label/3."""

    name: str


@dataclass(frozen=True, slots=True)
class ActorFact:
    """actor/3, spec/4, born/2, moving/2, state/3, policy/5, next/6, lost/4 or ordered/6."""

    name: str


@dataclass(frozen=True, slots=True)
class WireFact:
    """reacts/4, down/4, or meanwhile/4."""

    emitter: str
    signal: str


@dataclass(frozen=True, slots=True)
class FactoryFact:
    """factory/2."""

    bundle: str


@dataclass(frozen=True, slots=True)
class ClauseFact:
    """todo/4: what is to be done."""

    id: str
    name: str  # of the actor that is destroyed
    owner: str
    assignee: str


@dataclass(frozen=True, slots=True)
class ErrandFact:
    """errand/4: what else is to be known of a clause."""

    id: str
    incarnation: int  # of the owner
    deployment: str
    drain: str


ChangedFact = NodeFact | ActorFact | WireFact | FactoryFact | ClauseFact | ErrandFact


@dataclass(frozen=True, slots=True)
class ChangedFacts:
    """What one change did."""

    retracted: tuple[ChangedFact, ...]
    asserted: tuple[ChangedFact, ...]

    @classmethod
    def of(cls, change: Change) -> ChangedFacts:
        """Return what `change` did."""
        return cls(tuple(_read(change.retracted)), tuple(_read(change.asserted)))


def _read(texts: Iterable[str]) -> Iterator[ChangedFact]:
    for text in texts:
        term = parse_term(text)
        if isinstance(term, Compound):
            read = _READERS.get((term.functor, len(term.args)))
            if read is not None:
                yield read(*term.args)


def _about_node(name: Term, *_: Term) -> NodeFact:
    return NodeFact(text_of(name))


def _about_actor(name: Term, *_: Term) -> ActorFact:
    return ActorFact(text_of(name))


def _wire(_: Term, emitter: Term, action: Term, __: Term) -> WireFact:
    return WireFact(text_of(emitter), signal_and_action(text_of(action))[0])


def _factory(_: Term, bundle: Term) -> FactoryFact:
    return FactoryFact(text_of(bundle))


def read_clause(id_: Term, operation: Term, owner: Term, assignee: Term) -> ClauseFact:
    """Return the clause of which these are the arguments."""
    name = operation.args[0] if isinstance(operation, Compound) else operation
    return ClauseFact(text_of(id_), text_of(name), text_of(owner), text_of(assignee))


def read_errand(id_: Term, incarnation: Term, deployment: Term, drain: Term) -> ErrandFact:
    """Return the errand of which these are the arguments."""
    return ErrandFact(text_of(id_), int(text_of(incarnation)), text_of(deployment), text_of(drain))


_READERS: Mapping[tuple[str, int], Callable[..., ChangedFact]] = {
    ("node", 2): _about_node,
    ("incarnation", 2): _about_node,
    ("drained", 1): _about_node,
    ("label", 3): _about_node,
    ("actor", 3): _about_actor,
    ("spec", 4): _about_actor,
    ("state", 3): _about_actor,
    ("born", 2): _about_actor,
    ("moving", 2): _about_actor,
    ("policy", 5): _about_actor,
    ("next", 6): _about_actor,
    ("lost", 4): _about_actor,
    ("ordered", 6): _about_actor,
    ("reacts", 4): _wire,
    ("down", 4): _wire,
    ("meanwhile", 4): _wire,
    ("factory", 2): _factory,
    ("todo", 4): read_clause,
    ("errand", 4): read_errand,
}
