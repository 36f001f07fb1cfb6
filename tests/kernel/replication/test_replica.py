"""The agreed replica, step by step: PROTOCOL.md, section 9."""

from __future__ import annotations

from functools import partial

import pytest
from kb_room import Room, settled

from zactor.kernel import limits
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.messages.knowledge import KbAttempted, KbDurable, Transaction
from zactor.kernel.messages.service import Service
from zactor.kernel.replication import effects
from zactor.kernel.replication.replica import Replica

ABC = ("n1", "n2", "n3")


# -- founding ----------------------------------------------------------------------------------
def test_nobody_founds_a_cluster_unasked() -> None:
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    assert room.primaries() == {}
    assert room.replicas["n1"].may_be_founded
    assert "belongs to no cluster yet" in room.replicas["n1"].reason()


def test_many_who_found_at_once_found_one_cluster() -> None:
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    for name in ("n3", "n1", "n2"):
        room.found(name, f"by {name}")
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)
    assert {room.replicas[name].founding for name in ABC} == {"by n3"}
    assert room.replicas["n1"].theory.texts() == ["founded('by n3')"]


def test_what_a_node_knew_in_an_earlier_view_founds_nothing_in_the_next() -> None:
    room = Room("n1", "n2")
    room.view("n1")
    room.found("n1")  # before anybody has said where it stands
    room.view("n1", "n2")
    room.run()
    assert room.primaries() == {}


def test_who_comes_to_a_cluster_joins_it_and_never_founds() -> None:
    room = settled("n1")
    room.replicas |= {"n2": Room("n2").replicas["n2"]}
    room.disks |= Room("n2").disks
    room.lives["n2"] = 1
    room.view("n1", "n2")
    room.run()
    room.found("n2", "another")
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2"), "n2": ("n1", "n2")}
    assert room.facts("n2") == ["p(1)"]


def test_clusters_founded_apart_go_on_apart_in_one_view_and_say_so() -> None:
    room = Room(*ABC)
    room.view("n1", "n2")
    room.view("n3")
    room.run()
    room.found("n1", "ours")
    room.found("n3", "theirs")
    room.run()
    room.submit("n3", "t1", "theirs(1)")
    room.submit("n1", "t2", "ours(1)")
    room.run()
    room.view(*ABC)
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2"), "n2": ("n1", "n2"), "n3": ("n3",)}
    room.submit("n3", "t3", "theirs(2)")
    room.submit("n2", "t4", "ours(2)")
    room.run()
    assert room.facts("n3") == ["theirs(1)", "theirs(2)"]
    assert room.facts("n1") == room.facts("n2") == ["ours(1)", "ours(2)"]
    (stranger,) = room.all(effects.Stranger, "n3")
    assert stranger.names == ("n1", "n2")
    assert "founded apart: n1, n2" in stranger.why


def test_a_founding_that_was_interrupted_waits_for_all_who_were_to_be_in_it() -> None:
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    room.stuck_disks.add("n3")
    room.found("n1")
    room.run()
    assert room.primaries() == {}
    room.restart("n3")
    room.view("n1", "n2")
    room.run()
    assert room.primaries() == {}, "n3 may be in another cluster by now"
    room.stuck_disks.clear()
    room.view(*ABC)
    room.run()
    assert room.replicas["n1"].may_be_founded, "n3 never recorded it, so it never was"
    room.found("n2", "at last")
    room.run()
    assert {room.replicas[name].founding for name in ABC} == {"at last"}


# -- ordering, deciding, applying --------------------------------------------------------------
def test_a_change_is_applied_when_a_majority_has_it_on_disk_and_not_before() -> None:
    room = settled(*ABC)
    room.stuck_disks |= {"n2", "n3"}
    room.submit("n2", "t1", "p(2)")
    room.run()
    assert room.undecided("t1")
    assert all("p(2)" not in room.facts(name) for name in ABC)
    room.sync("n3")
    room.run()
    assert room.decided("t1").clock == Clock(1, 3)
    assert all("p(2)" in room.facts(name) for name in ABC), "n2 applies what its disk lacks"


def test_all_refuse_alike_and_the_submitter_is_told_the_class_and_the_words() -> None:
    room = settled(*ABC)
    taken = (("\\+ q(_)", "AlreadyExists", "there is a q"),)
    for name, id_ in (("n1", "t1"), ("n3", "t2")):
        one = Transaction(id_, "me", "why", taken, (), (f"q({id_})",))
        room.call(name, partial(Replica.submit, transaction=one, at=3.0))
    room.run()
    assert room.decided("t1").kind == ""
    assert room.decided("t2") == effects.Decided(
        id="t2", clock=ORIGIN, kind="AlreadyExists", message="there is a q"
    )
    assert {tuple(room.facts(name)) for name in ABC} == {("p(1)", "q(t1)")}
    assert len({room.replicas[name].digest for name in ABC}) == 1


