"""Keeping: lost actors that a file or a person wants kept are placed again, by the acting node.

Pure. Its policy says on which nodes. On another than its own an actor is placed only where two of
its name can't run: its node's life is proved to have ended, or it has been silent for SAFE_AFTER_S.
By then it has noticed, STOPPED_AFTER_S after it was cut off, and has stopped what may run
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, orders, policies, wishes
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.facts import NodeRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.membership.departures import Live, Sweep

IsSafe = Callable[[LostRow], bool]
"""Whether the life that an actor was lost with runs it no more, for certain."""


def next_restoration(theory: Theory, live: Live, is_safe: IsSafe) -> Sweep | None:
    """Return how the next lost actors are placed again; None: none is to be, at present.

    Args:
        live: who is alive now.
    """
    if not theory.candidates("lost", 4, []):
        return None
    return next(_restorations(theory, live, is_safe), None)


def _restorations(theory: Theory, live: Live, is_safe: IsSafe) -> Iterator[Sweep]:
    known = facts.nodes(theory)
    owners = {thing: name for name, thing in wishes.marks(theory)}
    by_reason: dict[str, list[tuple[LostRow, NodeRow]]] = {}
    for row in orders.all_lost(theory):
        place = _place(theory, row, live, known, is_safe)
        if place is not None:
            owner = owners.get(wishes.actor_mark(row.name))
            why = f"because {owner} wants it" if owner else "because it is to be restarted"
            by_reason.setdefault(why, []).append((row, place))
    for why, placed in sorted(by_reason.items()):
        batch = placed[: limits.SWEPT_AT_ONCE]
        yield _restore(theory, why, batch)


def _place(
    theory: Theory, row: LostRow, live: Live, known: Mapping[str, NodeRow], is_safe: IsSafe
) -> NodeRow | None:
    """Return the node on which a lost actor is to be now; None: it waits, or isn't kept."""
    policy = policies.policy(theory, row.name)
    if policy is None or theory.candidates("actor", 3, [(0, Atom(row.name))]):
        return None
    for name in policy.on:
        node, (incarnation, _) = known.get(name), live.get(name, (0, ""))
        if node is None or node.incarnation != incarnation:
            continue
        if name == row.node and incarnation == row.life:
            return None  # it comes back with that very life: see departures.py
        if name == row.node or is_safe(row):
            return node
    return None


def _restore(theory: Theory, why: str, placed: list[tuple[LostRow, NodeRow]]) -> Sweep:
    require: list[Requirement] = []
    retract: list[str] = []
    assert_: list[str] = []
    for row, node in placed:
        name, place = quote_atom(row.name), quote_atom(node.name)
        require += [
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
            (f"incarnation({place}, {node.incarnation})", "NoSuchThing", f"{node.name} went"),
        ]
        retract += orders.lost_patterns(row.name)
        assert_ += Successor(
            name=row.name,
            type=row.type,
            node=node.name,
            bundle=facts.factory(theory, row.type) or row.bundle,
            arguments=row.arguments,
            deployment=f"kept {row.since} {row.name}",  # the same whoever does it, and no other
        ).begins()
    names = ", ".join(f"{row.name} on {node.name}" for row, node in placed[:5])
    more = f" and {len(placed) - 5} more" if len(placed) > 5 else ""
    return Sweep(
        why=f"{why}: {names}{more}",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )
