"""One run of knowledge bases from one seed: faults under load, then healing, then all must be one.

Faults beyond those of the groups' simulator: power goes from all nodes at once, writes are torn,
disks fill up, fail, are slow, and one of them may be lost with its node.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

from zactor.kernel import limits as kernel_limits
from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.knowledge import Transaction
from zactor.kernel.replication.effects import Decided
from zactor.testing.group_sim.cluster import SimNode
from zactor.testing.group_sim.faults import Faults, draw_faults
from zactor.testing.group_sim.faulty_run import FaultyRun
from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.cluster import TICK_MS, KbCluster
from zactor.testing.kb_sim.rare_faults import RareFaults, draw_rare_faults

HEALED_MS = 12_000.0  # hold-down, a few attempts of the engine, and of the replica
PROBE_MS = 3_000.0  # before the end each node submits something, which must take place
_KEYS = ("red", "green", "blue")
_FOUND_MS = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KbFaults:
    """What goes wrong beside the network; rates in events per second."""

    power_losses: float = 0.0  # all nodes at once
    full_disks: float = 0.0
    slow_disks: float = 0.0  # share of runs' disks: a sync takes up to 300 ms
    loses_disk: bool = False  # one node comes back with an empty disk, once
    leaves: float = 0.0  # a node stops in good order: it retires first

    def __str__(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KbPlan:
    """What a seed stands for."""

    seed: int
    roles: dict[str, str]
    faults: Faults
    kb_faults: KbFaults
    faulty_ms: float
    changes_per_s: float  # of each node
    limits: dict[str, int]  # of kernel/limits, made small so that they are reached
    anybody_founds: bool  # whoever sees more than half; else the first node, perhaps alone
    settings: Settings
    rare: RareFaults  # RareRun plays them


def draw_plan(seed: int) -> KbPlan:
    """Choose a run."""
    chance = random.Random(seed * 31 + 7)

    def maybe(high: float) -> float:
        return round(chance.uniform(0, high), 3) if chance.random() < 0.4 else 0.0

    names = [f"m{n}" for n in range(chance.choice((0, 1, 1, 2)))]
    names += [f"n{n}" for n in range(chance.randint(max(1, 3 - len(names)), 5 - len(names)))]
    faults = draw_faults(chance)
    return KbPlan(
        seed=seed,
        roles={name: "master" if name[0] == "m" else "node" for name in names},
        faults=replace(
            faults, slow_members=0.0, stops=0.0, delay_ms_max=min(faults.delay_ms_max, 10)
        ),
        kb_faults=KbFaults(
            power_losses=maybe(0.4),
            full_disks=maybe(0.3),
            slow_disks=maybe(0.6),
            loses_disk=chance.random() < 0.3,
            leaves=maybe(0.3),
        ),
        faulty_ms=chance.choice((2_000.0, 4_000.0, 7_000.0)),
        changes_per_s=chance.choice((2.0, 6.0, 15.0)),
        limits={
            "HISTORY_KEPT": chance.choice((3, 20, 10_000)),
            "KB_PIECE_BYTES": chance.choice((150, 1_000, 200_000)),
            "KB_QUICK_BYTES": chance.choice((0, 1_000, 1_000_000)),
            "KB_FLIGHT_MAX": chance.choice((1, 4, 256)),
        },
        anybody_founds=chance.random() < 0.5,
        settings=Settings(
            hold_down_ms_max=2_000,
            window_messages=chance.choice((64, 8_192)),
            tickets_max=chance.choice((1, 3, 256)),
            packet_messages=chance.choice((1, 3, 16)),
            ack_messages=chance.choice((1, 16)),
        ),
        rare=draw_rare_faults(seed),
    )


class KbRun(FaultyRun[KbCluster]):
    """A cluster whose nodes change and read facts."""

    def __init__(self, plan: KbPlan) -> None:
        chance = random.Random(plan.seed * 7_919 + 3)
        cluster = KbCluster(chance, plan.faults, plan.settings, dict(plan.roles))
        super().__init__(cluster, list(plan.roles), chance, plan.faults, plan.changes_per_s)
        self.plan = plan
        self.cluster.on_broken = self._broken
        self._rooms = random.Random(plan.seed * 6_151 + 9)
        self._counter = itertools.count(1)
        self._held: dict[str, str] = {}  # key -> a value that was seen
        self._has_lost_disk = False
        self.healed_ms = HEALED_MS

    def play(self) -> list[Line]:
        """The whole run; returns its log."""
        before = {name: getattr(kernel_limits, name) for name in self.plan.limits}
        try:
            for name, value in self.plan.limits.items():
                setattr(kernel_limits, name, value)
            return self._play()
        finally:
            for name, value in before.items():
                setattr(kernel_limits, name, value)

    def _play(self) -> list[Line]:
        cluster, plan = self.cluster, self.plan
        if self._chance.random() < plan.kb_faults.slow_disks:
            cluster.sync_ms = (0.5, 300.0)
        self._play_faults(plan.faulty_ms)
        cluster.run_ms(self.healed_ms - PROBE_MS)
        for name in cluster.live:
            self._submit(name, self._change())
        cluster.run_ms(PROBE_MS)
        self._log_ends()
        return cluster.lines

    def _start(self, name: str) -> None:
        if name in self.cluster.nodes:
            return
        node = self.cluster.start(name)
        self._workload(node)
        self._later(_FOUND_MS, self._found, name)

    def _found(self, name: str) -> None:
        """What the shell does about a node that knows of no cluster."""
        one = self.cluster.kbs.get(name)
        if one is None or one.replica.last_primary is not None:
            return
        first = name == self._names[0] and not self._has_lost_disk
        many = 2 * len(one.sim.engine.view.members) > len(self._names)
        may_found = many if self.plan.anybody_founds else first
        if may_found and not one.replica.founding and not one.sim.paused:
            self.cluster.coverage.hit("P8 told to found")
            self.cluster.carry(one, one.replica.found(str(one.sim.id), one.skew_s))
        self._later(TICK_MS, self._found, name)

    def _heal(self) -> None:
        cluster = self.cluster
        cluster.sync_ms = (0.5, 5.0)
        for disk in cluster.disks.values():
            disk.is_full = disk.is_failing = False
        super()._heal()
        for name in self._names:
            self._start(name)

    def _log_ends(self) -> None:
        for name in self.cluster.live:
            one = self.cluster.kbs[name]
            replica = one.replica
            line: Line = {"k": "kb_end", "clock": list(replica.clock)}
            line |= {"hash": replica.digest.hex(), "facts": replica.theory.texts()}
            self.cluster.log(one.sim, line)

    # -- faults ------------------------------------------------------------------------------
    def _fault_clocks(self) -> None:
        faults, kb_faults = self.plan.faults, self.plan.kb_faults
        self._repeat(faults.crashes, self._crash)
        self._repeat(faults.pauses, lambda: self._freeze(self.cluster.pause))
        self._network_clocks(lambda: self._split(2))
        self._repeat(kb_faults.power_losses, self._lose_power)
        self._repeat(kb_faults.full_disks, self._fill)
        self._repeat(kb_faults.leaves, self._leave)

    def _come_back(self, name: str) -> None:
        if self.plan.kb_faults.loses_disk and not self._has_lost_disk:
            self._later(3_000.0, self._replace_disk, name)
        else:
            super()._come_back(name)

    def _replace_disk(self, name: str) -> None:
        """Take the disk away, if the others can do without: it counts for nobody's majority."""
        others = [disk for other, disk in self.cluster.disks.items() if other != name]
        primaries = [line for line in self.cluster.lines if line["k"] == "primary"]
        last = max(primaries, key=lambda line: line["epoch"])["members"] if primaries else []
        spare = len(last) >= 3 and not any(disk.attempts for disk in others)
        spare = spare and not self._has_lost_disk
        if spare and name not in self.cluster.nodes and not self._healed:
            self._has_lost_disk = True
            self.cluster.disks[name].lose()
        self._start(name)

    def _lose_power(self) -> None:
        for name in self.cluster.live:
            self.cluster.crash(name, refused=False)
            self._later(self._chance.uniform(1, 1_500), self._start, name)

    def _fill(self) -> None:
        if name := self._some():
            disk = self.cluster.disks[name]
            if self._rooms.random() < 0.3:
                disk.is_failing = True
            else:
                disk.is_full = True

            def free() -> None:
                disk.is_full = disk.is_failing = False

            self.cluster.after(self._chance.uniform(100, 2_000), free)

    def _broken(self, name: str) -> None:
        """The shell ends a process that can't keep its word, and somebody starts it again."""
        self.cluster.crash(name, refused=True)
        self._later(self._chance.uniform(100, 1_000), self._start, name)

    def _leave(self) -> None:
        name = self._some()
        if not name or self.cluster.nodes[name].paused:
            return
        one = self.cluster.kbs[name]
        self.cluster.carry(one, one.replica.retire())

        def go() -> None:
            if self.cluster.kbs.get(name) is one:
                self.cluster.stop(name)
                if self._healed:
                    self._later(10.0, self._start, name)
                else:
                    self._come_back(name)

        self.cluster.after(self._chance.uniform(5, 300), go)

    # -- workload ----------------------------------------------------------------------------
    def _act(self, node: SimNode) -> None:
        name = node.id.name
        if self._chance.random() < 0.25:
            self.cluster.read(
                name, f"r{next(self._counter)}", lambda decided: self._was_read(name, decided)
            )
        else:
            for _ in range(self._chance.choice((1, 1, 1, 3))):
                if name in self.cluster.kbs:
                    self._submit(name, self._change())

    def _change(self) -> Transaction:
        """Set a key: outright, only if it has no value, or only if it has the one last seen."""
        id_ = f"t{next(self._counter)}"
        key, dice = self._chance.choice(_KEYS), self._chance.random()
        require: tuple[tuple[str, str, str], ...] = ()
        if dice < 0.2:
            require = ((f"\\+ value({key},_)", "AlreadyExists", f"{key} has a value"),)
        elif dice < 0.6 and key in self._held:
            held = self._held[key]
            require = ((f"value({key},{held})", "Refused", f"{key} isn't {held} any more"),)
        return Transaction(
            id=id_,
            who="somebody",
            why=f"{key} is wanted so",
            require=require,
            retract=(f"value({key},_)",),
            assert_=(f"value({key},{id_})", f"did({id_})"),
        )

    def _submit(self, name: str, transaction: Transaction) -> None:
        def then(decided: Decided) -> None:
            if not decided.kind:
                key = transaction.assert_[0].removeprefix("value(").partition(",")[0]
                self._held[key] = transaction.id

        self.cluster.submit_change(name, transaction, then)

    def _was_read(self, name: str, decided: Decided) -> None:
        if decided.kind:
            return
        one = self.cluster.kbs[name]
        values = [fact.text for fact in one.replica.theory.facts("value", 2)]
        self.cluster.log(one.sim, {"k": "kb_value", "id": decided.id, "values": values})