def test_a_transaction_takes_place_once_however_often_it_is_submitted() -> None:
    room = settled(*ABC)
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.submit("n3", "t1", "p(2)")
    room.run()
    first, second = [one for one in room.all(effects.Decided) if one.id == "t1"]
    assert first.clock == second.clock
    assert room.clock("n2") == first.clock


def test_who_is_told_of_a_change_finds_it_at_every_member() -> None:
    room = settled(*ABC)
    room.deaf.add("n3")
    room.submit("n1", "t1", "p(2)")
    room.run()
    assert room.facts("n1") == room.facts("n2") == ["p(1)", "p(2)"]
    assert room.undecided("t1")
    room.deaf.clear()
    while room.undecided("t1"):
        assert room.step()
    assert room.facts("n3") == ["p(1)", "p(2)"]


def test_while_a_primary_gives_way_to_another_what_is_ordered_waits_for_the_other() -> None:
    room = settled("n1", "n2", "n3", "n4", "n5")
    room.stuck_disks |= {"n1", "n2"}
    room.call("n5", Replica.retire)
    room.run()  # the attempt without n5 waits for two disks
    room.submit("n3", "t1", "p(2)")
    room.run()
    assert room.facts("n3") == ["p(1)"], "three disks are a majority of five, but not of four"
    room.stuck_disks.clear()
    room.run()
    assert room.primaries()["n3"] == ("n1", "n2", "n3", "n4")
    assert room.facts("n3") == ["p(1)", "p(2)"]
    assert room.decided("t1").kind == ""


def test_nobody_waits_for_a_member_that_is_gone() -> None:
    room = settled(*ABC)
    room.deaf.add("n3")
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.view("n1", "n2")
    assert room.undecided("t1"), "n2 may not have applied it"
    room.run()
    assert room.decided("t1").kind == ""


def test_a_change_that_took_place_is_no_failure_where_the_primary_is_lost() -> None:
    room = settled(*ABC)
    room.deaf.add("n3")
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.view("n1")
    room.run()
    room.tick(limits.KB_REFUSE_MS - 1)
    assert room.undecided("t1")
    room.tick(limits.KB_REFUSE_MS)
    assert room.decided("t1").kind == ""
    assert room.decided("t1").clock == room.clock("n1")


def test_who_comes_back_has_no_say_before_it_has_met_the_others() -> None:
    room = settled("n1", "n2")
    room.die("n1")
    room.view("n2")
    room.run()
    assert not room.primaries(), "of two halves the one with n1 decides"
    room.restart("n1", is_held=True)
    room.view("n1")
    room.run()
    assert not room.primaries()
    room.view("n1", "n2")
    room.run()
    assert not room.primaries()
    room.call("n1", Replica.begin)
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    said = len(room.said("n1"))
    room.call("n1", Replica.begin)
    assert len(room.said("n1")) == said, "once is enough"


def test_who_finds_nobody_goes_on_alone_if_its_vote_is_enough() -> None:
    room = settled("n1", "n2")
    room.die("n2")
    room.restart("n1", is_held=True)
    room.call("n1", Replica.begin)
    room.view("n1")
    room.run()
    assert room.primaries() == {"n1": ("n1",)}


def test_who_says_what_is_on_disk_says_no_more_than_is() -> None:
    room = settled(*ABC)
    room.stuck_disks.add("n2")
    before = len(room.all(effects.Multicast, "n2"))
    room.submit("n1", "t1", "p(2)")
    room.run()
    said = [one.message for one in room.all(effects.Multicast, "n2")[before:]]
    assert {one.number for one in said if isinstance(one, KbDurable)} == {2}
    assert room.facts("n2") == ["p(1)", "p(2)"], "the disks of the others are a majority"
    before = len(room.all(effects.Multicast, "n2"))
    room.sync("n2")
    said = [one.message for one in room.all(effects.Multicast, "n2")[before:]]
    assert [one.number for one in said if isinstance(one, KbDurable)] == [3]


def test_transactions_go_out_safe_and_only_so_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "KB_FLIGHT_MAX", 2)
    room = settled("n1", "n2")
    before = len(room.all(effects.Multicast, "n1"))
    for number in range(5):
        room.submit("n1", f"t{number}", f"q({number})")
    sent = room.all(effects.Multicast, "n1")[before:]
    assert [one.service for one in sent] == [Service.SAFE] * 2
    room.run()
    assert len(room.facts("n2")) == 6


