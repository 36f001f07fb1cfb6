"""Parcels of signals: what actors send to one node between two turns of its hub, as few items.

A signal that travels by itself costs both nodes 2 µs in link and codec, in a parcel a tenth of it.
Whoever sends packs, and the runtime that receives opens; links see an item that weighs as many.
"""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.limits import LINK_PARCEL_BYTES, LINK_PARCEL_SIGNALS
from zactor.kernel.messages.actors import Signal, SignalHeader, SignalParcel


def pack(items: Sequence[object]) -> list[object]:
    """Return `items` in their order, each run of signals between others as parcels."""
    packed: list[object] = []
    run: list[Signal] = []
    size = 0
    for item in items:
        if type(item) is Signal and len(item.payload) <= LINK_PARCEL_BYTES:
            size += len(item.payload)
            if size > LINK_PARCEL_BYTES or len(run) == LINK_PARCEL_SIGNALS:
                packed.append(_parcel(run))
                run, size = [], len(item.payload)
            run.append(item)
            continue
        if run:
            packed.append(_parcel(run))
            run, size = [], 0
        packed.append(item)
    if run:
        packed.append(_parcel(run))
    return packed


def _parcel(run: Sequence[Signal]) -> object:
    if len(run) == 1:
        return run[0]
    places: dict[tuple[tuple[int, ...], int, str], int] = {}
    which = bytearray()
    before, place = run[0], -1
    for signal in run:
        # Nearly always of the emitter of the one before: its route made both from one tuple.
        if (
            place < 0
            or signal.targets is not before.targets
            or signal.action is not before.action
            or signal.sender != before.sender
        ):
            header = (signal.targets, signal.sender, signal.action)
            place = places.setdefault(header, len(places))
            before = signal
        which.append(place)
    return SignalParcel(
        len(run),
        tuple([SignalHeader(*header) for header in places]),
        bytes(which),
        tuple([signal.number for signal in run]),
        tuple([signal.payload for signal in run]),
    )


def split(parcel: SignalParcel, count: int) -> tuple[SignalParcel, SignalParcel]:
    """Return the first `count` signals of a parcel, and the others."""
    first, rest = slice(count), slice(count, None)
    return _part(parcel, first), _part(parcel, rest)


def _part(parcel: SignalParcel, part: slice) -> SignalParcel:
    which, numbers, payloads = parcel.which[part], parcel.numbers[part], parcel.payloads[part]
    return SignalParcel(len(which), parcel.headers, which, numbers, payloads)


def signals_of(parcel: SignalParcel) -> list[Signal]:
    """Return what is in a parcel."""
    signals = []
    for place, number, payload in zip(parcel.which, parcel.numbers, parcel.payloads, strict=True):
        header = parcel.headers[place]
        signals.append(Signal(header.targets, header.sender, number, header.action, payload))
    return signals


def without_targets(parcel: SignalParcel) -> SignalParcel:
    """Return one of the same weight that does nothing: its signals are for nobody."""
    count = parcel.count
    nobody = SignalHeader((), 0, "")
    return SignalParcel(count, (nobody,), bytes(count), (0,) * count, (b"",) * count)
