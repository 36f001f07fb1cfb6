"""An operator lets a view without a quorum go on: a cluster of its own (PROTOCOL.md, P12)."""

from __future__ import annotations

import msgspec
import pytest
from kb_operator import ABC, alone, forget, founding_cut_off, losses, recover, texts
from kb_room import Room, settled

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.limits import KB_EPOCHS_RECOVERED
from zactor.kernel.messages.knowledge import KbAttempted, KbNote, KbStanding, NoteKind
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.replication.effects import Broken, Stranger
from zactor.kernel.replication.formation import Formation, Phase
from zactor.kernel.replication.log import Kept, Log


def test_a_refusal_names_the_command_that_helps() -> None:
    room = alone()
    assert (
        "(missing: n2, n3): start 1 of them again, or mend the way there;"
        " if n2, n3 won't come back: `zactor recover n1`"
    ) in room.replicas["n1"].reason()
    room = founding_cut_off()
    assert room.replicas["n2"].reason().endswith("if n3 won't come back: `zactor forget n3`")


def test_what_may_be_lost_is_known_before() -> None:
    room = alone()
    found = losses(room, "n1")
    assert (found.here, found.missing, found.may_lose) == (("n1",), ("n2", "n3"), True)
    assert found.last is not None
    assert found.last.members == ABC
    assert found.clock == room.clock("n1")
    room.view(*ABC)
    room.run()
    assert room.replicas["n1"].losses() is None, "there is a primary"


def test_a_minority_goes_on_by_an_operators_word_as_a_cluster_of_its_own() -> None:
    room = alone()
    last = room.replicas["n1"].last_primary
    assert last is not None
    recover(room, "n1")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}
    room.submit("n1", "t1", "p(2)")
    room.run()
    assert room.facts("n1") == ["p(1)", "p(2)"]
    assert [text for text in texts(room, "n1") if "founded" in text] == ["founded(new)"]
    assert room.clock("n1").epoch >= last.epoch + KB_EPOCHS_RECOVERED
    room.restart("n1")
    room.view("n1")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}, "it needs nobody's word any more"
    assert room.replicas["n1"].founding == "new"


@pytest.mark.parametrize("back", [("n2",), ("n2", "n3")])
def test_who_comes_back_after_a_recovery_is_a_stranger_and_loses_nothing(
    back: tuple[str, ...],
) -> None:
    room = settled(*ABC)
    room.view("n2", "n3")
    room.run()
    room.submit("n2", "only_there", "q(1)")
    room.run()
    room.view("n1")
    room.run()
    recover(room, "n1")
    room.run()
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.view("n1", *back)
    room.run()
    assert {name for one in room.all(Stranger, "n1") for name in one.names} == {*back}
    assert "n1" in {name for one in room.all(Stranger, "n2") for name in one.names}
    assert room.primaries()["n1"] == ("n1",)
    assert "q(1)" in room.facts("n2")
    assert "q(1)" not in room.facts("n1")
    assert not room.all(Broken)
    if back == ("n2", "n3"):
        assert room.primaries()["n2"] == back, "the majority lived all the while"


def test_who_is_missing_its_cluster_is_told_where_the_others_went() -> None:
    room = alone()
    recover(room, "n1")
    room.run()
    room.view("n1", "n3")
    room.run()
    assert room.replicas["n3"].reason().endswith("; n1 went to another cluster")


def test_all_who_are_there_go_on_together_and_the_newest_log_counts() -> None:
    names = ("n1", "n2", "n3", "n4", "n5")
    room = settled(*names)
    room.deaf.add("n1")
    room.submit("n2", "t1", "p(2)")
    room.run()
    room.deaf.clear()
    for name in names:
        room.restart(name)
    room.view("n1", "n2")
    room.run()
    assert not room.primaries()
    recover(room, "n1")
    recover(room, "n2", "other")
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2"), "n2": ("n1", "n2")}
    assert room.facts("n1") == room.facts("n2") == ["p(1)", "p(2)"]
    assert room.replicas["n1"].founding == room.replicas["n2"].founding == "new", "the first counts"


def test_a_newcomer_joins_what_was_recovered() -> None:
    room = alone()
    room.disks["n3"].lose()
    room.restart("n3")
    room.view("n1", "n3")
    room.run()
    recover(room, "n3")
    room.run()
    assert room.primaries() == {"n1": ("n1", "n3"), "n3": ("n1", "n3")}
    assert room.replicas["n3"].founding == "new"


