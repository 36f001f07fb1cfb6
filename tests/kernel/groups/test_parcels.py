"""Parcels: one item that weighs as many as it holds, wherever messages are counted (O0a)."""

from __future__ import annotations

import msgspec
import pytest
from group_world import A, B, C, together

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, MailboxFull, RemoteProtocolError
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events, parcels
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.flow_control import FlowControl
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.trace import lines_of
from zactor.kernel.messages.groups import GroupItem
from zactor.kernel.messages.service import Service


def submit(*payloads: bytes, service: Service = Service.AGREED, count: int = 0) -> events.Submit:
    packed = parcels.pack(payloads)
    return events.Submit("s", service, ("red",), packed, count=count or len(payloads))


def item(count: int, size: int = 0) -> GroupItem:
    return GroupItem(1, Service.FIFO, "s", ("red",), False, 0, b"x" * size, count)


# -- what it is ------------------------------------------------------------------------------
def test_its_messages_are_delivered_one_by_one_with_numbers_of_their_own() -> None:
    wires = together(A, B)
    first = wires.engines[A].last_number + 1
    wires.step(A, submit(b"one", b"", b"three"))
    wires.step(A, events.Submit("s", Service.AGREED, ("red",), b"four"))
    wires.run(100)
    for node in (A, B):
        got = [
            (message.number - first, message.payload, sessions)
            for effect in wires.of(node, out.Deliver)
            if isinstance(effect, out.Deliver)
            for message, sessions in effect.messages
        ]
        words = (b"one", b"", b"three", b"four")
        assert got == [(place, word, ("s",)) for place, word in enumerate(words)]


def test_event_logs_have_a_line_for_each_of_its_messages() -> None:
    wires = together(A, B)
    number = wires.engines[A].last_number
    wires.step(A, submit(b"1", b"2"))
    wires.run(100)
    mids = [f"{A}#{number + 1}", f"{A}#{number + 2}"]
    for node, kinds in ((A, ("send", "deliver")), (B, ("deliver",))):
        lines = [line for effect in wires.effects[node] for line in lines_of(effect)]
        for kind in kinds:
            assert [line["mid"] for line in lines if line["k"] == kind] == mids


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (submit(b"1", b"2", count=3), "a parcel of 2 messages that says 3"),
        (submit(b"1", b"2", count=-1), "has 2 to 256 messages, not -1"),
        (submit(*[b""] * 257), "has 2 to 256 messages, not 257"),
        (submit(b"x" * limits.GROUP_PARCEL_BYTES, b""), "up to 65536 bytes, not 65544"),
        (submit(b"1", b"2", service=Service.UNRELIABLE), "unreliable travel in no parcel"),
        (events.Submit("s", Service.AGREED, ("red",), b"\xff", count=2), "can't be read"),
        (events.Submit("s", Service.AGREED, ("red",), b"\x92\x01\x02", count=2), "can't be read"),
    ],
)
def test_what_is_none_is_an_error_of_who_submits_it_and_changes_nothing(
    event: events.Submit, words: str
) -> None:
    wires = together(A, B)
    engine = wires.engines[A]
    before = engine.last_number
    with pytest.raises(LocalProtocolError, match=words):
        wires.step(A, event)
    with pytest.raises(LocalProtocolError, match=words):
        engine.submit(event)
    assert engine.last_number == before
    assert engine.multicast.waiting == 0


def test_no_peer_can_send_one_that_weighs_nothing_or_too_much() -> None:
    encode, decoder = msgspec.msgpack.encode, msgspec.msgpack.Decoder(GroupItem)
    assert decoder.decode(encode(item(limits.GROUP_PARCEL_MESSAGES))).count == 256
    for count in (0, -1, limits.GROUP_PARCEL_MESSAGES + 1):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(encode(item(count)))


def test_who_opens_what_a_peer_packed_wrongly_gets_an_error_and_no_part_of_it() -> None:
    with pytest.raises(RemoteProtocolError, match="a parcel of 1 messages that says 2"):
        parcels.payloads_of(parcels.pack([b"1"]), 2)


# -- what it weighs --------------------------------------------------------------------------
def test_in_packets() -> None:
    flow = FlowControl(Settings(packet_messages=6))
    for count in (3, 2, 1, 1, 8, 1):
        flow.add(item(count))
    packets = []
    while (draft := flow.next_fifo()) is not None:
        packets.append([one.count for one in draft.items])
        flow.sent(draft)
    assert packets == [[3, 2, 1], [1], [8], [1]]
    assert flow.waiting == 0
    assert flow.in_flight == 16


def test_in_windows_and_when_it_is_acknowledged() -> None:
    flow = FlowControl(Settings(window_messages=4, packet_messages=1, ack_messages=1))
    for count in (3, 3, 1):
        flow.add(item(count))
    for _ in range(2):
        draft = flow.next_fifo()
        assert draft is not None
        flow.sent(draft)
    assert flow.next_fifo() is None, "6 of 4 are on their way"
    flow.stable(1)
    assert flow.in_flight == 3
    assert flow.next_fifo() is not None


def test_in_what_is_asked_for_in_tickets() -> None:
    flow = FlowControl(Settings(window_messages=4, packet_messages=1, ack_messages=1))
    for count in (3, 3, 1):
        flow.add(msgspec.structs.replace(item(count), service=Service.AGREED))
    assert flow.tickets_wanted() == 2


def test_in_queues() -> None:
    flow = FlowControl(Settings(queue_soft=4, queue_hard=8, packet_messages=1))
    flow.add(item(4))
    assert flow.turn() is None
    flow.add(item(3))
    assert flow.turn() is True
    with pytest.raises(MailboxFull, match="7 messages"):
        flow.add(item(2))
    flow.add(item(1))
    flow.next_fifo()
    flow.next_fifo()
    assert flow.turn() is False


def test_in_acknowledgements() -> None:
    engines = together(A, B, settings=Settings(ack_messages=4))
    engines.step(A, submit(b"1", b"2", b"3"))
    engines.settle()
    assert engines.engines[B].multicast.deadline_ms > engines.now_ms
    engines.step(A, submit(b"1", b"2"))
    engines.settle()
    assert engines.engines[B].multicast.deadline_ms <= engines.now_ms


def test_in_the_backlog_of_who_reads_it_message_by_message() -> None:
    wires = together(A, B, C, settings=Settings(backlog_messages=4))
    event = submit(b"1", b"2", b"3")
    size = len(event.payload)
    wires.step(A, event)
    wires.run(100)
    reader: Engine = wires.engines[B]
    assert reader.credit.backlogs.behind == set()
    wires.step(A, event)
    wires.run(100)
    assert reader.credit.backlogs.behind == {"s"}
    wires.step(B, events.Consumed((("s", 3, size),)))
    assert reader.credit.backlogs.behind == {"s"}
    wires.step(B, events.Consumed((("s", 1, 0),)))
    assert reader.credit.backlogs.behind == set()
    with pytest.raises(LocalProtocolError, match="3 "):
        wires.step(B, events.Consumed((("s", 3, 0),)))
    wires.step(B, events.Consumed((("s", 2, size),)))
