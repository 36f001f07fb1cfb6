"""An attempt at a view: a proposer's places, and its notes on one ballot.

The rule a reader must not break: what an attempt waits for is an answer or a sign that one comes
nearer (V9). So no time alone ends it, and nobody who moves is accused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from zactor.kernel.groups.effects import Send
from zactor.kernel.groups.failure_detector import FailureDetector
from zactor.kernel.groups.link_progress import LinkProgress, ProgressWatch
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import CohortGroups, GroupState, Install, Plan, Report
from zactor.kernel.messages.views import ViewId


class Role(enum.Enum):
    """A proposer's place."""

    IDLE = "idle"
    COLLECTING = "collecting"  # Propose is out, reports come
    SYNCING = "syncing"  # Sync is out, the members recover


class Progress(enum.Enum):
    """What moves a proposer."""

    BEGIN = "begin"
    REPORTED = "reported"  # by all
    READY = "ready"  # all of them
    GIVE_UP = "give up"  # somebody was silent or died, or a higher ballot was seen


PROPOSER: Mapping[Role, Mapping[Progress, Role]] = {
    Role.IDLE: {Progress.BEGIN: Role.COLLECTING},
    Role.COLLECTING: {Progress.REPORTED: Role.SYNCING, Progress.GIVE_UP: Role.IDLE},
    Role.SYNCING: {Progress.READY: Role.IDLE, Progress.GIVE_UP: Role.IDLE},
}


class Attempt:
    """A proposer's notes on one ballot."""

    __slots__ = ("ballot", "groups", "members", "plans", "ready", "reports", "watch")

    def __init__(self, ballot: ViewId, members: tuple[NodeId, ...], now_ms: int) -> None:
        self.ballot = ballot
        self.members = members
        self.watch = ProgressWatch(now_ms)  # since this role was entered
        self.reports: dict[NodeId, Report] = {}
        self.plans: dict[ViewId, Plan] = {}  # empty until all have reported
        self.ready: set[NodeId] = set()
        self.groups: dict[NodeId, tuple[GroupState, ...]] = {}

    @property
    def silent(self) -> list[NodeId]:
        """Who hasn't answered the present step."""
        answered = self.ready if self.plans else self.reports
        return [member for member in self.members if member not in answered]

    def patience(
        self, member: NodeId, detector: FailureDetector, links: LinkProgress, settings: Settings
    ) -> tuple[int, int]:
        """V9: a number that grows while `member` makes progress, and how many ms it may not.

        What it hasn't answered yet is on its way to it, or its answer is on its way here, or, when
        there are plans, messages of the cohort are on their way to it; or it owes us an answer.
        """
        can_move = detector.can_move(member)
        if self.plans:
            number = links.gathered(member, self.members) + links.came(member)
            return number, settings.recover_ms if can_move else settings.awaited_ms
        peer, number = detector.peer(member), links.reached(member)
        if can_move and peer is not None and peer.promised == self.ballot:
            return number + links.came(member), settings.recover_ms
        is_coming = can_move and links.is_on_way(member)
        return number, settings.recover_ms if is_coming else settings.attempt_ms

    def installs(self) -> list[Send | Trace]:
        """V5: what each cohort must be told when all are ready: its own groups it has."""
        cohorts = [
            CohortGroups(plan.cohort, self.groups[plan.cohort[0]]) for plan in self.plans.values()
        ]
        installs: list[Send | Trace] = []
        for own in cohorts:
            bare = CohortGroups(own.cohort, ())
            told = tuple(bare if one is own else one for one in cohorts)
            installs.append(Send(own.cohort, Install(self.ballot, told)))
        return installs


def with_own(
    cohorts: tuple[CohortGroups, ...], own: tuple[NodeId, ...], groups: tuple[GroupState, ...]
) -> tuple[CohortGroups, ...]:
    """What all cohorts bring: `groups` is what our `own` one brings, which wasn't told."""
    return tuple(CohortGroups(own, groups) if one.cohort == own else one for one in cohorts)
