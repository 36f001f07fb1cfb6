"""Rates: what nodes counted, from sample to sample, as numbers for people.

Nodes tell totals, and only those that differ; what a node doesn't tell again has not changed, so
its rate is 0. No clock of ours: each sample says when it was taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from zactor.kernel import errors
from zactor.supervisor.observe.metrics import ActorCounts, ActorKind, NodeCounts

_SMOOTH = 0.5  # of the last rate that stays in the next: half a second flickers otherwise
_SMALL = 0.05  # per second: nothing to speak of


@dataclass(slots=True)
class ActorRate:
    """One actor. Rates are per second."""

    name: str
    node: str
    type: str = ""
    signals: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    has_panel: bool = False
    handled: int = 0
    failed: int = 0
    waiting: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    worked_s: float = 0.0
    received_rate: float = 0.0
    sent_rates: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0  # of its time, 0 to 1

    @property
    def sent_rate(self) -> float:
        """All its signals together."""
        return sum(self.sent_rates.values())


@dataclass(slots=True)
class NodeRate:
    """One node."""

    name: str
    sample: int = 0
    at_s: float = 0.0
    pid: int = 0
    up_s: float = 0.0
    cpu_s: float = 0.0
    cpu: float = 0.0  # of one processor, 0 to …
    memory_bytes: int = 0
    late_ms: int = 0
    dead_letters: int = 0
    failed_actions: int = 0
    missed: int = 0  # answers without it, since the last with it


class Rates:
    """All that was told, by name. Not thread-safe."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.nodes: dict[str, NodeRate] = {}
        self.actors: dict[str, ActorRate] = {}

    @property
    def after(self) -> dict[str, int]:
        """What to say that is known already."""
        return {name: node.sample for name, node in self.nodes.items()}

    def take(self, answer: object) -> set[str]:
        """Take what the nodes told; return the names of the actors that are new or changed kind.

        Raises:
            RemoteProtocolError: these are no counts.
        """
        try:
            parts = msgspec.convert(answer, list[NodeCounts])
        except msgspec.ValidationError as error:
            raise errors.RemoteProtocolError(f"these are no counts: {error}") from None
        told = {part.node for part in parts}
        for name, node in self.nodes.items():
            node.missed = 0 if name in told else node.missed + 1
        begun: set[str] = set()
        for part in parts:
            begun |= self._take_node(part)
        return begun

    def forget(self, there: Iterable[str]) -> None:
        """Forget nodes, with their actors, that aren't `there` any more."""
        for name in self.nodes.keys() - set(there):
            del self.nodes[name]
            self._drop_all(name)

    def _take_node(self, part: NodeCounts) -> set[str]:
        node = self.nodes.get(part.node)
        if node is None or part.is_whole:
            self._drop_all(part.node)
            node = self.nodes[part.node] = NodeRate(part.node)
        took_s = part.at_s - node.at_s if node.sample and part.sample > node.sample else 0.0
        if took_s > 0:
            node.cpu = _smooth(node.cpu, (part.cpu_s - node.cpu_s) / took_s)
        is_next = part.sample != node.sample
        node.sample, node.at_s, node.pid, node.up_s = part.sample, part.at_s, part.pid, part.up_s
        node.cpu_s, node.memory_bytes, node.late_ms = part.cpu_s, part.memory_bytes, part.late_ms
        node.dead_letters, node.failed_actions = part.dead_letters, part.failed_actions
        for name in part.gone:
            if name in self.actors and self.actors[name].node == part.node:
                del self.actors[name]
        for kind in part.begun:
            self._begin(part.node, kind)
        if is_next:
            told = {counts.name: counts for counts in part.actors}
            for actor in [each for each in self.actors.values() if each.node == part.node]:
                _advance(actor, told.get(actor.name), took_s)
        return {kind.name for kind in part.begun}

    def _begin(self, node: str, kind: ActorKind) -> None:
        self.actors[kind.name] = ActorRate(
            kind.name,
            node,
            kind.type,
            tuple(kind.signals),
            tuple(kind.actions),
            kind.has_panel,
        )

    def _drop_all(self, node: str) -> None:
        self.actors = {name: each for name, each in self.actors.items() if each.node != node}


def _advance(actor: ActorRate, counts: ActorCounts | None, took_s: float) -> None:
    handled, worked_s, sent = actor.handled, actor.worked_s, dict(actor.sent)
    if counts is not None:
        actor.handled, actor.failed = counts.handled, counts.failed
        actor.waiting, actor.worked_s = counts.waiting, counts.worked_s
        actor.sent.update(counts.sent)
    if took_s <= 0:
        return
    actor.received_rate = _smooth(actor.received_rate, (actor.handled - handled) / took_s)
    actor.busy = _smooth(actor.busy, min(1.0, (actor.worked_s - worked_s) / took_s), 0.001)
    for signal, count in actor.sent.items():
        before = actor.sent_rates.get(signal, 0.0)
        rate = (count - sent.get(signal, 0)) / took_s
        actor.sent_rates[signal] = _smooth(before, rate)


def _smooth(before: float, now: float, small: float = _SMALL) -> float:
    rate = before * _SMOOTH + max(0.0, now) * (1 - _SMOOTH) if before else max(0.0, now)
    return rate if rate >= small else 0.0
