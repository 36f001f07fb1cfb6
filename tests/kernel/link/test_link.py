"""The rules of the link, one test each; their numbers are those of PROTOCOL.md."""

from __future__ import annotations

from typing import Any

import pytest

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import (
    TRANSITIONS,
    Deliver,
    Effect,
    Limits,
    Lost,
    Phase,
    PhaseTrigger,
    Transmit,
)
from zactor.kernel.link.link import Link
from zactor.kernel.messages.actors import Ask, Reply, Signal
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.frames import LinkFrame

A, B = NodeId("a", 3), NodeId("b", 8)
LIMITS = Limits(
    window=8,
    lot=4,
    batch_items=4,
    batch_bytes=100,
    flight_bytes=200,
    resend_ms=250,
    ack_delay_ms=5,
)


def make(connected: bool = True) -> Link:
    link = Link(
        A,
        B,
        is_credited=lambda item: str(item).startswith("c"),
        size_of=lambda item: int(str(item).partition(":")[2] or 10),
        weight_of=lambda item: int(str(item).partition("*")[2] or 1),
        limits=LIMITS,
    )
    if connected:
        assert link.connected(0) == [Transmit(ours(1, probe=True))]
    return link


def ours(
    first: int,
    *items: str,
    received: int = 0,
    granted: int = 8,
    probe: bool = False,
    again: bool = False,
) -> LinkFrame:
    return LinkFrame(3, 8, first, received, granted, probe, again, items)  # type: ignore[arg-type]


def theirs(
    first: int,
    *items: str,
    received: int = 0,
    granted: int = 8,
    probe: bool = False,
    again: bool = False,
) -> LinkFrame:
    return LinkFrame(8, 3, first, received, granted, probe, again, items)  # type: ignore[arg-type]


def frames(effects: list[Effect]) -> list[LinkFrame]:
    return [effect.frame for effect in effects if isinstance(effect, Transmit)]


def state(link: Link) -> dict[str, Any]:
    out = link._out
    slots = {name: getattr(link, name) for name in Link.__slots__ if name != "_out"}
    slots |= {name: getattr(out, name) for name in ("spent", "granted", "acknowledged")}
    return slots | {"sent": list(out.unacknowledged), "queued": out.queued}


# -- sending -------------------------------------------------------------------------------
def test_one_item_leaves_at_once_with_the_next_number() -> None:
    link = make()
    assert link.submit(["c1"], 0) == [Transmit(ours(1, "c1"))]
    assert link.submit(["f1", "c2"], 0) == [Transmit(ours(2, "f1", "c2"))]
    assert link.submit([], 0) == []
    assert (link.queued, link.queued_bytes, link.waiting) == (3, 30, 0)


def test_nothing_is_transmitted_without_a_connection() -> None:
    link = make(connected=False)
    assert link.submit(["c1", "f1"], 0) == []
    assert (link.queued, link.waiting, link.next_deadline_ms) == (2, 2, None)
    assert link.connected(7) == [
        Transmit(ours(1, probe=True)),
        Transmit(ours(1, "f1", "c1")),
    ]
    link.disconnected(8)
    assert link.submit(["f2"], 9) == link.tick(10_000) == []


def test_frames_are_cut_by_count_and_by_size_and_a_larger_item_goes_alone() -> None:
    link = make()
    assert frames(link.submit(["f"] * 5, 0)) == [ours(1, *["f"] * 4), ours(5, "f")]
    assert frames(link.submit(["f:60", "f:50", "f:300", "f:1"], 0)) == [
        ours(6, "f:60"),
        ours(7, "f:50"),
        ours(8, "f:300"),
        ours(9, "f:1"),
    ]


def test_credited_items_wait_for_credit_and_the_others_overtake_them() -> None:
    link = make()
    credited = [f"c{i}" for i in range(10)]
    sent = frames(link.submit(credited, 0))
    assert [item for frame in sent for item in frame.items] == credited[:8]
    assert link.waiting == 2
    assert frames(link.submit(["f1", "c10"], 0)) == [ours(9, "f1")]
    assert frames(link.receive(theirs(1, received=9, granted=10), 1)) == [ours(10, "c8", "c9")]
    assert frames(link.receive(theirs(1, received=9, granted=12), 2)) == [ours(12, "c10")]


def test_credited_items_wait_while_too_many_bytes_are_under_way() -> None:
    link = make()
    assert len(frames(link.submit(["c:150", "c:60", "c:90"], 0))) == 2
    assert frames(link.submit(["f:5"], 0)) == [ours(3, "f:5")]
    assert frames(link.receive(theirs(1, received=1), 1)) == [ours(4, "c:90")]


