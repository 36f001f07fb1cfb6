"""All choices of the adversary up to a bound: three nodes, small scripts."""

from __future__ import annotations

import kb_mutants
import pytest
from click.testing import CliRunner

from zactor.testing.replica_sim import __main__ as replica_sim
from zactor.testing.replica_sim.explorer import SCRIPTS, Explorer, prepare, retell
from zactor.testing.replica_sim.healing import rest
from zactor.testing.replica_sim.snapshots import Snapshot


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_left_alone_every_script_ends_well(script: str) -> None:
    explored = Explorer(script, 0).explore()
    assert (explored.runs, explored.choices, explored.found) == (1, 0, {})


# Those with more nodes have four times as many choices.
@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(name, marks=pytest.mark.soak if name in ("leaving", "newcomer") else ())
        for name in sorted(SCRIPTS.keys() - {"split"})
    ],
)
def test_one_choice_of_the_adversary_breaks_no_script(script: str) -> None:
    explored = Explorer(script, 1).explore()
    assert explored.runs > 100
    assert explored.found == {}


def test_a_world_goes_on_from_its_copy_as_from_itself() -> None:
    world = prepare(SCRIPTS["split"])
    copy = Snapshot(world).restore()
    assert copy.state() == world.state()
    for one in (world, copy):
        assert rest(one)
    assert copy.state() == world.state()
    assert copy.nodes["n1"].replica is not world.nodes["n1"].replica


def test_a_planted_bug_is_found_by_trying_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    kb_mutants.MUTANTS["anybody decides"].patch(monkeypatch)
    explored = Explorer("changes", 1, runs_max=40).explore()
    assert "K3 one primary" in explored.found
    assert "K3 one primary" in retell(explored.found["K3 one primary"])


def test_the_search_says_how_far_it_came() -> None:
    done = CliRunner().invoke(replica_sim.main, ["--explore", "changes", "--bound", "0"])
    assert done.exit_code == 0
    assert "changes, bound 0 (all of it): " in done.output
