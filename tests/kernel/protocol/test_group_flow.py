"""Credits, tickets in lots, and the queue's bounds; acknowledgements; gaps; repeats."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import MailboxFull
from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.flow import Draft, Flow
from zactor.kernel.protocol.gaps import Gaps
from zactor.kernel.protocol.group_settings import Settings
from zactor.kernel.protocol.messages import GroupData, Kind
from zactor.kernel.protocol.ordering import Ordering
from zactor.kernel.protocol.repeats import Repeats
from zactor.kernel.protocol.service import Service
from zactor.kernel.protocol.stability import Stability
from zactor.kernel.protocol.view import View, ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
VIEW = View(id=ViewId(1, A), members=(A, B, C))


def draft(service: Service, number: int = 1, size: int = 0, kind: Kind = Kind.DATA) -> Draft:
    return Draft(number, service, kind, "s", ("g",), False, b"x" * size)


def sent(one: Draft, sequence: int) -> GroupData:
    return GroupData(
        VIEW.id, A, sequence, 0, one.number, one.service, one.kind, "s", ("g",), False, 0, b"xx"
    )


# -- flow ------------------------------------------------------------------------------------
def test_fifo_waits_behind_a_message_that_waits_for_its_ticket() -> None:
    flow = Flow(Settings())
    flow.add(draft(Service.AGREED, 1))
    flow.add(draft(Service.FIFO, 2))
    assert flow.next_fifo() is None
    assert flow.tickets_wanted() == 1
    assert flow.tickets_wanted() == 0, "the answer is still to come"
    assert flow.next_fifo() is None
    assert [one.number for one in flow.granted(1)] == [1]
    fifo = flow.next_fifo()
    assert fifo is not None
    assert fifo.number == 2


def test_tickets_are_asked_for_in_lots_within_the_credit() -> None:
    flow = Flow(Settings(window_messages=4, tickets_max=2, ack_messages=1))
    services = (Service.AGREED, Service.FIFO, Service.SAFE, Service.CAUSAL)
    for number, service in enumerate(services, 1):
        flow.add(draft(service, number))
    assert flow.tickets_wanted() == 2
    assert [one.number for one in flow.granted(2)] == [1, 2, 3]


def test_reliable_overtakes_but_not_the_credit_that_is_spoken_for() -> None:
    flow = Flow(Settings(window_messages=2, ack_messages=1))
    flow.add(draft(Service.AGREED, 1))
    flow.add(draft(Service.RELIABLE, 2))
    flow.add(draft(Service.RELIABLE, 3))
    assert flow.tickets_wanted() == 1
    loose = flow.next_loose()
    assert loose is not None
    flow.sent(sent(loose, 1))
    assert flow.next_loose() is None
    flow.granted(1)
    flow.stable(1)
    assert flow.next_loose() is not None


def test_bytes_are_credits_too() -> None:
    flow = Flow(Settings(window_bytes=2))
    flow.add(draft(Service.FIFO, 1))
    flow.add(draft(Service.FIFO, 2))
    one = flow.next_fifo()
    assert one is not None
    flow.sent(sent(one, 1))
    assert flow.next_fifo() is None
    flow.new_view()
    assert flow.next_fifo() is not None


def test_a_full_queue_refuses_messages_but_no_leave() -> None:
    flow = Flow(Settings(queue_soft=1, queue_hard=2))
    flow.add(draft(Service.FIFO))
    flow.add(draft(Service.FIFO))
    with pytest.raises(MailboxFull, match="2 messages"):
        flow.add(draft(Service.FIFO))
    flow.add(draft(Service.AGREED, kind=Kind.LEAVE))
    assert flow.waiting == 3


def test_submitters_pause_and_resume() -> None:
    flow = Flow(Settings(queue_soft=2))
    assert flow.turn() is None
    for _ in range(3):
        flow.add(draft(Service.FIFO))
    assert flow.turn() is True
    flow.next_fifo()
    assert flow.turn() is None
    flow.next_fifo()
    assert flow.turn() is False


# -- stability -------------------------------------------------------------------------------
def stability(me: NodeId = A, **changes: int) -> Stability:
    return Stability(VIEW, me, Settings(**changes), 0)  # type: ignore[arg-type] # ints all


def test_the_stable_line_is_the_lowest_of_all() -> None:
    known = stability()
    known.hear(A, 5, (5, 0, 0), 0)
    known.hear(B, 3, (4, 0, 0), 0)
    assert known.line == 0
    known.hear(C, 9, (2, 0, 0), 0)
    assert known.line == 3
    assert known.streams == [2, 0, 0]


def test_acknowledgements_only_grow() -> None:
    known = stability()
    for member in VIEW.members:
        known.hear(member, 5, (5, 5, 5), 0)
    known.hear(B, 1, (1, 1, 1), 0)
    assert known.line == 5
    assert known.streams == [5, 5, 5]


def test_nothing_new_is_not_acknowledged() -> None:
    known = stability()
    assert not known.acknowledge(0, (0, 0, 0))
    assert known.acknowledge(1, (1, 0, 0))
    assert not known.acknowledge(1, (1, 0, 0))


def test_a_safe_message_is_acknowledged_at_once_others_in_lots() -> None:
    known = stability(ack_messages=2, ack_delay_ms=20)
    known.arrived(False, 100)
    assert known.due_ms == 120
    known.arrived(False, 101)
    assert known.due_ms == 101
    other = stability()
    other.arrived(True, 7)
    assert other.due_ms == 7


def test_in_a_large_view_the_coordinator_sums_up() -> None:
    coordinator = stability(ack_direct_members_max=2)
    assert coordinator.coordinates
    assert coordinator.summarise() is None
    for member in VIEW.members:
        coordinator.hear(member, 2, (1, 0, 0), 50)
    assert coordinator.due_ms == 70
    assert coordinator.summarise() == (2, (1, 0, 0))
    assert coordinator.summarise() is None
    member = stability(B, ack_direct_members_max=2)
    assert not member.coordinates
    member.hear_summary(2, (1, 0, 0))
    assert (member.line, member.streams) == (2, [1, 0, 0])


def test_holders_begin_with_the_sender() -> None:
    known = stability()
    known.hear(C, 0, (0, 4, 0), 0)
    assert known.holders(B, 4) == [B, C]
    assert known.holders(B, 5) == [B]
    assert known.holders(A, 1) == []


def test_who_neither_acknowledges_nor_consumes_for_long_is_a_laggard() -> None:
    known = stability(stall_ms=1_000)
    known.restart_clocks(0)
    known.hear(A, 0, (3, 0, 0), 0)
    known.hear(C, 0, (3, 0, 0), 0)
    known.hear_consumed(B, 1, 500)
    assert known.laggard(1_400) is None
    known.hear_consumed(B, 1, 1_400)
    assert known.laggard(1_501) == B


# -- gaps ------------------------------------------------------------------------------------
def test_a_gap_is_asked_for_in_turn_until_it_moves() -> None:
    order, known = Ordering(VIEW), stability()
    gaps = Gaps(order, known, Settings(want_ms=60))
    order.hear_tips((0, 2, 0))
    known.hear(C, 0, (0, 2, 0), 0)
    gaps.look(B, 0)
    gaps.look(B, 1)
    assert gaps.questions(59) == []
    assert gaps.questions(60) == [(B, ((B, 1, 2),))]
    assert gaps.questions(120) == [(C, ((B, 1, 2),))]
    order.take(GroupData(VIEW.id, B, 1, 0, 1, Service.FIFO, Kind.DATA, "s", (), False, 0, b""))
    assert gaps.questions(180) == [], "it moves"
    order.take(GroupData(VIEW.id, B, 2, 0, 2, Service.FIFO, Kind.DATA, "s", (), False, 0, b""))
    assert gaps.questions(240) == []
    assert gaps.due_ms is None


# -- repeats ---------------------------------------------------------------------------------
def test_repeats_and_what_is_too_old_are_not_new() -> None:
    repeats = Repeats(2)
    assert [repeats.is_new(number) for number in (5, 5, 4, 3, 6)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert all(repeats.is_new(number) for number in range(7, 20))
    assert not repeats.is_new(17)
