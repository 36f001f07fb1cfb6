"""Parcels of signals: nothing but the count of items changes, and nothing false is let in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.actors import Ask, Reply, Signal, SignalHeader, SignalParcel
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.wire import codec
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.item_by_item import decode_arrived
from zactor.kernel.wire.item_size import is_credited, size_of, split_item, weight_of
from zactor.kernel.wire.payload import decode, encode_signal
from zactor.kernel.wire.signal_parcels import pack, signals_of
from zactor.kernel.wire.undecodable import Undecodable

PARCEL = SignalParcel(2, (SignalHeader((7,), 1, "inc"),), b"\0\0", (5, 6), (b"a", b"b"))


def signal(number: int, payload: bytes = b"x", sender: int = 1) -> Signal:
    return Signal((7,), sender, number, "inc", payload)


def opened(items: list[object]) -> list[object]:
    found: list[object] = []
    for item in items:
        found += signals_of(item) if isinstance(item, SignalParcel) else [item]
    return found


def frame(*items: object) -> LinkFrame:
    return LinkFrame(3, 8, 1, 0, 16_384, False, False, items)  # type: ignore[arg-type]


def through(*items: object) -> list[object]:
    arrived = decode_arrived([msgspec.msgpack.encode(frame(*items))])
    assert isinstance(arrived, LinkFrame)
    return list(arrived.items)


SIGNALS = st.builds(
    Signal,
    st.lists(st.integers(0, 2**63), max_size=3).map(tuple),
    st.integers(0, 3),
    st.integers(0, 2**63),
    st.sampled_from(["a", "b"]),
    st.binary(max_size=50) | st.just(b"x" * (limits.LINK_PARCEL_BYTES // 2)),
)


@given(st.lists(SIGNALS | st.builds(Reply, st.integers(0, 9), st.just(b"")), max_size=60))
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_what_is_in_parcels_is_what_was_packed_in_its_order(items: list[object]) -> None:
    packed = pack(items)
    assert opened(packed) == items
    assert opened(through(*packed)) == items
    for item in packed:
        assert len(msgspec.msgpack.encode(item)) <= size_of(item)
        if isinstance(item, SignalParcel):
            assert item.count > 1
            assert sum(map(len, item.payloads)) <= limits.LINK_PARCEL_BYTES
            for count in range(1, item.count):
                halves = list(split_item(item, count))
                assert opened(halves) == signals_of(item)
                assert weight_of(halves[0]) == count


def test_a_parcel_ends_at_its_limits_and_at_what_is_no_signal() -> None:
    count = limits.LINK_PARCEL_SIGNALS
    signals = [signal(number) for number in range(2 * count + 1)]
    assert [weight_of(item) for item in pack(signals)] == [count, count, 1]
    ask, bulky = Ask(7, 1, 2, "inc", b""), Bulky(signal(9), (b"long",))
    mixed = [signal(1), signal(2), ask, signal(3), bulky, signal(4)]
    assert opened(pack(mixed)) == mixed
    assert [weight_of(item) for item in pack(mixed)] == [2, 1, 1, 1, 1]
    long = signal(1, b"x" * (limits.LINK_PARCEL_BYTES + 1))
    assert pack([signal(0), long, signal(2)]) == [signal(0), long, signal(2)]


def test_signals_of_many_emitters_share_a_parcel() -> None:
    signals = [signal(number, sender=number % 5) for number in range(200)]
    (parcel,) = pack(signals)
    assert isinstance(parcel, SignalParcel)
    assert len(parcel.headers) == 5
    assert signals_of(parcel) == signals


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"count": 0}, "0 signals"),
        ({"count": limits.LINK_PARCEL_SIGNALS + 1}, "257 signals"),
        ({"count": 3}, "isn't the 3 signals"),
        ({"which": b"\0"}, "isn't the 2 signals"),
        ({"numbers": (1,)}, "isn't the 2 signals"),
        ({"payloads": (b"",) * 3}, "isn't the 2 signals"),
        ({"which": b"\0\1"}, "no header"),
        ({"headers": ()}, "no header"),
        ({"payloads": (b"", ([1],))}, "Expected"),
        ({"payloads": (b"", {"a": 1})}, "Expected"),
    ],
)
def test_what_is_no_parcel_costs_itself_and_nothing_beside_it(
    changes: dict[str, Any], why: str
) -> None:
    fields = [getattr(PARCEL, name) for name in PARCEL.__struct_fields__]
    for name, value in changes.items():
        fields[PARCEL.__struct_fields__.index(name)] = value
    first, bad, last = through(Reply(1, b""), [8, *fields], PARCEL)
    assert (first, last) == (Reply(1, b""), PARCEL)
    assert isinstance(bad, Undecodable)
    assert bad.kind == "SignalParcel"
    assert why in bad.why
    assert is_credited(bad)
    counts = range(1, limits.LINK_PARCEL_SIGNALS + 1)
    assert weight_of(bad) == (fields[0] if fields[0] in counts else 1)


def test_a_frame_has_no_more_signals_than_items() -> None:
    (parcel,) = pack([signal(number) for number in range(limits.LINK_PARCEL_SIGNALS)])
    assert len(through(parcel, parcel)) == 2
    with pytest.raises(RemoteProtocolError, match="513 items in one frame"):
        codec.decode_inbound([msgspec.msgpack.encode(frame(parcel, parcel, signal(1)))])


@pytest.mark.parametrize(
    ("args", "is_plain"),
    [
        ((), True),
        ((5, "größe", None, True, 2.5), True),
        ((2**64,), False),
        (("\udcff",), False),
        ((b"bytes",), False),
        (([1],), False),
        (("x" * limits.ARGUMENTS_BYTES_MAX,), False),
    ],
)
def test_plain_arguments_are_decoded_with_their_frame_and_all_others_are_not(
    args: tuple[Any, ...], is_plain: bool
) -> None:
    body = encode_signal(args)
    assert isinstance(body, bytes) is not is_plain
    (found,) = through(signal(1, body))  # type: ignore[arg-type]
    assert isinstance(found, Signal)
    if is_plain:
        assert found.payload == args
        assert list(map(type, found.payload)) == list(map(type, args))
    else:
        assert isinstance(found.payload, bytes)
        assert decode(found.payload, ()) == (args, {})
