"""The agreed replica from view to view: who goes on, and with which history."""

from __future__ import annotations

import pytest
from kb_room import settled

from zactor.kernel import limits
from zactor.kernel.messages.knowledge import KbAttempted
from zactor.kernel.replication import effects

ABC = ("n1", "n2", "n3")


def test_what_was_ordered_and_not_decided_outlives_its_view() -> None:
    room = settled(*ABC)
    room.stuck_disks |= set(ABC)
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.view("n2", "n3")
    room.stuck_disks.clear()
    room.run()
    assert "p(2)" in room.facts("n2")
    assert room.facts("n1") == ["p(1)"]
    room.tick(limits.KB_REFUSE_MS + 1)
    assert room.undecided("t1"), "n1 doesn't know yet that its view is over"
    room.view("n1")
    room.run()
    assert (
        "n1 sees 1 of 3 members of the last primary view (n1, n2, n3)"
        in room.replicas["n1"].reason()
    )
    room.tick(2 * limits.KB_REFUSE_MS + 1)
    assert room.decided("t1").kind == "OutcomeUnknown"
    room.view(*ABC)
    room.run()
    assert room.facts("n1") == room.facts("n2") == ["p(1)", "p(2)"]


def test_what_comes_after_the_transitional_signal_is_taken_down_and_settled_later() -> None:
    room = settled(*ABC)
    room.deaf |= {"n2", "n3"}
    room.submit("n1", "t1", "p(2)")
    room.run()  # n1 has seen it in the regular configuration
    room.deaf.clear()
    room.view("n2", "n3", flush=("n2", "n3"))
    room.run()
    assert "p(2)" in room.facts("n2")


def test_a_minority_refuses_in_time_and_says_why() -> None:
    room = settled(*ABC)
    room.view("n3")
    room.run()
    room.submit("n3", "t1", "p(2)")
    room.tick(limits.KB_REFUSE_MS - 1)
    assert room.undecided("t1")
    room.tick(limits.KB_REFUSE_MS)
    decided = room.decided("t1")
    assert decided.kind == "NotPrimary"
    assert decided.message == (
        "n3 sees 1 of 3 members of the last primary view (n1, n2, n3): changes wait until more"
        " than half are there (missing: n1, n2): start 1 of them again, or mend the way there;"
        " if n1, n2 won't come back: `zactor recover n3`"
    )


def test_what_waits_when_a_primary_is_formed_takes_place_then() -> None:
    room = settled(*ABC)
    room.view("n3")
    room.run()
    room.submit("n3", "t1", "p(2)")
    room.view(*ABC)
    room.run()
    assert room.decided("t1").kind == ""
    assert "p(2)" in room.facts("n1")


@pytest.mark.parametrize(
    ("first", "second", "last", "works"),
    [
        ("n3", "n2", "n1", True),
        ("n2", "n3", "n1", True),
        ("n1", "n3", "n2", True),
        ("n3", "n1", "n2", False),
        ("n2", "n1", "n3", False),
        ("n1", "n2", "n3", False),
        ("m1", "n2", "n1", True),
        ("m1", "n1", "n2", False),
        ("n2", "m1", "n1", True),
        ("n1", "m1", "n2", True),
        ("n1", "n2", "m1", False),
        ("n2", "n1", "m1", False),
    ],
)
def test_three_lose_one_then_another(first: str, second: str, last: str, works: bool) -> None:
    names = sorted({first, second, last})
    room = settled(*names)
    room.die(first)
    room.view(*(name for name in names if name != first))
    room.run()
    assert len(room.primaries()) == 2
    room.die(second)
    room.view(last)
    room.run()
    assert (room.primaries() == {last: (last,)}) is works
    if not works:
        assert "of two halves the one with" in room.replicas[last].reason()
    room.view(*names)
    room.run()
    assert len(room.primaries()) == 3


def test_of_three_two_that_die_at_once_leave_a_minority() -> None:
    room = settled(*ABC)
    room.die("n2", "n3")
    room.view("n1")
    room.run()
    assert room.primaries() == {}


def test_who_leaves_in_good_order_is_let_out_first_whoever_it_is() -> None:
    room = settled("n1", "n2")
    room.call("n1", lambda replica: replica.retire())
    room.run()
    assert room.all(effects.Retired, "n1")
    assert room.primaries() == {"n2": ("n2",)}
    room.view("n2")
    room.run()
    assert room.primaries() == {"n2": ("n2",)}, "n1, the decider, is missed by nobody"
    room.restart("n1")
    room.view("n1")
    room.run()
    assert "n1" not in room.primaries(), "and doesn't go on by itself"


