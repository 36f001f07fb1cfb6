"""What the acting node is to commit next, so that the theory names the nodes that are alive.

Who went takes along all that mentions it and its actors; what was ordered of them is kept beside.
When the same life comes back its actors are taken back as they were, if nobody has their names.
Pure: each transaction requires what it was made from, so that nothing slips through in between.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.supervisor.kb import facts, node_marks, orders, policies, restart_groups
from zactor.supervisor.kb.fact_patterns import (
    Requirement,
    actor_patterns,
    down_patterns,
    forget_patterns,
    still,
)
from zactor.supervisor.kb.facts import ActorRow, NodeRow, WireRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Policy

Live = Mapping[str, tuple[int, str]]  # name -> (incarnation, address)

_KEPT = ("starting", "running")  # states of actors that are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Why a node isn't there."""

    why: str
    is_missed: bool  # it hosts actors and has said no goodbye


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One transaction."""

    why: str
    require: tuple[Requirement, ...] = ()
    retract: tuple[str, ...] = ()
    assert_: tuple[str, ...] = ()


def next_sweep(theory: Theory, live: Live, departure: Callable[[str], Departure]) -> Sweep | None:
    """Return what is to be committed next; None: the theory is as it should be.

    Args:
        live: who is alive now. departure: of those who aren't.
    """
    return next(_sweeps(theory, live, departure), None)


def _sweeps(theory: Theory, live: Live, departure: Callable[[str], Departure]) -> Iterator[Sweep]:
    known = facts.nodes(theory)
    for name, row in known.items():
        incarnation, _ = live.get(name, (0, ""))
        if not incarnation:
            yield _depart(theory, row, departure(name))
        elif incarnation != row.incarnation:
            again = Departure(why=f"{name} was started again", is_missed=False)
            yield _depart(theory, row, again)
    if new := sorted(live.keys() - known.keys()):
        yield _arrive({name: live[name] for name in new[: limits.SWEPT_AT_ONCE]})
    for stray in _strays(theory, known):
        yield _lose_stray(theory, stray)
    yield from _returns(theory, known)
    yield from _succeed(theory)
    yield from _mend(theory)
    yield from _drop_oldest(theory)


# -- who went --------------------------------------------------------------------------------
def _depart(theory: Theory, node: NodeRow, departure: Departure) -> Sweep:
    """Return the next step of taking out a node: its wires, its actors, and last itself."""
    name = quote_atom(node.name)
    why = f"node {node.name} is gone"
    same: Requirement = (
        f"incarnation({name}, {node.incarnation})",
        "NoSuchThing",
        f"{node.name} went already",
    )
    rows = facts.actors(theory, node.name)
    in_groups = restart_groups.under_way(theory)
    wanted = {row.name for row in rows if _is_wanted(theory, row, in_groups)}
    if wires := _wires_of(theory, sorted(wanted)):
        return _cut(why, same, wires)
    batch = rows[: limits.SWEPT_AT_ONCE]
    require, retract, assert_ = [same], list[str](), list[str]()
    for row in batch:
        remembered = row.name in wanted and _fits(row)
        require += _require(row) if remembered else [still(row)]
        keeps = remembered or policies.successor(theory, row.name) is not None
        retract += actor_patterns(row.name) if keeps else forget_patterns(row.name)
        if remembered:
            retract.append(node_marks.aside_pattern(row.name))
            assert_ += orders.lost_facts(row, node.incarnation, departure.why)
            if policies.yields(theory, row.name):  # that life of its node will
                said = policies.yields_fact(row.name)
                require.append((said, "NoSuchThing", f"{row.name} doesn't yield any more"))
                assert_.append(said)
    if len(batch) == len(rows):
        others = "".join(f", Name \\= {quote_atom(row.name)}" for row in rows)
        require.append(
            (f"\\+ (actor(Name, _, {name}){others})", "AlreadyExists", "there are more actors")
        )
        retract += [f"node({name}, _)", f"incarnation({name}, _)"]
        if departure.is_missed:
            assert_.append(f"gone({name}, {node.incarnation}, {format_term(departure.why)})")
    return Sweep(why=why, require=tuple(require), retract=tuple(retract), assert_=tuple(assert_))


def _is_wanted(theory: Theory, row: ActorRow, in_groups: Container[str]) -> bool:
    """Whether it, or who follows it, is to be there.

    Args:
        in_groups: actors of groups that are being restarted: there who failed is, too.
    """
    return (
        row.state in _KEPT
        or (row.state == "failed" and (row.name in in_groups or _is_kept(theory, row.name)))
        or node_marks.aside(theory, row.name) is not None
        or policies.successor(theory, row.name) is not None
    )


def _is_kept(theory: Theory, name: str) -> bool:
    """Whether it is brought back where it was lost: a new life of a node begins a new count."""
    policy = policies.policy(theory, name)
    return policy is not None and policy.restart != policies.TEMPORARY and bool(policy.on)


def _fits(row: ActorRow) -> bool:
    return len(row.arguments.encode()) <= limits.LOST_ARGUMENTS_BYTES_MAX


def _is_remembered(row: ActorRow) -> bool:
    return row.state in _KEPT and _fits(row)


def _require(row: ActorRow) -> list[Requirement]:
    """Return what must hold where an actor is kept as a lost one."""
    name = quote_atom(row.name)
    return [
        still(row),
        (f"state({name}, {row.state}, _)", "NoSuchThing", f"{row.name} isn't {row.state}"),
        (f"\\+ reacts({name}, _, _, _)", "AlreadyExists", f"{row.name} has got a wire"),
        (f"\\+ reacts(_, {name}, _, _)", "AlreadyExists", f"{row.name} has got a wire"),
    ]


def _wires_of(theory: Theory, names: Iterable[str]) -> list[WireRow]:
    """Return some of the wires of these actors, SWEPT_AT_ONCE at most."""
    found: dict[WireRow, None] = {}
    for name in names:
        found |= dict.fromkeys(facts.wires(theory, reactor=name))
        found |= dict.fromkeys(facts.wires(theory, emitter=name))
        if len(found) >= limits.SWEPT_AT_ONCE:
            break
    return list(found)[: limits.SWEPT_AT_ONCE]


def _cut(why: str, same: Requirement, wires: Sequence[WireRow]) -> Sweep:
    up = [orders.wire_fact("reacts", wire) for wire in wires]
    return Sweep(
        why=f"{why}: its wires are down",
        require=(same, *((fact, "NoSuchThing", f"{fact} went") for fact in up)),
        retract=tuple(up),
        assert_=tuple(orders.wire_fact("down", wire) for wire in wires),
    )


def _strays(theory: Theory, known: Mapping[str, NodeRow]) -> Iterator[ActorRow]:
    """Yield the actors that stand there without their node."""
    for fact in theory.facts("actor", 3):
        name, _, node = map(text_of, facts.arguments_of(fact.term))
        if node not in known and (row := facts.actor(theory, name)) is not None:
            yield row


def _lose_stray(theory: Theory, row: ActorRow) -> Sweep:
    """Return how an actor goes that stands there without its node."""
    why = f"{row.name} was placed on node {row.node}, which is gone"
    node = quote_atom(row.node)
    absent: Requirement = (
        f"\\+ node({node}, _)",
        "AlreadyExists",
        f"{row.node} is there again",
    )
    remembered = _is_remembered(row)
    if remembered and (wires := _wires_of(theory, [row.name])):
        return _cut(why, absent, wires)
    return Sweep(
        why=why,
        require=(absent, *(_require(row) if remembered else [still(row)])),
        retract=actor_patterns(row.name) if remembered else forget_patterns(row.name),
        assert_=orders.lost_facts(row, 0, "its node is gone") if remembered else (),
    )


# -- who came --------------------------------------------------------------------------------
def _arrive(new: Live) -> Sweep:
    """Return how nodes are written down: all at once, since every commit costs every member."""
    nodes = {name: quote_atom(name) for name in new}
    return Sweep(
        why=f"node {next(iter(new))} is here" if len(new) == 1 else f"{', '.join(new)} are here",
        require=tuple(
            (f"\\+ node({node}, _)", "AlreadyExists", f"{name} is there already")
            for name, node in nodes.items()
        ),
        retract=tuple(f"gone({node}, _, _)" for node in nodes.values()),
        assert_=tuple(
            fact
            for name, (incarnation, address) in new.items()
            for fact in (
                f"node({nodes[name]}, {quote_atom(address)})",
                f"incarnation({nodes[name]}, {incarnation})",
            )
        ),
    )


def _returns(theory: Theory, known: Mapping[str, NodeRow]) -> Iterator[Sweep]:
    """Yield how the actors of lives that are back are taken back."""
    for node in known.values():
        rows = [row for row in orders.all_lost(theory, node.name) if row.life == node.incarnation]
        if rows:
            yield _take_back(theory, node, rows[: limits.SWEPT_AT_ONCE])


def _take_back(theory: Theory, node: NodeRow, rows: Sequence[LostRow]) -> Sweep:
    """Return how these are actors again. Their node says next that they run, see Reconciler."""
    place = quote_atom(node.name)
    require: list[Requirement] = [
        (f"incarnation({place}, {node.incarnation})", "NoSuchThing", f"{node.name} went again")
    ]
    retract: list[str] = []
    assert_: list[str] = []
    for row in rows:
        name = quote_atom(row.name)
        require += [
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
        ]
        retract += orders.returned_patterns(row.name)
        assert_ += [
            f"actor({name}, {quote_atom(row.type)}, {place})",
            f"spec({name}, {quote_atom(row.bundle)}, {format_term(row.arguments)}, "
            f"{quote_atom(row.deployment)})",
            f"born({name}, {row.uid})",
            _state_of_returned(theory, row.name),
        ]
    return Sweep(
        why=f"node {node.name} is back with its actors",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )


def _state_of_returned(theory: Theory, name: str) -> str:
    if (new := policies.successor(theory, name)) is None:
        return f"state({quote_atom(name)}, starting, {RETURNED})"
    words = f"drain {(policies.policy(theory, name) or Policy()).drain_s:g}"
    return f"state({quote_atom(new.name)}, stopping, {format_term(words)})"


RETURNED = "returned"
"""Reason of the state of an actor that was taken back, until its node has said that it runs."""


def _succeed(theory: Theory) -> Iterator[Sweep]:
    """Yield how successors begin of whose predecessors nothing is known any more."""
    for new in policies.waiting_successors(theory):
        name = quote_atom(new.name)
        yield Sweep(
            why=f"{new.name} is replaced",
            require=(
                (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{new.name} is there"),
                (new.fact(), "NoSuchThing", f"{new.name} began already"),
            ),
            retract=(policies.next_pattern(new.name),),
            assert_=new.begins(policies.policy(theory, new.name)),
        )


def _mend(theory: Theory) -> Iterator[Sweep]:
    """Yield how wires go up whose ends both run."""
    wires = orders.mendable(theory)[: limits.SWEPT_AT_ONCE]
    if not wires:
        return
    require: list[Requirement] = []
    retract: list[str] = []
    for wire in wires:
        fact = orders.wire_fact("down", wire)
        require.append((fact, "NoSuchThing", f"{fact} went"))
        require += [
            (f"state({quote_atom(name)}, running, _)", "NoSuchThing", f"{name} doesn't run")
            for name in dict.fromkeys((wire.reactor, wire.emitter))
        ]
        parts = ", ".join(map(quote_atom, (wire.reactor, wire.emitter, wire.action)))
        retract += [fact, f"reacts({parts}, _)"]
    yield Sweep(
        why="both ends are there again",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(orders.wire_fact("reacts", wire) for wire in wires),
    )


def _drop_oldest(theory: Theory) -> Iterator[Sweep]:
    """Yield how the oldest are given up where too much is lost."""
    if len(theory.candidates("lost", 4, [])) <= limits.LOST_KEPT:
        return
    rows = sorted(orders.all_lost(theory), key=lambda row: (row.since, row.name))
    oldest = rows[: min(len(rows) - limits.LOST_KEPT, limits.SWEPT_AT_ONCE)]
    yield Sweep(
        why=f"more than {limits.LOST_KEPT} actors are lost: the oldest are given up",
        require=tuple(map(orders.still_lost, oldest)),
        retract=tuple(
            pattern
            for row in oldest
            for pattern in (*orders.lost_patterns(row.name), *down_patterns(row.name))
        ),
    )
