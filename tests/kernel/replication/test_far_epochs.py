"""A member that names an epoch far beyond all others: the others don't go along."""

from __future__ import annotations

import msgspec
from kb_room import Room, settled

from zactor.kernel.messages.knowledge import KbAttempt, KbStanding, Primary

NAMES = ("n1", "n2", "n3")
FAR = 1 << 40
NEAR_MAX = 1_000  # no test comes to that in good order


class Obeyed(AssertionError):
    """The others went along with the absurd epoch."""


def expect_a_primary_of_a_near_epoch(room: Room) -> None:
    """After one more change of the view all take changes, and none counts from afar."""
    room.view(*NAMES)
    room.run()
    assert set(room.primaries()) == set(NAMES)
    room.submit("n1", "after", "after(1)")
    room.run()
    assert not room.decided("after").kind
    for name in NAMES:
        epoch, _ = room.clock(name)
        if epoch > NEAR_MAX:
            raise Obeyed(f"{name} has a change of epoch {epoch}")


def test_an_attempt_of_an_epoch_far_ahead_is_refused() -> None:
    room = settled(*NAMES)
    attempts = [message for message in room.said("n1") if isinstance(message, KbAttempt)]
    primary = attempts[-1].primary._replace(epoch=FAR)
    far = msgspec.structs.replace(attempts[-1], primary=primary)
    for name in NAMES:  # one of them is whose turn it is
        room.order[room.views["n1"].id].append((name, far))
    room.run()
    expect_a_primary_of_a_near_epoch(room)


def test_a_standing_with_an_epoch_far_ahead_is_refused() -> None:
    room = settled(*NAMES)
    before = room.replicas["n1"].primary
    assert before is not None
    room.view(*NAMES)
    order = room.order[room.views["n1"].id]
    for place, (name, message) in enumerate(order):
        if name == "n3":
            assert isinstance(message, KbStanding)
            far = Primary(FAR, before.members, before.decider, before.founding)
            order[place] = (name, msgspec.structs.replace(message, attempts=(far,)))
    room.run()
    expect_a_primary_of_a_near_epoch(room)
