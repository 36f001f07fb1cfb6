"""Group engines in one thread: events in, effects out, no network."""

from __future__ import annotations

from collections import deque

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace

A, B, C, Z = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1), NodeId("z", 9)


class Wires:
    """Engines joined by perfect wires; time goes on in steps of 10 ms."""

    def __init__(self, *nodes: NodeId, settings: Settings | None = None) -> None:
        self.now_ms = 0
        self.engines = {node: Engine(node, 0, settings) for node in nodes}
        self.effects: dict[NodeId, list[out.Effect]] = {node: [] for node in nodes}
        self.dropped: set[type] = set()  # messages of these types are lost
        self._wire: deque[tuple[NodeId, events.Event]] = deque()

    def step(self, node: NodeId, event: events.Event) -> list[out.Effect]:
        found = self.engines[node].step(event, self.now_ms)
        self.effects[node] += found
        for effect in found:
            if isinstance(effect, out.Publish):
                for other in self.engines:
                    self._wire.append((other, events.Heard(effect.heartbeat)))
            elif isinstance(effect, (out.Send, out.SendUnreliably)):
                for other in effect.to:
                    if other in self.engines and type(effect.message) not in self.dropped:
                        self._wire.append((other, events.Received(node, effect.message)))
        return found

    def settle(self) -> None:
        while self._wire:
            self.step(*self._wire.popleft())

    def run(self, ms: int) -> None:
        for _ in range(ms // 10):
            self.now_ms += 10
            for node in self.engines:
                if self.engines[node].deadline_ms <= self.now_ms:
                    self.step(node, events.Tick())
            self.settle()

    def of(self, node: NodeId, kind: type[out.Effect]) -> list[out.Effect]:
        return [effect for effect in self.effects[node] if isinstance(effect, kind)]

    def events_of(self, node: NodeId) -> list[str]:
        return [one.event for one in self.effects[node] if isinstance(one, Trace)]


def together(*nodes: NodeId, settings: Settings | None = None) -> Wires:
    wires = Wires(*nodes, settings=settings)
    wires.run(600)
    for engine in wires.engines.values():
        assert engine.view.members == nodes
    for node in nodes:
        wires.step(node, events.SessionOpened("s"))
        wires.step(node, events.Join("s", "red"))
    wires.run(200)
    for found in wires.effects.values():
        found.clear()
    return wires
