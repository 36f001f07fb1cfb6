"""One run from one seed: a phase of faults, in which safety must hold, then everything is healed,
and liveness must follow."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

from zactor.kernel.errors import LocalProtocolError, MailboxFull
from zactor.kernel.groups import events, parcels
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.trace import message_id
from zactor.kernel.messages.service import Service
from zactor.testing.engine_coverage import EngineCoverage
from zactor.testing.group_sim.cluster import Asked, Cluster, SimNode
from zactor.testing.group_sim.faults import Faults, draw_faults
from zactor.testing.group_sim.faulty_run import FaultyRun
from zactor.testing.group_sim.history import Line

HEALED_MS = 14_000.0  # hold-down of the simulated nodes, then ALONE and a few attempts
_SETTLED_MS = 3_000.0  # then a message that isn't held has been sent
_GROUPS = ("red", "green", "blue")
_SERVICES = (
    Service.UNRELIABLE,
    Service.RELIABLE,
    Service.FIFO,
    Service.FIFO,
    Service.CAUSAL,
    Service.AGREED,
    Service.AGREED,
    Service.SAFE,
    Service.SAFE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed stands for."""

    seed: int
    node_count: int
    faults: Faults
    faulty_ms: float
    sends_per_s: float  # bursts of each node
    burst_max: int
    settings: Settings
    changes_groups: bool = True  # sessions join and leave while the run goes on


def draw_plan(seed: int) -> Plan:
    """Choose a run. Limits are small, so that they are reached."""
    chance = random.Random(seed)
    window_messages = chance.choice((4, 16, 8_192))
    plan = Plan(
        seed=seed,
        node_count=chance.randint(3, 7),
        faults=draw_faults(chance),
        faulty_ms=chance.choice((2_000.0, 4_000.0, 8_000.0)),
        sends_per_s=chance.choice((1.0, 4.0, 10.0)),
        burst_max=chance.choice((1, 3, 8)),
        settings=Settings(
            hold_down_ms_max=4_000,
            stuck_ms=chance.choice((2_000, 20_000)),
            window_messages=window_messages,
            tickets_max=chance.choice((1, 3, 256)),
            packet_messages=chance.choice((1, 3, min(window_messages, 128))),
            parcel_messages=8,
            backlog_messages=chance.choice((4, 64)),
            ack_messages=chance.choice((1, 4)),
            ack_direct_members_max=chance.choice((2, 8, 8)),
            early_messages_max=chance.choice((0, 2, 8_192)),
            queue_soft=8,
            queue_hard=64,
        ),
    )
    # Drawn apart, so that the seeds stay what they were but for these.
    chance = random.Random(seed * 7_919 + 2)
    grabs = round(chance.uniform(0, 0.3), 3) if chance.random() < 0.3 else 0.0
    thin = round(chance.uniform(15, 150), 1) if chance.random() < 0.2 else 0.0
    plan = replace(plan, faults=replace(plan.faults, grabs=grabs, bytes_per_ms=thin))
    chance = random.Random(seed * 7_919 + 3)
    sleepers = round(chance.uniform(0, 0.5), 3) if chance.random() < 0.4 else 0.0
    few = chance.random() < 0.3  # that all sessions of a node may be behind with
    limits = {"backlog_all_messages": 12, "backlog_share_messages": 2} if few else {}
    settings = replace(plan.settings, **limits)
    return replace(plan, faults=replace(plan.faults, sleepers=sleepers), settings=settings)


