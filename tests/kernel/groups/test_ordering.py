"""Streams and tickets: what may be delivered when."""

from __future__ import annotations

from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.groups.recovery import Place
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupItem, GroupPacket, Kind
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId

A, B = NodeId("a", 1), NodeId("b", 1)
VIEW = View(id=ViewId(1, A), members=(A, B))


def packet(sender: NodeId, sequence: int, service: Service, ticket: int = 0) -> GroupPacket:
    return GroupPacket(
        view=VIEW.id,
        sender=sender,
        sequence=sequence,
        ticket=ticket,
        service=service,
        kind=Kind.DATA,
        line=0,
        items=(GroupItem(sequence, service, "s", ("g",), False, 0, b""),),
    )


def places(ready: list[GroupPacket]) -> list[tuple[NodeId, int]]:
    return [(one.sender, one.sequence) for one in ready]


def test_reliable_is_delivered_on_arrival_and_once() -> None:
    order = Ordering(VIEW, A)
    late = packet(A, 2, Service.RELIABLE)
    assert order.take(late) == [late]
    assert order.take(late) == []


def test_fifo_waits_for_what_its_sender_sent_before() -> None:
    order = Ordering(VIEW, A)
    assert order.take(packet(A, 2, Service.FIFO)) == []
    assert places(order.take(packet(A, 1, Service.RELIABLE))) == [(A, 1), (A, 2)]


def test_agreed_comes_in_order_of_tickets() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(B, 1, Service.AGREED, 2))
    assert order.deliverable(0) == []
    order.take(packet(A, 1, Service.AGREED, 1))
    assert places(order.deliverable(0)) == [(A, 1), (B, 1)]


def test_agreed_never_overtakes_its_senders_fifo() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(A, 2, Service.AGREED, 1))
    assert order.line == 0
    assert order.deliverable(0) == []
    assert places(order.take(packet(A, 1, Service.FIFO))) == [(A, 1)]
    assert order.line == 1
    assert places(order.deliverable(0)) == [(A, 2)]


def test_fifo_follows_the_ticketed_message_it_waited_for() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(A, 1, Service.AGREED, 2))
    assert order.take(packet(A, 2, Service.FIFO)) == []
    order.take(packet(B, 1, Service.AGREED, 1))
    assert places(order.deliverable(0)) == [(B, 1), (A, 1), (A, 2)]


def test_a_safe_message_waits_for_the_stable_line_and_what_follows_waits_too() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(A, 1, Service.SAFE, 1))
    order.take(packet(B, 1, Service.AGREED, 2))
    assert order.deliverable(0) == []
    assert places(order.deliverable(1)) == [(A, 1), (B, 1)]


def test_a_stranger_has_no_stream() -> None:
    assert Ordering(VIEW, A).take(packet(NodeId("z", 1), 1, Service.RELIABLE)) == []


def test_what_is_stable_and_delivered_is_freed() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(A, 1, Service.FIFO))
    order.take(packet(A, 2, Service.AGREED, 1))
    order.free((2, 0))
    assert order.held_count == 1
    order.deliverable(0)
    order.free((2, 0))
    assert order.held_count == 0
    assert order.has(A, 1)
    assert order.prefixes() == (2, 0)


def test_gaps_are_known_from_higher_sequences_and_from_tips() -> None:
    order = Ordering(VIEW, B)
    order.take(packet(A, 3, Service.FIFO))
    order.hear_tips((5, 0))
    assert order.missing(A, 256) == ((A, 1, 2), (A, 4, 5))
    assert order.missing(A, 1) == ((A, 1, 1),)
    assert order.missing(B, 256) == ()


def test_recovered_messages_wait_for_the_end_of_the_flush() -> None:
    order = Ordering(VIEW, A)
    delivered = packet(A, 1, Service.RELIABLE)
    order.take(delivered)
    for one in (packet(A, 2, Service.RELIABLE), packet(A, 3, Service.FIFO)):
        order.recover(one)
    order.recover(delivered)
    all_places = [Place(A, 1), Place(A, 2), Place(A, 3), Place(B, 1)]
    assert places(order.undelivered(all_places)) == [(A, 2), (A, 3)]


def test_the_report_names_what_is_held() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(A, 2, Service.SAFE, 7))
    first, second = order.states(B)
    assert (first.sender, first.base) == (A, 0)
    assert [(one.sequence, one.ticket, one.holder) for one in first.held] == [(2, 7, B)]
    assert second.held == ()


def test_a_sender_knows_its_line_before_it_takes_its_own_message_in() -> None:
    order = Ordering(VIEW, A)
    order.take(packet(B, 1, Service.AGREED, 2))
    assert order.line_with(1) == 2
    assert order.line_with(3) == 0
    assert order.line_with(0) == 0