# -- acknowledging -------------------------------------------------------------------------
def test_an_acknowledgement_rides_on_what_leaves() -> None:
    link = make()
    assert link.receive(theirs(1, "f1"), 0) == [Deliver(("f1",))]  # type: ignore[arg-type]
    assert link.submit(["f2"], 1) == [Transmit(ours(1, "f2", received=1))]
    assert link.tick(100) == []


def test_an_acknowledgement_with_nothing_to_ride_on_leaves_after_the_delay() -> None:
    link = make()
    link.receive(theirs(1, "f1"), 10)
    assert link.next_deadline_ms == 15
    assert link.tick(14) == []
    assert link.tick(15) == [Transmit(ours(1, received=1))]
    assert link.next_deadline_ms is None
    assert link.receive(theirs(2, received=0), 20) == []
    assert link.next_deadline_ms is None, "a frame without items isn't acknowledged"


def test_half_a_window_is_acknowledged_at_once() -> None:
    link = make()
    assert frames(link.receive(theirs(1, "f", "f", "f"), 0)) == []
    assert frames(link.receive(theirs(4, "f"), 0)) == [ours(1, received=4)]


def test_an_acknowledgement_frees_what_it_covers_also_within_a_frame() -> None:
    link = make()
    link.submit(["c1", "c2", "c3"], 0)
    link.receive(theirs(1, received=2), 1)
    assert (link.queued, link.queued_bytes) == (1, 10)
    assert frames(link.receive(theirs(1, received=2, again=True), 2)) == [ours(3, "c3")]
    link.receive(theirs(1, received=3), 3)
    assert (link.queued, link.queued_bytes, link.next_deadline_ms) == (0, 0, None)


# -- credits -------------------------------------------------------------------------------
def test_credits_go_back_in_lots() -> None:
    link = make()
    link.receive(theirs(1, "c", "c", "c", "c"), 0)
    assert link.consumed(3, 1) == []
    assert link.consumed(1, 1) == [Transmit(ours(1, received=4, granted=12))]


def test_less_than_a_lot_goes_back_only_when_the_peer_is_about_to_run_dry() -> None:
    link = make()
    link.receive(theirs(1, "c"), 0)
    link.tick(5)
    link.consumed(1, 5)
    assert link.next_deadline_ms is None, "seven are left"
    link.receive(theirs(2, "c", "c", "c"), 6)
    link.receive(theirs(5, "c", "c", "c", "c"), 6)
    link.tick(11)
    assert link.consumed(1, 20) == []
    assert link.tick(25) == [Transmit(ours(1, received=8, granted=10))]


def test_more_consumed_than_delivered_is_our_own_mistake() -> None:
    link = make()
    link.receive(theirs(1, "c", "f"), 0)
    for count in (2, -1):
        before = state(link)
        with pytest.raises(LocalProtocolError, match="consumed"):
            link.consumed(count, 0)
        assert state(link) == before


def test_a_peer_that_overspends_is_not_heard() -> None:
    link = make()
    for number in range(1, 9):
        link.receive(theirs(number, "c"), 0)
    (effect,) = link.receive(theirs(9, "f", "c"), 0)
    assert isinstance(effect, Trace)
    assert effect.fields["problem"] == "more credited items than granted"


# -- gaps, duplicates, resending -----------------------------------------------------------
def test_what_follows_a_gap_is_dropped_and_the_peer_is_told_once() -> None:
    link = make()
    seen = link.receive(theirs(3, "f3"), 0)
    assert seen == [
        Trace("gap_seen", {"remote": "b@8", "expected": 1, "first": 3}),
        Transmit(ours(1, again=True)),
    ]
    assert link.receive(theirs(4, "f4"), 100) == []
    assert frames(link.receive(theirs(5, probe=True), 100)) == [ours(1, again=True)]
    assert frames(link.receive(theirs(5, "f5"), 400)) == [ours(1, again=True)]
    assert link.receive(theirs(1, "f1"), 401)[0] == Deliver(("f1",))  # type: ignore[arg-type]


def test_a_frame_without_items_shows_a_gap_too() -> None:
    assert frames(make().receive(theirs(2), 0)) == [ours(1, again=True)]


