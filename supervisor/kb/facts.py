"""The facts of the knowledge base as the supervisor's own values.

Everything here reads a theory; nothing is kept, so a view is as new as the theory it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zactor.kernel.ids import ORIGIN, ActorUid, Clock, NodeId, actor_uid, signal_and_action
from zactor.kernel.knowledge.theory import Fact, Theory
from zactor.kernel.knowledge.values import Atom, Term
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.kernel.messages.service import Service
from zactor.supervisor.kb.changed_facts import (
    ClauseFact,
    ErrandFact,
    read_clause,
    read_errand,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRow:
    """One deployed actor."""

    name: str
    type: str
    node: str
    uid: ActorUid
    bundle: str  # "" while the spec hasn't come with the same transaction: never at rest
    arguments: str  # as text, see supervisor/operations/constructor_arguments.py
    deployment: str  # unique: which of several deployments under that name this is
    state: str  # starting | running | stopping | failed
    reason: str
    since: Clock  # of the change that brought it into that state
    at: float  # of the same, in s since 1970, for people only
    installs: bool = False  # it runs where what its bundle wants is installed


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRow:
    """One wire."""

    reactor: str
    emitter: str
    action: str  # or SIGNAL>ACTION, see kernel/ids.py: signal_and_action
    service: Service

    @property
    def signal(self) -> str:
        """What the emitter sends."""
        return signal_and_action(self.action)[0]

    @property
    def does(self) -> str:
        """The action of the reactor."""
        return signal_and_action(self.action)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One configured node."""

    name: str
    address: str
    incarnation: int
    at: float  # since when, in s since 1970, for people only


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoRow:
    """One clause: an actor that somebody has promised to destroy."""

    id: str
    name: str  # of the actor
    deployment: str  # of it: another one under that name is none of its business
    drain: str  # "", or "drain S"
    owner: NodeId  # the life of a node that began
    assignee: str  # the node that goes on when that life ends
    since: Clock  # of the change that wrote it; another assignee doesn't count


def _rows(theory: Theory, functor: str, arity: int, *bound: str | None) -> Iterator[Fact]:
    """Yield the facts functor/arity whose leading arguments are `bound` (None: any)."""
    yield from theory.facts(functor, arity, *(Atom(name) if name else None for name in bound))


def _texts(fact: Fact) -> list[str]:
    return [text_of(argument) for argument in arguments_of(fact.term)]


def arguments_of(term: Term) -> tuple[Term, ...]:
    """Return the arguments of a compound, () of anything else."""
    return getattr(term, "args", ())


def in_state(theory: Theory, state: str) -> set[str]:
    """Return the names of the actors in that state; it costs little, however many there are."""
    found = theory.candidates("state", 3, [(1, Atom(state))])
    return {text_of(arguments_of(fact.term)[0]) for fact in found}


def actor(theory: Theory, name: str) -> ActorRow | None:
    """Return the actor called `name`."""
    for fact in _rows(theory, "actor", 3, name):
        _, type_name, node = _texts(fact)
        bundle, arguments, deployment = "", "", ""
        for spec in _rows(theory, "spec", 4, name):
            _, bundle, arguments, deployment = _texts(spec)
        uid = actor_uid(fact.clock)
        for born in _rows(theory, "born", 2, name):
            uid = ActorUid(int(_texts(born)[1]))
        state, reason, since, at = "starting", "", ORIGIN, 0.0
        for row in _rows(theory, "state", 3, name):
            _, state, reason = _texts(row)
            since, at = row.clock, row.at
        return ActorRow(
            name=name,
            type=type_name,
            node=node,
            uid=uid,
            bundle=bundle,
            arguments=arguments,
            deployment=deployment,
            state=state,
            reason=reason,
            since=since,
            at=at,
            installs=installs(theory, name),
        )
    return None


def installs(theory: Theory, name: str) -> bool:
    """Return whether the actor `name` was ordered with what its bundle wants to have installed."""
    return any(True for _ in _rows(theory, "installs", 1, name))


def installs_fact(name: str) -> str:
    """Return the fact that says so; it stays with the order, whoever takes the actor's place."""
    return f"installs({quote_atom(name)})"


def moving_to(theory: Theory, name: str) -> str:
    """Return the node that the actor `name` is about to move to; "": it isn't."""
    return next((_texts(fact)[1] for fact in _rows(theory, "moving", 2, name)), "")


