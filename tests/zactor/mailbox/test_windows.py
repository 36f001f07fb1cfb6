"""zactor/mailbox/windows.py: what a mailbox asks for and sends, when."""

from __future__ import annotations

import random
from concurrent.futures import Future

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.groups.parcels import payloads_of
from zactor.kernel.messages.client_sessions import (
    JoinGroup,
    MembershipCause,
    MembershipMessage,
    Multicast,
    Outgoing,
    ReceiveGroup,
    RegularMessage,
)
from zactor.kernel.messages.service import Service
from zactor.mailbox.windows import Inbox, Message, Outbox

LOT = limits.BATCH_ITEMS_MAX
UNREAD_MAX = limits.GROUP_UNREAD_MESSAGES
JOINED = MembershipMessage("g", False, MembershipCause.JOIN, ("#a#n1",), "#a#n1", (), -1, "1")


def regular(number: int, payload: bytes = b"x") -> RegularMessage:
    return RegularMessage(
        "#a#n1", ("g",), payload, Service.AGREED, False, 0, False, "n1@1", number, "1.n1@1"
    )


def outgoing(payload: bytes = b"x") -> Outgoing:
    return Outgoing(("g",), payload, Service.AGREED, False, 0)


LIKE = outgoing(b"")


def parcel(*payloads: bytes) -> Multicast:
    packed = msgspec.msgpack.encode(payloads)
    return Multicast((Outgoing(("g",), packed, Service.AGREED, False, 0, len(payloads)),))


def counts(request: object) -> list[int]:
    assert isinstance(request, Multicast)
    return [one.count for one in request.messages]


def polls(inbox: Inbox, now_s: float = 0.0) -> list[ReceiveGroup]:
    found = []
    while (poll := inbox.next_poll(now_s)) is not None:
        found.append(poll)
    return found


# -- receiving -------------------------------------------------------------------------------
def test_at_first_two_polls_are_under_way_with_all_the_room_there_is() -> None:
    assert polls(Inbox()) == [ReceiveGroup(0, LOT), ReceiveGroup(0, LOT)]
    assert 2 * LOT == UNREAD_MAX


def test_what_arrives_is_taken_in_order_and_told_with_the_last_one() -> None:
    inbox = Inbox()
    polls(inbox)
    inbox.arrived([regular(1), JOINED, regular(2)], 30, LOT)
    assert polls(inbox) == []  # one is still out, and the program has something to do
    assert inbox.take() == regular(1)
    assert inbox.take() == JOINED
    assert polls(inbox) == []
    assert inbox.take() == regular(2)
    assert polls(inbox) == [ReceiveGroup(2, LOT)]  # memberships have no credit
    assert inbox.take() is None


def test_a_program_that_does_not_take_is_not_asked_for_more_than_there_is_room() -> None:
    inbox = Inbox()
    asked = polls(inbox)
    unread = 0
    while asked:
        poll = asked.pop(0)
        inbox.arrived([regular(n) for n in range(poll.room)], 100, poll.room)
        unread += poll.room
        asked += polls(inbox)
    assert inbox.unread == unread == UNREAD_MAX


def test_a_full_mailbox_asks_again_when_a_lot_was_taken() -> None:
    inbox = Inbox()
    polls(inbox)
    for _ in range(2):
        inbox.arrived([regular(n) for n in range(LOT)], 100, LOT)
    asked = []
    for taken in range(1, LOT + 1):
        inbox.take()
        asked += [(taken, poll) for poll in polls(inbox)]
    lot = limits.GROUP_TELL_MESSAGES
    assert asked == [(lot, ReceiveGroup(lot, lot)), (2 * lot, ReceiveGroup(lot, 0))]


def test_bytes_are_counted_until_their_batch_is_taken() -> None:
    inbox = Inbox()
    polls(inbox)
    inbox.arrived([regular(1), regular(2)], limits.GROUP_UNREAD_BYTES, LOT)
    inbox.arrived([regular(3)], 10, LOT)
    assert polls(inbox) == []
    inbox.take()
    assert polls(inbox, now_s=5.0) == [ReceiveGroup(1, 0)]
    inbox.arrived([], 1, 0)
    inbox.take()
    inbox.take()
    assert polls(inbox, now_s=5.0) == [ReceiveGroup(2, LOT), ReceiveGroup(0, LOT)]


def test_who_takes_slowly_says_so_once_a_second() -> None:
    inbox = Inbox()
    polls(inbox)
    for _ in range(2):
        inbox.arrived([regular(n) for n in range(LOT)], 100, LOT)
    told = []
    for tenth in range(40):
        inbox.take()
        for poll in polls(inbox, now_s=100 + tenth / 10):
            told.append((tenth, poll))
            if poll.room == 0:
                inbox.arrived([], 1, 0)
    assert told == [(tenth, ReceiveGroup(10 if tenth else 1, 0)) for tenth in range(0, 40, 10)]


