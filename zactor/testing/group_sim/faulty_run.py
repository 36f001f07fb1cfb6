"""What the runs of both simulators share: when nodes start, what goes wrong, how all is healed.

The order in which chance is asked is a part of what a seed stands for: who changes it changes all
runs.
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from zactor.testing.group_sim.cluster import Cluster, SimNode
from zactor.testing.group_sim.faults import Faults

C = TypeVar("C", bound=Cluster)

START_MS_MAX = 500.0  # within which all nodes start
COMES_BACK = 0.85  # share of the nodes that died and are started again


class FaultyRun(ABC, Generic[C]):
    """A cluster with a workload, and with faults until it is healed."""

    def __init__(
        self,
        cluster: C,
        names: Sequence[str],
        chance: random.Random,
        faults: Faults,
        acts_per_s: float,
    ) -> None:
        """Nothing has happened yet.

        Args:
            names: of the nodes.
            acts_per_s: how often each node does what `_act` says, while there are faults.
        """
        self.cluster = cluster
        self._names = list(names)
        self._chance = chance
        self._faults = faults
        self._acts_per_s = acts_per_s
        self._healed = False

    @abstractmethod
    def _start(self, name: str) -> None:
        """Start a node, unless it runs."""

    @abstractmethod
    def _act(self, node: SimNode) -> None:
        """A node does one thing."""

    def _play_faults(self, ms: float) -> None:
        """Start all nodes, let things go wrong for so long, then heal."""
        for name in self._names:
            self._later(self._chance.uniform(0, START_MS_MAX), self._start, name)
        self._fault_clocks()
        self.cluster.run_ms(ms)
        self._heal()

    def _later(self, ms: float, call: Callable[[str], None], name: str) -> None:
        self.cluster.after(ms, lambda: call(name))

    def _heal(self) -> None:
        cluster = self.cluster
        self._healed = True
        cluster.network.faults = self._faults.calm()
        for name in cluster.live:
            node = cluster.nodes[name]
            node.reads_per_s = 0.0
            if node.paused:
                cluster.resume(name)
        cluster.heal_all()

    def _workload(self, node: SimNode) -> None:
        def go() -> None:
            if self._healed or self.cluster.nodes.get(node.id.name) is not node:
                return
            if not node.paused:
                self._act(node)
            self._workload(node)

        self.cluster.after(self._chance.expovariate(self._acts_per_s) * 1_000, go)

    # -- faults ------------------------------------------------------------------------------
    @abstractmethod
    def _fault_clocks(self) -> None:
        """Begin all that goes wrong again and again, see `_repeat`."""

    def _network_clocks(self, partition: Callable[[], None]) -> None:
        faults = self._faults
        self._repeat(faults.partitions, partition)
        self._repeat(faults.one_way_cuts, self._one_way)
        self._repeat(faults.bridges, self._bridge)
        self._repeat(faults.breaks, self._break)

    def _repeat(self, per_s: float, call: Callable[[], None]) -> None:
        if not per_s:
            return

        def fire() -> None:
            if not self._healed:
                call()
                self._repeat(per_s, call)

        self.cluster.after(self._chance.expovariate(per_s) * 1_000, fire)

    def _some(self) -> str:
        """The name of a node that runs; "": none does."""
        live = self.cluster.live
        return self._chance.choice(live) if live else ""

    def _crash(self) -> None:
        if name := self._some():
            self.cluster.crash(name, self._chance.random() < self._faults.refused)
            self._come_back(name)

    def _come_back(self, name: str) -> None:
        if self._chance.random() < COMES_BACK:
            delay = self._chance.uniform(1, self._faults.restart_ms_max)
            self._later(delay, self._start, name)

    def _freeze(self, stand_still: Callable[[str], None], name: str = "") -> None:
        name = name or self._some()
        if not name or self.cluster.nodes[name].paused:
            return
        node = self.cluster.nodes[name]
        stand_still(name)

        def resume() -> None:
            if node.paused and self.cluster.nodes.get(name) is node:
                self.cluster.resume(name)

        self.cluster.after(self._chance.uniform(1, self._faults.pause_ms_max), resume)

    def _separate(self, pairs: list[tuple[str, str]], ms: float) -> None:
        for source, target in pairs:
            self.cluster.cut(source, target)

        def heal() -> None:
            if not self._healed:
                for source, target in pairs:
                    self.cluster.heal(source, target)

        self.cluster.after(ms, heal)

    def _separate_for_long(self, pairs: list[tuple[str, str]]) -> None:
        self._separate(pairs, self._chance.uniform(50, self._faults.heal_ms_max))

    def _split(self, parts: int) -> None:
        of = {name: self._chance.randrange(parts) for name in self._names}
        pairs = itertools.permutations(self._names, 2)
        self._separate_for_long([(a, b) for a, b in pairs if of[a] != of[b]])

    def _one_way(self) -> None:
        source, target = self._chance.sample(self._names, 2)
        self._separate_for_long([(source, target)])

    def _bridge(self) -> None:
        one, other = self._chance.sample(self._names, 2)
        self._separate_for_long([(one, other), (other, one)])

    def _break(self) -> None:
        one, other = self._chance.sample(self._names, 2)
        self._separate([(one, other), (other, one)], self._chance.uniform(5, 400))