def test_all_that_follows_is_sent_again_but_not_twice_at_once() -> None:
    link = make()
    link.submit(["c1"], 0)
    link.submit(["c2", "f1"], 0)
    resent = link.receive(theirs(1, again=True), 10)
    assert resent == [
        Trace("items_resent", {"remote": "b@8", "after": 0, "count": 3}),
        Transmit(ours(1, "c1")),
        Transmit(ours(2, "c2", "f1")),
    ]
    assert link.receive(theirs(1, again=True), 11) == []
    assert frames(link.receive(theirs(1, received=1, again=True), 12)) == [ours(2, "c2", "f1")]
    assert link.receive(theirs(1, received=0, again=True), 900) == [], "an older standing"


def test_what_arrived_already_is_cut_off_and_acknowledged_again() -> None:
    link = make()
    link.receive(theirs(1, "f1", "f2"), 0)
    link.tick(5)
    assert link.receive(theirs(1, "f1", "f2"), 6) == []
    assert link.tick(11) == [Transmit(ours(1, received=2))]
    assert link.receive(theirs(2, "f2", "f3"), 12) == [Deliver(("f3",))]  # type: ignore[arg-type]


# -- probes and reconnecting ---------------------------------------------------------------
def test_silence_of_the_peer_is_answered_by_a_probe() -> None:
    link = make()
    link.submit(["c1"], 100)
    assert link.next_deadline_ms == 350
    assert link.tick(349) == []
    assert link.tick(350) == [Transmit(ours(2, probe=True))]
    assert link.next_deadline_ms == 600


def test_a_closed_window_is_probed_because_the_grant_may_be_lost() -> None:
    link = make()
    link.submit(["c"] * 9, 0)
    link.receive(theirs(1, received=8), 10)
    assert (link.queued, link.waiting, link.next_deadline_ms) == (1, 1, 260)
    assert link.tick(260) == [Transmit(ours(9, probe=True))]
    assert frames(link.receive(theirs(1, received=8, granted=12), 261)) == [ours(9, "c")]


def test_a_probe_is_answered_at_once() -> None:
    link = make()
    assert link.receive(theirs(1, probe=True), 0) == [Transmit(ours(1))]


def test_after_a_reconnect_new_items_wait_until_the_peer_says_where_it_stands() -> None:
    link = make()
    link.submit(["c1"], 0)
    link.submit(["c2"], 0)
    link.disconnected(10)
    assert link.connected(20) == [Transmit(ours(3, probe=True))]
    assert link.phase is Phase.ASKING
    assert link.submit(["f1"], 21) == []
    assert frames(link.receive(theirs(1, received=1, again=True), 22)) == [
        ours(2, "c2"),
        ours(3, "f1"),
    ]
    assert link.phase is Phase.OPEN


def test_after_a_reconnect_without_loss_nothing_is_sent_again() -> None:
    link = make()
    link.submit(["c1"], 0)
    link.connected(20)
    link.submit(["c2"], 21)
    assert frames(link.receive(theirs(1, received=1), 22)) == [ours(2, "c2")]


def test_the_phases_are_those_of_the_table() -> None:
    assert {cause for row in TRANSITIONS.values() for cause in row} == set(PhaseTrigger)
    assert set(TRANSITIONS) == set(Phase)
    link = make()
    with pytest.raises(LocalProtocolError, match="open"):
        link._move(PhaseTrigger.SETTLED)
    assert link.phase is Phase.OPEN


def test_the_next_deadline_is_the_earlier_of_acknowledgement_and_probe() -> None:
    link = make()
    link.submit(["c1"], 0)
    link.receive(theirs(1, "f1"), 247)
    assert link.next_deadline_ms == 250
    link.tick(250)
    link.receive(theirs(2, "f2"), 300)
    assert link.next_deadline_ms == 305


def test_what_is_consumed_during_a_break_is_granted_when_it_ends() -> None:
    link = make()
    link.receive(theirs(1, "c", "c", "c", "c"), 0)
    link.disconnected(1)
    assert link.consumed(4, 2) == []
    assert link.connected(3) == [Transmit(ours(1, received=4, granted=12, probe=True))]


def test_who_has_nothing_under_way_sends_nothing_again() -> None:
    link = make()
    assert link.receive(theirs(1, again=True), 0) == []
    link.submit(["c1"], 0)
    link.disconnected(1)
    assert link.receive(theirs(1, again=True), 2) == []


