"""What a client was told to have taken place outlives every order of cuts (K1, K2)."""

from __future__ import annotations

from kb_schedules import (
    NAMES,
    a_disk_goes_back_before_a_primary_that_another_knows,
    a_disk_is_lost_beside_a_node_that_is_behind,
    a_word_is_the_last_and_its_voice_is_cut_off,
    one_sees_an_attempt_formed_and_is_cut_off,
    power_goes_before_the_mark,
)
from kb_steered import Steered, promised


def promise_that_all_is_well_after(cluster: Steered) -> None:
    assert_all_are_one_again(cluster)
    promise_that_nothing_acknowledged_is_lost(cluster)


def assert_all_are_one_again(cluster: Steered) -> None:
    cluster.heal_all()
    cluster.run_ms(8_000)
    names = tuple(cluster.live)
    assert all(cluster.members(name) == names for name in names)


def promise_that_nothing_acknowledged_is_lost(cluster: Steered) -> None:
    wrong = cluster.violations()
    promised(not wrong, "; ".join(wrong))
    acknowledged = [id_ for id_ in cluster.decided if cluster.is_acknowledged(id_)]
    for name in cluster.live:
        lost = [id_ for id_ in acknowledged if f"did({id_})" not in cluster.facts(name)]
        promised(not lost, f"{lost} were acknowledged, and are gone at {name}")


def test_a_change_that_the_new_primary_decides_stays_whoever_forms_the_next_one() -> None:
    promise_that_all_is_well_after(one_sees_an_attempt_formed_and_is_cut_off())


def test_a_change_is_acknowledged_when_a_majority_has_the_new_primary_on_disk() -> None:
    promise_that_all_is_well_after(power_goes_before_the_mark())


def test_a_number_that_an_attempt_has_used_is_never_that_of_another() -> None:
    promise_that_all_is_well_after(a_word_is_the_last_and_its_voice_is_cut_off())


def test_a_lost_disk_never_makes_two_primaries() -> None:
    cluster = a_disk_is_lost_beside_a_node_that_is_behind()
    both = cluster.is_acknowledged("y") and cluster.is_acknowledged("z")
    promised(not both, "two primaries took changes at once")
    assert cluster.is_acknowledged("z"), "two of {n1, n3, n4}"
    assert "came without what was on its disk" in cluster.decided["y"].message
    promise_that_all_is_well_after(cluster)


def test_a_disk_that_went_back_has_no_vote_and_joins_again_by_itself() -> None:
    cluster = a_disk_goes_back_before_a_primary_that_another_knows()
    assert cluster.decided["y"].kind == "NotPrimary"
    assert "n2 came without what was on its disk" in cluster.decided["y"].message
    for name in NAMES[:3]:
        promised("did(x)" in cluster.facts(name), f"x was applied, and is gone at {name}")
