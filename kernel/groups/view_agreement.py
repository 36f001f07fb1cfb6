"""Agreement on the next view: proposals, promises, and when to begin one.

Two tables: what a member does with others' proposals, and what a proposer does with its own. Every
node is always a member, and now and then a proposer, of its own proposal too. Source: ballots and
promises are Paxos's (Lamport 1998, section 2.3); collecting state, agreeing on what to recover and
installing are Totem's gather, recovery and operational states (Amir et al., ACM TOCS 13(4), 1995).
The rule a reader must not break: from PROMISED to INSTALL a node learns nothing of its old view
but what the plan names, for its report is out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from zactor.kernel.groups.attempt import PROPOSER, Attempt, Progress, Role
from zactor.kernel.groups.effects import Send
from zactor.kernel.groups.failure_detector import FailureDetector, Peer
from zactor.kernel.groups.link_progress import LinkProgress, ProgressWatch
from zactor.kernel.groups.recovery import make_plans
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.validation import check_members, check_plan, check_report
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    Accept,
    GroupState,
    Install,
    Propose,
    Ready,
    Report,
    Sync,
)
from zactor.kernel.messages.views import View, ViewId


class Phase(enum.Enum):
    """A member's place between two views."""

    OPERATIONAL = "operational"
    PROMISED = "promised"  # frozen: the report is out
    RECOVERING = "recovering"  # the plan is here, messages of it are missing
    READY = "ready"  # all of the plan is here


class Step(enum.Enum):
    """What moves a member."""

    PROMISE = "promise"  # a proposal with a higher ballot
    PLAN = "plan"  # the Sync of that ballot
    RECOVERED = "recovered"
    INSTALL = "install"  # the Install of that ballot


MEMBER: Mapping[Phase, Mapping[Step, Phase]] = {
    Phase.OPERATIONAL: {Step.PROMISE: Phase.PROMISED},
    Phase.PROMISED: {Step.PROMISE: Phase.PROMISED, Step.PLAN: Phase.RECOVERING},
    Phase.RECOVERING: {Step.PROMISE: Phase.PROMISED, Step.RECOVERED: Phase.READY},
    Phase.READY: {Step.PROMISE: Phase.PROMISED, Step.INSTALL: Phase.OPERATIONAL},
}
"""A pair that isn't here can't happen by our own doing; a message that asks for it is dropped."""


