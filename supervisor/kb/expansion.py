"""Expansion: actors and wires of a file that are to be once on each node with a label. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import quote_atom, text_of
from zactor.supervisor.kb import facts, node_marks, orders
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedWire

NODE = "{node}"
"""In names of actors: the name of the node."""


def expanded(wish: Wish, theory: Theory, hosts: Collection[str]) -> Wish:
    """Return a wish with an actor for each node in place of those that are to be on each.

    A node that is away counts where what it had is lost, and waits for it.
    """
    labels = node_marks.labels(theory)
    templates = {actor.name: actor for actor in wish.actors if actor.each}
    actors: list[WishedActor] = []
    for actor in wish.actors:
        actors += _each(actor, labels, theory, hosts) if actor.each else [actor]
    there = {actor.name for actor in actors}
    nodes = {node for actor in actors if actor.each for node in actor.on}
    wires: list[WishedWire] = []
    for wire in wish.wires:
        if wire.emitter in templates or wire.reactor in templates:
            wires += (each for each in _wires(wire, nodes) if _ends(each) <= there | _plain(wish))
        else:
            wires.append(wire)
    return msgspec.structs.replace(wish, actors=tuple(actors), wires=tuple(wires)).sorted()


def _each(
    actor: WishedActor,
    labels: dict[str, tuple[str, ...]],
    theory: Theory,
    hosts: Collection[str],
) -> Iterator[WishedActor]:
    for node in node_marks.labelled(labels, actor.each):
        name = actor.name.replace(NODE, node)
        if node in hosts or orders.lost(theory, name) is not None or _is_on(theory, name, node):
            yield msgspec.structs.replace(actor, name=name, on=(node,))


def _is_on(theory: Theory, name: str, node: str) -> bool:
    row = facts.actor(theory, name)
    return row is not None and row.node == node


def _wires(wire: WishedWire, nodes: Collection[str]) -> Iterator[WishedWire]:
    for node in sorted(nodes):
        emitter, reactor = wire.emitter.replace(NODE, node), wire.reactor.replace(NODE, node)
        yield msgspec.structs.replace(wire, emitter=emitter, reactor=reactor)


def _ends(wire: WishedWire) -> set[str]:
    return {wire.emitter, wire.reactor}


def _plain(wish: Wish) -> set[str]:
    return {actor.name for actor in wish.actors if not actor.each}


# -- which were made -------------------------------------------------------------------------
def each_fact(file: str, actor: str) -> str:
    """Return the fact that a file's actor was made on its node: it isn't made anew by itself."""
    return f"each({quote_atom(file)}, {quote_atom(actor)})"


def made(theory: Theory, file: str) -> set[str]:
    """Return the names of actors that were made since a file wants them on each node."""
    found = theory.facts("each", 2, Atom(file))
    return {text_of(facts.arguments_of(fact.term)[1]) for fact in found}
