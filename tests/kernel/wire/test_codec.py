"""The codec: what goes in comes out, and nothing that arrives does anything but decode or fail."""

from __future__ import annotations

import enum
import random
import struct
import tracemalloc
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import (
    Ask,
    AskCycle,
    AskProbe,
    AskWait,
    Bulk,
    Failure,
    Reply,
    Signal,
    SignalHeader,
    SignalParcel,
    Undelivered,
    Wired,
)
from zactor.kernel.messages.frames import Heartbeat, Item, LinkFrame
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.operations import Answer, Inspect, Operation, Problem, Request, Subject
from zactor.kernel.messages.views import ViewId
from zactor.kernel.wire import codec
from zactor.kernel.wire.bulky import Bulky


def sample(kind: Any) -> Any:
    """A value of the type: every message is tried, also those that come later."""
    plain = {int: 2**40, str: "größe", bytes: b"\x00\xff" * 9, float: 1.5, bool: True}
    if kind in plain:
        return plain[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        # Within whatever bounds it names.
        return (
            7 if arguments[0] in plain or get_origin(arguments[0]) is None else sample(arguments[0])
        )
    if origin is tuple and arguments[-1] is ...:
        return (sample(arguments[0]),) * 2
    if origin is tuple:
        return tuple(map(sample, arguments))
    if origin is dict:
        return {sample(arguments[0]): sample(arguments[1])}
    if origin is UnionType:
        return sample(arguments[0])
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, tuple):
        return kind(*[sample(hints[name]) for name in kind._fields])
    return kind(*[sample(hints[name]) for name in kind.__struct_fields__])


PROBE = AskProbe(3, 4, (AskWait(1, "a", "n1", 5, "b.go"),))
PARCEL = SignalParcel(
    3,
    (SignalHeader((1, 2), 7, "größe"), SignalHeader((), 0, "")),
    b"\0\1\0",
    (4, 2**40, 9),
    (b"\x00\xff", (None, True, -7, 2.5, "größe"), ()),
)
GIVEN = {type(each): each for each in (PARCEL, PROBE, AskCycle(3, 4, "größe"))}
PLAIN: list[Any] = [GIVEN.get(kind) or sample(kind) for kind in get_args(Item) if kind is not Bulk]
OPERATIONS: list[Any] = [sample(kind) for kind in get_args(Operation)]
ONE_PART = limits.PART_BYTES_MAX
FAILURE = Failure(1, "Refused", "no", {})


def frame(*items: object) -> LinkFrame:
    return LinkFrame(3, 8, 1, 0, 16_384, False, True, items)  # type: ignore[arg-type]


def through(*items: object) -> tuple[object, ...]:
    parts = codec.encode_frame(frame(*items))
    assert all(len(part) <= limits.FRAME_BYTES_MAX for part in parts)
    back = codec.decode_inbound([bytes(part) for part in parts])
    assert isinstance(back, LinkFrame)
    assert msgspec.structs.replace(back, items=()) == frame()
    return back.items


def assert_same(got: object, want: object) -> None:
    if not isinstance(want, Bulky):
        assert got == want
        return
    assert isinstance(got, Bulky)
    assert got.item == want.item
    assert [bytes(buffer) for buffer in got.buffers] == [bytes(buffer) for buffer in want.buffers]
    assert all(type(buffer) is bytearray for buffer in got.buffers), "receivers may write there"


# -- there and back ------------------------------------------------------------------------
def test_every_item_comes_back_as_it_was() -> None:
    assert through(*PLAIN) == tuple(PLAIN)


@pytest.mark.parametrize("size", [0, 1, ONE_PART, ONE_PART + 1, 3 * ONE_PART])
def test_long_buffers_come_back_whole(size: int) -> None:
    buffer = bytearray(random.Random(1).randbytes(size))
    signal = Signal((1,), 7, 99, "inc", b"head")
    sent = (Bulky(signal, (buffer, b"second")), Reply(1, b"plain"), Bulky(Reply(2, b""), (b"z",)))
    for got, want in zip(through(*sent), sent, strict=True):
        assert_same(got, want)


