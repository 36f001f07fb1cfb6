"""Planted bugs whose moment is too short for chance: each falls in a test that is steered there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import test_acknowledged_changes as acknowledged
import test_bringing_up as bringing_up
import test_far_epochs as far_epochs
import test_forks as forks
import test_replica as replicas
import test_unfounded_history as unfounded
import test_voting as voting_tests
from kb_mutants import Patch

from zactor.kernel.ids import Clock
from zactor.kernel.messages.knowledge import KbAttempt, Primary
from zactor.kernel.replication import formation, voting
from zactor.kernel.replication.durable_state import DurableState
from zactor.kernel.replication.fork_check import ForkCheck
from zactor.kernel.replication.formation import Formation, Phase
from zactor.kernel.replication.log import History
from zactor.kernel.replication.view_state import ViewState


def _decides_as_soon_as_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewState._form

    def form(self: ViewState, attempt: KbAttempt, before: Primary | None) -> None:
        real(self, attempt, before)
        for name in attempt.primary.members:
            self._disk_quorum.hear(name, attempt.primary.epoch, attempt.number)
        self._advance()

    monkeypatch.setattr(ViewState, "_form", form)


def _claims_before_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    real = DurableState.form

    def form(self: DurableState, attempt: KbAttempt, me: str) -> int:
        real(self, attempt, me)
        return 0

    monkeypatch.setattr(DurableState, "form", form)
    began = ViewState._begin_primary

    def begin_primary(self: ViewState, attempt: KbAttempt) -> None:
        began(self, attempt)
        self._claim()

    monkeypatch.setattr(ViewState, "_begin_primary", begin_primary)


def _forgets_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = DurableState.standing

    def standing(self: DurableState, *args: Any) -> Any:
        return msgspec.structs.replace(real(self, *args), used=0)

    monkeypatch.setattr(DurableState, "standing", standing)


def _members_without_memory_count(monkeypatch: pytest.MonkeyPatch) -> None:
    real = voting._shortfall

    def shortfall(me: str, voters: Any, camp: Any, standings: Any) -> str:
        last = max(one.formed for one in standings if one.formed is not None)
        return "" if camp >= set(last.members) else real(me, voters, camp, standings)

    monkeypatch.setattr(voting, "_shortfall", shortfall)


def _disks_that_went_back_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "went_back", lambda standings: frozenset())


def _who_has_no_vote_founds(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_be_founded(self: Formation) -> bool:
        verdict = self.verdict
        return self.phase is Phase.WAITING and verdict is not None and not verdict.voters

    monkeypatch.setattr(Formation, "may_be_founded", property(may_be_founded))


def _compares_at_equal_clocks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = History.agrees

    def agrees(self: History, clock: Clock, digest: bytes) -> bool | None:
        return real(self, clock, digest) if clock == self.clock else None

    monkeypatch.setattr(History, "agrees", agrees)


def _nobody_is_told_of_its_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkCheck, "told", lambda self, name: "")


def _whoever_votes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = formation.is_near

    def near(verdict: Any, standings: Any, log: Any) -> Any:
        return [
            name
            for name in verdict.camp
            if real(log, standings[name], is_voter=name in verdict.voters)
        ]

    monkeypatch.setattr(formation, "_near", near)


def _keeps_nothing_that_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViewState, "_keep_what_came", lambda self: None)


def _believes_any_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "out_of_reach", lambda standings: frozenset())


def _takes_up_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def propose(self: Formation, name: str, attempt: KbAttempt) -> bool:
        self.attempt, self._said = attempt, set()
        return name == self.proposer

    monkeypatch.setattr(Formation, "propose", propose)


def _decides_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary that is about to give way to another decides to its end."""
    real = ViewState._advance

    def advance(self: ViewState) -> None:
        attempt, self.formation.attempt = self.formation.attempt, None
        real(self)
        self.formation.attempt = attempt

    monkeypatch.setattr(ViewState, "_advance", advance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """A bug, and the test of the real replica that falls with it."""

    words: str
    patch: Patch
    test: Patch


STEERED: dict[str, Steered] = {
    "decides as soon as formed": Steered(
        words="entries of an older epoch are decided before the new one is on a majority's disks",
        patch=_decides_as_soon_as_formed,
        test=lambda _: (
            acknowledged.test_a_change_that_the_new_primary_decides_stays_whoever_forms_the_next_one()
        ),
    ),
    "claims before its mark": Steered(
        words="a member speaks in a primary that isn't on its disk",
        patch=_claims_before_its_mark,
        test=lambda _: (
            acknowledged.test_a_change_is_acknowledged_when_a_majority_has_the_new_primary_on_disk()
        ),
    ),
    "forgets numbers": Steered(
        words="the number of an attempt that failed is given again",
        patch=_forgets_numbers,
        test=lambda _: (
            acknowledged.test_a_number_that_an_attempt_has_used_is_never_that_of_another()
        ),
    ),
    "members without memory count": Steered(
        words="a view of all members of the last primary goes on though a disk is new",
        patch=_members_without_memory_count,
        test=lambda _: acknowledged.test_a_lost_disk_never_makes_two_primaries(),
    ),
    "disks that went back count": Steered(
        words="a member votes that has not recorded what it is known to have recorded",
        patch=_disks_that_went_back_count,
        test=lambda _: (
            acknowledged.test_a_disk_that_went_back_has_no_vote_and_joins_again_by_itself()
        ),
    ),
    "who has no vote founds": Steered(
        words="a node founds another cluster with a history that it has taken over",
        patch=_who_has_no_vote_founds,
        test=unfounded.test_a_node_with_a_history_and_no_vote_founds_no_cluster_with_it,
    ),
    "compares at equal clocks only": Steered(
        words="who has gone on with an old copy replaces the others' history",
        patch=_compares_at_equal_clocks_only,
        test=lambda _: (
            forks.test_who_went_on_with_an_old_copy_stops_and_the_majority_keeps_its_history()
        ),
    ),
    "nobody is told of its fork": Steered(
        words="who is behind with another history goes on until it is overwritten",
        patch=_nobody_is_told_of_its_fork,
        test=lambda _: forks.test_who_is_behind_is_told_that_its_history_is_another(),
    ),
    "whoever votes is waited for": Steered(
        words="a member that was away stops the majority until it has all",
        patch=_whoever_votes_is_waited_for,
        test=bringing_up.test_a_member_that_was_away_for_long_does_not_stop_a_majority_that_works,
    ),
    "keeps nothing that came": Steered(
        words="with each view a newcomer begins anew",
        patch=_keeps_nothing_that_came,
        test=bringing_up.test_a_newcomer_is_brought_up_while_another_node_comes_and_goes,
    ),
    "believes any epoch": Steered(
        words="one member's absurd epoch is followed",
        patch=_believes_any_epoch,
        test=lambda _: voting_tests.test_a_member_that_names_an_epoch_out_of_reach_is_a_stranger(),
    ),
    "takes up any number": Steered(
        words="an attempt may have any number",
        patch=_takes_up_any_number,
        test=lambda _: far_epochs.test_an_attempt_of_an_epoch_far_ahead_is_refused(),
    ),
    "decides for the next": Steered(
        words="what is ordered while a primary is reshaped is decided by the old majority alone",
        patch=_decides_for_the_next,
        test=lambda _: (
            replicas.test_while_a_primary_gives_way_to_another_what_is_ordered_waits_for_the_other()
        ),
    ),
}
"""Rules whose moment is too short for chance."""
