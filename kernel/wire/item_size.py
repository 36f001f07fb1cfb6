"""The size and the weight of an item, and whether it takes credits: what a link must know of it."""

from __future__ import annotations

import msgspec

from zactor.kernel.limits import BATCH_BYTES_MAX
from zactor.kernel.messages.actors import (
    Ask,
    Bulk,
    InMemory,
    Reply,
    Signal,
    SignalHeader,
    SignalParcel,
)
from zactor.kernel.messages.groups import GroupPiece
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.signal_parcels import split
from zactor.kernel.wire.undecodable import Undecodable

ITEM_OVERHEAD_BYTES = 32  # tag, lengths and numbers of one item on the wire, rounded up
TARGET_BYTES = 9  # the longest integer of msgpack
IN_PARCEL_BYTES = 15  # of one signal beside its payload: place, number, length
CHARACTER_BYTES = 4  # the longest character of UTF-8

_encoder = msgspec.msgpack.Encoder()


def bytes_of(buffer: Buffer) -> int:
    """Length in bytes, also where the view has items of several bytes."""
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)


def weight_of(item: object) -> int:
    """How many numbers the item takes in its link, and how many credits if it takes any."""
    if type(item) is SignalParcel:
        return item.count
    return item.weight if isinstance(item, Undecodable) else 1


def split_item(item: object, weight: int) -> tuple[object, object]:
    """Return an item of that weight and the rest, of an item that weighs more."""
    assert type(item) is SignalParcel, item
    return split(item, weight)


def is_credited(item: object) -> bool:
    """Whether the item takes credits of its link; the same at both ends, long or short."""
    # Called for every item at both ends: identity of types is twice as fast as isinstance.
    kind = type(item)
    if kind is Signal or kind is Ask or kind is SignalParcel:
        return True
    if isinstance(item, Undecodable):
        return item.is_credited
    return isinstance(item, (Bulky, Bulk, InMemory)) and type(item.item) in (Signal, Ask)


def size_of(item: object) -> int:
    """About how many bytes the item takes on the wire: not less than it does."""
    if type(item) is Signal:
        return _header_size(item) + len(item.payload)
    if type(item) is Ask:
        return ITEM_OVERHEAD_BYTES + CHARACTER_BYTES * len(item.action) + len(item.payload)
    if type(item) is SignalParcel:
        each = IN_PARCEL_BYTES * item.count + sum(map(len, item.payloads))
        return ITEM_OVERHEAD_BYTES + each + sum(map(_header_size, item.headers))
    if isinstance(item, Reply):
        return ITEM_OVERHEAD_BYTES + len(item.payload)
    if type(item) is GroupPiece:
        return BATCH_BYTES_MAX  # it goes alone: its arrival is told, and what is behind it waits
    if isinstance(item, Bulky):
        return size_of(item.item) + sum(map(bytes_of, item.buffers))
    # The rest is rare, or a packet of many messages, which is encoded faster than added up here.
    try:
        return len(_encoder.encode(item))
    except Exception:  # what can't be encoded is found, and dropped, when it is about to leave
        return ITEM_OVERHEAD_BYTES


def _header_size(header: Signal | SignalHeader) -> int:
    targets = TARGET_BYTES * len(header.targets)
    return ITEM_OVERHEAD_BYTES + targets + CHARACTER_BYTES * len(header.action)
