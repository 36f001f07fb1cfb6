"""Planted bugs in the real machines, each with the one checker that must catch it.

A mutant changes one decision and nothing else, so that it breaks one invariant and no other: that
proves that no checker is there for nothing. `also` are mutants of the algorithm's known weak
places, which may break several at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from zactor.kernel.groups import effects, engine, multicast, recovery
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.failure_detector import FailureDetector, Peer
from zactor.kernel.groups.flush import Flush
from zactor.kernel.groups.gaps import DuplicateFilter
from zactor.kernel.groups.multicast import ViewMulticast
from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.groups.process_groups import ProcessGroups
from zactor.kernel.groups.recovery import Schedule
from zactor.kernel.groups.stability import Stability
from zactor.kernel.groups.view_agreement import ViewAgreement
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupPacket, Kind, Plan
from zactor.kernel.messages.service import TICKETED, Service
from zactor.kernel.messages.views import View
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.run import play, play_storm

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug, who catches it, and seeds that show it."""

    words: str
    caught_by: tuple[str, ...]
    patch: Patch
    seeds: range  # played until one shows it
    storm: bool = False  # the runs are storms, for what is rare otherwise
    crashes: float = 0.0  # a second, in storms
    changes_groups: bool = True

    def caught(self, *, in_all: bool = False) -> set[str]:
        """Play the seeds, all or until its catcher complains; return who does."""
        found: set[str] = set()
        for seed in self.seeds:
            if self.storm:
                lines = play_storm(seed, changes_groups=self.changes_groups, crashes=self.crashes)
            else:
                lines = play(seed, changes_groups=self.changes_groups)
            found |= set(check_all(lines))
            if found & set(self.caught_by) and not in_all:
                break
        return found


def _ghost_member(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()

    def installed(view: View) -> effects.ViewInstalled:
        if len(view.members) == 2 and view.id.epoch % 2:
            ghost = NodeId("z", next(numbers))
            view = View(id=view.id, members=(*view.members, ghost))
        return effects.ViewInstalled(view)

    monkeypatch.setattr(engine, "ViewInstalled", installed)


def _twice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ordering.undelivered

    def undelivered(self: Ordering, places: Any) -> list[GroupPacket]:
        found = real(self, places)
        return found + [packet for packet in found if packet.service in TICKETED][:1]

    monkeypatch.setattr(Ordering, "undelivered", undelivered)


def _wrong_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast._give

    def give(self: ViewMulticast, ready: Sequence[GroupPacket], transitional: bool) -> Any:
        return real(self, ready, False)

    monkeypatch.setattr(ViewMulticast, "_give", give)


def _own_last_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast.leave_view

    def leave_view(self: ViewMulticast, sync: Any) -> Any:
        after = self.flush.transitional
        if sync.plan.cohort == (self.me,) and after:
            last = after[-1]
            tip = self._order.streams[self.me].tip
            plain = last.kind is Kind.DATA and last.service is not Service.SAFE
            if plain and last.sender == self.me and last.sequence == tip:
                self.flush.transitional = after[:-1]
        return real(self, sync)

    monkeypatch.setattr(ViewMulticast, "leave_view", leave_view)


def _fifo_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ordering._run

    def run(self: Ordering, stream: Any, ready: list[GroupPacket]) -> None:
        count = len(ready)
        real(self, stream, ready)
        ready[count:] = reversed(ready[count:])

    monkeypatch.setattr(Ordering, "_run", run)


def _everyone_obliged(monkeypatch: pytest.MonkeyPatch) -> None:
    def schedule(plan: Plan) -> Schedule:
        senders = tuple(state.sender for state in plan.streams)
        plan = Plan(plan.view, plan.cohort, plan.delivered, plan.stable, senders, plan.streams)
        return recovery.make_schedule(plan)

    monkeypatch.setattr(engine, "make_schedule", schedule)


def _neighbours_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast._give

    def give(self: ViewMulticast, ready: Sequence[GroupPacket], transitional: bool) -> Any:
        swapped = list(ready)
        for index in range(len(swapped) - 1):
            one, two = swapped[index], swapped[index + 1]
            concurrent = one.ticket and two.ticket == one.ticket + 1 and two.line < one.ticket
            plain = one.kind is Kind.DATA and two.kind is Kind.DATA
            # Two logs that disagree are enough, so not every node does it.
            if concurrent and plain and one.sender != two.sender and self.me.name in ("n2", "n3"):
                swapped[index], swapped[index + 1] = two, one
        return real(self, swapped, transitional)

    monkeypatch.setattr(ViewMulticast, "_give", give)


def _safe_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ordering.deliverable
    monkeypatch.setattr(Ordering, "deliverable", lambda self, stable: real(self, 1 << 40))


def _cut_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast.leave_view

    def leave_view(self: ViewMulticast, sync: Any) -> Any:
        flush = self.flush
        late = [packet for packet in flush.regular if packet.service is not Service.RELIABLE]
        early = [packet for packet in flush.regular if packet.service is Service.RELIABLE]
        flush.regular, flush.transitional = early, late + flush.transitional
        return real(self, sync)

    monkeypatch.setattr(ViewMulticast, "leave_view", leave_view)


def _one_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def transitional(view: Any, members: tuple[NodeId, ...]) -> effects.Transitional:
        return effects.Transitional(view, members[:-1] if len(members) > 1 else members)

    monkeypatch.setattr(multicast, "Transitional", transitional)


def _losses_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ProcessGroups.install

    def install(self: ProcessGroups, view: Any, cohorts: Any) -> list[Any]:
        real(self, view, cohorts)
        return []

    monkeypatch.setattr(ProcessGroups, "install", install)


def _repeats_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DuplicateFilter, "is_new", lambda self, number: True)


