"""Disks without room, step by step: PROTOCOL.md, section 9, P14."""

from __future__ import annotations

import pytest
from kb_room import Room, settled

from zactor.kernel import limits
from zactor.kernel.messages.knowledge import KbAttempt, KbAttempted, NoteKind
from zactor.kernel.replication import effects

ABC = ("n1", "n2", "n3")
WHY = "kb.sqlite: no space left on device"


def fill(room: Room, *names: str) -> None:
    for name in names:
        room.stuck_disks.add(name)
        room.call(name, lambda replica: replica.run_out(WHY))


def free(room: Room, *names: str) -> None:
    for name in names:
        room.stuck_disks.discard(name)
        room.sync(name)
        room.call(name, lambda replica: replica.make_room())


def test_the_others_go_on_without_who_has_no_room_and_take_it_in_again() -> None:
    room = settled(*ABC)
    fill(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(("n2", "n3"), ("n2", "n3"))
    room.submit("n2", "t1", "p(2)")
    room.submit("n1", "t2", "p(3)")
    room.run()
    assert not room.decided("t1").kind
    assert room.decided("t2").kind == "NotPrimary"
    assert room.decided("t2").message.startswith(f"n1 takes no changes: {WHY}: make room there")
    assert room.facts("n1") == ["p(1)", "p(2)"], "it follows, in memory"
    assert "p(2)" not in room.disks["n1"].load().theory.texts()
    free(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)
    assert "p(2)" in room.disks["n1"].load().theory.texts()


def test_half_goes_on_with_the_decider_and_else_waits_for_room() -> None:
    room = settled("n1", "n2")
    fill(room, "n1")
    room.run()
    assert room.primaries() == {}
    room.submit("n2", "t1", "p(2)")
    assert room.decided("t1").message == (
        "changes wait: the disk of n1 has no space left: make room there, it goes on by itself"
    )
    free(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(("n1", "n2"), ("n1", "n2"))
    fill(room, "n2")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}


def test_what_was_ordered_before_is_decided_when_there_is_room() -> None:
    room = settled("n1", "n2")
    room.stuck_disks.add("n1")
    room.submit("n2", "t1", "p(2)")
    room.run()
    fill(room, "n1")
    room.run()
    assert room.undecided("t1")
    free(room, "n1")
    room.run()
    assert not room.decided("t1").kind
    assert all("p(2)" in room.disks[name].load().theory.texts() for name in ("n1", "n2"))


def test_what_waits_for_room_is_lost_with_the_process_and_with_nobody_else() -> None:
    room = settled(*ABC)
    fill(room, "n1")
    room.run()
    room.submit("n2", "t1", "p(2)")
    room.run()
    room.stuck_disks.discard("n1")
    room.restart("n1")
    assert room.facts("n1") == ["p(1)"]
    room.view(*ABC)
    room.run()
    assert room.facts("n1") == ["p(1)", "p(2)"]
    assert room.primaries() == dict.fromkeys(ABC, ABC)


@pytest.mark.parametrize("kept", [10_000, 1])
def test_a_disk_is_brought_up_by_changes_or_as_a_whole(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", kept)
    room = settled(*ABC)
    fill(room, "n1")
    room.run()
    before = len(room.all(effects.Write, "n1"))
    for number in range(5):
        room.submit("n2", f"t{number}", f"q({number})")
        room.run()
    assert len(room.all(effects.Write, "n1")) == before, "nothing is handed to it"
    free(room, "n1")
    room.run()
    room.restart("n1")
    assert room.facts("n1") == room.facts("n2")
    room.view(*ABC)
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)


def test_a_view_without_a_primary_begins_anew_and_leaves_out_who_has_no_room() -> None:
    room = settled(*ABC)
    room.stuck_disks.add("n1")
    room.view(*ABC)
    while not any(isinstance(said, KbAttempt) for said in room.said("n2")):
        assert room.step()
    fill(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(("n2", "n3"), ("n2", "n3"))
    free(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)


def test_the_number_of_what_was_given_up_is_not_used_again_nor_is_what_was_said_of_it() -> None:
    room = settled("n1", "n2", "n3", "n4")
    room.call("n4", lambda replica: replica.retire())
    room.stuck_disks |= {"n2", "n3"}
    room.deaf.add("n3")
    while not any(isinstance(said, KbAttempt) for said in room.said("n1")[-3:]):
        assert room.step()
    room.run()
    given_up = room.said("n1")[-1] if isinstance(room.said("n1")[-1], KbAttempt) else None
    number = max(said.primary.epoch for said in room.said("n1") if isinstance(said, KbAttempt))
    fill(room, "n2")
    room.run()
    attempts = [said for said in room.said("n1") if isinstance(said, KbAttempt)]
    assert attempts[-1].primary.epoch == number + 1, given_up
    room.deaf.clear()
    while not any(
        isinstance(said, KbAttempted) and said.epoch == number + 1 for said in room.said("n3")
    ):
        assert room.step()
    assert "n2" not in attempts[-1].voices
    room.stuck_disks.discard("n3")
    room.run()
    assert {*room.primaries()} == {"n1", "n3"}


def test_after_the_signal_an_attempt_is_frozen_and_its_bound_stays() -> None:
    room = settled(*ABC)
    room.call("n3", lambda replica: replica.retire())
    room.stuck_disks.add("n2")
    room.run()
    formation = room.replicas["n1"]._view_state.formation
    assert formation.attempt is not None
    room.deaf.add("n1")
    fill(room, "n2")
    room.run()
    room.call("n1", lambda replica: replica.on_transitional(room.views["n1"].id, ()))
    while room._deliver("n1", transitional=True):
        pass
    assert formation.attempt is not None
    assert not formation.is_undecided
    assert not formation.say("n2", formation.attempt.primary.epoch)


def test_nobody_founds_a_cluster_without_room() -> None:
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    fill(room, "n1")
    room.run()
    room.found("n1")
    room.run()
    assert room.primaries() == {}
    room.found("n2")
    room.run()
    assert room.primaries() == dict.fromkeys(("n2", "n3"), ("n2", "n3"))
    free(room, "n1")
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)


def test_nobody_founds_before_the_others_know_that_it_has_room_again() -> None:
    """As long as all are taken for cramped there is nobody to be in it."""
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    fill(room, *ABC)
    room.run()
    free(room, "n1")
    room.sync("n1")
    assert not room.replicas["n1"].no_room
    assert not room.replicas["n1"].may_be_founded
    room.found("n1")
    room.run()
    assert room.primaries() == {}
    room.found("n1")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}


def test_who_has_no_room_is_not_to_be_forgotten() -> None:
    room = settled(*ABC)
    fill(room, "n1", "n2")
    room.view(*ABC)
    room.run()
    assert room.primaries() == {}
    losses = room.replicas["n3"].losses()
    assert losses is not None
    assert losses.missing == ()
    assert "the disks of n1, n2 have no space left" in room.replicas["n3"].reason()
    assert "zactor" not in room.replicas["n3"].reason(), "there is no need of an operator's word"
    free(room, "n2")
    room.run()
    assert room.primaries() == dict.fromkeys(("n2", "n3"), ("n2", "n3"))


def test_both_notes_are_said_once() -> None:
    room = settled(*ABC)
    fill(room, "n1")
    fill(room, "n1")
    room.run()
    free(room, "n1")
    room.run()
    kinds = [said.kind for said in room.said("n2") if hasattr(said, "kind")]
    assert kinds.count(NoteKind.CRAMPED) == kinds.count(NoteKind.ROOMY) == 1
