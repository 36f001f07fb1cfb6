"""What members say is looked at before it is believed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups import validation
from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import (
    GroupItem,
    GroupPacket,
    Held,
    Kind,
    Plan,
    Propose,
    Report,
    StreamState,
    Sync,
    TicketRequest,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
OLD, NEW = ViewId(1, A), ViewId(2, A)
VIEW = View(id=OLD, members=(A, B))
ITEM = GroupItem(1, Service.AGREED, "s", ("red",), False, 0, b"")


def packet(
    sequence: int,
    ticket: int,
    service: Service = Service.AGREED,
    kind: Kind = Kind.DATA,
    sender: NodeId = A,
    count: int = 1,
) -> GroupPacket:
    return GroupPacket(OLD, sender, sequence, ticket, service, kind, 0, (ITEM,) * count)


def parcel(packet: GroupPacket) -> GroupPacket:
    return msgspec.structs.replace(packet, items=(msgspec.structs.replace(ITEM, count=2),))


def streams(*senders: NodeId, places: tuple[int, ...] = ()) -> tuple[StreamState, ...]:
    held = tuple(Held(place, 0, Service.FIFO, A) for place in places)
    return tuple(StreamState(sender, 0, held) for sender in senders)


def sync(
    view: ViewId = OLD,
    cohort: tuple[NodeId, ...] = (A, B),
    senders: tuple[NodeId, ...] = (A, B),
    places: tuple[int, ...] = (1, 2),
) -> Sync:
    plan = Plan(view, cohort, 0, 0, cohort, streams(*senders, places=places))
    return Sync(NEW, (A, B), plan)


def report(view: ViewId, *senders: NodeId) -> Report:
    return Report(view, 0, 0, (), streams(*senders))


GOOD: list[Callable[[], object]] = [
    lambda: validation.check_ballot(A, NEW),
    lambda: validation.check_members(B, Propose(NEW, (A, B, C)), 3),
    lambda: validation.check_plan(B, sync(), VIEW),
    lambda: validation.check_report(report(OLD, A, B), [report(OLD, A, B), report(NEW, C)]),
    lambda: validation.check_packet(B, packet(1, 1)),
    lambda: validation.check_packet(B, packet(1, 1, kind=Kind.JOIN)),
    lambda: validation.check_packet(B, packet(0, 0, Service.UNRELIABLE)),
    lambda: validation.check_packet(B, packet(1, 0, Service.FIFO, count=2)),
    lambda: validation.check_packet(B, parcel(packet(1, 0, Service.FIFO))),
    lambda: validation.check_request(A, TicketRequest(OLD, 3), 3),
]

BAD: dict[str, Callable[[], object]] = {
    "that may be dropped": lambda: validation.check_packet(
        B, parcel(packet(0, 0, Service.UNRELIABLE))
    ),
    "groups in company": lambda: validation.check_packet(B, parcel(packet(1, 1, kind=Kind.JOIN))),
    "isn't its own": lambda: validation.check_ballot(B, NEW),
    "out of reach": lambda: validation.check_reach(
        ViewId(6 + limits.GROUP_BALLOTS_AHEAD_MAX, A), 5
    ),
    "without this node": lambda: validation.check_members(C, Propose(NEW, (A, B)), 3),
    "too many members": lambda: validation.check_members(B, Propose(NEW, (A, B, C)), 2),
    "members in no order": lambda: validation.check_members(B, Propose(NEW, (A, B, B)), 3),
    "isn't the lowest": lambda: validation.check_members(B, Propose(ViewId(2, B), (A, B)), 3),
    "another view": lambda: validation.check_plan(B, sync(view=NEW), VIEW),
    "for others": lambda: validation.check_plan(B, sync(cohort=(A,)), VIEW),
    "cohort in no order": lambda: validation.check_plan(B, sync(cohort=(B, A)), VIEW),
    "beyond the membership": lambda: validation.check_plan(B, sync(cohort=(A, B, C)), VIEW),
    "streams of others": lambda: validation.check_plan(B, sync(senders=(A, C)), VIEW),
    "streams in no order": lambda: validation.check_plan(B, sync(senders=(B, A)), VIEW),
    "places in no order": lambda: validation.check_plan(B, sync(places=(2, 1)), VIEW),
    "a view of nobody": lambda: validation.check_report(report(OLD), []),
    "another old view": lambda: validation.check_report(report(OLD, A), [report(OLD, A, B)]),
    "of our own": lambda: validation.check_packet(A, packet(1, 1)),
    "of nothing": lambda: validation.check_packet(B, packet(1, 1, count=0)),
    "a sequence": lambda: validation.check_packet(B, packet(0, 1)),
    "sequence that its service has not": lambda: validation.check_packet(
        B, packet(1, 0, Service.UNRELIABLE)
    ),
    "ticket its service has not": lambda: validation.check_packet(B, packet(1, 1, Service.FIFO)),
    "a ticket": lambda: validation.check_packet(B, packet(1, 0, Service.SAFE)),
    "without a ticket": lambda: validation.check_packet(B, packet(1, 0, Service.FIFO, Kind.LEAVE)),
    "in company": lambda: validation.check_packet(B, packet(1, 1, kind=Kind.JOIN, count=2)),
    "of the coordinator": lambda: validation.check_request(B, TicketRequest(OLD, 1), 3),
    "too many tickets": lambda: validation.check_request(A, TicketRequest(OLD, 4), 3),
}


@pytest.mark.parametrize("check", GOOD)
def test_what_makes_sense_is_believed(check: Callable[[], object]) -> None:
    check()


@pytest.mark.parametrize("words", BAD)
def test_what_makes_none_is_refused(words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        BAD[words]()


# -- tickets ---------------------------------------------------------------------------------
def test_a_ticket_is_taken_once() -> None:
    order = Ordering(VIEW, B)
    order.take(packet(1, 1))
    for other in (packet(1, 1, sender=B), packet(2, 1)):
        with pytest.raises(RemoteProtocolError, match="another packet's"):
            order.take(other)
    order.take(packet(2, 5))
    with pytest.raises(RemoteProtocolError, match="another packet's"):
        order.take(packet(1, 5, sender=B))
    assert order.held_count == 2


def test_tickets_ascend_in_a_stream() -> None:
    order = Ordering(VIEW, B)
    order.take(packet(1, 5))
    with pytest.raises(RemoteProtocolError, match="follows 5"):
        order.take(packet(2, 3))


def test_a_packet_that_turns_out_to_lie_is_as_if_it_had_never_come() -> None:
    order = Ordering(VIEW, B)
    order.take(packet(2, 3))
    order.take(packet(1, 5))
    assert order.prefixes() == (1, 0)
    assert order.held_count == 1
    order.take(packet(2, 6))
    assert order.prefixes() == (2, 0)


def test_tickets_are_free_that_nobody_has() -> None:
    order = Ordering(VIEW, B)
    order.take(packet(1, 4, sender=B))
    order.take(packet(1, 7))
    assert order.are_free(B, 5, 2)
    assert not order.are_free(B, 5, 3)
    assert not order.are_free(B, 3, 1)