class ViewAgreement:
    """One node's part in agreeing on views."""

    def __init__(
        self,
        me: NodeId,
        view: View,
        settings: Settings,
        now_ms: int,
        *,
        links: LinkProgress,
        report: Callable[[], Report],
    ) -> None:
        """Args: `report` tells what this node holds of its view, at the moment it freezes."""
        self.me = me
        self.view = view
        self.promised = view.id
        self.phase = Phase.OPERATIONAL
        self.role = Role.IDLE
        self.sync: Sync | None = None  # of the promised ballot
        self._settings = settings
        self._links = links
        self._report = report
        self._attempt: Attempt | None = None
        self._entered_ms = now_ms  # the view
        self._entering = ProgressWatch(now_ms)  # those who haven't installed it yet
        self._frozen_ms = now_ms  # the last promise, or a sign that its proposer stands by it
        self._lacking_ms: int | None = None  # since when a member is missing
        self._following_ms: int | None = None  # since when members follow somebody we lost
        self._foreign: tuple[NodeId, ...] = ()  # alive, ours to lead, and not in the view
        self._foreign_ms = now_ms
        self.due_ms: int | None = None  # when `consider` wants to be called at the latest

    # -- moving ------------------------------------------------------------------------------
    def _move(self, step: Step) -> None:
        self.phase = MEMBER[self.phase][step]

    def _go(self, progress: Progress) -> None:
        self.role = PROPOSER[self.role][progress]
        if self.role is Role.IDLE:
            self._attempt = None

    @property
    def is_frozen(self) -> bool:
        """True from a promise to the next view."""
        return self.phase is not Phase.OPERATIONAL

    def shift(self, late_ms: int) -> None:
        """This node slept: every deadline moves as far (F5)."""
        self._entered_ms += late_ms
        self._entering.shift(late_ms)
        self._frozen_ms += late_ms
        self._foreign_ms += late_ms
        self.due_ms = None  # whoever wakes us calls `consider`
        if self._lacking_ms is not None:
            self._lacking_ms += late_ms
        if self._following_ms is not None:
            self._following_ms += late_ms
        if self._attempt is not None:
            self._attempt.watch.shift(late_ms)

    # -- the member's side -------------------------------------------------------------------
    def on_propose(self, message: Propose, now_ms: int) -> list[Send | Trace]:
        """V1: obey the highest ballot: freeze, promise, report.

        Raises:
            RemoteProtocolError: it can't lead to a view; nothing changed.
        """
        ballot = message.ballot
        if ballot <= self.promised:
            return []
        check_members(self.me, message, self._settings.view_members_max)
        if self.role is not Role.IDLE and ballot.coordinator != self.me:
            self._go(Progress.GIVE_UP)
        self._move(Step.PROMISE)
        self.promised = ballot
        self.sync = None
        self._frozen_ms = now_ms
        return [
            _trace("ballot_promised", ballot, message.members),
            Send((ballot.coordinator,), Accept(ballot, self._report())),
        ]

    def on_sync(self, message: Sync, now_ms: int) -> bool:
        """V3: the plan of the promised ballot; False if it is of another.

        Raises:
            RemoteProtocolError: nobody could follow it; nothing changed.
        """
        if message.ballot != self.promised or self.phase is not Phase.PROMISED:
            return False
        check_members(self.me, message, self._settings.view_members_max)
        check_plan(self.me, message, self.view)
        self._move(Step.PLAN)
        self.sync = message
        self._frozen_ms = now_ms
        return True

    def recovered(self, groups: tuple[GroupState, ...]) -> list[Send | Trace]:
        """V4: all that the plan names is here; `groups` as the flush will leave them.

        A cohort has one map (G1): one member tells it, and only if there are others to be told.
        """
        assert self.sync is not None, "recovery follows a plan"
        self._move(Step.RECOVERED)
        cohort = self.sync.plan.cohort
        is_told = cohort[0] == self.me and cohort != self.sync.members
        ready = Ready(self.promised, groups if is_told else ())
        return [Send((self.promised.coordinator,), ready)]

    def on_install(self, message: Install, now_ms: int) -> View | None:
        """V5: the new view, or None if it isn't the one this node promised and is ready for."""
        if message.ballot != self.promised or self.phase is not Phase.READY:
            return None
        assert self.sync is not None, "who is ready has a plan"
        self._move(Step.INSTALL)
        self.view = View(id=message.ballot, members=self.sync.members)
        self.sync = None
        self._entered_ms = self._frozen_ms = now_ms
        self._entering.begin(now_ms)
        self._lacking_ms = self._following_ms = None
        self._foreign = ()
        return self.view

    # -- the proposer's side -----------------------------------------------------------------
    def on_accept(self, node: NodeId, message: Accept, now_ms: int) -> list[Send | Trace]:
        """V2: when all have reported, tell each cohort what to recover.

        Raises:
            RemoteProtocolError: no plan can be made of it; nothing changed.
        """
        attempt = self._attempt
        if (
            attempt is None
            or self.role is not Role.COLLECTING
            or message.ballot != attempt.ballot
            or node not in attempt.members
        ):
            return []
        check_report(message.report, list(attempt.reports.values()))
        attempt.reports[node] = message.report
        if len(attempt.reports) < len(attempt.members):
            return []
        self._go(Progress.REPORTED)
        attempt.watch.begin(now_ms)
        attempt.plans = make_plans(attempt.reports)
        return [
            Send(plan.cohort, Sync(attempt.ballot, attempt.members, plan))
            for plan in attempt.plans.values()
        ]

    def on_ready(self, node: NodeId, message: Ready) -> list[Send | Trace]:
        """V4: when all are ready, the view is made."""
        attempt = self._attempt
        if (
            attempt is None
            or self.role is not Role.SYNCING
            or message.ballot != attempt.ballot
            or node not in attempt.members
        ):
            return []
        attempt.ready.add(node)
        attempt.groups[node] = message.groups
        if len(attempt.ready) < len(attempt.members):
            return []
        self._go(Progress.READY)
        return attempt.installs()

    # -- when to begin -----------------------------------------------------------------------
    def consider(self, detector: FailureDetector, now_ms: int) -> list[Send | Trace]:
        """Begin, repeat or give up an attempt if it is time. Called at every tick and change."""
        self.due_ms = None
        if self._attempt is not None:
            return self._watch_attempt(self._attempt, detector, now_ms)
        alive = detector.alive
        missing = [member for member in self.view.members if member not in alive]
        if not missing and not self.is_frozen:
            self._lacking_ms = None
        elif self._lacking_ms is None:
            self._lacking_ms = now_ms
        if self.is_frozen:
            self._note_proposer(detector)
        if detector.leader != self.me:
            return self._go_alone(detector, now_ms)
        return self._lead(detector, now_ms)

    def _note_proposer(self, detector: FailureDetector) -> None:
        """V8: while it says that it stands by this ballot, whatever holds it up is its affair."""
        proposer = self.promised.coordinator
        peer = detector.peer(proposer)
        if peer is not None and peer.promised == self.promised and peer.follows == proposer:
            self._frozen_ms = max(self._frozen_ms, peer.heard_ms)

    def _is_due(self, since_ms: int, wait_ms: int, now_ms: int) -> bool:
        """True if more than `wait_ms` have gone by; if not, `due_ms` is when."""
        due_ms = since_ms + wait_ms + 1
        if now_ms >= due_ms:
            return True
        self.due_ms = due_ms if self.due_ms is None else min(self.due_ms, due_ms)
        return False

    def _wanted(self, detector: FailureDetector) -> tuple[NodeId, ...]:
        """Whom this node would lead: of the strangers none that couldn't answer."""
        members = self.view.members
        found = detector.followers(members)
        return tuple(q for q in found if q in members or not detector.is_stuck(q))

    def _lead(self, detector: FailureDetector, now_ms: int) -> list[Send | Trace]:
        """V6: who leads proposes whenever its view isn't what it could be."""
        wanted = self._wanted(detector)
        if self.is_frozen:
            # Somebody else's attempt. If it can't end, or takes too long, make a better one.
            lost = self.promised.coordinator not in detector.alive
            if lost or self._is_due(self._frozen_ms, 2 * self._settings.attempt_ms, now_ms):
                return self._begin(wanted, detector, now_ms)
            return []
        foreign = tuple(node for node in wanted if node not in self.view.members)
        if foreign != self._foreign:
            self._foreign, self._foreign_ms = foreign, now_ms
        missing = [member for member in self.view.members if member not in wanted]
        if not missing:
            self._following_ms = None
            if self._are_due(foreign, detector, now_ms) or self._astray(detector, now_ms):
                return self._begin(wanted, detector, now_ms)
            return []
        if all(member not in detector.alive for member in missing):
            return self._begin(wanted, detector, now_ms)
        # A member that we hear follows somebody else, or another member doesn't hear it: perhaps
        # that will pass soon.
        if self._following_ms is None:
            self._following_ms = now_ms
        # Who is lower, and we lead, was waited for already (F8): the others are about to find so.
        is_late = any(member in detector.alive and member > self.me for member in missing)
        wait_ms = self._settings.follow_ms if is_late else self._settings.settle_ms
        if self._is_due(self._following_ms, wait_ms, now_ms):
            return self._begin(wanted, detector, now_ms)
        return []

    def _are_due(self, foreign: tuple[NodeId, ...], detector: FailureDetector, now_ms: int) -> bool:
        """V6: newcomers were there for long enough, and no member would be put out for them."""
        if not foreign or any(detector.is_stuck(member) for member in self.view.members):
            return False
        settings = self._settings
        wait_ms = settings.settle_quiet_ms if detector.is_quiet() else settings.settle_ms
        return self._is_due(self._foreign_ms, wait_ms, now_ms)

    def _astray(self, detector: FailureDetector, now_ms: int) -> bool:
        """V7: a member sits in another view, though it had time to install this one."""
        settings, links = self._settings, self._links
        for member in self.view.members:
            peer = detector.peer(member)
            if peer is None or peer.view == self.view.id:
                continue
            since_ms, wait_ms = self._entered_ms, 2 * settings.attempt_ms
            is_waiting = peer.promised == self.view.id and detector.can_move(member)
            if is_waiting and links.is_on_way(member):  # the Install
                since_ms = self._entering.since_ms(member, links.reached(member), now_ms)
                wait_ms = settings.recover_ms
            if self._is_due(since_ms, wait_ms, now_ms):
                return True
        return False

    def _go_alone(self, detector: FailureDetector, now_ms: int) -> list[Send | Trace]:
        """V8: a member is missing and whoever should propose doesn't: go on alone."""
        if self._lacking_ms is None:
            return []
        wait_ms = self._settings.alone_ms
        if self.is_frozen:
            wait_ms += 3 * self._settings.attempt_ms
        since_ms = max(self._lacking_ms, self._frozen_ms if self.is_frozen else 0)
        leader = detector.peer(detector.leader)
        if leader is not None and self._is_proposing(detector.leader, leader):
            since_ms = max(since_ms, leader.heard_ms)
        if not self._is_due(since_ms, wait_ms, now_ms):
            return []
        return self._begin((self.me,), detector, now_ms)

    def _is_proposing(self, node: NodeId, peer: Peer) -> bool:
        """V8: a proposal of `node`, which would have us, may be on its way."""
        is_at_it = peer.promised.coordinator == node and peer.promised > peer.view
        return is_at_it and peer.promised > self.promised and self.me in peer.leads

    def _watch_attempt(
        self, attempt: Attempt, detector: FailureDetector, now_ms: int
    ) -> list[Send | Trace]:
        """V9: repeat without those who died or were silent, under a higher ballot."""
        alive = detector.alive
        wanted = self._wanted(detector)
        if any(member not in alive for member in attempt.members):
            return self._again(wanted, "member lost", detector, now_ms)
        late: list[NodeId] = []
        is_outbid = False
        for member in attempt.silent:
            peer = detector.peer(member)
            if peer is not None and peer.promised > attempt.ballot:
                is_outbid = True  # it won't answer this one, and isn't to blame
                continue
            number, wait_ms = attempt.patience(member, detector, self._links, self._settings)
            if self._is_due(attempt.watch.since_ms(member, number, now_ms), wait_ms, now_ms):
                late.append(member)
        for member in late:
            detector.accuse(member, now_ms)
        if late or is_outbid:
            why = "silence" if late else "outbid"
            return self._again(self._wanted(detector), why, detector, now_ms)
        return []

    def _again(
        self, wanted: tuple[NodeId, ...], why: str, detector: FailureDetector, now_ms: int
    ) -> list[Send | Trace]:
        assert self._attempt is not None, "only an attempt can be repeated"
        fields: dict[str, object] = {"ballot": str(self._attempt.ballot), "why": why}
        self._go(Progress.GIVE_UP)
        effects: list[Send | Trace] = [Trace("attempt_given_up", fields)]
        if detector.leader == self.me:
            effects += self._begin(wanted, detector, now_ms)
        return effects

    def _begin(
        self, members: tuple[NodeId, ...], detector: FailureDetector, now_ms: int
    ) -> list[Send | Trace]:
        epoch = max(self.promised.epoch, detector.epoch) + 1
        ballot = ViewId(epoch, self.me)
        self._go(Progress.BEGIN)
        self._attempt = Attempt(ballot, members, now_ms)
        return [
            _trace("attempt_begun", ballot, members),
            Send(members, Propose(ballot, members)),
        ]


def _trace(event: str, ballot: ViewId, members: tuple[NodeId, ...]) -> Trace:
    fields: dict[str, object] = {"ballot": str(ballot), "members": [str(node) for node in members]}
    return Trace(event, fields)
