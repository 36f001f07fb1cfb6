"""Every invariant that the adversary is judged by bites: a planted bug in the real replica each."""

from __future__ import annotations

import pytest
from replica_mutants import MUTANTS
from slow_marks import all_slow_but

from zactor.testing.replica_sim.checkers import INVARIANTS

# Those that are caught in the first runs.
FAST = {
    *("answers at once", "answers for another", "anybody decides", "facts vanish"),
    *("fails on standing", "forgets what took place", "hides a change", "one disk is enough"),
}


@pytest.mark.parametrize("name", all_slow_but(FAST, MUTANTS))
def test_a_mutant_of_the_replica_is_seen_by_its_invariant(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[name]
    mutant.patch(monkeypatch)
    found = mutant.caught(alone=mutant.is_alone)
    assert mutant.catcher in found
    assert len(found) == 1 or not mutant.is_alone


def test_every_invariant_has_a_mutant() -> None:
    assert {mutant.catcher for mutant in MUTANTS.values()} == set(INVARIANTS)
