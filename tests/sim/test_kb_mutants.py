"""Every checker of the knowledge base bites: for each a planted bug in the real replica."""

from __future__ import annotations

import pytest
from kb_mutants import ALSO, MUTANTS
from kb_steered import PromiseBroken
from kb_steered_mutants import STEERED
from slow_marks import all_slow_but

from zactor.testing.kb_sim.checkers import CHECKERS

# Those that are caught in the first runs.
FAST = {"both halves decide", "answers at once", "anybody decides", "hides a change"}


@pytest.mark.parametrize("name", all_slow_but(FAST, MUTANTS))
def test_a_mutant_of_the_replica_is_caught_by_its_checker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    mutant.patch(monkeypatch)
    assert mutant.catcher in mutant.caught()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALSO))
def test_a_known_weak_place_of_the_replica_is_watched(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = ALSO[name]
    mutant.patch(monkeypatch)
    assert mutant.catcher in mutant.caught()


@pytest.mark.parametrize("name", sorted(STEERED))
def test_a_mutant_that_chance_hardly_shows_falls_where_it_is_steered_to(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = STEERED[name]
    mutant.patch(monkeypatch)
    with pytest.raises((PromiseBroken, AssertionError)):
        mutant.test(monkeypatch)


def test_every_checker_of_the_knowledge_base_has_a_mutant() -> None:
    assert {mutant.catcher for mutant in MUTANTS.values()} == set(CHECKERS)
