"""An operator says that a member is gone for good: nothing waits for it (PROTOCOL.md, P13)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from kb_operator import ABC, forget, founding_cut_off, losses, texts
from kb_room import Room, settled

from zactor.kernel.limits import KB_EPOCHS_RECOVERED
from zactor.kernel.messages.knowledge import KbNote, NoteKind
from zactor.kernel.replication.records import PutForgotten


def test_a_founding_fails_with_a_member_that_died_for_good_and_is_begun_anew() -> None:
    room = founding_cut_off()
    found = losses(room, "n1")
    assert (found.missing, found.may_lose) == (("n3",), False), "nothing was acknowledged"
    assert room.replicas["n1"].reason() == (
        "n1 sees 2 of 3 members of a cluster that may have been founded (n1, n2, n3): changes wait"
        " until all are there (missing: n3): start it again, or mend the way there; if n3 won't"
        " come back: `zactor forget n3`"
    )
    forget(room, "n2", "n3")
    room.run()
    assert not room.primaries()
    for name in ("n1", "n2"):
        assert not room.disks[name].load().attempts
    room.found("n2", "again")
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2"), "n2": ("n1", "n2")}
    assert room.replicas["n1"].founding == "again"
    assert texts(room, "n2") == ["founded(again)"]
    room.disks["n3"].lose()
    room.stuck_disks.clear()
    room.restart("n3")
    room.view(*ABC)
    room.run()
    assert set(room.primaries()) == {*ABC}, "a new machine of that name joins"


def test_members_of_an_attempt_that_died_for_good_bind_nobody_once_forgotten() -> None:
    room = settled("n1", "n2", "n3", "n4")
    for name in ("n5", "n6", "n7"):
        room.disks[name] = type(room.disks["n1"])()
        room.lives[name] = 0
        room.restart(name)
    room.view("n1", "n2", "n3", "n4", "n5", "n6", "n7")
    while ("n7", KbNote(NoteKind.READY, "")) not in room.order[room.views["n7"].id]:
        assert room.step()
    room.stuck_disks.add("n7")
    room.run()
    assert all(len(members) < 7 for members in room.primaries().values()), "n7 hasn't recorded it"
    for name in ("n1", "n2", "n3"):
        room.restart(name)
    room.die("n4", "n5", "n6", "n7")
    room.view("n1", "n2", "n3")
    room.run()
    found = losses(room, "n1")
    assert (found.missing, found.may_lose) == (("n4", "n5", "n6", "n7"), True)
    assert "3 of 7 members of a view that may have been" in room.replicas["n1"].reason()
    for count, dead in enumerate(("n4", "n5", "n6", "n7")):
        assert bool(room.primaries()) is (count > 0), "of 6 three decide with n1"
        forget(room, "n1", dead)
        room.run()
    assert set(room.primaries()) == {"n1", "n2", "n3"}


def test_who_is_forgotten_is_so_after_a_restart_until_a_primary_is_formed() -> None:
    room = settled("n1", "n2", "n3", "n4", "n5")
    room.die("n1", "n2", "n4", "n5")
    room.view("n3")
    room.run()
    forget(room, "n3", "n1", "n2")
    room.run()
    assert not room.primaries()
    room.restart("n3")
    room.view("n3")
    room.run()
    assert losses(room, "n3").missing == ("n4", "n5")
    forget(room, "n3", "n4")
    room.run()
    assert not room.primaries(), "the decider is forgotten: half of two is not enough"
    room.restart("n5")
    room.view("n3", "n5")
    room.run()
    assert set(room.primaries()) == {"n3", "n5"}, "n3 tells it"
    for name in ("n3", "n5"):
        assert room.disks[name].load().forgotten == ()


def test_half_decides_still_if_its_decider_is_not_forgotten() -> None:
    room = settled("n1", "n2", "n3", "n4", "n5")
    room.die("n2", "n3", "n4", "n5")
    room.view("n1")
    room.run()
    forget(room, "n1", "n2", "n3", "n4")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}


def test_a_word_is_said_of_what_was_known_then_and_of_nothing_later() -> None:
    """n1 forgot n2, which wasn't dead: the primary that n2 made since counts it all the same."""
    room = settled(*ABC)
    room.view("n2", "n3")
    room.run()
    room.submit("n2", "x", "q(1)")
    room.run()
    room.die("n2")
    room.disks["n1"].write(99, (PutForgotten((("n2", 1),)),))
    room.disks["n1"].sync(99)
    room.restart("n1")
    room.view("n1", "n3")
    room.run()
    assert not room.primaries(), "n3 is half of {n2, n3}, and n2 decides"
    assert "1 of 2 members of the last primary view (n2, n3)" in room.replicas["n1"].reason()


