"""Who leaves in good order while it joins, at whatever step: the others go on without it."""

from __future__ import annotations

import pytest
from kb_room import Room, settled

from zactor.kernel.messages.knowledge import KbNote, NoteKind
from zactor.kernel.replication.effects import Retired


def joining(members: tuple[str, ...], *newcomers: str) -> Room:
    """`members` are the primary; with `newcomers` they have installed a view."""
    room = settled(*members)
    room.replicas |= Room(*newcomers).replicas
    room.disks |= Room(*newcomers).disks
    room.lives |= dict.fromkeys(newcomers, 1)
    room.view(*members, *newcomers)
    return room


def end(room: Room, name: str) -> None:
    """Its process ends, as soon as it may; what it had to say before is on its way."""
    while not room.all(Retired, name):
        assert room.step(), f"{name} waits for ever"
    room.die(name)
    room.stuck_disks.add(name)
    room.links.clear()


@pytest.mark.parametrize("members", [("n1",), ("n1", "n2"), ("m1", "n1")])
def test_a_newcomer_that_leaves_stops_nobody(members: tuple[str, ...]) -> None:
    """n0 would decide: it is the first host."""
    step, moves = 0, True
    while moves:
        room = joining(members, "n0")
        moves = all(room.step() for _ in range(step))
        room.call("n0", lambda replica: replica.retire())
        end(room, "n0")
        room.view(*members)
        room.run()
        why = f"after it was told to leave at step {step}: {room.replicas['n1'].reason()}"
        assert set(room.primaries()) == {*members}, why
        step += 1
    assert step > 20, "each step of a join was one"


def test_who_has_gone_asks_for_nothing_any_more() -> None:
    room = joining(("n1",), "n0")
    while room.replicas["n0"].primary is None:
        assert room.step()
    room.call("n0", lambda replica: replica.retire())
    assert room.all(Retired, "n0")
    room.run()
    assert ("n0", KbNote(NoteKind.READY, "")) not in room.order[room.views["n1"].id]
    assert room.primaries() == {"n1": ("n1",)}


def test_who_leaves_before_there_is_a_primary_and_would_be_brought_up_goes() -> None:
    room = joining(("n1",), "n0")
    room.call("n0", lambda replica: replica.retire())
    assert not room.all(Retired, "n0"), "it may be a member yet"
    room.run()
    assert room.all(Retired, "n0")
    assert room.primaries() == {"n1": ("n1",)}