def test_who_all_leave_at_once_are_held_up_by_nobody() -> None:
    room = settled(*ABC)
    for name in ABC:
        room.call(name, lambda replica: replica.retire())
    room.run()
    assert all(room.all(effects.Retired, name) for name in ABC)


def test_after_a_power_cut_the_longest_log_of_a_majority_counts() -> None:
    room = settled(*ABC)
    room.stuck_disks |= {"n3"}
    room.submit("n1", "t1", "p(2)")
    room.run()
    for name in ABC:
        room.restart(name)
    room.stuck_disks.clear()
    room.view("n2", "n3")
    room.run()
    assert room.facts("n3") == room.facts("n2") == ["p(1)", "p(2)"]


def test_an_attempt_that_may_have_been_agreed_to_binds_whoever_does_not_know() -> None:
    room = settled(*ABC)
    room.die("n3")
    room.view("n1", "n2")
    while [*map(type, room.said("n1"))].count(KbAttempted) < 2:
        assert room.step()
    room.deaf.add("n2")  # it doesn't hear both voices in time, n1 does
    room.run()
    assert room.primaries() == {"n1": ("n1", "n2")}
    room.deaf.clear()
    room.view("n2", "n3", flush=("n2",))  # n2 heard the last voice after the signal only
    room.run()
    reason = room.replicas["n2"].reason()
    assert "a view that may have been the last primary one (n1, n2)" in reason
    assert "n2" not in room.primaries(), "n1 may have gone on alone: it is the decider"


def test_an_attempt_whose_voices_were_not_all_heard_binds_nobody() -> None:
    room = settled(*ABC)
    room.view("n1", "n2")
    room.stuck_disks.add("n1")
    room.run()  # n2 has recorded it, n1 hasn't said so
    room.die("n1")
    room.view("n2", "n3")
    room.run()
    assert room.primaries() == {"n2": ("n2", "n3"), "n3": ("n2", "n3")}


def test_a_minority_that_knows_of_a_change_says_so_where_it_is_asked_for_again() -> None:
    room = settled(*ABC)
    room.submit("n1", "t1", "p(2)")
    room.run()
    room.view("n3")
    room.run()
    clock = room.decided("t1").clock
    room.happened.clear()
    room.submit("n3", "t1", "p(2)")
    assert (room.decided("t1").kind, room.decided("t1").clock) == ("", clock)


def test_who_leaves_while_another_does_is_let_out_in_the_next_view() -> None:
    room = settled("n1", "n2", "n3", "n4")
    room.call("n4", lambda replica: replica.retire())
    while not room.all(effects.Retired, "n4"):
        assert room.step()
    room.call("n1", lambda replica: replica.retire())  # said in a view that is at its end
    room.deaf |= {"n1", "n2", "n3"}
    room.die("n4")
    room.view("n1", "n2", "n3", flush=("n1", "n2", "n3"))
    room.call("n2", lambda replica: replica.retire())  # and that while the next primary is made
    assert not room.all(effects.Retired, "n2")
    room.deaf.clear()
    room.run()
    assert room.all(effects.Retired, "n1")
    assert room.all(effects.Retired, "n2")
    assert room.primaries() == {"n3": ("n3",)}, "it goes on, whoever decided before"


def test_who_leaves_where_no_primary_can_be_is_held_up_by_nobody() -> None:
    room = settled(*ABC)
    room.deaf |= set(ABC)
    room.view("n3")
    room.call("n3", lambda replica: replica.retire())
    room.deaf.clear()
    room.run()
    assert room.all(effects.Retired, "n3")


def test_who_leaves_stays_until_those_who_go_on_know_that_they_may() -> None:
    room = settled("n1", "n2")
    room.call("n1", lambda replica: replica.retire())
    while room.replicas["n1"].is_primary:
        assert room.step()
        if [*map(type, room.said("n1"))].count(KbAttempted) == 4:  # of this primary and the next
            room.deaf.add("n2")
    room.run()
    assert not room.all(effects.Retired, "n1"), "n2 hasn't heard yet that both have agreed"
    room.deaf.clear()
    room.run()
    assert room.all(effects.Retired, "n1")
    assert room.primaries() == {"n2": ("n2",)}