class Run(FaultyRun[Cluster]):
    """A cluster with sessions that join, leave and send."""

    def __init__(self, plan: Plan) -> None:
        chance = random.Random(plan.seed * 7_919 + 1)
        cluster = Cluster(chance, plan.faults, plan.settings)
        names = [f"n{index + 1}" for index in range(plan.node_count)]
        super().__init__(cluster, names, chance, plan.faults, plan.sends_per_s)
        self.plan = plan
        self._sessions: dict[str, dict[str, set[str]]] = {}  # node -> session -> groups
        self._joined: dict[str, dict[str, set[str]]] = {}  # the same, as the engine was told
        cluster.pass_on = self._pass_on
        self._counter = itertools.count(1)
        self._weights = random.Random(plan.seed * 7_919 + 4)  # apart, as above

    def play(self) -> list[Line]:
        """The whole run; returns its log."""
        cluster = self.cluster
        self._play_faults(self.plan.faulty_ms)
        cluster.run_ms(HEALED_MS / 2)
        self._note_flow()
        for name in cluster.live:
            self._act(cluster.nodes[name])
        cluster.run_ms(_SETTLED_MS)
        self._note_flow()
        for name in cluster.live:
            node = cluster.nodes[name]
            for session in sorted(node.asleep):
                cluster.wake_up(node, session)
        cluster.run_ms(HEALED_MS / 2 - _SETTLED_MS)
        self._note_flow()
        return cluster.lines

    def _note_flow(self) -> None:
        """A line for each node: who is held, by what, and how much each session has to read."""
        settings = self.plan.settings
        for name in self.cluster.live:
            node = self.cluster.nodes[name]
            held = node.held
            line = {
                "k": "flow",
                "members": [str(member) for member in node.engine.view.members],
                "backlog": settings.backlog_messages,
                "all": settings.backlog_all_messages,
                "share": settings.backlog_share_messages,
                "held": {s: list(getattr(held[s][0], "groups", ())) for s in sorted(held)},
                "joined": {s: sorted(groups) for s, groups in self._joined[name].items()},
                "unread": {s: len(unread) for s, unread in node.unread.items()},
            }
            self.cluster.log(node, line)

    def _start(self, name: str) -> None:
        cluster = self.cluster
        if name in cluster.nodes:
            return
        node = cluster.start(name)
        if self._chance.random() < self.plan.faults.slow_members:
            node.reads_per_s = 20.0
        self._sessions[name] = {}
        self._joined[name] = {}
        self._workload(node)

    # -- faults ------------------------------------------------------------------------------
    def _fault_clocks(self) -> None:
        faults = self.plan.faults
        self._repeat(faults.crashes, self._crash)
        self._repeat(faults.stops, self._stop)
        self._repeat(faults.pauses, lambda: self._freeze(self.cluster.pause))
        self._repeat(faults.hangs, lambda: self._freeze(self.cluster.hang))
        self._repeat(faults.grabs, self._grab)
        self._network_clocks(lambda: self._split(self._chance.choice((2, 2, 3))))

    def _stop(self) -> None:
        if name := self._some():
            self.cluster.stop(name)
            self._come_back(name)

    def _grab(self) -> None:
        """A node asks for a ticket, and hangs before it reads the answer."""
        name = self._some()
        if not name or self.cluster.nodes[name].paused or not self._sessions[name]:
            return
        node, session = self.cluster.nodes[name], min(self._sessions[name])
        self.cluster.ask(node, events.Submit(session, Service.AGREED, _GROUPS[:1], b""))
        self.cluster.step(node, events.Tick())
        self._freeze(self.cluster.hang, name)

    # -- workload ----------------------------------------------------------------------------
    def _act(self, node: SimNode) -> None:
        """A burst: its sessions do several things."""
        for _ in range(self._chance.randint(1, self.plan.burst_max)):
            self._act_once(node)

    def _act_once(self, node: SimNode) -> None:
        """One session does one thing."""
        chance, sessions = self._chance, self._sessions[node.id.name]
        if not sessions or (len(sessions) < 3 and chance.random() < 0.1):
            session = f"s{next(self._counter)}"
            sessions[session] = set()
            self._joined[node.id.name][session] = set()
            sleepers = self.plan.faults.sleepers
            if sleepers and chance.random() < sleepers:
                node.asleep.add(session)
            self.cluster.step(node, events.SessionOpened(session))
            return
        session = chance.choice(sorted(sessions))
        joined, group, dice = sessions[session], chance.choice(_GROUPS), chance.random()
        if not self.plan.changes_groups:
            dice = 1.0
        if dice < 0.1 and group not in joined:
            joined.add(group)
            self.cluster.ask(node, events.Join(session, group))
        elif dice < 0.15 and group in joined:
            joined.remove(group)
            self.cluster.ask(node, events.Leave(session, group))
        elif dice < 0.17:
            del sessions[session]
            self.cluster.ask(node, events.SessionClosed(session))
        else:
            groups = tuple(sorted(chance.sample(_GROUPS, chance.choice((1, 1, 2)))))
            if chance.random() < 0.1:
                groups = (*groups, f"#{session}#{node.id.name}")
            service, discard = chance.choice(_SERVICES), chance.random() < 0.2
            payload, count = b"x" * chance.randint(0, 20), self._draw_weight(service)
            if count > 1:
                payload = parcels.pack([payload] * count)
            event = events.Submit(session, service, groups, payload, discard, 0, count)
            self.cluster.ask(node, event)

    def _draw_weight(self, service: Service) -> int:
        """How many messages: one, or a parcel of some, up to the greatest there is."""
        weight = self._weights.choice((1, 1, 1, 2, 5, self.plan.settings.parcel_messages))
        return 1 if service is Service.UNRELIABLE else weight

    def _pass_on(self, node: SimNode, event: Asked) -> None:
        before = node.engine.last_number
        try:
            # The line stands before what the step leads to, so the number is foreseen.
            place = len(self.cluster.lines)
            if isinstance(event, events.Submit) and self._chance.random() < 0.7:
                self.cluster.submit(node, event)  # packed with what comes in the same turn
            else:
                self.cluster.step(node, event)
        except (MailboxFull, LocalProtocolError):
            return
        self._note_joined(node, event)
        if node.engine.last_number > before and not (
            isinstance(event, events.Submit) and event.service is Service.UNRELIABLE
        ):
            t = int(self.cluster.now_ms * 1e6)
            lines: list[Line] = []
            for number in range(before + 1, node.engine.last_number + 1):
                mid = message_id(node.id, number)
                line = {"t": t, "p": str(node.id), "k": "submit", "mid": mid}
                if isinstance(event, events.Submit):
                    line["groups"] = list(event.groups)
                lines.append(line)
            self.cluster.lines[place:place] = lines

    def _note_joined(self, node: SimNode, event: Asked) -> None:
        joined = self._joined[node.id.name]
        match event:
            case events.Join():
                joined[event.session].add(event.group)
            case events.Leave():
                joined[event.session].discard(event.group)
            case events.SessionClosed():
                del joined[event.session]


