"""A founding that came to nothing never comes to something later: schedules, each to one moment.

Three begin to found a cluster, and fail; some of these, with others, found one. Then somebody comes
back who still has the attempt on its disk: what was struck out in memory it knows nothing of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from zactor.kernel.replication import formation
from zactor.kernel.replication.view_state import ViewState
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.healing import heal, rest
from zactor.testing.replica_sim.order import ALL
from zactor.testing.replica_sim.world import World

NAMES = ("n1", "n2", "n3", "n4", "n5")
FIRST = ("n1", "n3", "n4")
SECOND = "K1 one history"  # what breaks where there are two clusters


def do(world: World, *actions: Action) -> None:
    for action in actions:
        assert world.do(action), f"{action} isn't possible"


def until(world: World, is_so: Callable[[], bool], *, stuck: tuple[str, ...] = ()) -> None:
    """Go on without trouble, but for disks that do nothing, until it is so."""
    while not is_so():
        action = world.default(stuck=stuck)
        assert action is not None, "it never is"
        world.do(action)


def meet(world: World, *names: str) -> None:
    for name in names:
        world.do(Action("start", name))
    do(world, Action("view", names=names))
    rest(world)


def found(world: World, by: str, *names: str) -> None:
    meet(world, *names)
    world.do(Action("found", by))
    rest(world)


def forget(world: World, at: str, *dead: str) -> None:
    """An operator says so at this one, and is right."""
    for name in dead:
        world.judge.forgets(name, is_up=False)
        do(world, Action("forget", at, name))
        rest(world)


def has_recorded(world: World, *names: str) -> bool:
    return all(world.nodes[name].journal.load().attempts for name in names)


def holds(world: World, name: str) -> bool:
    """Whether it takes the attempt for open."""
    replica = world.nodes[name].replica
    return replica is not None and bool(replica._state.attempts)


def founder(world: World, name: str) -> str:
    replica = world.nodes[name].replica
    return "" if replica is None else replica.founding.partition("@")[0]


def begun() -> World:
    """The first three begin; it is on all their disks but that of n4."""
    world = World(NAMES)
    for name in FIRST:
        do(world, Action("start", name))
    do(world, Action("view", names=FIRST))
    rest(world)
    do(world, Action("found", "n1"))
    until(world, lambda: has_recorded(world, "n1", "n3"), stuck=("n4",))
    return world


def one_never_recorded_it() -> World:
    """All three meet again, n4 without it, so it failed; n3 dies with it on its disk all the same.

    No disk is full, none is lost: n1 and n4 found a cluster with the others.
    """
    world = begun()
    do(world, Action("crash", "n4"), Action("start", "n4"), Action("view", names=FIRST))
    until(world, lambda: not any(holds(world, name) for name in FIRST), stuck=FIRST)
    do(world, Action("crash", "n3"))
    assert has_recorded(world, "n3"), "that it failed isn't on disk"
    found(world, "n5", "n1", "n2", "n4", "n5")
    assert founder(world, "n1") == founder(world, "n2") == "n5"
    return world


def one_has_no_room_for_it() -> World:
    """The disk of n4 is full: all know, and n1 and n3 die; n4 begins with n2 and n5, if it may."""
    world = begun()
    do(world, Action("fill", "n4"), Action("sync", "n4", count=ALL))
    while (action := world.default(stuck=FIRST)) is not None:
        world.do(action)
    do(world, Action("crash", "n1"), Action("crash", "n3"))
    found(world, "n5", "n2", "n4", "n5")
    return world


def forgotten_alone() -> World:
    """All but n3 of the first three die for good; n3 is told so before it has met anybody."""
    world = one_never_recorded_it()
    for name in ("n1", "n4"):
        world.do(Action("crash", name))
    meet(world, "n3")
    forget(world, "n3", "n1", "n4")
    return world


def room_and_a_crash() -> World:
    """n4 has room for the attempt, and dies before it has written another word."""
    world = one_has_no_room_for_it()
    do(world, Action("room", "n4"), Action("sync", "n4", count=1), Action("crash", "n4"))
    assert has_recorded(world, *FIRST)
    meet(world, *FIRST)
    return world


def test_an_operators_word_makes_no_cluster_of_a_founding_that_failed() -> None:
    world = forgotten_alone()
    assert not holds(world, "n3"), "nothing binds it any more"
    heal(world, gone=("n1", "n4"))
    assert not world.judge.found
    assert founder(world, "n3") == founder(world, "n2") == "n5"


def test_who_has_it_still_yields_to_the_cluster_that_it_meets() -> None:
    world = one_never_recorded_it()
    meet(world, "n2", "n3", "n4", "n5")
    replica = world.nodes["n3"].replica
    assert replica is not None
    assert replica.is_primary
    heal(world)
    assert not world.judge.found
    assert {founder(world, name) for name in NAMES} == {"n5"}


def test_who_has_it_in_memory_only_founds_no_other() -> None:
    world = one_has_no_room_for_it()
    assert not world.has_founded
    world = room_and_a_crash()
    assert {founder(world, name) for name in FIRST} == {"n1"}, "all have it: it goes on"
    heal(world)
    assert not world.judge.found


def _goes_on_by_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is forgotten isn't counted, and the founding goes on without it."""
    real = formation.settled

    def settled(standings: Any) -> Any:
        deaf = {n: msgspec.structs.replace(one, forgotten=()) for n, one in standings.items()}
        return {
            name: msgspec.structs.replace(one, forgotten=standings[name].forgotten)
            for name, one in real(deaf).items()
        }

    monkeypatch.setattr(formation, "settled", settled)


def _gives_up_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a disk has no room a founding is given up, whatever is on disks."""
    real = ViewState.begin_anew

    def begin_anew(self: ViewState) -> None:
        real(self)
        self._state.keep_attempts(())

    monkeypatch.setattr(ViewState, "begin_anew", begin_anew)


def test_a_word_that_lets_a_founding_go_on_makes_a_second_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _goes_on_by_a_word(monkeypatch)
    assert SECOND in forgotten_alone().judge.found


def test_a_founding_that_is_given_up_in_memory_makes_a_second_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _gives_up_in_memory(monkeypatch)
    assert SECOND in room_and_a_crash().judge.found
