"""Items that can't be decoded: each costs itself, and its link goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import Deliver, Effect, Limits, Transmit
from zactor.kernel.link.link import Link
from zactor.kernel.messages.actors import (
    Ask,
    Bulk,
    Failure,
    Reply,
    Signal,
    SignalHeader,
    SignalParcel,
    Undelivered,
)
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.messages.operations import Answer, Inspect, Problem, Request, Subject
from zactor.kernel.wire import codec, item_by_item
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.item_by_item import decode_arrived
from zactor.kernel.wire.item_size import is_credited, split_item, weight_of
from zactor.kernel.wire.undecodable import Undecodable

WRONG: Any = "not what stands in the grammar"
ONE_PART = limits.PART_BYTES_MAX


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def nested(depth: int, inner: bytes = b"\xc0") -> msgspec.Raw:
    return msgspec.Raw(b"\x91" * depth + inner)


BAD: dict[str, object] = {
    "an unknown tag": raw([119, 1, "x"]),
    "no tag": raw(["tag", 1]),
    "a tag beyond all": raw([2**64 - 1]),
    "no array": raw({"a": 1}),
    "an empty array": raw([]),
    "nothing": raw(None),
    "a frame": raw([80, 3, 8, 1, 0, 9, False, True, []]),
    "nested deep": nested(100_000 // 8),
    "nested deep in an item": msgspec.Raw(b"\x93\x03\x01" + b"\x91" * 10_000 + b"\xc0"),
    "nested maps": msgspec.Raw(b"\x81\xa1a" * 3_000 + b"\xc0"),
    "a field too many": raw([3, 1, b"", 7]),
    "a field too few": raw([3]),
    "a number beyond its range": raw([119 - 9, 2**63]),
    "text that is no UTF-8": msgspec.Raw(b"\x95\x04\x01\xa2\xff\xff\xa0\x80"),
    "a Signal of a wrong type": Signal(WRONG, 0, 1, "a", b""),
    "a parcel of a wrong type": SignalParcel(
        3, (SignalHeader(WRONG, 0, "a"),), bytes(3), (1, 2, 3), (b"",) * 3
    ),
    "an Ask of a wrong type": Ask(1, 0, 7, 9, b""),  # type: ignore[arg-type]
    "a Reply of a wrong type": Reply(7, WRONG),
    "a Bulk of a Failure": raw([6, [4, 1, "E", "m", {}], [1], False]),
    "a Bulk without buffers": Bulk(Reply(1, b""), (), False),
    "never used by msgpack": msgspec.Raw(b"\xc1"),
}
GOOD: list[object] = [
    Reply(1, b"first"),
    Undelivered((1,), 2, 3, "a", "second"),
    Failure(4, "Refused", "third", {}),
]


def frame(*items: object) -> LinkFrame:
    return LinkFrame(3, 8, 1, 0, 16_384, False, True, items)  # type: ignore[arg-type]


def through(*items: object, parts: Sequence[bytes] = ()) -> tuple[object, ...]:
    back = decode_arrived([msgspec.msgpack.encode(frame(*items)), *parts])
    assert isinstance(back, LinkFrame)
    assert msgspec.structs.replace(back, items=()) == frame()
    return back.items


@pytest.mark.parametrize("name", BAD)
def test_what_is_beside_an_item_that_cant_be_decoded_comes_as_it_was(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_inbound([msgspec.msgpack.encode(frame(BAD[name]))])
    first, bad, second, third = through(GOOD[0], BAD[name], *GOOD[1:])
    assert [first, second, third] == GOOD
    assert isinstance(bad, Undecodable)
    assert bad.why


def test_both_ends_count_the_same_credits_of_what_cant_be_decoded() -> None:
    sent = [item for item in BAD.values() if not isinstance(item, msgspec.Raw)]
    assert [codec.is_credited(item) for item in through(*sent)] == list(map(is_credited, sent))
    bad_bulk = Bulk(Ask(1, 2, 3, WRONG, b""), (1,), WRONG)
    (found,) = through(bad_bulk, parts=[b"x"])
    assert is_credited(found)
    assert is_credited(bad_bulk)


def test_who_waits_for_it_is_told_at_either_end() -> None:
    request = Request(9, Inspect(WRONG, ""))
    asked, called, replied, answered, signal = through(
        BAD["an Ask of a wrong type"],
        request,
        BAD["a Reply of a wrong type"],
        Answer(11, WRONG, b""),
        BAD["a Signal of a wrong type"],
    )
    told = [asked, called, replied, answered, signal]
    assert all(isinstance(each, Undecodable) for each in told)
    assert isinstance(asked, Undecodable)
    assert isinstance(asked.answer, Failure)
    assert (asked.answer.request, asked.answer.kind) == (7, "RemoteProtocolError")
    assert isinstance(called, Undecodable)
    assert isinstance(called.answer, Problem)
    assert called.answer.number == 9
    assert isinstance(replied, Undecodable)
    assert isinstance(replied.instead, Failure)
    assert replied.instead.request == 7
    assert isinstance(answered, Undecodable)
    assert isinstance(answered.instead, Problem)
    assert answered.instead.number == 11
    assert isinstance(signal, Undecodable)
    assert signal.answer is signal.instead is None


def test_buffers_of_what_cant_be_decoded_are_passed_over() -> None:
    long = bytearray(ONE_PART + 1)
    bad = Bulk(Reply(1, WRONG), (len(long), 2), False)
    good = Bulk(Reply(2, b""), (3,), False)
    parts = [b"\0" * ONE_PART, b"\0", b"xx", b"abc"]
    first, second = through(bad, good, parts=parts)
    assert isinstance(first, Undecodable)
    assert isinstance(second, Bulky)
    assert [bytes(each) for each in second.buffers] == [b"abc"]


@pytest.mark.parametrize(
    "body",
    [
        msgspec.msgpack.encode(frame(*GOOD))[:9],
        msgspec.msgpack.encode(frame(*[raw([119])] * (limits.BATCH_ITEMS_MAX + 1))),
        msgspec.msgpack.encode(frame(*[nested(5_000)] * (limits.BATCH_ITEMS_MAX + 1))),
        b"\x99\x50\x03\x08\x01\x00\x09\xc2\xc3" + b"\xdd\xff\xff\xff\xff",
        b"\x91" * 1_000_000,
        b"\x00" * (limits.FRAME_BYTES_MAX + 1),
        msgspec.msgpack.encode([80, 3, 8, 1, 0, "granted", False, True, [[119]]]),
        msgspec.msgpack.encode(Request(1, Inspect(WRONG, ""))),
        b"",
    ],
)
def test_what_is_no_frame_whatever_its_items_are_is_refused_whole(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_arrived([body])
    with pytest.raises(RemoteProtocolError):
        decode_arrived([])


def test_what_is_right_is_decoded_as_ever() -> None:
    assert through(*GOOD) == tuple(GOOD)
    request = Request(1, Inspect(Subject.NODES, ""))
    assert decode_arrived(codec.encode_request(request)) == request


def test_an_item_may_be_nested_as_deep_as_a_frame_has_room() -> None:
    deep = msgspec.Raw(b"\x91" * 1_900_000 + b"\xc0")
    first, bad, second = through(GOOD[0], deep, GOOD[1])
    assert [first, second] == GOOD[:2]
    assert isinstance(bad, Undecodable)


def test_what_is_too_long_to_be_walked_through_takes_what_is_behind_it_along() -> None:
    count = item_by_item.VALUES_MAX
    found = through(GOOD[0], msgspec.Raw(b"\x92\x00" * count + b"\xc0"), GOOD[1])
    assert found[0] == GOOD[0]
    assert [type(item) for item in found[1:]] == [Undecodable, Undecodable]


# -- over a link -----------------------------------------------------------------------------
Decode = Callable[[Sequence[bytes]], Any]
LIMITS = Limits(window=4, lot=2, batch_items=3)
STEP_MS = 250


def deliver_all(
    items: Sequence[object],
    decode: Decode,
    credit: Callable[[object], bool],
    weight: Callable[[object], int] = weight_of,
) -> None:
    """Send `items` over a link whose frames are decoded so; fail unless the good ones arrive."""
    a, b = NodeId("a", 3), NodeId("b", 8)
    parcels: dict[str, Any] = {"weight_of": weight_of, "split": split_item}
    ends = {
        "a": Link(a, b, is_credited=is_credited, limits=LIMITS, **parcels),
        "b": Link(b, a, is_credited=credit, limits=LIMITS, **{**parcels, "weight_of": weight}),
    }
    wire: list[tuple[str, list[bytes]]] = []
    arrived: list[object] = []
    now_ms = 0

    def carry_out(at: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                parts = [bytes(part) for part in codec.encode_frame(effect.frame)]
                wire.append(("b" if at == "a" else "a", parts))
            elif isinstance(effect, Deliver):
                arrived.extend(effect.items)
                taken = sum(weight(item) for item in effect.items if credit(item))
                carry_out(at, ends[at].consumed(taken, now_ms))

    for name, link in ends.items():
        carry_out(name, link.connected(now_ms))
    carry_out("a", ends["a"].submit(items, now_ms))
    for _ in range(60):
        while wire:
            to, parts = wire.pop(0)
            try:
                got = decode(parts)
            except RemoteProtocolError:
                continue
            carry_out(to, ends[to].receive(got, now_ms))
        now_ms += STEP_MS
        for name, link in ends.items():
            carry_out(name, link.tick(now_ms))
    good = [item for item in arrived if not isinstance(item, Undecodable)]
    wanted = [item for item in items if item in GOOD]
    assert good == wanted, "something never arrived, or came twice"
    weights = [sum(map(weight, some)) for some in (arrived, items)]
    assert weights[0] == weights[1], "numbers and items don't agree"
    assert ends["a"].queued == 0, "it is sent again for ever"


ANY_VALUE = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
# Tags of what takes no credit, known and unknown: both ends must agree on the lane.
FORGED = st.tuples(st.sampled_from([3, 4, 5, 39, 70, 71, 72, 99, 119, 2**40]), ANY_VALUE).map(
    lambda found: raw([found[0], found[1], WRONG])
)
UNCREDITED = [item for item in BAD.values() if not is_credited(item)]


@given(st.lists(st.sampled_from(GOOD) | st.sampled_from(list(BAD.values())) | FORGED, max_size=25))
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_a_link_goes_on_whatever_some_of_its_items_are(items: list[object]) -> None:
    kept = [item for item in items if not is_credited(item)]
    deliver_all(kept, decode_arrived, is_credited)


def test_a_link_goes_on_though_more_credited_items_than_its_window_cant_be_decoded() -> None:
    kinds = ("a Signal of a wrong type", "a parcel of a wrong type", "an Ask of a wrong type")
    bad = [BAD[kind] for kind in kinds] * LIMITS.window
    deliver_all([*GOOD, *bad], decode_arrived, is_credited)


def _leaves_out(parts: Sequence[bytes]) -> object:
    found = decode_arrived(parts)
    assert isinstance(found, LinkFrame)
    items = tuple(item for item in found.items if not isinstance(item, Undecodable))
    return msgspec.structs.replace(found, items=items)


def _walks_into_nothing(parts: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> object:
    with monkeypatch.context() as patched:
        patched.setattr(item_by_item, "_walk_apart", lambda _body: None)
        return decode_arrived(parts)


def _never_credited(item: object) -> bool:
    return not isinstance(item, Undecodable) and is_credited(item)


def _counts_one(item: object) -> int:
    return 1


@pytest.mark.parametrize(
    "mutant",
    ["refuses the frame", "leaves it out", "fears the deep", "keeps", "counts parcels as one"],
)
def test_the_link_would_not_go_on_if_the_codec(
    mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode: Decode = {
        "refuses the frame": codec.decode_inbound,
        "leaves it out": _leaves_out,
        "fears the deep": partial(_walks_into_nothing, monkeypatch=monkeypatch),
    }.get(mutant, decode_arrived)
    credit = _never_credited if mutant == "keeps" else is_credited
    bad = [BAD["a Signal of a wrong type"], BAD["a parcel of a wrong type"]] * 5
    weight = _counts_one if mutant == "counts parcels as one" else weight_of
    with pytest.raises(AssertionError):
        deliver_all([*GOOD, BAD["nested deep"], *bad, GOOD[0]], decode, credit, weight)