def actors(theory: Theory, node: str | None = None) -> list[ActorRow]:
    """Return all actors, or those on `node`, by name."""
    names = [_texts(fact)[0] for fact in _rows(theory, "actor", 3, None, None, node)]
    found = [actor(theory, name) for name in sorted(names)]
    return [row for row in found if row is not None]


def wires(
    theory: Theory,
    *,
    reactor: str | None = None,
    emitter: str | None = None,
    action: str | None = None,
) -> list[WireRow]:
    """Return the wires with these parts, sorted."""
    rows = _rows(theory, "reacts", 4, reactor, emitter, action)
    return [wire for wire, _ in read_wires(rows)]


def wires_since(theory: Theory) -> list[tuple[WireRow, float]]:
    """Return all wires, each with since when (s since 1970), sorted."""
    return read_wires(_rows(theory, "reacts", 4))


def read_wires(rows: Iterable[Fact]) -> list[tuple[WireRow, float]]:
    """Return the wires that these facts are, each with since when, sorted."""
    found = []
    for fact in rows:
        to, source, name, service = _texts(fact)
        wire = WireRow(reactor=to, emitter=source, action=name, service=Service(service))
        found.append((wire, fact.at))
    return sorted(found, key=lambda one: (one[0].emitter, one[0].action, one[0].reactor))


def meanwhile(theory: Theory, *, emitter: str | None = None) -> dict[tuple[str, str, str], str]:
    """Return what wires do with signals while their reactor is away, where it isn't drop.

    By reactor, emitter, action; up or down.
    """
    found = {}
    for fact in _rows(theory, "meanwhile", 4, None, emitter):
        *wire, how = arguments_of(fact.term)
        reactor, source, name = map(text_of, wire)
        found[reactor, source, name] = format_term(how)
    return found


def meanwhile_fact(reactor: str, emitter: str, action: str, how: str) -> str:
    """Return the fact that says what a wire does meanwhile; "_": its pattern."""
    parts = ", ".join(map(quote_atom, (reactor, emitter, action)))
    head, _, most = how.partition(" ")
    return f"meanwhile({parts}, {f'{head}({most})' if most else head})"


def todo(theory: Theory, id: str) -> TodoRow | None:
    """Return the clause called `id`."""
    for fact in theory.facts("todo", 4, id):
        for beside in theory.facts("errand", 4, id):
            errand = read_errand(*arguments_of(beside.term))
            return todo_of(read_clause(*arguments_of(fact.term)), errand, beside.clock)
    return None


def todo_of(clause: ClauseFact, errand: ErrandFact, since: Clock) -> TodoRow:
    """Return the clause that two facts are, or were."""
    return TodoRow(
        id=clause.id,
        name=clause.name,
        deployment=errand.deployment,
        drain=errand.drain,
        owner=NodeId(clause.owner, errand.incarnation),
        assignee=clause.assignee,
        since=since,
    )


def todos(theory: Theory) -> list[TodoRow]:
    """Return all clauses, by id."""
    ids = [text_of(arguments_of(fact.term)[0]) for fact in theory.facts("todo", 4)]
    found = [todo(theory, id_) for id_ in sorted(ids)]
    return [row for row in found if row is not None]


def todo_about(theory: Theory, name: str) -> TodoRow | None:
    """Return the clause about the actor `name`."""
    return next((row for row in todos(theory) if row.name == name), None)


def factory(theory: Theory, type_name: str) -> str | None:
    """Return the identity of the bundle of `type_name`."""
    for fact in _rows(theory, "factory", 2, type_name):
        return _texts(fact)[1]
    return None


def factories(theory: Theory) -> dict[str, str]:
    """Return every type with the identity of its bundle."""
    rows = sorted(_texts(fact) for fact in _rows(theory, "factory", 2))
    return {row[0]: row[1] for row in rows}


def nodes(theory: Theory) -> dict[str, NodeRow]:
    """Return the configured nodes by name."""
    incarnations = {row[0]: int(row[1]) for row in map(_texts, _rows(theory, "incarnation", 2))}
    found = {}
    for fact in _rows(theory, "node", 2):
        name, address = _texts(fact)
        found[name] = NodeRow(
            name=name, address=address, incarnation=incarnations.get(name, 0), at=fact.at
        )
    return dict(sorted(found.items()))
