"""What a node says while frozen comes in its next view, before its KbStanding: it is dropped."""

from __future__ import annotations

from kb_room import Room, settled

from zactor.kernel.messages.knowledge import KbAttempt, KbNote, KbOrdered, NoteKind

BIG = 900_000  # two of them are more than KB_QUICK_BYTES


def held_back(room: Room, name: str) -> tuple[str, KbOrdered]:
    """The last thing that was said, by `name`, hasn't left its queue."""
    said = room.order[room.views[name].id].pop()
    assert said[0] == name
    return said


def comes_now(room: Room, said: tuple[str, KbOrdered]) -> None:
    """It comes in this view, in its sender's order."""
    room.order[room.views[said[0]].id].insert(0, said)


def test_who_was_ready_in_the_view_before_is_not_let_in_by_that() -> None:
    """It would rank as who has all: n3 has a longer tail than n1, who has decided more."""
    room = settled("n1")
    room.replicas |= Room("n3").replicas
    room.disks |= Room("n3").disks
    room.lives["n3"] = 1
    room.view("n1", "n3")
    while ("n3", KbNote(NoteKind.READY, "")) not in room.order[room.views["n3"].id]:
        assert room.step()
    late = held_back(room, "n3")
    room.stuck_disks.add("n1")
    for number in range(10):
        room.submit("n1", f"tail{number}", f"tail({number})")
    room.run()
    room.restart("n1")
    room.stuck_disks.clear()
    room.deaf.add("n3")
    room.view("n1")
    room.run()
    for number in range(3):
        room.submit("n1", f"big{number}", f"big({number}, {'x' * BIG})")
        room.run()
        assert not room.decided(f"big{number}").kind
    room.deaf.clear()
    room.unlinked.add("n1")
    room.view("n1", "n3")
    comes_now(room, late)
    room.run()
    assert room.primaries() == {"n1": ("n1",)}, "n3 lacks what n1 has decided"
    room.unlinked.clear()
    room.links.clear()
    for name in ("n1", "n3"):
        room.restart(name)
    room.view("n1", "n3")
    room.run()
    assert set(room.primaries()) == {"n1", "n3"}
    for name in ("n1", "n3"):
        assert not room.replicas[name].forks
        assert len(room.facts(name)) == 4, "p(1) and what was acknowledged"


def test_an_attempt_of_the_view_before_blocks_nobody() -> None:
    room = settled("n1", "n2", "n3")
    room.view("n1", "n2", "n3")
    while not isinstance(room.said("n1")[-1], KbAttempt):
        assert room.step()
    late = held_back(room, "n1")
    room.die("n3")
    room.view("n1", "n2")
    comes_now(room, late)
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2"), "n2": ("n1", "n2")}