def test_whatever_happens_all_that_was_taken_is_told_and_never_too_much_asked() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        inbox = Inbox()
        out = polls(inbox)
        told = arrived = taken = 0
        now_s = 0.0
        for _ in range(2_000):
            now_s += chance.random() / 100
            new: list[ReceiveGroup] = []
            if out and (out[0].room == 0 or chance.random() < 0.3):
                poll = out.pop(0)
                count = chance.randint(1, poll.room) if poll.room else 0
                batch: list[Message] = [regular(arrived + n) for n in range(count)]
                arrived += count
                inbox.arrived(batch, count, poll.room)
                new = polls(inbox, now_s)
            elif inbox.take() is not None:
                taken += 1
                new = polls(inbox, now_s)
            told += sum(poll.consumed for poll in new)
            out += new
            assert len(out) <= limits.GROUP_POLLS_MAX
            assert inbox.unread + sum(poll.room for poll in out) <= UNREAD_MAX
        while inbox.take() is not None:
            taken += 1
            new = polls(inbox, now_s)
            told += sum(poll.consumed for poll in new)
            out += new
        assert taken == arrived
        if told < taken:  # then one is out that is answered at once, and lets it say so
            assert [poll.room for poll in out].count(0), f"seed {seed}"
            inbox.arrived([], 1, 0)
            told += sum(poll.consumed for poll in polls(inbox, now_s))
        assert told == taken, f"seed {seed}"


def test_a_batch_is_ready_in_lots_and_each_is_taken_at_once() -> None:
    inbox = Inbox()
    polls(inbox)
    batch: list[Message] = [regular(1), JOINED, *(regular(n) for n in range(2, LOT))]
    inbox.arrived(list(batch), 30, LOT)
    first = inbox.take_many()
    assert first == batch[: limits.GROUP_TELL_MESSAGES]
    assert inbox.unread == LOT - len(first)
    assert inbox.take() == batch[len(first)]
    assert inbox.take_many() == batch[len(first) + 1 :]
    assert inbox.take_many() == []
    assert polls(inbox) == [ReceiveGroup(LOT - 1, LOT)]


def test_what_another_thread_takes_of_what_is_ready_is_told_too() -> None:
    inbox = Inbox()
    polls(inbox)
    inbox.arrived([regular(1), JOINED, regular(2), regular(3)], 30, LOT)
    assert inbox.take() == regular(1)
    assert [inbox.ready.pop() for _ in range(2)] == [JOINED, regular(2)]
    assert inbox.unread == 1
    assert polls(inbox, now_s=9.0) == [ReceiveGroup(2, 0)]
    inbox.arrived([], 1, 0)
    inbox.ready.pop()
    assert polls(inbox, now_s=9.0) == [ReceiveGroup(1, LOT)]


# -- sending ---------------------------------------------------------------------------------
def test_many_at_once_are_packed_at_once_as_far_as_there_is_room() -> None:
    outbox = Outbox()
    payloads = [b"%d" % number for number in range(limits.GROUP_OUTGOING_MESSAGES + 300)]
    assert outbox.put_many(LIKE, payloads) == limits.GROUP_OUTGOING_MESSAGES
    assert outbox.is_full
    assert outbox.put_many(LIKE, payloads) == 0
    found: list[bytes] = []
    while (request := outbox.next_request()) is not None:
        outbox.answered()
        assert isinstance(request, Multicast)
        assert counts(request) == [limits.GROUP_PARCEL_MESSAGES] * 2
        for one in request.messages:
            found += payloads_of(one.payload, one.count)
    assert found == payloads[: limits.GROUP_OUTGOING_MESSAGES]
    assert outbox.put_many(LIKE, payloads[-300:]) == 300
    assert counts(outbox.next_request()) == [256, 44]


def test_many_at_once_are_bounded_in_bytes_and_unreliable_ones_are_alone() -> None:
    outbox = Outbox()
    assert outbox.put_many(LIKE, [b"x" * 30_000] * 5) == 5
    assert counts(outbox.next_request()) == [2, 2, 1]
    outbox.answered()
    big = [b"x" * (1 << 20)] * 9
    assert outbox.put_many(LIKE, big) == limits.GROUP_OUTGOING_BYTES >> 20
    outbox = Outbox()
    like = Outgoing(("g",), b"", Service.UNRELIABLE, False, 0)
    assert outbox.put_many(like, [b"1", b"2"]) == 2
    assert counts(outbox.next_request()) == [1, 1]