def _reliable_unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast.leave_view

    def leave_view(self: ViewMulticast, sync: Any) -> Any:
        kept = [one for one in self.flush.regular if one.service is not Service.RELIABLE]
        self.flush.regular = kept
        return real(self, sync)

    monkeypatch.setattr(ViewMulticast, "leave_view", leave_view)


def _never_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewAgreement._lead

    def lead(self: ViewAgreement, detector: Any, now_ms: int) -> Any:
        if not self.is_frozen and all(node in detector.alive for node in self.view.members):
            return []
        return real(self, detector, now_ms)

    monkeypatch.setattr(ViewAgreement, "_lead", lead)


def _held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_held(self: FailureDetector, peer: Peer, now_ms: int) -> bool:
        return peer.flaps > 0

    monkeypatch.setattr(FailureDetector, "_is_held", is_held)


def _nothing_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flush, "is_complete", True)


def _obligation_unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Flush.report

    def report(self: Flush, stable: int) -> Any:
        self._obligation = ()
        return real(self, stable)

    monkeypatch.setattr(Flush, "report", report)


def _no_obligation(monkeypatch: pytest.MonkeyPatch) -> None:
    def schedule(plan: Plan) -> Schedule:
        plan = Plan(plan.view, plan.cohort, plan.delivered, plan.stable, (), plan.streams)
        return recovery.make_schedule(plan)

    monkeypatch.setattr(engine, "make_schedule", schedule)


def _learns_when_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Engine._of_view

    def of_view(self: Engine, peer: NodeId, message: Any) -> None:
        frozen = self.agreement.is_frozen and message.view == self.view.id
        if frozen and isinstance(message, GroupPacket) and message.sequence:
            self._add(self.multicast.receive(peer, message, self._now_ms))
        else:
            real(self, peer, message)

    monkeypatch.setattr(Engine, "_of_view", of_view)


def _own_line_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Stability.hear

    def hear(self: Stability, member: NodeId, line: int, streams: Any, now_ms: int) -> None:
        real(self, member, line, streams, now_ms)
        self.line = max(self.line, line)  # the best in place of the worst

    monkeypatch.setattr(Stability, "hear", hear)