def play(
    seed: int, *, changes_groups: bool = True, coverage: EngineCoverage | None = None
) -> list[Line]:
    """Return the log of the run that `seed` stands for. Args: `coverage` counts what happens."""
    return _counted(replace(draw_plan(seed), changes_groups=changes_groups), coverage)


def _counted(plan: Plan, coverage: EngineCoverage | None) -> list[Line]:
    run = Run(plan)
    if coverage is not None:
        run.cluster.watch = coverage.watch
    return run.play()


_STORM = Faults(
    delay_ms_max=25.0,
    spike=0.02,
    breaks=12.0,
    pauses=0.3,
    partitions=1.0,
    one_way_cuts=1.0,
    bridges=1.0,
    heal_ms_max=900.0,
    refused=1.0,
    restart_ms_max=300.0,
)


def play_storm(
    seed: int,
    *,
    changes_groups: bool = True,
    crashes: float = 0.0,
    coverage: EngineCoverage | None = None,
) -> list[Line]:
    """A run in which little is whole for long: for what is rare in others. Args: as `play`."""
    plan = draw_plan(seed)
    plan = replace(
        plan,
        changes_groups=changes_groups,
        faults=replace(_STORM, crashes=crashes),
        faulty_ms=8_000.0,
        sends_per_s=15.0,
        burst_max=2,
        settings=Settings(hold_down_ms=100, hold_down_ms_max=400, want_ms=2_000, parcel_messages=8),
    )
    return _counted(plan, coverage)
