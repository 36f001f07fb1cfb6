"""Credits, tickets in lots, and the queue's bounds; acknowledgements; gaps; repeats."""

from __future__ import annotations

import msgspec
import pytest

from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups.flow_control import Draft, FlowControl
from zactor.kernel.groups.gaps import DuplicateFilter, Gaps
from zactor.kernel.groups.names import URGENT
from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.stability import Stability
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupItem, GroupPacket, Kind
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
VIEW = View(id=ViewId(1, A), members=(A, B, C))


def item(service: Service, number: int = 1, size: int = 0) -> GroupItem:
    return GroupItem(number, service, "", (), False, 0, b"x" * size)


def packet(sequence: int) -> GroupPacket:
    return GroupPacket(
        VIEW.id, B, sequence, 0, Service.FIFO, Kind.DATA, 0, (item(Service.FIFO, sequence),)
    )


def numbers(*drafts: Draft | None) -> list[list[int]]:
    return [[one.number for one in draft.items] if draft is not None else [] for draft in drafts]


# -- flow ------------------------------------------------------------------------------------
def test_fifo_waits_behind_a_message_that_waits_for_its_ticket() -> None:
    flow = FlowControl(Settings())
    flow.add(item(Service.AGREED, 1))
    flow.add(item(Service.FIFO, 2))
    assert flow.next_fifo() is None
    assert flow.tickets_wanted() == 1
    assert flow.tickets_wanted() == 0, "the answer is still to come"
    assert flow.next_fifo() is None
    assert numbers(*flow.granted(1)) == [[1]]
    assert numbers(flow.next_fifo()) == [[2]]
    assert flow.waiting == 0


def test_a_window_can_be_made_smaller_and_is_never_more_than_the_settings_say() -> None:
    flow = FlowControl(Settings(packet_messages=1))
    flow.limit_window(2)
    for number in range(1, 5):
        flow.add(item(Service.FIFO, number))
    drafts = []
    while (draft := flow.next_fifo()) is not None:
        flow.sent(draft)
        drafts.append(draft)
    assert numbers(*drafts) == [[1], [2]]
    flow.stable(1)
    assert numbers(flow.next_fifo()) == [[3]]
    flow.limit_window(0)
    assert flow.next_fifo() is not None
    flow.limit_window(1 << 40)
    assert flow.tickets_wanted() == 0


def test_messages_that_wait_are_packed_with_their_like() -> None:
    flow = FlowControl(Settings(packet_messages=3, packet_bytes=100))
    services = (
        *(Service.FIFO,) * 2,
        Service.AGREED,
        Service.SAFE,
        Service.CAUSAL,
        Service.CAUSAL,
        *(Service.RELIABLE,) * 2,
    )
    for number, service in enumerate(services, 1):
        flow.add(item(service, number))
    assert numbers(flow.next_loose()) == [[7, 8]]
    assert numbers(flow.next_fifo()) == [[1, 2]]
    assert flow.tickets_wanted() == 2
    drafts = flow.granted(2)
    assert numbers(*drafts) == [[3, 4, 5], [6]]
    assert [one.service for one in drafts] == [Service.SAFE, Service.CAUSAL]


def test_a_packet_has_only_so_many_bytes_and_a_change_of_a_group_is_alone() -> None:
    flow = FlowControl(Settings(packet_bytes=10))
    for number, size in enumerate((6, 4, 1, 50, 1), 1):
        flow.add(item(Service.FIFO, number, size))
    flow.add(item(Service.AGREED, 6), Kind.JOIN)
    flow.add(item(Service.AGREED, 7))
    fifo = [flow.next_fifo() for _ in range(4)]
    assert numbers(*fifo) == [[1, 2], [3], [4], [5]]
    assert flow.tickets_wanted() == 2
    drafts = flow.granted(2)
    assert numbers(*drafts) == [[6], [7]]
    assert [one.kind for one in drafts] == [Kind.JOIN, Kind.DATA]


def test_what_comes_while_the_tickets_come_rides_along() -> None:
    flow = FlowControl(Settings())
    flow.add(item(Service.AGREED, 1))
    assert flow.tickets_wanted() == 1
    flow.add(item(Service.AGREED, 2))
    assert numbers(*flow.granted(1)) == [[1, 2]]


def test_tickets_are_asked_for_in_lots_within_the_credit() -> None:
    flow = FlowControl(
        Settings(window_messages=4, tickets_max=2, ack_messages=1, packet_messages=1)
    )
    services = (Service.AGREED, Service.FIFO, Service.SAFE, Service.CAUSAL)
    for number, service in enumerate(services, 1):
        flow.add(item(service, number))
    assert flow.tickets_wanted() == 2
    assert numbers(*flow.granted(2)) == [[1], [2], [3]]


def test_tickets_end_with_the_credit_in_messages_and_in_bytes() -> None:
    small = {"ack_messages": 1, "packet_messages": 1}
    for limits in ({"window_messages": 2}, {"window_bytes": 2}):
        flow = FlowControl(Settings(**limits, **small))
        for number in range(1, 5):
            flow.add(item(Service.AGREED, number, 1))
        assert flow.tickets_wanted() == 2


