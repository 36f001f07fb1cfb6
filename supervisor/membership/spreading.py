"""Spreading: what a kept file wants on each node with a label is made on nodes that came since.

Pure. What was made once on a node isn't made there again by itself, so what a person destroyed
stays so; what was lost there comes back by keeping.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import expansion, facts, node_marks, orders, wishes
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.policies import Policy, Successor
from zactor.supervisor.kb.wishes import Wish, WishedActor
from zactor.supervisor.membership.departures import Live, Sweep


def next_placement(theory: Theory, live: Live) -> Sweep | None:
    """Return how a node gets what it lacks of a file; None: none lacks anything."""
    if not theory.candidates("label", 3, []):
        return None
    return next(_placements(theory, live), None)


def _placements(theory: Theory, live: Live) -> Iterator[Sweep]:
    for name in wishes.names(theory):
        wish = wishes.wish(theory, name)
        if wish is None or not wish.keep or not any(actor.each for actor in wish.actors):
            continue
        known = facts.nodes(theory)
        hosts = [
            node
            for node, row in known.items()
            if live.get(node, (0, ""))[0] == row.incarnation
            and not node_marks.is_drained(theory, node)
        ]
        made, wanted = expansion.made(theory, name), expansion.expanded(wish, theory, hosts)
        for actor in wanted.actors:
            bundle = facts.factory(theory, actor.type)
            if not actor.each or actor.name in made or actor.on[0] not in hosts or not bundle:
                continue
            if facts.actor(theory, actor.name) is None and orders.lost(theory, actor.name) is None:
                yield _place(theory, wanted, actor, bundle, known[actor.on[0]].incarnation)


def _place(theory: Theory, wish: Wish, actor: WishedActor, bundle: str, incarnation: int) -> Sweep:
    name, node = quote_atom(actor.name), actor.on[0]
    note = expansion.each_fact(wish.name, actor.name)
    require: list[Requirement] = [
        (f"\\+ {note}", "AlreadyExists", f"{actor.name} was made already"),
        (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{actor.name} is there"),
        (f"incarnation({quote_atom(node)}, {incarnation})", "NoSuchThing", f"{node} went"),
        (
            f"wish({quote_atom(wish.name)}, {quote_atom(wishes.kept_hash(theory, wish.name))}, _)",
            "NoSuchThing",
            f"{wish.name} was applied anew",
        ),
    ]
    policy = Policy(
        restart=actor.restart, intensity=actor.intensity, drain_s=actor.drain_s, on=actor.on
    )
    new = Successor(
        name=actor.name,
        type=actor.type,
        node=node,
        bundle=bundle,
        arguments=actor.arguments,
        deployment=f"each {wish.name} {incarnation} {actor.name}",  # the same whoever does it
    )
    mark = wishes.mark_fact(wish.name, wishes.actor_mark(actor.name))
    assert_ = [note, *new.begins(policy), policy.fact(actor.name), mark]
    for wire in wish.wires:
        other = wire.reactor if wire.emitter == actor.name else wire.emitter
        if actor.name not in (wire.emitter, wire.reactor):
            continue
        if other != actor.name and facts.actor(theory, other) is None:
            continue  # it is wired when that one is made, or by the next apply
        ends = (wire.reactor, wire.emitter, wire.action)
        parts = ", ".join(map(quote_atom, ends))
        require.append((f"actor({quote_atom(other)}, _, _)", "NoSuchThing", f"{other} is gone"))
        assert_.append(f"reacts({parts}, {wire.service})")
        if wire.meanwhile:
            assert_.append(facts.meanwhile_fact(*ends, wire.meanwhile))
        assert_.append(wishes.mark_fact(wish.name, wishes.wire_mark(*ends)))
    if any(wire.emitter == wire.reactor == actor.name for wire in wish.wires):
        require = [each for each in require if each[0] != f"actor({name}, _, _)"]
    return Sweep(
        why=f"because {wish.name} wants {actor.name} on each {actor.each}",
        require=tuple(require),
        assert_=tuple(assert_),
    )
