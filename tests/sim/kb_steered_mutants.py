"""Planted bugs whose moment is too short for chance: each falls in a test that is steered there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
import test_acknowledged_changes as acknowledged
import test_bringing_up as bringing_up
import test_far_epochs as far_epochs
import test_forgotten_members as forgotten
import test_forks as forks
import test_recovered_clusters as recovered
import test_replica as replicas
import test_unfounded_history as unfounded
import test_voting as voting_tests
from kb_mutants import Patch

from zactor.kernel import limits
from zactor.kernel.ids import Clock
from zactor.kernel.messages.knowledge import KbAttempt, KbNote, Primary
from zactor.kernel.replication import formation, voting
from zactor.kernel.replication.durable_state import DurableState
from zactor.kernel.replication.fork_check import ForkCheck
from zactor.kernel.replication.formation import Formation, Phase
from zactor.kernel.replication.log import History
from zactor.kernel.replication.replica import Replica
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
    monkeypatch.setattr(voting, "has_memory", lambda standing: True)


def _disks_that_went_back_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "went_back", lambda standings: frozenset())


def _who_has_a_history_founds(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_be_founded(self: Formation) -> bool:
        return self.phase is Phase.WAITING and self.verdict is not None

    monkeypatch.setattr(Formation, "may_be_founded", property(may_be_founded))
    monkeypatch.setattr(Formation, "_is_expected", lambda *_: True)  # else it would be dropped


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


def _believes_newcomers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = voting.out_of_reach

    def out_of_reach(standings: voting.Standings) -> frozenset[str]:
        return real({name: one for name, one in standings.items() if voting.founding_of(one)})

    monkeypatch.setattr(voting, "out_of_reach", out_of_reach)


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


def _keeps_the_name_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replica.recover
    monkeypatch.setattr(Replica, "recover", lambda self, _, at: real(self, self.founding, at))


def _leaves_with_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who recorded the attempt to recover is of the new cluster, formed or not."""
    real = voting.founding_of
    monkeypatch.setattr(
        voting,
        "founding_of",
        lambda one: one.attempts[-1].founding if one.attempts else real(one),
    )


def _stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who recorded the attempt to recover is of the old cluster, whoever formed it."""
    monkeypatch.setattr(voting, "_camp_of", lambda standing, formed: voting.founding_of(standing))


def _a_word_counts_later_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewState._note

    def note(self: ViewState, name: str, said: KbNote, transitional: bool) -> None:
        mine = msgspec.structs.replace(said, view=self._view.id)
        real(self, name, mine, transitional)

    monkeypatch.setattr(ViewState, "_note", note)


def _forgets_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Formation.forget

    def forget(self: Formation, name: str) -> Any:
        verdict = self.verdict
        assert verdict is not None
        voters = tuple(one for one in verdict.voters if one != name)
        self.verdict = replace(verdict, voters=voters)
        return real(self, name)

    monkeypatch.setattr(Formation, "forget", forget)


def _forgets_in_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DurableState, "forget", lambda self, forgotten: None)


def _forgotten_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word holds for the primaries that follow as well."""
    monkeypatch.setattr(
        voting,
        "counted",
        lambda primary, forgotten: tuple(m for m in primary.members if m not in forgotten),
    )
    monkeypatch.setattr(
        voting,
        "forgotten_in",
        lambda standings: dict(word for one in standings.values() for word in one.forgotten),
    )


def _a_word_is_never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        voting,
        "forgotten_in",
        lambda standings: dict(word for one in standings.values() for word in one.forgotten),
    )