def test_reliable_overtakes_but_not_the_credit_that_is_spoken_for() -> None:
    flow = FlowControl(Settings(window_messages=2, ack_messages=1, packet_messages=1))
    flow.add(item(Service.AGREED, 1))
    flow.add(item(Service.RELIABLE, 2))
    flow.add(item(Service.RELIABLE, 3))
    assert flow.tickets_wanted() == 1
    loose = flow.next_loose()
    assert loose is not None
    flow.sent(loose)
    assert flow.next_loose() is None
    flow.granted(1)
    flow.stable(1)
    assert flow.next_loose() is not None


def test_bytes_are_credits_too() -> None:
    flow = FlowControl(Settings(window_bytes=2, packet_messages=1))
    flow.add(item(Service.FIFO, 1, 2))
    flow.add(item(Service.FIFO, 2))
    one = flow.next_fifo()
    assert one is not None
    flow.sent(one)
    assert flow.next_fifo() is None
    flow.new_view()
    assert flow.next_fifo() is not None


def test_a_full_queue_refuses_messages_but_no_leave() -> None:
    flow = FlowControl(Settings(queue_soft=1, queue_hard=2))
    flow.add(item(Service.FIFO))
    flow.add(item(Service.FIFO))
    with pytest.raises(MailboxFull, match="2 messages"):
        flow.add(item(Service.FIFO))
    flow.add(item(Service.AGREED), Kind.LEAVE)
    assert flow.waiting == 3


def test_submitters_pause_for_bytes_as_for_messages() -> None:
    flow = FlowControl(Settings(queue_soft_bytes=5_000, packet_bytes=1))
    for number in range(1, 3):
        flow.add(item(Service.FIFO, number, 2_000))
        assert flow.turn() is None
    flow.add(item(Service.FIFO, 3, 2_000))
    assert flow.turn() is True
    assert numbers(flow.next_fifo()) == [[1]]
    assert flow.turn() is None, "half of it has to go"
    assert numbers(flow.next_fifo()) == [[2]]
    assert flow.turn() is False


def test_submitters_pause_and_resume() -> None:
    flow = FlowControl(Settings(queue_soft=2, packet_messages=1))
    assert flow.turn() is None
    for _ in range(3):
        flow.add(item(Service.FIFO))
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
    known.arrived(1, False, 100)
    assert known.due_ms == 120
    known.arrived(1, False, 101)
    assert known.due_ms == 101
    other = stability()
    other.arrived(1, True, 7)
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


def test_who_acknowledges_nothing_for_long_is_a_laggard() -> None:
    known = stability(stall_ms=1_000)
    known.restart_clocks(0)
    known.hear(A, 0, (3, 0, 0), 0)
    known.hear(C, 0, (3, 0, 0), 0)
    known.hear(B, 0, (1, 0, 0), 500)
    assert known.laggard(1_400) is None
    known.hear(B, 0, (1, 0, 0), 1_400)
    assert known.laggard(1_501) == B


# -- gaps ------------------------------------------------------------------------------------
def test_a_gap_is_asked_for_in_turn_until_it_moves() -> None:
    order, known = Ordering(VIEW, A), stability()
    gaps = Gaps(order, known, Settings(want_ms=60))
    order.hear_tips((0, 2, 0))
    known.hear(C, 0, (0, 2, 0), 0)
    gaps.check(B, 0)
    gaps.check(B, 1)
    assert gaps.questions(59) == []
    assert gaps.questions(60) == [(B, ((B, 1, 2),))]
    assert gaps.questions(120) == [(C, ((B, 1, 2),))]
    order.take(packet(1))
    assert gaps.questions(180) == [], "it moves"
    order.take(packet(2))
    assert gaps.questions(240) == []
    assert gaps.due_ms is None


# -- repeats ---------------------------------------------------------------------------------
def test_repeats_and_what_is_too_old_are_not_new() -> None:
    repeats = DuplicateFilter(2)
    assert [repeats.is_new(number) for number in (5, 5, 4, 3, 6)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert all(repeats.is_new(number) for number in range(7, 20))
    assert not repeats.is_new(17)


# -- what is urgent --------------------------------------------------------------------------
def kb(service: Service, number: int) -> GroupItem:
    return msgspec.structs.replace(item(service, number), session=URGENT)


def test_the_knowledge_base_waits_for_no_credit_and_keeps_its_own_order() -> None:
    flow = FlowControl(Settings(window_messages=1, packet_messages=1, ack_messages=1))
    flow.add(item(Service.AGREED, 1))
    assert flow.tickets_wanted() == 1
    flow.add(item(Service.FIFO, 2))
    flow.add(kb(Service.SAFE, 3))  # behind what has asked for tickets, before the rest
    flow.add(kb(Service.FIFO, 4))
    sent = flow.granted(1)
    assert numbers(*sent) == [[1]]
    flow.sent(sent[0])
    assert flow.tickets_wanted() == 1
    flow.new_view()  # voids the request
    flow.sent(sent[0])  # no credit is left again
    flow.add(kb(Service.SAFE, 5))
    assert flow.tickets_wanted() == 2
    assert numbers(*flow.granted(2)) == [[3], [4], [5]]
    assert flow.tickets_wanted() == 0
    assert flow.next_fifo() is None
    assert flow.waiting == 1