@pytest.mark.parametrize("more", [0, 1, ONE_PART])
def test_a_long_payload_travels_as_parts_and_comes_back_inside_its_item(more: int) -> None:
    payload = b"p" * (limits.INLINE_BYTES_MAX + more)
    sent = (Ask(1, 2, 3, "inc", payload), Bulky(Signal((1,), 2, 3, "inc", payload), (b"buffer",)))
    for got, want in zip(through(*sent), sent, strict=True):
        assert_same(got, want)


def test_buffers_are_sliced_and_not_copied() -> None:
    array = bytearray(2 * ONE_PART)
    parts = codec.encode_frame(frame(Bulky(Reply(1, b""), (memoryview(array).cast("d"),))))
    array[0] = array[-1] = 7
    assert [len(part) for part in parts[1:]] == [ONE_PART, ONE_PART]
    assert (parts[1][0], parts[2][-1]) == (7, 7)


def a_heartbeat() -> Heartbeat:
    me, view = NodeId("n1", 3), ViewId(7, NodeId("n1", 3))
    group = GroupHeartbeat(me, 1, view, view, me, (NodeId("n2", 1),), (), 4, 5, (6, 7))
    return Heartbeat((1, 2), ("n2@1",), ("n3",), group)


def test_requests_answers_and_heartbeats_come_back_as_they_were() -> None:
    for operation in OPERATIONS:
        request = Request(3, operation)
        assert codec.decode_inbound(codec.encode_request(request)) == request
    for message in (Answer(3, True, b"\x90"), Problem(3, "TimedOut", "late", {"a": "b"})):
        assert codec.decode_outbound(codec.encode_outbound(message)) == message
    heartbeat = a_heartbeat()
    assert codec.decode_heartbeat(codec.encode_heartbeat(heartbeat)) == heartbeat


def test_both_ends_count_the_same_credits() -> None:
    long = b"p" * (limits.INLINE_BYTES_MAX + 1)
    signal, ask, reply = Signal((1,), 2, 3, "a", long), Ask(1, 2, 3, "a", b""), Reply(1, long)
    sent = (signal, ask, reply, *(Bulky(item, (b"b",)) for item in (signal, ask, reply)), FAILURE)
    assert [codec.is_credited(item) for item in sent] == [True, True, False] * 2 + [False]
    assert [codec.is_credited(item) for item in through(*sent)] == [True, True, False] * 2 + [False]
    assert codec.is_credited(Bulk(ask, (1,), False))
    assert not codec.is_credited(Bulk(reply, (1,), False))


text = st.text(max_size=70)
number = st.integers(0, 2**63)
payload = st.binary(max_size=70)


@given(
    st.builds(Signal, st.lists(number, max_size=40).map(tuple), number, number, text, payload)
    | st.builds(Ask, number, number, number, text, payload)
    | st.builds(Reply, number, payload)
    | st.builds(Failure, number, text, text, st.dictionaries(text, text, max_size=4))
    | st.builds(Undelivered, st.lists(number, max_size=9).map(tuple), number, number, text, text)
)
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_the_size_of_an_item_is_never_less_than_what_it_takes(item: object) -> None:
    size = len(msgspec.msgpack.encode(item))
    assert size <= codec.size_of(item)
    if not isinstance(item, Reply):
        assert codec.size_of(Bulky(item, (b"12345",))) == codec.size_of(item) + 5  # type: ignore[arg-type]


# -- too much at our own side --------------------------------------------------------------
class Endless(bytes):
    """Bytes that only say that they are many."""

    def __len__(self) -> int:
        return limits.MESSAGE_BYTES_MAX + 1


@pytest.mark.parametrize(
    "item",
    [
        Bulky(Reply(1, b""), (b"",) * (limits.BUFFERS_MAX + 1)),
        Bulky(Reply(1, b""), (Endless(),)),
        Ask(1, 2, 3, "a", Endless()),
        Ask(1, 2, 3, "a" * limits.FRAME_BYTES_MAX, b""),
        Failure(1, "ZactorError", "a" * limits.FRAME_BYTES_MAX, {}),
    ],
)
def test_an_item_beyond_the_limits_is_refused_at_its_sender(item: object) -> None:
    with pytest.raises(LocalProtocolError, match="allowed"):
        codec.check_item(item)