# -- reading -----------------------------------------------------------------------------------
def test_a_read_waits_for_all_that_was_ordered_before_it() -> None:
    room = settled(*ABC)
    room.stuck_disks |= {"n1", "n2"}
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.call("n3", lambda replica: replica.read("r1"))
    room.run()
    assert room.undecided("r1")
    room.stuck_disks.clear()
    room.run()
    assert room.decided("r1").clock == room.decided("t1").clock


def test_a_read_outside_the_primary_ends_as_not_primary() -> None:
    room = settled(*ABC)
    room.view("n3")
    room.run()
    room.call("n3", lambda replica: replica.read("r1"))
    room.tick(limits.KB_REFUSE_MS + 1)
    assert room.decided("r1").kind == "NotPrimary"


# -- bringing up -------------------------------------------------------------------------------
@pytest.mark.parametrize("kept", [3, 10_000])
def test_who_lacks_much_is_brought_up_while_the_primary_works_and_let_in_then(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", kept)
    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 0)
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", 200)
    room = settled("n1", "n2", facts=[f"p({number})" for number in range(30)])
    room.replicas["n3"], room.disks["n3"] = Room("n3").replicas["n3"], Room("n3").disks["n3"]
    room.lives["n3"] = 1
    room.view(*ABC)
    for _ in range(2_000):
        if room.links or "n1" in room.primaries():
            break
        room.step()
    room.deaf.add("n3")
    room.run()
    assert set(room.primaries()) == {"n1", "n2"}
    room.submit("n2", "t1", "late(1)")
    room.run()
    assert "late(1)" in room.facts("n1"), "the work goes on"
    room.deaf.clear()
    room.run()
    assert room.primaries() == dict.fromkeys(ABC, ABC)
    assert room.facts("n3") == room.facts("n1")
    assert room.replicas["n3"].digest == room.replicas["n1"].digest
    assert bool(room.all(effects.Replaced, "n3")) is (kept == 3)
    room.submit("n3", "t2", "later(1)")
    room.run()
    assert room.decided("t2").kind == ""


def test_a_log_that_was_taken_over_halfway_changes_nothing() -> None:
    room = settled(*ABC)
    room.view("n3")
    room.view("n1", "n2")
    room.run()
    for number in range(5):
        room.submit("n1", f"t{number}", f"q({number})")
    room.run()
    room.view(*ABC)
    while not room.links:
        room.step()
    room.links.clear()  # the answer never comes
    room.run()
    room.restart("n3")
    assert room.disks["n3"].load().theory.texts() == ["founded(us)", "p(1)"]
    room.view(*ABC)
    room.run()
    assert len(room.facts("n3")) == 6


# -- what must not be --------------------------------------------------------------------------
def test_a_node_whose_disk_fails_says_nothing_any_more() -> None:
    room = settled(*ABC)
    room.call("n2", lambda replica: replica.failed("no space left"))
    (broken,) = room.all(effects.Broken, "n2")
    assert broken.why == "the knowledge base can't be written: no space left"
    before = len(room.all(effects.Multicast, "n2"))
    room.submit("n1", "t1", "p(2)")
    room.run()
    assert len(room.all(effects.Multicast, "n2")) == before
    assert room.facts("n3") == ["p(1)", "p(2)"], "the others are a majority"
    assert "n2" not in room.primaries()
    room.view("n1", "n3")
    room.run()
    assert room.decided("t1").kind == "", "who hasn't applied it is gone"


def test_who_has_another_history_at_the_same_clock_stops_and_the_others_go_on() -> None:
    room = settled(*ABC)
    log = room.replicas["n2"]._state.log
    log.history.digest = b"something else"
    room.submit("n1", "t1", "p(2)")
    room.run()
    (broken,) = room.all(effects.Broken)
    assert broken.is_fork
    assert broken.why.startswith("the history of n2 is another than that of n")
    assert "an old copy" in broken.why
    assert set(room.primaries()) == {"n1", "n3"}


def test_a_transaction_that_fits_no_message_is_refused_at_once() -> None:
    room = settled("n1")
    room.submit("n1", "t1", f'p("{"x" * limits.CHANGE_BYTES_MAX}")')
    assert room.decided("t1").kind == "Refused"


def test_too_many_undecided_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRANSACTIONS_OPEN_MAX", 2)
    room = settled(*ABC)
    room.stuck_disks |= set(ABC)
    for number in range(3):
        room.submit("n1", f"t{number}", f"q({number})")
    assert room.decided("t2").kind == "MailboxFull"


def test_what_others_say_to_the_group_out_of_turn_is_nothing() -> None:
    room = settled(*ABC)
    before = room.facts("n1")
    for message in (KbAttempted(99), KbDurable(99, 1 << 40, (0, 0), b"")):
        room.order[room.views["n1"].id].append(("n2", message))
    room.run()
    room.submit("n1", "t1", "p(2)")
    room.run()
    assert room.facts("n1") == [*before, "p(2)"]