def test_who_is_there_with_its_vote_is_not_forgotten() -> None:
    room = settled("n1", "n2", "n3", "n4", "n5")
    room.die("n3", "n4", "n5")
    room.view("n1", "n2")
    room.run()
    forget(room, "n1", "n2")
    room.run()
    assert room.disks["n1"].load().forgotten == ()
    assert losses(room, "n1").missing == ("n3", "n4", "n5")


def test_a_member_whose_disk_is_new_can_be_forgotten_while_it_is_there() -> None:
    room = settled("n1", "n2")
    room.disks["n1"].lose()
    for name in ("n1", "n2"):
        room.restart(name)
    room.view("n1", "n2")
    room.run()
    assert not room.primaries(), "n1 decided, and may have gone on alone"
    forget(room, "n2", "n1")
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    assert room.facts("n1") == ["p(1)"]


def wrongly_forgotten(at_n1: Iterable[str]) -> Room:
    """{n2, n3} went on, and n2 died; n1 forgot it, and went on too, with these changes."""
    room = settled(*ABC)
    room.view("n2", "n3")
    room.run()
    room.submit("n3", "x", "q(1)")
    room.run()
    assert "q(1)" in room.facts("n3")
    room.die("n2", "n3")
    room.view("n1")
    room.run()
    forget(room, "n1", "n2")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}
    for fact in at_n1:
        room.submit("n1", fact, fact)
        room.run()
    return room


def met(room: Room) -> Room:
    room.restart("n3")
    room.view("n1", "n3")
    room.run()
    return room


@pytest.mark.parametrize("at_n1", [(), ("r(1)",), ("r(1)", "r(2)", "r(3)")])
def test_a_wrong_word_is_loud_when_they_meet_and_nothing_is_replaced(at_n1: list[str]) -> None:
    room = met(wrongly_forgotten(at_n1))
    assert "q(1)" in room.facts("n3"), "what was acknowledged there is there"
    assert room.facts("n1") == ["p(1)", *at_n1]
    assert room.replicas["n1"].forks
    assert room.replicas["n3"].forks
    assert "n3" not in room.primaries()


def test_a_primary_after_a_forgotten_member_has_a_number_of_its_own() -> None:
    room = wrongly_forgotten(())
    there = room.replicas["n3"].last_primary
    here = room.replicas["n1"].last_primary
    assert there is not None
    assert here is not None
    assert here.epoch > there.epoch + KB_EPOCHS_RECOVERED // 2


def test_a_newcomer_that_still_has_the_word_raises_no_more_numbers() -> None:
    """It flaps, so it is never brought up; each view would cost KB_EPOCHS_RECOVERED."""
    room = settled(*ABC)
    room.replicas |= Room("n4").replicas
    room.disks |= Room("n4").disks
    room.lives["n4"] = 1
    room.die("n2", "n3")
    room.view("n1", "n4")
    room.run()
    room.unlinked.add("n1")
    forget(room, "n1", "n2")
    room.run()
    assert room.disks["n4"].load().forgotten
    first = room.replicas["n1"].last_primary
    assert first is not None
    for _ in range(3):
        room.view("n1", "n4")
        room.run()
    last = room.replicas["n1"].last_primary
    assert last is not None
    assert room.primaries() == {"n1": ("n1",)}
    assert last.epoch == first.epoch + 3


def test_nobody_is_forgotten_whom_nothing_waits_for() -> None:
    room = settled(*ABC)
    room.die("n2", "n3")
    room.view("n1")
    room.run()
    forget(room, "n1", "n4", "n9")
    room.run()
    assert room.disks["n1"].load().forgotten == ()
    assert losses(room, "n1").missing == ("n2", "n3")


@pytest.mark.parametrize("met", [("n1", "n2"), ABC])
def test_where_both_sides_forget_the_other_it_is_loud_under_one_number_too(
    met: tuple[str, ...],
) -> None:
    room = settled(*ABC)
    room.die("n3")
    for here, there in (("n1", "n2"), ("n2", "n1")):
        room.view(here)
        room.run()
        forget(room, here, there, "n3")
        room.run()
        room.submit(here, f"by_{here}", f"by({here})")
        room.run()
        assert not room.decided(f"by_{here}").kind
    last = {primary.epoch for name in ("n1", "n2") if (primary := room.replicas[name].last_primary)}
    assert len(last) == 1
    room.view(*met)
    room.run()
    assert not room.primaries().keys() & {*met}
    for here in ("n1", "n2"):
        assert room.replicas[here].forks
        assert f"by({here})" in room.facts(here)
