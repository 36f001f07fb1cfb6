"""Every checker bites: for each a planted bug in the real machines that it alone catches."""

from __future__ import annotations

import pytest
from flow_mutants import FLOW_MUTANTS
from mutants import ALSO, MUTANTS
from parcel_mutants import PARCEL_MUTANTS
from slow_marks import all_slow_but, slow_after

from zactor.testing.group_sim.checkers import CHECKERS, check_all
from zactor.testing.group_sim.run import play_storm

ALONE = {**MUTANTS, **FLOW_MUTANTS}
# Those that are caught in the first runs.
FAST = {"delivered_twice", "wrong_configuration", "all_groups_full", "no_group_full"}


@pytest.mark.parametrize("name", all_slow_but(FAST, ALONE))
def test_a_mutant_is_caught_by_its_checker_and_by_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = ALONE[name]
    mutant.patch(monkeypatch)
    assert mutant.caught() == set(mutant.caught_by)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(ALONE))
def test_no_other_checker_catches_it_in_any_of_its_runs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = ALONE[name]
    mutant.patch(monkeypatch)
    assert mutant.caught(in_all=True) == set(mutant.caught_by)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALSO))
def test_a_known_weak_place_is_watched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = ALSO[name]
    mutant.patch(monkeypatch)
    assert set(mutant.caught_by) & mutant.caught()


@pytest.mark.parametrize("name", all_slow_but({"one_number", "one_acknowledged"}, PARCEL_MUTANTS))
def test_a_parcel_that_weighs_too_little_anywhere_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = PARCEL_MUTANTS[name]
    mutant.patch(monkeypatch)
    assert set(mutant.caught_by) <= mutant.caught()


def test_every_checker_has_a_mutant_of_its_own() -> None:
    alone = {mutant.caught_by for mutant in ALONE.values()}
    assert alone == {(name,) for name in CHECKERS}


@pytest.mark.parametrize("seed", slow_after(3, range(24)))
def test_without_a_bug_the_storms_of_the_mutants_are_right(seed: int) -> None:
    assert check_all(play_storm(seed, changes_groups=seed % 2 == 0)) == {}