def test_an_item_within_the_limits_may_travel() -> None:
    for item in PLAIN:
        codec.check_item(item)
    codec.check_item(Bulky(Ask(1, 2, 3, "a", b"x" * (1 << 20)), (b"",) * limits.BUFFERS_MAX))


def test_what_was_not_checked_is_refused_when_it_is_encoded() -> None:
    long = "a" * limits.FRAME_BYTES_MAX
    stories: list[Callable[[], object]] = [
        lambda: codec.encode_frame(frame(Ask(1, 2, 3, long, b""))),
        lambda: codec.encode_frame(frame(Bulky(Reply(1, b""), (b"",) * (limits.BUFFERS_MAX + 1)))),
        lambda: codec.encode_request(Request(1, Inspect(Subject.WHY, long))),
        lambda: codec.encode_outbound(Answer(1, False, long.encode())),
    ]
    for story in stories:
        with pytest.raises(LocalProtocolError, match="allowed"):
            story()


# -- what must not arrive ------------------------------------------------------------------
def bulk(*sizes: int, head_first: bool = False, payload: bytes = b"") -> bytes:
    item = Bulk(Reply(1, payload), sizes, head_first)
    return msgspec.msgpack.encode(frame(item))


BODY = msgspec.msgpack.encode(frame(*PLAIN))
MALFORMED: dict[str, list[bytes]] = {
    "nothing": [],
    "an empty body": [b""],
    "no msgpack": [b"\xc1"],
    "half a frame": [BODY[:-1]],
    "more than a frame": [BODY + b"\x00"],
    "a part too many": [BODY, b""],
    "a request with a part": [msgspec.msgpack.encode(Request(1, Inspect(Subject.WHY, ""))), b""],
    "an answer": [msgspec.msgpack.encode(Answer(1, False, b""))],
    "an item that is a frame": [msgspec.msgpack.encode(frame(frame()))],
    "a field too many": [msgspec.msgpack.encode([80, 3, 8, 1, 0, 9, False, True, [], 0])],
    "text that is no UTF-8": [
        msgspec.msgpack.encode(frame(Ask(1, 2, 3, "é", b""))).replace(b"\xa2\xc3", b"\xa2\xff")
    ],
    "a nesting bomb": [b"\x91" * 1_000_000],
    "a nesting bomb within": [BODY[:2] + b"\x91" * 1_000_000],
    "a map bomb": [b"\x81" * 1_000_000],
    "four billion items": [b"\x99\x50\x03\x08\x01\x00\x09\xc2\xc3" + b"\xdd\xff\xff\xff\xff"],
    "four billion targets": [
        b"\x99\x50\x03\x08\x01\x00\x09\xc2\xc3\x91\x96\x01" + b"\xdd\xff\xff\xff\xff"
    ],
    "four billion bytes": [
        b"\x99\x50\x03\x08\x01\x00\x09\xc2\xc3\x91\x93\x03\x01" + b"\xc6\xff\xff\xff\xff"
    ],
    "too many items": [msgspec.msgpack.encode(frame(*[Reply(1, b"")] * 513))],
    "too long a body": [b"\x00" * (limits.FRAME_BYTES_MAX + 1)],
    "no buffers": [bulk()],
    "too few parts": [bulk(1, 1), b"x"],
    "no parts": [bulk(1)],
    "too many parts": [bulk(1), b"x", b"x"],
    "too short a part": [bulk(2), b"x"],
    "too long a part": [bulk(2), b"xyz"],
    "a buffer in odd parts": [bulk(ONE_PART + 1), b"x", b"x" * ONE_PART],
    "a size below zero": [bulk(2, -1), b"xx", b""],
    "sizes that add up": [bulk(-5, 6), b"", b"x"],
    "too long a buffer": [bulk(limits.MESSAGE_BYTES_MAX + 1)],
    "too many buffers": [bulk(*[0] * 1025), *[b""] * 1025],
    "a size beyond all": [bulk(2**64 - 1)],
    "two payloads": [bulk(1, head_first=True, payload=b"y"), b"x"],
    "a bulk of a failure": [
        b"\x99\x50\x03\x08\x01\x00\x09\xc2\xc3\x91\x94\x06"
        + msgspec.msgpack.encode(FAILURE)
        + b"\x91\x01\xc2",
        b"x",
    ],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_a_remote_protocol_error(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            codec.decode_inbound(MALFORMED[name])
        assert tracemalloc.get_traced_memory()[1] < 8 << 20, "memory taken on somebody's word"
    finally:
        tracemalloc.stop()


def test_answers_and_heartbeats_are_checked_too() -> None:
    for parts in ([], [b""], [BODY], [codec.encode_outbound(Answer(1, False, b""))[0], b""]):
        with pytest.raises(RemoteProtocolError):
            codec.decode_outbound(parts)
    for body in (b"", BODY, b"\x91" * 100_000):
        with pytest.raises(RemoteProtocolError):
            codec.decode_heartbeat(body)


def mutated(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    """The parts with a few bytes, runs or whole parts changed, lost, doubled or added."""
    parts = list(parts)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(parts)) if chance.random() < 0.2 else 0
        body = bytearray(parts[at])
        kind = chance.randrange(6)
        i = chance.randrange(len(body) + 1)
        if kind == 0 and body:
            body[i % len(body)] ^= 1 << chance.randrange(8)
        elif kind == 1 and body:
            body[i % len(body)] = chance.randrange(256)
        elif kind == 2:
            del body[i : i + chance.choice((1, 2, 40))]
        elif kind == 3:
            body[i:i] = body[: chance.randrange(20)]
        elif kind == 4:
            body[i : i + 5] = bytes([chance.choice(b"\xdd\xdf\xc6\xdb\xcf\xd3")]) + struct.pack(
                ">I", chance.choice((2**32 - 1, 2**31, 70_000))
            )
        elif len(parts) > 1:
            parts.insert(at, parts.pop())
        parts[at] = bytes(body)
    return parts


def test_mutated_frames_decode_or_fail_and_nothing_else() -> None:
    chance = random.Random(20)
    bulky = [bytes(part) for part in codec.encode_frame(frame(Bulky(PLAIN[0], (b"ab", b"c"))))]
    valid = [[msgspec.msgpack.encode(frame(item))] for item in PLAIN] + [bulky] * 5
    valid += [[msgspec.msgpack.encode(Request(1, operation))] for operation in OPERATIONS]
    valid.append([BODY])
    decoded = refused = 0
    for _ in range(60_000):
        parts = mutated(chance, chance.choice(valid))
        try:
            message = codec.decode_inbound(parts)
        except RemoteProtocolError:
            refused += 1
            continue
        decoded += 1
        # What was taken as right must be something that we could have sent.
        if isinstance(message, LinkFrame):
            again = codec.decode_inbound(codec.encode_frame(message))
            assert isinstance(again, LinkFrame)
            assert len(again.items) == len(message.items)
    assert decoded > 1_000, "the mutations are too coarse"
    assert refused > 10_000, "the mutations are too fine"


def test_a_signal_in_group_order_comes_back_as_it_was_or_is_refused() -> None:
    signal = Wired((("n1", (1, 2)), ("n2", (3,))), 4, 5, "inc", b"args")
    body = codec.encode_wired(signal)
    assert codec.decode_wired(body) == signal
    for wrong in (b"", body[:-1], body + b"x", codec.encode_heartbeat(a_heartbeat())):
        with pytest.raises(RemoteProtocolError):
            codec.decode_wired(wrong)


def test_mutated_answers_and_heartbeats_decode_or_fail_and_nothing_else() -> None:
    chance = random.Random(21)
    answer = msgspec.msgpack.encode(Problem(3, "TimedOut", "late", {"a": "b"}))
    heartbeat = codec.encode_heartbeat(a_heartbeat())
    outcomes = set()
    for _ in range(10_000):
        for decode, body in ((codec.decode_outbound, answer), (codec.decode_heartbeat, heartbeat)):
            parts = mutated(chance, [body])
            try:
                decode(parts if decode is codec.decode_outbound else parts[0])  # type: ignore[operator]
                outcomes.add((decode, True))
            except RemoteProtocolError:
                outcomes.add((decode, False))
    assert len(outcomes) == 4


def test_text_that_is_none_is_told_to_who_would_send_it() -> None:
    with pytest.raises(LocalProtocolError, match="a Request with text that is none"):
        codec.encode_request(Request(1, Inspect(Subject.NODES, "caf\udce9"), 0.0, ""))