def test_the_first_leave_alone_and_what_comes_meanwhile_goes_together() -> None:
    outbox = Outbox()
    lots = []
    for number in range(10):
        outbox.put(LIKE, b"%d" % number)
        lots.append(outbox.next_request())
    assert lots == [Multicast((outgoing(b"0"),)), Multicast((outgoing(b"1"),)), *[None] * 8]
    outbox.answered()
    assert outbox.next_request() == parcel(*(b"%d" % n for n in range(2, 10)))
    assert outbox.next_request() is None
    assert not outbox.is_quiet
    outbox.answered()
    outbox.answered()
    assert outbox.is_quiet


def test_a_request_holds_so_many_messages_and_bytes_at_most() -> None:
    outbox = Outbox()
    for _ in range(LOT + 1):
        outbox.put(LIKE, b"x")
    most = limits.GROUP_PARCEL_MESSAGES
    assert 2 * most == LOT
    assert counts(outbox.next_request()) == [most, most]
    assert counts(outbox.next_request()) == [1]
    outbox = Outbox()
    for _ in range(3):
        outbox.put(LIKE, b"x" * (limits.BATCH_BYTES_MAX // 2))
    assert counts(outbox.next_request()) == [1, 1]
    assert counts(outbox.next_request()) == [1]


def test_only_what_is_alike_and_stands_together_is_packed() -> None:
    first = outgoing(b"1")
    for other in (
        Outgoing(("h",), b"2", Service.AGREED, False, 0),
        Outgoing(("g",), b"2", Service.SAFE, False, 0),
        Outgoing(("g",), b"2", Service.AGREED, True, 0),
        Outgoing(("g",), b"2", Service.AGREED, False, 1),
    ):
        outbox = Outbox()
        for one in (first, other, first, first):
            outbox.put(msgspec.structs.replace(one, payload=b""), one.payload)
        lot = outbox.next_request()
        assert lot == Multicast((first, other, *parcel(b"1", b"1").messages))
    unreliable = Outgoing(("g",), b"1", Service.UNRELIABLE, False, 0)
    outbox = Outbox()
    for _ in range(2):
        outbox.put(unreliable, b"1")
    assert outbox.next_request() == Multicast((unreliable, unreliable))


def test_a_parcel_holds_so_many_bytes_at_most_and_a_request_whole_parcels() -> None:
    outbox = Outbox()
    for number in range(600):
        outbox.put(LIKE, b"%d" % number * 300)
    found: list[bytes] = []
    while (request := outbox.next_request()) is not None:
        outbox.answered()
        assert isinstance(request, Multicast)
        assert sum(counts(request)) <= LOT
        for one in request.messages:
            assert len(one.payload) <= limits.GROUP_PARCEL_BYTES
            found += payloads_of(one.payload, one.count) if one.count > 1 else [one.payload]
    assert found == [b"%d" % number * 300 for number in range(600)]
    assert not outbox.is_full


def test_long_names_count_too_or_a_request_would_not_fit_its_frame() -> None:
    outbox = Outbox()
    groups = tuple(f"{n:03}" + "ü" * 125 for n in range(100))
    for _ in range(100):
        outbox.put(Outgoing(groups, b"", Service.FIFO, False, 0), b"")
    lot = outbox.next_request()
    assert isinstance(lot, Multicast)
    assert 0 < len(lot.messages) * 100 * 253 < limits.FRAME_BYTES_MAX


@pytest.mark.parametrize(
    ("payload", "count"),
    [(b"", limits.GROUP_OUTGOING_MESSAGES), (b"x" * (1 << 20), limits.GROUP_OUTGOING_BYTES >> 20)],
)
def test_it_is_full_by_messages_or_by_bytes_and_not_when_they_are_sent(
    payload: bytes, count: int
) -> None:
    outbox = Outbox()
    for number in range(count):
        assert not outbox.is_full, number
        outbox.put(LIKE, payload)
    assert outbox.is_full
    outbox.next_request()
    assert not outbox.is_full


def test_what_is_asked_keeps_its_place_among_the_messages() -> None:
    outbox = Outbox()
    asked: tuple[JoinGroup, Future[object]] = (JoinGroup("g"), Future())
    outbox.under_way = limits.GROUP_SENDS_MAX
    outbox.put(LIKE, b"1")
    outbox.ask(asked)
    outbox.put(LIKE, b"2")
    requests = []
    for _ in range(3):
        outbox.answered()
        requests.append(outbox.next_request())
    assert requests == [Multicast((outgoing(b"1"),)), asked, Multicast((outgoing(b"2"),))]


def test_who_gives_up_gets_back_what_was_asked_and_not_sent() -> None:
    outbox = Outbox()
    asked: tuple[JoinGroup, Future[object]] = (JoinGroup("g"), Future())
    outbox.under_way = limits.GROUP_SENDS_MAX
    outbox.put(LIKE, b"1")
    outbox.ask(asked)
    assert outbox.give_up() == [asked[1]]
    outbox.under_way = 0
    assert outbox.next_request() is None
    assert outbox.is_quiet
