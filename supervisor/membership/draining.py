"""Draining: a node's actors move to other nodes that they may run on, or are set aside in order.

Pure. The acting node takes one step after the other, so it ends whoever began it. Those set aside
stop one at a time, the youngest first, and are lost then until their node is resumed.
"""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, node_marks, policies
from zactor.supervisor.kb.fact_patterns import Requirement, actor_patterns
from zactor.supervisor.kb.facts import ActorRow, NodeRow
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.membership.departures import Live, Sweep
from zactor.supervisor.membership.setting_aside import as_it_is, set_aside, stopping

BUSY = ("starting", "running", "stopping")  # states of actors that a drain waits for


def next_step(theory: Theory, live: Live) -> Sweep | None:
    """Return what is to be committed next; None: every drained node is empty, or an actor stops."""
    for node in node_marks.drained(theory):
        step = _step(theory, node, live)
        if step is not None:
            return step
    return None


def _step(theory: Theory, node: str, live: Live) -> Sweep | None:
    rows = [row for row in facts.actors(theory, node) if node in live]
    moves = [
        (row, place)
        for row in rows
        if row.state in ("starting", "running", "failed")
        and (place := _elsewhere(theory, row, live)) is not None
    ]
    if moves:
        return _move(theory, node, moves[: limits.SWEPT_AT_ONCE])
    if any(row.state == "stopping" for row in rows):
        return None  # one after the other
    waiting = [row for row in rows if row.state in ("starting", "running")]
    youngest = max(waiting, key=lambda row: (row.since, row.name), default=None)
    return None if youngest is None else _aside(theory, node, [youngest], None)


def at_once(theory: Theory, node: str) -> Sweep | None:
    """Return how all that is left on a node is to stop now: its time is over."""
    rows = [row for row in facts.actors(theory, node) if row.state in BUSY]
    return _aside(theory, node, rows[: limits.SWEPT_AT_ONCE], 0.0) if rows else None


def _elsewhere(theory: Theory, row: ActorRow, live: Live) -> NodeRow | None:
    """Return the first other node that an actor may run on."""
    policy = policies.policy(theory, row.name)
    known = facts.nodes(theory)
    for name in policy.on if policy is not None else ():
        node, (incarnation, _) = known.get(name), live.get(name, (0, ""))
        if node is None or node.incarnation != incarnation or name == row.node:
            continue
        if not node_marks.is_drained(theory, name):
            return node
    return None


def _move(theory: Theory, node: str, moves: Sequence[tuple[ActorRow, NodeRow]]) -> Sweep:
    require: list[Requirement] = [_is_drained(node)]
    retract: list[str] = []
    assert_: list[str] = []
    for row, place in moves:
        new = Successor(
            name=row.name,
            type=row.type,
            node=place.name,
            bundle=facts.factory(theory, row.type) or row.bundle,
            arguments=row.arguments,
            deployment=f"drained {row.since} {row.name}",  # the same whoever does it
        )
        incarnation = f"incarnation({quote_atom(place.name)}, {place.incarnation})"
        require += [*as_it_is(row), (incarnation, "NoSuchThing", f"{place.name} went")]
        if row.state == "failed":  # nothing runs that would have to stop first
            retract += actor_patterns(row.name)
            assert_ += new.begins(policies.policy(theory, row.name))
        else:
            retract += [f"state({quote_atom(row.name)}, _, _)", policies.next_pattern(row.name)]
            assert_ += [stopping(theory, row, None), new.fact()]
    names = ", ".join(f"{row.name} to {place.name}" for row, place in moves[:5])
    more = f" and {len(moves) - 5} more" if len(moves) > 5 else ""
    return Sweep(
        why=f"because {node} is drained: {names}{more}",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )


def _aside(theory: Theory, node: str, rows: Sequence[ActorRow], drain_s: float | None) -> Sweep:
    return set_aside(
        theory, rows, why=f"{node} is drained", require=_is_drained(node), drain_s=drain_s
    )


def _is_drained(node: str) -> Requirement:
    return node_marks.drained_fact(node), "NoSuchThing", f"{node} isn't drained any more"