MUTANTS: dict[str, Mutant] = {
    "a_member_that_is_not": Mutant(
        words="a view of two is installed with a third that doesn't exist",
        caught_by=("G1",),
        patch=_ghost_member,
        seeds=range(24),
    ),
    "delivered_twice": Mutant(
        words="recovery delivers its first ticketed message twice",
        caught_by=("G2",),
        patch=_twice,
        seeds=range(24),
    ),
    "wrong_configuration": Mutant(
        words="deliveries after the transitional signal say that they are regular",
        caught_by=("G3",),
        patch=_wrong_flag,
        seeds=range(24),
    ),
    "own_message_dropped": Mutant(
        words="who goes on alone forgets the last message it sent",
        caught_by=("G4",),
        patch=_own_last_dropped,
        seeds=range(24),
        storm=True,
        changes_groups=False,
    ),
    "fifo_reversed": Mutant(
        words="FIFO messages that waited for a ticket come in the wrong order",
        caught_by=("G5",),
        patch=_fifo_reversed,
        seeds=range(24),
    ),
    "gap_ignored": Mutant(
        words="beyond a gap everything is delivered, whoever sent it",
        caught_by=("G6",),
        patch=_everyone_obliged,
        seeds=range(16, 40),
        storm=True,
        changes_groups=False,
    ),
    "neighbours_swapped": Mutant(
        words="two nodes swap neighbouring tickets that don't depend on each other",
        caught_by=("G7",),
        patch=_neighbours_swapped,
        seeds=range(24),
    ),
    "safe_too_early": Mutant(
        words="SAFE is delivered like AGREED",
        caught_by=("G8",),
        patch=_safe_too_early,
        seeds=range(24, 48),
    ),
    "cut_dropped": Mutant(
        words="what recovery brought is all delivered after the signal",
        caught_by=("G9",),
        patch=_cut_forgotten,
        seeds=range(24),
        changes_groups=False,
    ),
    "one_left_out": Mutant(
        words="the transitional signal doesn't name the cohort's last member",
        caught_by=("G10",),
        patch=_one_left_out,
        seeds=range(24),
        changes_groups=False,
    ),
    "losses_untold": Mutant(
        words="groups don't hear of changes by the network",
        caught_by=("G11",),
        patch=_losses_untold,
        seeds=range(24),
    ),
    "repeats_delivered": Mutant(
        words="UNRELIABLE messages that come twice are delivered twice",
        caught_by=("G12",),
        patch=_repeats_forgotten,
        seeds=range(24),
    ),
    "reliable_unshared": Mutant(
        words="recovery delivers no RELIABLE messages",
        caught_by=("G12",),
        patch=_reliable_unshared,
        seeds=range(24),
    ),
    "held_down_for_ever": Mutant(
        words="a peer that flapped is never taken back",
        caught_by=("live",),
        patch=_held_for_ever,
        seeds=range(24),
    ),
    "never_merges": Mutant(
        words="newcomers are never proposed",
        caught_by=("live",),
        patch=_never_merges,
        seeds=range(24),
    ),
}
"""Each is caught by one checker alone, in all these runs together."""

ALSO: dict[str, Mutant] = {
    "nothing_recovered": Mutant(
        words="ready is said before the plan's messages are here",
        caught_by=("G8", "G9"),
        patch=_nothing_recovered,
        seeds=range(24),
        storm=True,
    ),
    "no_obligation": Mutant(
        words="beyond a gap nothing is delivered, whoever sent it",
        caught_by=("G4",),
        patch=_no_obligation,
        seeds=range(24),
        storm=True,
    ),
    "obligation_unshared": Mutant(
        words="an attempt that failed after recovery leaves no obligation",
        caught_by=("G8",),
        patch=_obligation_unshared,
        seeds=range(306, 318),
        storm=True,
        crashes=0.5,
        changes_groups=False,
    ),
    "learns_when_frozen": Mutant(
        words="a node whose report is out takes in and delivers what comes",
        caught_by=("G9",),
        patch=_learns_when_frozen,
        seeds=range(24),
        storm=True,
    ),
    "stable_too_early": Mutant(
        words="the stable line is the best acknowledgement, not the worst",
        caught_by=("G8",),
        patch=_own_line_is_all,
        seeds=range(20, 44),
    ),
}
"""Known weak places of the algorithm."""