# -- what an honest peer never sends -------------------------------------------------------
@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (LinkFrame(7, 3, 1, 1, 8, False, False, ()), "another incarnation"),
        (LinkFrame(8, 2, 1, 1, 8, False, False, ()), "another incarnation"),
        (theirs(0, received=1), "numbers out of range"),
        (theirs(1, received=-1), "numbers out of range"),
        (theirs(1, received=4), "acknowledges what was never sent"),
        (theirs(1, received=3, granted=12), "grants more than the window"),
        (theirs(1, received=3, granted=7), "grants and acknowledgements contradict each other"),
        (theirs(1, received=0, granted=10), "grants and acknowledgements contradict each other"),
        (theirs(1, received=1, granted=7), "grants less than at the start"),
        (theirs(1, *["c"] * 9), "more credited items than granted"),
    ],
)
def test_a_frame_that_makes_no_sense_is_dropped_and_changes_nothing(
    frame: LinkFrame, problem: str
) -> None:
    link = make()
    link.submit(["c1", "c2", "c3"], 0)
    link.receive(theirs(1, received=1), 0)
    before = state(link)
    (effect,) = link.receive(frame, 1)
    assert isinstance(effect, Trace)
    assert (effect.event, effect.fields["problem"]) == ("frame_dropped", problem)
    assert state(link) == before


# -- the end -------------------------------------------------------------------------------
def test_when_the_peer_is_gone_each_item_comes_back_with_what_is_known_of_it() -> None:
    link = make()
    link.submit(["c1"], 0)
    link.submit(["c2"], 0)
    link.receive(theirs(1, received=1), 1)
    link.disconnected(2)
    link.submit(["c3", "f1"], 3)
    assert link.peer_dead("killed") == [
        Lost(("c2", "f1", "c3"), (True, False, False), "killed"),
    ]
    assert (link.queued, link.queued_bytes, link.waiting) == (0, 0, 0)
    assert link.submit(["c4"], 4) == [Lost(("c4",), (False,), "killed")]
    assert link.next_deadline_ms is None
    quiet = (link.connected(5), link.disconnected(5), link.tick(900), link.peer_dead("again"))
    assert quiet == ([], [], [], [])
    (effect,) = link.receive(theirs(1, "f"), 6)
    assert isinstance(effect, Trace)


def test_without_a_predicate_signals_and_asks_take_a_credit() -> None:
    link = Link(A, B, limits=LIMITS)
    link.connected(0)
    link.submit([Signal((1,), 0, 1, "inc", b""), Ask(1, 0, 2, "inc", b"")] * 4, 0)
    reply = Reply(1, b"")
    assert link.submit([Ask(1, 0, 3, "inc", b"")], 0) == []
    assert [frame.items for frame in frames(link.submit([reply], 0))] == [(reply,)]


# -- items that weigh more than one -----------------------------------------------------------
def test_l2a_a_parcel_takes_as_many_numbers_and_credits_as_it_weighs() -> None:
    link = make()
    assert frames(link.submit(["c*3", "f"], 0)) == [ours(1, "c*3", "f")]
    assert (link.queued, link._out.spent) == (4, 3)
    assert frames(link.submit(["f"], 0)) == [ours(5, "f")]
    link.receive(theirs(1, received=4), 0)
    assert link.queued == 1
    effects = link.receive(theirs(1, "c*4", "f", received=5), 0)
    assert [effect.items for effect in effects if isinstance(effect, Deliver)] == [("c*4", "f")]
    with pytest.raises(LocalProtocolError, match="5 more items consumed"):
        link.consumed(5, 0)
    assert frames(link.consumed(4, 0)) == [ours(6, received=5, granted=12)]


def test_l12_a_frame_that_begins_within_a_parcel_is_dropped() -> None:
    link = make()
    link.receive(theirs(1, "f", "f"), 0)
    (dropped,) = link.receive(theirs(2, "c*2", "f"), 0)
    assert isinstance(dropped, Trace)
    assert dropped.fields["problem"] == "begins within an item that we have"
    (dropped,) = link.receive(theirs(1, "c*3"), 0)
    assert isinstance(dropped, Trace)
    effects = link.receive(theirs(1, "c*2", "f"), 0)
    assert [effect.items for effect in effects if isinstance(effect, Deliver)] == [("f",)]


def test_an_acknowledgement_within_a_parcel_is_one_of_what_is_before_it() -> None:
    link = make()
    link.submit(["f", "c*3"], 0)
    link.receive(theirs(1, received=3), 0)
    link.validate()
    assert link.queued == 3
    link.receive(theirs(1, received=4), 0)
    link.validate()
    assert link.queued == 0