def _a_forgotten_decider_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who are left half is enough."""
    real = voting.decides

    def decides(primary: Primary, present: Any, forgotten: Any = voting.NOBODY) -> bool:
        left = voting.counted(primary, forgotten)
        half = bool(forgotten) and 2 * sum(one in present for one in left) == len(left)
        return half or real(primary, present, forgotten)

    monkeypatch.setattr(voting, "decides", decides)


def _numbers_follow_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KB_EPOCHS_RECOVERED", 0)


def _replaces_what_lies_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for what it lacks may have applied more than who brings it up."""
    real = ForkCheck.compare

    def compare(self: ForkCheck, *args: Any, asks: bool = False) -> str:
        return real(self, *args)

    monkeypatch.setattr(ForkCheck, "compare", compare)


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
    "who has a history founds": Steered(
        words="a node founds another cluster with a history that it has taken over",
        patch=_who_has_a_history_founds,
        test=unfounded.test_a_node_that_was_not_let_in_yet_founds_no_cluster_with_its_history,
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
    "believes newcomers": Steered(
        words="the absurd epoch of a member without a cluster is followed",
        patch=_believes_newcomers,
        test=lambda _: (
            voting_tests.test_a_newcomer_that_names_an_epoch_out_of_reach_is_a_stranger()
        ),
    ),
    "takes up any number": Steered(
        words="an attempt may have any number",
        patch=_takes_up_any_number,
        test=lambda _: far_epochs.test_an_attempt_of_an_epoch_far_ahead_is_refused(),
    ),
    "keeps the name of the cluster": Steered(
        words="a recovered cluster takes in, and replaces, who was thought dead",
        patch=_keeps_the_name_of_the_cluster,
        test=lambda _: (
            recovered.test_who_comes_back_after_a_recovery_is_a_stranger_and_loses_nothing(
                ("n2", "n3")
            )
        ),
    ),
    "leaves with an attempt": Steered(
        words="an attempt to recover that may have failed takes its voices out of their cluster",
        patch=_leaves_with_an_attempt,
        test=lambda _: (
            recovered.test_an_undecided_recovery_binds_who_recorded_it_in_the_old_cluster()
        ),
    ),
    "stays behind": Steered(
        words="who heard too late that its cluster is recovered is a stranger to it",
        patch=_stays_behind,
        test=lambda _: recovered.test_who_heard_the_last_word_too_late_goes_with_who_heard_it(),
    ),
    "a word counts later too": Steered(
        words="an operator's word counts in a view that he was told nothing of",
        patch=_a_word_counts_later_too,
        test=lambda _: (
            recovered.test_a_word_counts_in_its_view_only_and_where_nobody_takes_changes()
        ),
    ),
    "forgets who is there": Steered(
        words="a member that is there with its vote loses it by a word",
        patch=_forgets_who_is_there,
        test=lambda _: forgotten.test_who_is_there_with_its_vote_is_not_forgotten(),
    ),
    "forgets in memory only": Steered(
        words="a restart takes an operator's word back",
        patch=_forgets_in_memory_only,
        test=lambda _: (
            forgotten.test_who_is_forgotten_is_so_after_a_restart_until_a_primary_is_formed()
        ),
    ),
    "forgotten for ever": Steered(
        words="a name that was forgotten has no vote in later primaries either",
        patch=_forgotten_for_ever,
        test=lambda _: forgotten.test_a_word_is_said_of_what_was_known_then_and_of_nothing_later(),
    ),
    "a word is never settled": Steered(
        words="who still has a word raises the number of each primary that follows",
        patch=_a_word_is_never_settled,
        test=lambda _: forgotten.test_a_newcomer_that_still_has_the_word_raises_no_more_numbers(),
    ),
    "a forgotten decider decides": Steered(
        words="half of those who are left goes on without the decider",
        patch=_a_forgotten_decider_decides,
        test=lambda _: (
            forgotten.test_who_is_forgotten_is_so_after_a_restart_until_a_primary_is_formed()
        ),
    ),
    "numbers follow a word": Steered(
        words="a primary after an operator's word may have a number of another",
        patch=_numbers_follow_a_word,
        test=lambda _: forgotten.test_a_primary_after_a_forgotten_member_has_a_number_of_its_own(),
    ),
    "replaces what lies beyond": Steered(
        words="a change that the newest log lacks is overwritten without a word",
        patch=_replaces_what_lies_beyond,
        test=lambda _: forgotten.test_a_wrong_word_is_loud_when_they_meet_and_nothing_is_replaced(
            []
        ),
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
