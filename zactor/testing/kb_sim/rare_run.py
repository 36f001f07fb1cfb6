"""Runs with rarer faults: cuts aimed at attempts, disks that go, nodes that don't return."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection
from dataclasses import replace

import msgspec

from zactor.kernel.groups import events
from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.knowledge import KbOrdered, Primary, Transaction
from zactor.testing.group_sim.cluster import SimNode
from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.cluster import KbNode
from zactor.testing.kb_sim.coverage import KbCoverage
from zactor.testing.kb_sim.lies import Liar
from zactor.testing.kb_sim.rare_faults import KEPT_MS
from zactor.testing.kb_sim.run import HEALED_MS, KbPlan, KbRun, draw_plan
from zactor.testing.kb_sim.strikes import Strikes
from zactor.testing.quorum import obstacle

_LOOK_MS = 150.0
_LARGE = (120_000, 300_000, 700_000)
_LONG_HEALED_MS = 40_000.0  # the longest hold-down, and then as much as without


def with_rare_faults(plan: KbPlan) -> KbPlan:
    """Return the plan with what its rare faults need: nodes, time, settings."""
    rare, settings = plan.rare, plan.settings
    roles = dict(plan.roles)
    if rare.more_nodes:
        roles |= {f"x{n}": "node" for n in range(rare.more_nodes)}
        settings = replace(settings, heartbeat_ms_per_node=15)
        plan = replace(plan, changes_per_s=2.0, faulty_ms=min(plan.faulty_ms, 4_000.0))
    if rare.long_cut:
        settings = replace(settings, hold_down_ms_max=Settings().hold_down_ms_max)
        plan = replace(plan, faulty_ms=max(plan.faulty_ms, KEPT_MS + 4_000))
    limits = plan.limits
    if rare.goes_back:  # what is older than the changes that are kept nobody can tell from a fork
        limits = limits | {"HISTORY_KEPT": 10_000}
        plan = replace(plan, kb_faults=replace(plan.kb_faults, loses_disk=False))
    return replace(plan, roles=roles, settings=settings, limits=limits)


class RareRun(KbRun):
    """A run in which what is rare happens too."""

    def __init__(self, plan: KbPlan, coverage: KbCoverage | None = None) -> None:
        """Args: `coverage` counts what happens."""
        super().__init__(with_rare_faults(plan))
        self._rare = self.plan.rare
        self._dice = random.Random(plan.seed * 6_971 + 11)
        self._gone: set[str] = set()  # who never comes back
        self._losses = 0
        self._has_worn = False  # a disk isn't what it was: nobody may found any more
        self._may_stand_still = False
        self._coverage = coverage or KbCoverage()
        self._hit = self._coverage.faults.hit
        if self._rare.long_cut:
            self.healed_ms = HEALED_MS + _LONG_HEALED_MS
        self._watch(is_counted=coverage is not None)

    def _watch(self, *, is_counted: bool) -> None:
        cluster, faults = self.cluster, self._coverage.faults
        cluster.coverage = self._coverage.replicas
        if is_counted:
            cluster.watch = self._coverage.engines.watch
        self._strikes = Strikes(cluster, self._rare.strikes, self._dice, faults, self._strike)
        self._lies = Liar(cluster, self._dice, faults, self._end_soon)
        cluster.on_said, cluster.on_given = self._said, self._given
        cluster.on_leaving = self._strikes.leaving
        cluster.on_heartbeat, cluster.on_trace = self._heartbeat, self._traced
        cluster.hold_ms = self._hold_ms

    # -- what nodes say ----------------------------------------------------------------------
    def _said(self, one: KbNode, message: KbOrdered) -> KbOrdered:
        self._strikes.said(one, message)
        return self._lies.said(one, message)

    def _given(self, one: KbNode, message: KbOrdered) -> None:
        self._strikes.given(one, message)
        self._lies.given(one, message)

    def _heartbeat(self, node: SimNode, heartbeat: GroupHeartbeat) -> GroupHeartbeat:
        if len(node.engine.view.members) > 8:
            self._hit("a view of more than eight")
            if node.engine._interval_ms > node.engine.settings.heartbeat_ms:
                self._hit("heartbeats came less often")
        return self._lies.heartbeat(node, heartbeat)

    def _traced(self, trace: Trace) -> None:
        self._lies.traced(trace)
        if trace.event == "histories_differ":
            self._hit("a fork")

    def _hold_ms(self) -> float:
        if self._dice.random() >= self._rare.held:
            return 0.0
        self._hit("silent before it had met the others")
        return self._dice.uniform(20, 1_500)

    def _end_soon(self, name: str) -> None:
        node = self.cluster.nodes.get(name)

        def end() -> None:
            if node is not None and self.cluster.nodes.get(name) is node:
                self.cluster.crash(name, refused=True)
                self._later(self._dice.uniform(50, 500), self._start, name)

        self.cluster.after(self._dice.uniform(100, 700), end)

    # -- starting and ending -----------------------------------------------------------------
    def _start(self, name: str) -> None:
        if name not in self._gone:
            super()._start(name)

    def _found(self, name: str) -> None:
        if not self._has_worn:
            super()._found(name)

    def _broken(self, name: str) -> None:
        if name in self.cluster.forked:  # somebody must look at what is there first
            self._gone.add(name)
            self._may_stand_still = True
        super()._broken(name)

    def _heal(self) -> None:
        self._lies.end()
        self._strikes.is_over = True
        network = self.cluster.network
        network.bytes_per_ms = 0.0
        network.lag_ms.clear()
        for pair in itertools.permutations(self._names, 2):  # what a slow line holds begins anew
            network.cut(*pair)
            network.heal(*pair)
        leaving = self._dice.sample(sorted(self._names), min(self._rare.gone, len(self._names) - 1))
        for name in leaving:
            self._gone.add(name)
            self._may_stand_still = True
            if name in self.cluster.nodes:
                self.cluster.crash(name, refused=True)
        super()._heal()

    def _log_ends(self) -> None:
        cluster = self.cluster
        kept = {name: cluster.disks[name].load() for name in cluster.live}
        why = obstacle(kept, self._last_primary()) if self._may_stand_still else ""
        if why:
            cluster.note("", {"k": "kb_still", "why": why})
        if self._rare.gone:
            self._hit("too many never returned" if why else "some never returned")
        self._count()
        super()._log_ends()

    def _count(self) -> None:
        """Some of what happened is known when all is over."""
        cluster = self.cluster
        faults = self._coverage.faults
        faults.hit("a write was torn", sum(disk.torn for disk in cluster.disks.values()))
        faults.hit("a heartbeat overtook its link", cluster.network.overtaken)
        standing: dict[str, list[int]] = {}
        for line in cluster.lines:
            if line["k"] == "kb_take" and standing.get(line["p"], [0, 0]) > [0, 0]:
                self._hit("behind more than is kept")
            if line["k"] in ("kb_start", "kb_take", "kb_apply"):
                standing[line["p"]] = line["clock"]
            if line["k"] == "kb_decided" and line["id"].startswith("large") and not line["kind"]:
                self._hit("a change of 100 kB and more")
        self._coverage.replicas.run_ends()

    # -- the network -------------------------------------------------------------------------
    def _fault_clocks(self) -> None:
        super()._fault_clocks()
        rare, cluster = self._rare, self.cluster
        cluster.network.bytes_per_ms = rare.bytes_per_ms
        if rare.lag_ms:
            for pair in itertools.permutations(self._names, 2):
                cluster.network.lag_ms[pair] = self._dice.choice((0.0, 0.5, 1.0)) * rare.lag_ms
        self._again(rare.shatters, self._shatter)
        self._again(rare.lies, self._lie)
        if rare.goes_back and self._dice.random() < 0.6:
            self._again(1.0, self._fork)
        elif rare.goes_back or rare.lost_disks:
            self._again(0.8, self._crash_and_wear)
        if rare.long_cut:
            cluster.after(self._dice.uniform(1_000, 2_000), self._cut_for_long)
        if rare.same_life:
            late_ms = self.plan.faulty_ms - 1_500
            cluster.after(self._dice.uniform(late_ms / 2, late_ms), self._lose_power_and_folder)
        cluster.after(_LOOK_MS, self._look)

    def _again(self, per_s: float, call: Callable[[], None]) -> None:
        if not per_s:
            return

        def fire() -> None:
            if not self._healed:
                call()
                self._again(per_s, call)

        self.cluster.after(self._dice.expovariate(per_s) * 1_000, fire)

    def _apart(self, parts: dict[str, int], ms: float) -> None:
        pairs = itertools.permutations(self._names, 2)
        self._separate([(a, b) for a, b in pairs if parts[a] != parts[b]], ms)

    def _shatter(self) -> None:
        self._apart_in(self._dice.randint(3, max(3, len(self._names))), self._names)

    def _apart_in(self, count: int, names: Collection[str]) -> None:
        parts = {name: self._dice.randrange(count) for name in self._names}
        if len({parts[name] for name in names}) > 2:
            self._hit("three parts and more")
        self._apart(parts, self._dice.uniform(50, self._faults.heal_ms_max))

    def _strike(self, names: set[str]) -> None:
        """Cut at this step of an attempt; `names` have come further in it than the others."""
        if self._healed:
            return
        if self._dice.random() < 0.4:
            self._apart_in(self._dice.choice((2, 3, 4)), self._names)
            return
        parts = {name: int(name in names) for name in self._names}
        for name in self._names:
            if self._dice.random() < 0.2:
                parts[name] = 2
        self._apart(parts, self._dice.uniform(50, self._faults.heal_ms_max))

    def _lie(self) -> None:
        live = [name for name in self.cluster.live if not self.cluster.nodes[name].paused]
        if len(live) > 2:
            self._lies.begin(self._dice.choice(live))

    def _cut_for_long(self) -> None:
        """Two parts for so long that each gives the other up."""
        here = set(self._dice.sample(self._names, self._dice.randint(1, len(self._names) - 1)))
        parts = {name: int(name in here) for name in self._names}
        before = {node.id for node in self.cluster.nodes.values()}
        self._apart(parts, KEPT_MS + 1_500)

        def give_up() -> None:
            nodes = list(self.cluster.nodes.values())
            for node, other in itertools.permutations(nodes, 2):
                is_apart = parts[node.id.name] != parts[other.id.name]
                if is_apart and {node.id, other.id} <= before:
                    self._hit("apart for longer than is kept")
                    self.cluster.hand_in(node, events.ProcessGone(other.id))

        self.cluster.after(KEPT_MS, give_up)

    def _look(self) -> None:
        """Now and then: whoever counts as dead somewhere ends, and comes back as another life."""
        cluster = self.cluster
        if cluster.network.backlog_ms > 100:
            self._hit("a line had much to carry")
        for name in cluster.live:
            if self._is_buried(cluster.nodes[name]):
                self._hit("a buried life came back")
                cluster.crash(name, refused=True)
                self._later(self._dice.uniform(10, 200), self._start, name)
                break
        cluster.after(_LOOK_MS, self._look)

    def _is_buried(self, node: SimNode) -> bool:
        is_cut, name = self.cluster.network.is_cut, node.id.name
        return not node.paused and any(
            other.engine.detector.is_gone(node.id)
            for other in self.cluster.nodes.values()
            if other is not node
            and not other.paused
            and not (is_cut(name, other.id.name) or is_cut(other.id.name, name))
        )

    # -- disks -------------------------------------------------------------------------------
    def _last_primary(self) -> Primary | None:
        lines = [line for line in self.cluster.lines if line["k"] == "primary"]
        if not lines:
            return None
        line = max(lines, key=lambda line: line["epoch"])
        return Primary(line["epoch"], tuple(line["members"]), line["decider"], "")

    def _crash_and_wear(self) -> None:
        """A node dies, and something is the matter with its disk."""
        rare = self._rare
        left = not self._has_worn if rare.goes_back else self._losses < rare.lost_disks
        live = self.cluster.live
        if left and live and self._last_primary():
            name = self._dice.choice(live)
            self.cluster.crash(name, refused=True)
            self._later(self._dice.uniform(20, 600), self._wear, name)

    def _fork(self) -> None:
        """A disk goes back, and its node meets who was away before those who know better."""
        if self._has_worn or len(self.cluster.live) < 3 or not self._last_primary():
            return
        away, worn = self._dice.sample(self.cluster.live, 2)
        heal_ms = self._dice.uniform(800, 2_000)  # the others have to go on without who is away
        self._apart({name: int(name == away) for name in self._names}, heal_ms)

        def die() -> None:
            if worn in self.cluster.nodes and not self._healed:
                self.cluster.crash(worn, refused=True)
                parts = {name: int(name in (away, worn)) for name in self._names}
                self._apart(parts, self._dice.uniform(800, 2_500))
                self._wear(worn)

        self.cluster.after(heal_ms, die)

    def _wear(self, name: str) -> None:
        """Something is the matter with the disk of a node that is down."""
        if name not in self.cluster.nodes and not self._healed and self._last_primary():
            if self._rare.goes_back:
                self._go_back(name)
            else:
                self._lose_disk(name)
        self._start(name)

    def _go_back(self, name: str) -> None:
        """Put an older copy in place of a disk; what it lacks is on others."""
        disks = self.cluster.disks
        older = disks[name].older(1 - self._dice.random() ** 2)
        others = set().union(*(disk.ids() for other, disk in disks.items() if other != name))
        missing = disks[name].ids() - older.ids()
        if missing and missing <= others and not self._has_worn:
            self.cluster.had[name] |= disks[name].ids()
            disks[name] = older
            self._has_worn = self._may_stand_still = True
            self.cluster.note(name, {"k": "kb_old_copy"})
            self._hit("a disk went back")

    def _lose_disk(self, name: str) -> bool:
        """Take the disk away, if the others can do without."""
        disks = self.cluster.disks
        kept = {other: disk.load() for other, disk in disks.items() if other != name}
        if not disks[name].has_data or obstacle(kept, self._last_primary()):
            return False
        self.cluster.had[name] |= disks[name].ids()
        disks[name].lose()
        self.cluster.note(name, {"k": "kb_lost_disk"})
        self._has_worn = self._may_stand_still = True
        self._losses += 1
        self._hit("a disk was lost" if self._losses == 1 else "a second disk was lost")
        return True

    def _lose_power_and_folder(self) -> None:
        if self._healed:
            return
        self._lose_power()
        name = self._dice.choice(self._names)
        if self._last_primary() and self._lose_disk(name):
            # Nobody runs who remembers its lives.
            self.cluster.incarnations[name] = 0
            self._hit("a life had a number again")

    # -- changes -----------------------------------------------------------------------------
    def _change(self) -> Transaction:
        change = super()._change()
        if self._healed or self._dice.random() >= self._rare.large:
            return change
        id_ = f"large_{change.id}"
        blob = f"blob({id_},{'x' * self._dice.choice(_LARGE)})"
        return msgspec.structs.replace(
            change,
            id=id_,
            retract=(*change.retract, "blob(_,_)"),
            assert_=(change.assert_[0].replace(change.id, id_), f"did({id_})", blob),
        )


def play(seed: int, coverage: KbCoverage | None = None) -> list[Line]:
    """Return the log of the run that `seed` stands for. Args: `coverage` counts what happens."""
    return RareRun(draw_plan(seed), coverage).play()
