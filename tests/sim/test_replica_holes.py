"""What the adversary found by itself in today's replica. Who repairs it takes the mark away."""

from __future__ import annotations

import pytest
from replica_holes import HOLES

from zactor.testing.replica_sim.explorer import Explorer
from zactor.testing.replica_sim.run import play_seed


@pytest.mark.xfail(strict=True, reason="a known hole of the replica")
@pytest.mark.parametrize("hole", HOLES)
def test_the_seed_that_found_a_hole_breaks_no_promise(hole: str) -> None:
    seed, invariant = HOLES[hole]
    assert invariant not in play_seed(seed).found


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="a known hole of the replica")
def test_a_power_cut_right_after_a_primary_was_formed_loses_nothing_acknowledged() -> None:
    explored = Explorer("split", 1).explore()
    assert "K2 nothing acknowledged is lost" not in explored.found


@pytest.mark.xfail(strict=True, reason="a disk that went back to an older copy has a vote")
def test_a_disk_that_went_back_to_an_older_copy_costs_nothing_acknowledged() -> None:
    assert "K2 nothing acknowledged is lost" not in play_seed(17, old_copies=1).found
