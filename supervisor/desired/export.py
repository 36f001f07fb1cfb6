"""The network as a wish: what a file would have to say for it to be as it is. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from zactor.kernel.errors import NoSuchThing
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.supervisor.kb import facts, orders, policies, restart_groups, wishes
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedFactory, WishedGroup, WishedWire

UNNAMED = "network"


def words_of(how: str) -> str:
    """Return how a wish says what a wire does meanwhile, from the fact that does."""
    return str(Meanwhile.parse(how) or "")


def export(theory: Theory, name: str) -> tuple[Wish, list[str]]:
    """Return what a file of that name would say, and the names of files whose things it leaves out.

    Args:
        name: of the file; "": of the only one that was applied, if there is one.

    Raises:
        NoSuchThing: several were applied, and none is named.
    """
    known = wishes.names(theory)
    if not name and len(known) > 1:
        raise NoSuchThing(f"which one? applied are {', '.join(known)}")
    chosen = name or (known[0] if known else UNNAMED)
    owned = {thing: owner for owner, thing in wishes.marks(theory) if owner != chosen}
    mine = {thing for owner, thing in wishes.marks(theory) if owner == chosen}
    rows: Iterable[ActorRow] = [*facts.actors(theory), *orders.all_lost(theory)]
    actors = [
        _actor(theory, row)
        for row in rows
        if row.state != "stopping" and wishes.actor_mark(row.name) not in owned
    ]
    wires = [*facts.wires(theory), *(wire for wire, _ in orders.down(theory))]
    types = {actor.type for actor in actors}
    held = facts.meanwhile(theory)
    kept = wishes.wish(theory, chosen)
    wish = Wish(
        name=chosen,
        keep=kept is None or kept.keep,
        factories=tuple(
            WishedFactory(type=type_name, bundle=bundle)
            for type_name, bundle in facts.factories(theory).items()
            if type_name in types
            or wishes.factory_mark(type_name) in mine
            or wishes.factory_mark(type_name) not in owned
        ),
        actors=tuple(actors),
        wires=tuple(
            WishedWire(
                emitter=wire.emitter,
                action=wire.action,
                reactor=wire.reactor,
                service=wire.service.value,
                meanwhile=words_of(held.get((wire.reactor, wire.emitter, wire.action), "")),
            )
            for wire in wires
            if wishes.wire_mark(wire.reactor, wire.emitter, wire.action) not in owned
        ),
        groups=tuple(_groups(theory, chosen, {actor.name for actor in actors})),
    )
    return wish.sorted(), sorted(set(owned.values()))


def _groups(theory: Theory, file: str, there: Collection[str]) -> Iterator[WishedGroup]:
    for group in restart_groups.groups(theory, file):
        if set(group.actors) <= set(there):
            yield WishedGroup(
                name=group.name,
                actors=group.actors,
                strategy=group.strategy,
                intensity=group.intensity,
            )


def _actor(theory: Theory, row: ActorRow) -> WishedActor:
    policy = policies.policy(theory, row.name) or Policy()
    return WishedActor(
        name=row.name,
        type=row.type,
        # Where it has gone to is where it stays: the order of the others is as it was.
        on=policy.on if row.node in policy.on else (row.node, *policy.on),
        arguments=row.arguments,
        restart=policy.restart,
        intensity=policy.intensity,
        drain_s=policy.drain_s,
    )
