"""Whoever dies while others join, at whatever step: when all are back, changes are taken again."""

from __future__ import annotations

import pytest
from kb_room import Room, settled


def joining(*newcomers: str) -> Room:
    """n1 has worked alone until now; it and `newcomers` have installed a view."""
    room = settled("n1")
    room.replicas |= Room(*newcomers).replicas
    room.disks |= Room(*newcomers).disks
    room.lives |= dict.fromkeys(newcomers, 1)
    room.view("n1", *newcomers)
    return room


def expect_work(room: Room, names: tuple[str, ...], step: int) -> None:
    room.run()
    room.submit("n1", "after", "after(1)")
    room.run()
    room.tick(10_000)
    at = f"after a crash at step {step}: {room.replicas['n1'].reason()}"
    assert set(room.primaries()) == set(names), at
    assert not room.decided("after").kind, at
    assert {tuple(sorted(room.facts(name))) for name in names} == {("after(1)", "p(1)")}, at


@pytest.mark.parametrize("newcomers", [("n2",), ("n0",), ("n2", "n3"), ("n0", "n2", "n3", "n4")])
@pytest.mark.parametrize("dying", ["who was there", "the newcomers", "all"])
def test_whoever_dies_while_others_join_they_go_on(newcomers: tuple[str, ...], dying: str) -> None:
    """n0 would decide: it is the first host."""
    names = ("n1", *newcomers)
    dead = {"who was there": ("n1",), "the newcomers": newcomers, "all": names}[dying]
    step, moves = 0, True
    while moves:
        room = joining(*newcomers)
        moves = all(room.step() for _ in range(step))
        for name in names:
            room.views.pop(name)  # what was still to be delivered there never comes
        for name in dead:
            room.restart(name)
        room.links.clear()
        room.view(*names)
        expect_work(room, names, step)
        step += 1
    assert step > 20, "each step of a join was one"
