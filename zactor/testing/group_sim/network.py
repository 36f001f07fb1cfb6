"""The simulated network: links that keep their order, and a channel that keeps nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from zactor.kernel.ids import NodeId
from zactor.testing.group_sim.faults import Faults

Arrive = Callable[[NodeId, NodeId, object], None]  # from, to, what
At = Callable[[float, Callable[[], None]], None]  # call it after so many ms

_ENCODER = msgspec.msgpack.Encoder()


class Network:
    """Carries objects between nodes; times in ms of the virtual clock."""

    def __init__(
        self, chance: random.Random, faults: Faults, at: At, arrive: Arrive, cast: Arrive
    ) -> None:
        """Args: `at` schedules; `arrive` is called for a frame of a link, `cast` for the rest."""
        self.faults = faults
        self._chance = chance
        self._at = at
        self._arrive = arrive
        self._cast = cast
        self._cuts: dict[tuple[str, str], int] = {}  # (from, to) by name -> how often cut
        self._busy_until: dict[tuple[NodeId, NodeId], float] = {}
        self._stuck: dict[tuple[NodeId, NodeId], list[object]] = {}
        self._flying: dict[tuple[NodeId, NodeId], list[object]] = {}
        self.now_ms = 0.0  # set by the cluster before each call
        self.bytes_per_ms = 0.0  # of each link, each way; 0: as many as there are
        self.lag_ms: dict[tuple[str, str], float] = {}  # of links, not of what goes beside them
        self.overtaken = 0  # times that what goes beside a link came before what it had to carry

    # -- cuts --------------------------------------------------------------------------------
    def is_cut(self, source: str, target: str) -> bool:
        """True if nothing of `source` reaches `target`."""
        return self._cuts.get((source, target), 0) > 0

    def cut(self, source: str, target: str) -> None:
        """From now on nothing of `source` reaches `target`. Cuts count: each needs its heal."""
        self._cuts[source, target] = self._cuts.get((source, target), 0) + 1
        for pair in sorted(self._flying):
            if (pair[0].name, pair[1].name) == (source, target):
                frames = self._flying.pop(pair)
                self._stuck[pair] = frames + self._stuck.get(pair, [])

    def heal(self, source: str, target: str) -> None:
        """Take one cut back; what is stuck on links then goes on its way."""
        count = self._cuts.get((source, target), 0) - 1
        if count > 0:
            self._cuts[source, target] = count
            return
        self._cuts.pop((source, target), None)
        for pair in sorted(self._stuck):
            if (pair[0].name, pair[1].name) == (source, target):
                frames = self._stuck.pop(pair)
                self._busy_until[pair] = self.now_ms
                for frame in frames:
                    self.send(*pair, frame)

    def heal_all(self) -> None:
        """Take all cuts back."""
        for source, target in sorted(self._cuts):
            self._cuts[source, target] = 1
            self.heal(source, target)

    def forget(self, node: NodeId) -> None:
        """`node` died: what it hasn't got onto the wire is lost, what flies to it too."""
        for frames in (self._stuck, self._flying):
            for pair in [pair for pair in frames if pair[1] == node]:
                del frames[pair]
        for pair in [pair for pair in self._stuck if pair[0] == node]:
            del self._stuck[pair]
        for pair in sorted(pair for pair in self._flying if pair[0] == node):
            arrives = self._chance.randint(0, len(self._flying[pair]))
            self._flying[pair] = self._flying[pair][:arrives]

    # -- carrying ----------------------------------------------------------------------------
    def _delay(self) -> float:
        faults = self.faults
        delay = self._chance.uniform(faults.delay_ms_min, faults.delay_ms_max)
        if faults.spike and self._chance.random() < faults.spike:
            delay *= self._chance.uniform(1, 50)
        return delay

    def send(self, source: NodeId, target: NodeId, frame: object) -> None:
        """Over the link: exactly once, in order, while both live."""
        pair = (source, target)
        if self.is_cut(source.name, target.name):
            self._stuck.setdefault(pair, []).append(frame)
            return
        lag_ms = self.lag_ms.get((source.name, target.name), 0.0)
        arrival = max(self.now_ms + self._delay() + lag_ms, self._busy_until.get(pair, 0.0))
        bytes_per_ms = self.bytes_per_ms or self.faults.bytes_per_ms
        if bytes_per_ms:
            arrival += len(_ENCODER.encode(frame)) / bytes_per_ms
        self._busy_until[pair] = arrival
        self._flying.setdefault(pair, []).append(frame)
        self._at(arrival - self.now_ms, lambda: self._land(pair))

    def _land(self, pair: tuple[NodeId, NodeId]) -> None:
        # Frames leave the list in order, whichever call comes first; after a cut it is empty.
        frames = self._flying.get(pair)
        if frames:
            self._arrive(*pair, frames.pop(0))

    def cast(self, source: NodeId, target: NodeId, frame: object) -> None:
        """Beside the link: perhaps lost, repeated and out of order."""
        chance, faults = self._chance, self.faults
        if self.is_cut(source.name, target.name) or chance.random() < faults.loss:
            return
        flying = self._flying.get((source, target))
        before = flying[-1] if flying else None
        for _ in range(2 if chance.random() < faults.duplication else 1):
            delay = self._delay()
            if chance.random() < faults.reordering:
                delay += chance.uniform(0, 150)
            self._at(delay, lambda: self._land_beside(source, target, frame, before))

    def _land_beside(self, source: NodeId, target: NodeId, frame: object, before: object) -> None:
        """Args: `before` was given to the link before it, the last of what was under way."""
        flying = self._flying.get((source, target), ())
        self.overtaken += before is not None and any(one is before for one in flying)
        self._cast(source, target, frame)

    @property
    def backlog_ms(self) -> float:
        """How long the link takes that has most to carry."""
        return max(self._busy_until.values(), default=0.0) - self.now_ms
