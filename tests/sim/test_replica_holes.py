"""What the adversary found by itself, in replicas of before and in that of today."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from replica_holes import HOLES

from zactor.kernel.messages.knowledge import KbAttempted
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.explorer import Explorer
from zactor.testing.replica_sim.healing import rest
from zactor.testing.replica_sim.run import play_seed
from zactor.testing.replica_sim.world import World


@pytest.mark.parametrize("hole", HOLES)
def test_the_seed_that_found_a_hole_breaks_no_promise(hole: str) -> None:
    seed, invariant = HOLES[hole]
    assert invariant not in play_seed(seed).found


@pytest.mark.slow
def test_a_power_cut_right_after_a_primary_was_formed_loses_nothing_acknowledged() -> None:
    explored = Explorer("split", 1).explore()
    assert "K2 nothing acknowledged is lost" not in explored.found


def test_a_disk_that_went_back_to_an_older_copy_costs_nothing_acknowledged() -> None:
    assert "K2 nothing acknowledged is lost" not in play_seed(123, old_copies=1).found


def test_a_new_disk_doesnt_free_another_of_the_founding_that_it_agreed_to() -> None:
    names = ("n1", "n2", "n3")
    world = World(names)
    for name in names:
        world.do(Action("start", name))
    world.do(Action("view", names=names))
    rest(world)
    world.do(Action("found", "n1"))
    while not _has_agreed(world, "n2"):
        _go_on(world)
    while _go_on(world, deaf={"n2"}):
        pass
    world.do(Action("submit", "n1", "u1"))
    while _go_on(world, deaf={"n2"}):
        pass
    assert world.judge.nodes["n1"].memory.has("u1")
    for action in (
        *(Action("crash", "n2"), Action("view", names=("n1",))),
        *(Action("crash", "n3"), Action("lose", "n3"), Action("start", "n3")),
        *(Action("start", "n2"), Action("view", names=("n2", "n3"))),
    ):
        assert world.do(action)
    rest(world)
    replica = world.nodes["n2"].replica
    assert replica is not None
    assert not replica.may_be_founded


def _has_agreed(world: World, name: str) -> bool:
    view = world.nodes[name].view
    said = view.streams[name] if view is not None else []
    return any(isinstance(one.body, KbAttempted) for one in said)


def _go_on(world: World, deaf: Collection[str] = ()) -> bool:
    action = world.default(deaf)
    return action is not None and world.do(action)