def test_a_log_that_was_taken_over_is_enough_to_recover_from() -> None:
    """Nobody who has a vote is left: only one that was being let in, and one that is new."""
    me, new = NodeId("b", 1), NodeId("c", 1)
    formation = Formation("b", View(id=ViewId(9, me), members=(me, new)))
    stands = KbStanding(formation.view.id, "node", None, (), 4, 7, b"7", (4, 2), b"d")
    formation.stands("c", msgspec.structs.replace(stands, epoch=0, number=0, chain=b""))
    formation.stands("b", msgspec.structs.replace(stands, founding="us"))
    assert formation.phase is Phase.WAITING
    assert formation.recover("new")
    assert formation.proposer == "b"
    log = Log(Kept(theory=Theory(), digest=b"d", number=7, chain=b"7", epoch=4))
    attempt = formation.first_attempt(log, "new")
    assert attempt.voices == ("b",), "c would be of the new cluster before that is formed"


def test_a_word_counts_in_its_view_only_and_where_nobody_takes_changes() -> None:
    room = settled(*ABC)
    recover(room, "n1")
    forget(room, "n1", "n9")
    room.run()
    assert room.replicas["n1"].founding == "us"
    room.view("n1")
    recover(room, "n1")  # before it is clear who stands where
    room.run()
    late = [message for message in room.said("n1") if isinstance(message, KbNote)]
    assert [note.kind for note in late] == [NoteKind.RECOVER]
    room = alone()
    old = room.views["n1"].id
    room.view("n1")
    room.run()
    room.order[room.views["n1"].id].append(("n1", KbNote(NoteKind.RECOVER, "new", old, 0.0)))
    room.run()
    assert not room.primaries()


def half_recovered(*formed: str) -> Room:
    """{n1, n2} of five recover; only `formed` hear in time that both have recorded it.

    The others are deaf until they leave the view.
    """
    room = settled("n1", "n2", "n3", "n4", "n5")
    room.die("n3", "n4", "n5")
    room.view("n1", "n2")
    room.run()
    recover(room, "n1")
    others = {"n1", "n2"} - {*formed}

    def last_word() -> bool:
        said = [each for each in room.said("n1") if isinstance(each, KbAttempted)]
        if len(said) == 2:
            room.deaf |= others
        return len(said) == 2

    while not last_word():
        assert room.step()
    room.run()
    assert set(room.primaries()) == {*formed}
    return room


def test_who_heard_the_last_word_too_late_goes_with_who_heard_it() -> None:
    room = half_recovered("n1")
    room.view("n1", "n2", flush=("n2",))
    room.deaf.clear()
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    assert room.replicas["n2"].founding == "new"
    assert not room.all(Stranger)


def test_who_heard_it_too_late_goes_on_under_the_new_name_if_its_log_counts() -> None:
    room = half_recovered("n2")
    room.submit("n2", "t1", "p(2)")
    room.run()
    room.view("n1", "n2", flush=("n1",))
    ends = {(log.epoch, log.end) for log in (room.replicas[n]._state.log for n in ("n1", "n2"))}
    assert len(ends) == 1, "of equal logs n1's counts"
    room.deaf.clear()
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    assert {room.replicas[name].founding for name in ("n1", "n2")} == {"new"}
    assert "founded(us)" not in texts(room, "n1")


def test_an_undecided_recovery_binds_who_recorded_it_in_the_old_cluster() -> None:
    room = half_recovered("n1")
    room.view("n1")
    room.run()
    for name in ("n3", "n4", "n5"):
        room.restart(name)
    room.view("n2", "n3", "n4", "n5", flush=("n2",))
    room.deaf.clear()
    room.run()
    assert not room.primaries().keys() & {"n2", "n3", "n4", "n5"}, "n1 may have gone on"
    assert "may have been the last primary one (n1, n2)" in room.replicas["n3"].reason()
    room.view("n3", "n4", "n5")
    room.run()
    assert set(room.primaries()) == {"n3", "n4", "n5", "n1"}, "without n2's vote they are enough"


def test_a_recovery_that_failed_binds_nobody_who_has_a_history_and_no_vote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """n4 was being brought up when n1 was cut off with it; it alone records the attempt."""
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", 50)
    room = settled(*ABC, facts=("p(1)", "p(2)", "p(3)", "p(4)"))
    room.replicas |= Room("n4").replicas
    room.disks |= Room("n4").disks
    room.lives["n4"] = 1
    room.view(*ABC, "n4")
    while not room.replicas["n4"]._view_state._transfer.came():
        assert room.step()
    room.links.clear()
    room.unlinked.add("n1")
    room.stuck_disks |= {"n2", "n3"}
    room.view("n1", "n4")
    room.run()
    assert room.disks["n4"].load().founding == "us"
    assert room.disks["n4"].load().formed is None
    room.unlinked.clear()
    recover(room, "n1")
    room.stuck_disks.add("n1")
    room.run()
    assert room.disks["n4"].attempts
    for name in ("n2", "n3"):
        room.restart(name)
    room.stuck_disks = {"n1"}
    room.die("n1")
    room.links.clear()
    room.view("n2", "n3", "n4")
    room.run()
    assert set(room.primaries()) == {"n2", "n3", "n4"}
