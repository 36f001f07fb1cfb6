"""Two histories of one cluster, neither of which begins the other: nobody overlooks it."""

from __future__ import annotations

from copy import deepcopy

import pytest
from kb_operator import forget
from kb_room import Room, settled

from zactor.kernel.replication.effects import Broken

NAMES = ("n1", "n2", "n3")


def copied() -> Room:
    """n3 founded the cluster alone; then all made changes; then n3 has its first folder again."""
    room = Room(*NAMES)
    room.view("n3")
    room.run()
    room.found("n3")
    room.run()
    room.submit("n3", "t0", "p(1)")
    room.run()
    copy = deepcopy(room.disks["n3"])
    room.view(*NAMES)
    room.run()
    room.submit("n1", "t1", "p(2)")
    room.submit("n2", "t2", "p(3)")
    room.run()
    assert set(room.primaries()) == set(NAMES)
    room.die(*NAMES)
    room.disks["n3"] = copy
    for name in NAMES:
        room.restart(name)
    return room


def go_on_alone(room: Room, times: int) -> None:
    for number in range(times):
        room.view("n3")
        room.run()
        room.submit("n3", f"alone{number}", f"q({number})")
        room.run()
    assert room.primaries() == {"n3": ("n3",)}


def broken(room: Room) -> dict[str, Broken]:
    return {name: one for name, one in room.happened if isinstance(one, Broken)}


def test_who_went_on_with_an_old_copy_stops_and_the_majority_keeps_its_history() -> None:
    room = copied()
    go_on_alone(room, 5)
    assert room.clock("n3") > room.clock("n1")
    room.view(*NAMES)
    room.run()
    found = broken(room)
    assert list(found) == ["n3"]
    assert found["n3"].is_fork
    assert "n2 has another history than n3 at" in found["n3"].why
    room.view("n1", "n2")
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    assert room.facts("n1") == room.facts("n2") == ["p(1)", "p(2)", "p(3)"]


def test_who_is_behind_is_told_that_its_history_is_another() -> None:
    room = copied()
    go_on_alone(room, 1)
    room.view("n1", "n2")
    room.run()
    for number in range(3):
        room.submit("n1", f"more{number}", f"r({number})")
        room.run()
        room.view("n1", "n2")
        room.run()
    assert room.clock("n3") < room.clock("n1")
    room.view(*NAMES)
    room.run()
    assert list(broken(room)) == ["n3"]
    assert room.replicas["n1"].forks
    room.view("n1", "n2")
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    assert "q(0)" not in room.facts("n1")


def test_of_two_alone_neither_goes_on_before_a_third_is_there() -> None:
    room = copied()
    go_on_alone(room, 5)
    room.view("n1", "n3")
    room.run()
    assert not broken(room)
    assert not room.primaries()
    for one, other in (("n1", "n3"), ("n3", "n1")):
        reason = room.replicas[one].reason()
        assert f"{one} has another history than {other}: changes wait" in reason
    room.view(*NAMES)
    room.run()
    assert list(broken(room)) == ["n3"]


def test_an_old_copy_that_has_gone_on_nowhere_is_no_fork() -> None:
    room = copied()
    room.view(*NAMES)
    room.run()
    assert not broken(room)
    assert set(room.primaries()) == set(NAMES)
    assert room.facts("n3") == ["p(1)", "p(2)", "p(3)"]


@pytest.mark.parametrize("newcomer", ["n0", "n4"])
def test_a_newcomer_is_on_neither_side(newcomer: str) -> None:
    room = copied()
    go_on_alone(room, 5)
    room.replicas |= Room(newcomer).replicas
    room.disks |= Room(newcomer).disks
    room.lives[newcomer] = 1
    room.view(*NAMES, newcomer)
    room.run()
    assert list(broken(room)) == ["n3"]
    room.view("n1", "n2", newcomer)
    room.run()
    assert set(room.primaries()) == {"n1", "n2", newcomer}


def test_the_larger_part_goes_on_whoever_comes_first_by_name() -> None:
    """By a wrong word {n3, n4, n5} went on, with later clocks than {n1, n2}."""
    names = (*NAMES, "n4", "n5")
    room = settled(*names)
    room.view("n1", "n2", "n3")
    room.run()
    room.view("n1", "n2")
    room.run()
    room.submit("n1", "x", "q(1)")
    room.run()
    room.view("n3", "n4", "n5")
    room.run()
    forget(room, "n3", "n1", "n2")
    room.run()
    room.submit("n3", "y", "q(2)")
    room.run()
    assert not room.decided("x").kind
    assert not room.decided("y").kind
    room.view(*names)
    room.run()
    assert set(broken(room)) == {"n1", "n2"}
    room.view("n3", "n4", "n5")
    room.run()
    assert set(room.primaries()) == {"n3", "n4", "n5"}
    assert "q(2)" in room.facts("n5")
