"""Every checker bites: for each a planted bug in the real machines that it alone catches."""

from __future__ import annotations

import pytest
from mutants import ALSO, MUTANTS, Mutant

from zactor.testing.checkers import CHECKERS, check_all
from zactor.testing.sim_run import play


def _caught(mutant: Mutant) -> set[str]:
    found: set[str] = set()
    for seed in mutant.seeds:
        found |= set(check_all(play(seed, changes_groups=mutant.changes_groups)))
    return found


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_is_caught_by_its_checker_and_by_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    mutant.patch(monkeypatch)
    assert _caught(mutant) == set(mutant.caught_by)


@pytest.mark.parametrize("name", sorted(ALSO))
def test_a_known_weak_place_is_watched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = ALSO[name]
    mutant.patch(monkeypatch)
    assert _caught(mutant) >= set(mutant.caught_by)


def test_every_checker_has_a_mutant_of_its_own() -> None:
    alone = {mutant.caught_by for mutant in MUTANTS.values()}
    assert alone == {(name,) for name in CHECKERS}


@pytest.mark.parametrize("name", sorted({**MUTANTS, **ALSO}))
def test_without_its_bug_the_same_runs_are_right(name: str) -> None:
    mutant = {**MUTANTS, **ALSO}[name]
    assert _caught(mutant) == set()
