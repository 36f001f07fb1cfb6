"""Whoever dies while others join, at whatever step: when all are back, changes are taken again."""

from __future__ import annotations

import pytest
from kb_room import Room, settled
from slow_marks import slow_after

from zactor.kernel.replication.effects import Broken, Decided


def joining(members: tuple[str, ...], *newcomers: str) -> Room:
    """`members` have worked alone until now; they and `newcomers` have installed a view."""
    room = settled(*members)
    room.replicas |= Room(*newcomers).replicas
    room.disks |= Room(*newcomers).disks
    room.lives |= dict.fromkeys(newcomers, 1)
    room.view(*members, *newcomers)
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


@pytest.mark.parametrize(
    "newcomers", slow_after(3, [("n2",), ("n0",), ("n2", "n3"), ("n0", "n2", "n3", "n4")])
)
@pytest.mark.parametrize("dying", ["who was there", "the newcomers", "all"])
def test_whoever_dies_while_others_join_they_go_on(newcomers: tuple[str, ...], dying: str) -> None:
    """n0 would decide: it is the first host."""
    names = ("n1", *newcomers)
    dead = {"who was there": ("n1",), "the newcomers": newcomers, "all": names}[dying]
    step, moves = 0, True
    while moves:
        room = joining(("n1",), *newcomers)
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


def meet_after_a_lost_disk(room: Room, lost: str, first: tuple[str, ...]) -> None:
    """All views end and `lost` has a new disk; `first` meet, then the others, then all."""
    names = sorted(room.replicas)
    for name in names:
        if name != lost:
            room.call(name, lambda replica: replica.on_transitional(replica._view, ()))
            while room._deliver(name, transitional=True):
                pass
    room.views.clear()
    room.links.clear()
    room.disks[lost].lose()
    room.restart(lost)
    others = tuple(name for name in names if name not in first)
    room.stuck_disks = {*others}
    room.view(*first)
    room.run()
    for name in room.primaries():
        room.submit(name, f"by_{name}", f"by({name})")
    room.run()
    room.stuck_disks = set()
    room.deaf = {*first}
    working = room.primaries().keys() & {*first}
    room.view(*others)
    room.run()
    assert not (working and room.primaries().keys() & {*others}), "two primaries at once"
    room.deaf.clear()
    room.links.clear()
    room.view(*names)
    room.run()


@pytest.mark.slow
@pytest.mark.parametrize("members", [("n1",), ("n1", "n2")])
@pytest.mark.parametrize("lost", ["n0", "n1", "n2"])
@pytest.mark.parametrize("first", [("n0", "n1"), ("n0", "n2"), ("n1", "n2")])
def test_whoever_loses_its_disk_meanwhile_nothing_acknowledged_is_lost(
    members: tuple[str, ...], lost: str, first: tuple[str, ...]
) -> None:
    step, moves = 0, True
    while moves:
        room = joining(members, *({"n0", "n1", "n2"} - {*members}))
        room.submit("n1", "early", "early(1)")
        moves = all(room.step() for _ in range(step))
        meet_after_a_lost_disk(room, lost, first)
        assert not room.all(Broken)
        told = {one.id for one in room.all(Decided) if not one.kind}
        for name in room.primaries():
            found = room.facts(name)
            assert "early" not in told or "early(1)" in found, f"at step {step}"
            assert {f"by({id_[3:]})" for id_ in told if id_[:3] == "by_"} <= {*found}
        step += 1
    assert step > 20, "each step of a join was one"
