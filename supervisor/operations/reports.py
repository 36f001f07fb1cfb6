"""What `zactor nodes`, `ps`, `wires`, `status`, `doctor` and the like show.

What grows with the knowledge base and its past is in knowledge_rows.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec

from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.errors import NoSuchThing
from zactor.kernel.groups.names import RESERVED
from zactor.kernel.messages.operations import Subject
from zactor.kernel.moment import moment
from zactor.kernel.runtime.watchdog import Blockage
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.transport.hub import Hub
from zactor.supervisor.kb import facts, node_marks
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership.members import Members, is_there
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.membership.unreached import Unreached
from zactor.supervisor.membership.waiting_nodes import WaitingNodes
from zactor.supervisor.observe.events import Tell
from zactor.supervisor.observe.journal import DeadLetterReport, FailureReport, Journal
from zactor.supervisor.operations import health, missing
from zactor.supervisor.operations.drift import Drift
from zactor.supervisor.operations.gathering import Gathering, Shared
from zactor.supervisor.operations.report_rows import (
    ActorReport,
    BlockageReport,
    BundleReport,
    CheckReport,
    FactoryReport,
    GroupMemberReport,
    GroupReport,
    HealthReport,
    NodeReport,
    RuntimeReport,
    StatusReport,
    WireReport,
)

BUSY_S = 10.0  # an action under way for longer is worth a word
TROUBLES_SHOWN = 3  # by a check: a status has all
FRESH_S = 1.0  # a change younger than this may not be everywhere yet

KNOWLEDGE = frozenset(
    {
        Subject.NODES,
        Subject.ACTORS,
        Subject.WIRES,
        Subject.FACTORIES,
        Subject.FACTS,
        Subject.WHY,
        Subject.LOG,
    }
)
"""What is the same at all members: who asks sees all that was decided before."""

OF_ONE_NODE = frozenset({Subject.DEADLETTERS, Subject.FAILURES})
"""What may be asked of one node, by its name as argument."""


class RunningActors(Protocol):
    """What runs the actors of this node."""

    @property
    def blockage(self) -> Blockage | None:
        """What holds the loop of them all, if anything does."""
        ...

    def look(self) -> list[dict[str, Any]]:
        """Return what runs here, by name."""
        ...


class Reports:
    """Says what there is, as one node sees it. Kernel's loop only."""

    def __init__(
        self,
        hub: Hub,
        *,
        groups: GroupHost,
        kb: KnowledgeBase,
        members: Members,
        unreached: Unreached,
        waiting: WaitingNodes,
        calls: PeerCalls,
        journal: Journal,
        tell: Tell,
        bundles: BundleStore,
        runtime: RunningActors,
        parked: Callable[[], Collection[str]],
    ) -> None:
        """`calls` asks the others for what each knows alone; `tell` hears who does not say it.

        Args: parked: gives the names of what was stopped here while this node is cut off.
        """
        self._hub = hub
        self._groups = groups
        self._kb = kb
        self._members = members
        self._unreached = unreached
        self._waiting = waiting
        self._gathering = Gathering(members, calls, tell)
        self._journal = journal
        self._bundles = bundles
        self._runtime = runtime
        self._parked = parked
        self._drift = Drift()
        self._plain: dict[Subject, Callable[[str], object]] = {
            Subject.NODES: lambda _: self.nodes(),
            Subject.WIRES: lambda _: self.wires(),
            Subject.FACTORIES: lambda _: self.factories(),
            Subject.GROUPS: lambda _: self.groups(),
            Subject.GROUP: self.group_members,
            Subject.BUNDLE: self.bundle,
        }

    async def show(self, what: Subject, argument: str, *, everywhere: bool) -> object:
        """Return the rows of `what`.

        Args:
            everywhere: put together what each node knows alone.

        Raises:
            NoSuchThing: there is nothing of that name.
        """
        plain = self._plain.get(what)
        if plain is not None:
            return plain(argument)
        rows = self._gathering.rows if everywhere else _own
        match what:
            case Subject.DEADLETTERS:
                return await rows(what, DeadLetterReport, self._journal.dead_letters())
            case Subject.FAILURES:
                return await rows(what, FailureReport, self._journal.failures())
            case Subject.RUNTIME:
                return await rows(what, RuntimeReport, self.runtime())
            case Subject.DOCTOR:
                return await rows(what, CheckReport, self.doctor())
        healths = await rows(Subject.HEALTH, HealthReport, [self.health()])
        match what:
            case Subject.ACTORS:
                return health.with_blocking(self.actors(), healths)
            case Subject.STATUS:
                return self.status(healths)
        return healths

    # -- what all members know ---------------------------------------------------------------
    def nodes(self) -> list[NodeReport]:
        """Return every node that is known: configured, and waiting for a name."""
        theory = self._kb.theory
        hosted = [row.node for row in facts.actors(theory)]
        full = self._kb.without_room()
        rows = []
        labels, drained = node_marks.labels(theory), node_marks.drained(theory)
        for row in facts.nodes(theory).values():
            peer = self._members.peer(row.name)
            mine = row.name == self._hub.me.name
            known = self._hub.hello() if mine else peer.hello if peer else None
            state = "disk full" if row.name in full else "up"
            state = "stuck" if row.name in self._members.stuck else state
            clock = self._kb.clock if mine else self._members.clocks.get(row.name, (0, 0))
            rows.append(
                NodeReport(
                    name=row.name,
                    role=known.role if known else "",
                    state=state if known else "unreachable",
                    address=row.address,
                    incarnation=row.incarnation,
                    actors=hosted.count(row.name),
                    clock=clock,
                    since=row.at,
                    labels=list(labels.get(row.name, ())),
                    drained=row.name in drained,
                )
            )
        rows += missing.gone_nodes(theory)
        for endpoint in self._waiting.endpoints():
            rows.append(
                NodeReport(
                    name="",
                    role="node",
                    state="unconfigured",
                    address=endpoint.removeprefix("tcp://"),
                    incarnation=0,
                    actors=0,
                    clock=(0, 0),
                )
            )
        return rows

    def actors(self) -> list[ActorReport]:
        """Return every actor, by name; one whose node is out of the view is "unreachable".

        The primary has those as lost, after the others. Elsewhere nobody can know whether they run;
        what this node has stopped for that is "stopped".
        """
        there, parked = self._members.roles(), self._parked()
        rows = []
        for row in facts.actors(self._kb.theory):
            report = ActorReport.of(row)
            if row.node not in there:
                why = f"node {row.node} is out of sight"
                report = msgspec.structs.replace(report, state="unreachable", reason=why)
            elif row.name in parked and row.node == self._hub.me.name:
                why = f"{row.node} is cut off, and another node may run it"
                report = msgspec.structs.replace(report, state="stopped", reason=why)
            rows.append(report)
        return rows + missing.lost_actors(self._kb.theory)

    def wires(self) -> list[WireReport]:
        """Return every wire, those that are down after the others."""
        theory = self._kb.theory
        held = facts.meanwhile(theory)
        up = [WireReport.of(wire, at, "up", held) for wire, at in facts.wires_since(theory)]
        return up + missing.down_wires(theory)

    def factories(self) -> list[FactoryReport]:
        """Return every type of actors."""
        found = facts.factories(self._kb.theory)
        return [FactoryReport(type=name, bundle=bundle) for name, bundle in found.items()]

    # -- what programs and bundles there are -------------------------------------------------
    def groups(self) -> list[GroupReport]:
        """Return every process group that programs use, by name."""
        names = [name for name in self._groups.names() if not name.startswith(RESERVED)]
        return [GroupReport(group=name, members=len(self._groups.members(name))) for name in names]

    def group_members(self, group: str) -> list[GroupMemberReport]:
        """Return the members of a group, in its order.

        Raises:
            NoSuchThing: it has none, and so isn't there.
        """
        members = self._groups.members(group)
        if not members:
            raise NoSuchThing(f"there is no group {group!r}: `zactor group` shows which there are")
        return [
            GroupMemberReport(member=str(member), session=member.session, node=member.node.name)
            for member in members
        ]

    def bundle(self, identity: str) -> BundleReport:
        """Return how much of a bundle is here."""
        bundles = self._bundles
        return BundleReport(held=bundles.held(identity), complete=bundles.has(identity))

    # -- how it is ---------------------------------------------------------------------------
    def health(self) -> HealthReport:
        """Return what this node alone knows of how it is."""
        return HealthReport(
            node=self._hub.me.name,
            dead_letters=self._journal.dead_count,
            failed_actions=self._journal.failed_count,
            failures=self._journal.failures()[-health.FAILURES_SHOWN :],
            blocking=self._blocking(),
            unreached=self._unreached.troubles(),
        )

    def status(self, healths: list[HealthReport]) -> StatusReport:
        """Return one page about the cluster as this node sees it, and others say of themselves."""
        theory, kb, view = self._kb.theory, self._kb, self._groups.view
        nodes = self.nodes()
        actors = facts.actors(theory)
        troubles = self._troubles(nodes)
        troubles += [health.blocking_words(row) for each in healths for row in each.blocking]
        troubles += sorted({text for each in healths for text in each.unreached})
        return StatusReport(
            cluster=self._hub.keys.cluster,
            node=self._hub.me.name,
            primary=list(kb.primary),
            clock=kb.clock,
            view=str(view.id),
            members=[str(member) for member in view.members],
            nodes=len([row for row in nodes if row.state in ("up", "stuck", "disk full")]),
            unconfigured=len([row for row in nodes if row.state == "unconfigured"]),
            actors=len(actors),
            running=len([row for row in actors if row.state == "running"]),
            wires=len(facts.wires(theory)),
            wanted=self._drift.sentences(theory, kb.clock)[0],
            under_way=health.under_way(theory),
            dead_letters=sum(each.dead_letters for each in healths),
            failed_actions=sum(each.failed_actions for each in healths),
            failures=health.last_failures(healths),
            degraded=bool(troubles),
            troubles=troubles,
        )

    def _troubles(self, nodes: list[NodeReport]) -> list[str]:
        theory, kb = self._kb.theory, self._kb
        failed = [row for row in facts.actors(theory) if row.state == "failed"]
        troubles = [f"{row.name} failed: {row.reason}" for row in failed]
        troubles += [
            f"{todo.name} is being destroyed for {todo.owner}, which is gone:"
            f" {todo.assignee} finishes"
            for todo in facts.todos(theory)
            if not is_there(todo.owner, self._members.roles())
        ]
        if kb.is_settled and (why := kb.why_not()):
            old = f"the facts are those of {kb.clock}, {kb.age_s():.0f} s old"
            troubles += [f"no changes are taken here: {why}", old]
        else:
            troubles += kb.without_room().values()
        troubles += missing.sentences(theory) + self._members.troubles()
        troubles += self._drift.sentences(theory, kb.clock)[1]
        drained = node_marks.drained(theory)
        troubles += [f"{node_marks.drained_words(name)}, to use it again" for name in drained]
        bad = [row for row in nodes if row.state in ("unreachable", "stuck")]
        return [*troubles, *kb.apart(), *(f"node {row.name} is {row.state}" for row in bad)]

    def runtime(self) -> list[RuntimeReport]:
        """Return the actors that run here, by name."""
        me = self._hub.me.name
        return [RuntimeReport(node=me, **row) for row in self._runtime.look()]

    def doctor(self) -> list[CheckReport]:
        """Return the checks of this node, each with what was found."""
        lag_ms, peers = self._members.lag_ms, sorted(self._hub.peers.items())
        refused, frames = self._hub.refusals(), self._hub.counters()
        waiting = ", ".join(f"{name}: {peer.backlog} waiting" for name, peer in peers)
        return [
            self._check_actors(),
            self._check_knowledge(),
            self._check_cluster(),
            self._check("history", not self._kb.forks, "; ".join(self._kb.forks) or "one"),
            self._check("time", True, moment(time.time())),
            self._check("loop", lag_ms < limits.GROUP_SILENCE_MS_MIN // 2, f"{lag_ms} ms late"),
            self._check("links", all(peer.connected for _, peer in peers), waiting or "none"),
            self._check(
                "refused",
                not any(count for name, count in refused.items() if _is_refusal(name)),
                _counts(refused),
            ),
            self._check(
                "frames",
                not frames["frames_refused"] and not frames["items_refused"],
                _counts(frames),
            ),
        ]

    def _check_cluster(self) -> CheckReport:
        found = self._troubles(self.nodes())
        shown = "; ".join(found[:TROUBLES_SHOWN])
        more = len(found) - TROUBLES_SHOWN
        words = f"{shown}; {more} more, see `zactor status`" if more > 0 else shown
        return self._check("cluster", not found, words or "nothing is missing")

    def _check_actors(self) -> CheckReport:
        rows = self.runtime()
        if blocking := self._blocking():
            words = "; ".join(health.blocking_words(row) for row in blocking)
            return self._check("actors", False, words)
        long = [row for row in rows if row.busy_s > BUSY_S or row.phase == health.ABANDONED]
        words = "; ".join(map(health.busy_words, long))
        return self._check("actors", not long, words or "none is busy for long")

    def _blocking(self) -> list[BlockageReport]:
        if (found := self._runtime.blockage) is None:
            return []
        return [
            BlockageReport(
                node=self._hub.me.name,
                actor=found.actor,
                action=found.action,
                where=found.where,
                busy_s=found.lasts_s(),
                moves=found.moves,
            )
        ]

    def _check_knowledge(self) -> CheckReport:
        kb = self._kb
        clock, why_not = tuple(kb.clock), kb.why_not()
        behind = sorted(name for name, there in self._members.clocks.items() if there != clock)
        words = f"clock {kb.clock}"
        if behind:
            words += f"; not at the same place: {', '.join(behind)}"
        if why_not:
            words += f"; no changes are taken: {why_not}"
        is_well = not why_not and (not behind or kb.quiet_s() < FRESH_S)
        return self._check("knowledge base", is_well, words)

    def _check(self, check: str, ok: bool, detail: str) -> CheckReport:
        return CheckReport(node=self._hub.me.name, check=check, ok=ok, detail=detail)


async def _own(what: Subject, of: type[Shared], own: list[Shared]) -> list[Shared]:
    """Return the rows of this node: for another that gathers them."""
    return own


def _is_refusal(counter: str) -> bool:
    return "refused" in counter or "failed" in counter


def _counts(counters: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counters.items())
