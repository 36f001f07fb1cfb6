"""The codec of frames: a body of kernel/messages, then parts of buffers.

A multipart message is [body, part, part, …]. The parts belong to the Bulk items of the body, in
order; each buffer takes as many parts of PART_BYTES_MAX as it needs, at least one. The rule a
reader must not break: whatever arrives ends as a value of the right shape or as a
RemoteProtocolError, and no memory is taken on the word of a length that somebody sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.limits import (
    BATCH_BYTES_MAX,
    BATCH_ITEMS_MAX,
    BUFFERS_MAX,
    FRAME_BYTES_MAX,
    INLINE_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PART_BYTES_MAX,
)
from zactor.kernel.messages.actors import Ask, Bulk, Reply, Signal, SignalParcel, Wired
from zactor.kernel.messages.frames import Heartbeat, Inbound, LinkFrame, Outbound
from zactor.kernel.messages.operations import Answer, Problem, Request
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.item_size import bytes_of, is_credited, size_of, weight_of
from zactor.kernel.wire.undecodable import Raised

__all__ = [
    "Buffer",
    "Bulky",
    "Part",
    "Parts",
    "check_item",
    "decode_heartbeat",
    "decode_inbound",
    "decode_outbound",
    "decode_wired",
    "encode_frame",
    "encode_heartbeat",
    "encode_outbound",
    "encode_request",
    "encode_wired",
    "is_credited",
    "put_together",
    "size_of",
]

Part = bytes | memoryview

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_inbound: msgspec.msgpack.Decoder[Inbound] = msgspec.msgpack.Decoder(Inbound)
_outbound: msgspec.msgpack.Decoder[Answer | Problem] = msgspec.msgpack.Decoder(Outbound)
_heartbeat = msgspec.msgpack.Decoder(Heartbeat)
_wired = msgspec.msgpack.Decoder(Wired)

_BESIDE_BYTES_MAX = FRAME_BYTES_MAX - INLINE_BYTES_MAX - BATCH_BYTES_MAX

_LONG = (Signal, Ask, Reply)  # what may have a payload of any length


def encode_frame(frame: LinkFrame) -> list[Part]:
    """Return the parts that carry `frame`; its items may be Bulky, and payloads may be long.

    Raises:
        LocalProtocolError: an item is beyond the limits: see `check_item`.
    """
    if Bulky not in set(map(type, frame.items)):
        body = _encoder.encode(frame)
        if len(body) <= INLINE_BYTES_MAX:
            return [body]
    parts: list[Part] = []
    items = tuple([_take_apart(item, parts) for item in frame.items])
    return [_body(msgspec.structs.replace(frame, items=items)), *parts]


def encode_request(request: Request) -> list[Part]:
    """Return the parts that carry a request to a node's door.

    Raises:
        LocalProtocolError: it is longer than FRAME_BYTES_MAX.
    """
    return [_body(request)]


def encode_outbound(message: Answer | Problem) -> list[Part]:
    """Return the parts that carry an answer to a client.

    Raises:
        LocalProtocolError: it is longer than FRAME_BYTES_MAX.
    """
    return [_body(message)]


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Return what a PUB socket sends, or what goes to a door instead."""
    return _encoder.encode(heartbeat)


def decode_inbound(parts: Sequence[Part]) -> Inbound:
    """Return what arrived at a node; a frame's Bulk items are Bulky again, their buffers joined.

    Raises:
        RemoteProtocolError: it is malformed or beyond a limit.
    """
    message = _decode(_inbound, _only_body(parts[:1]))
    if not isinstance(message, LinkFrame):
        _only_body(parts)
        return message
    items = message.items
    kinds = set(map(type, items))
    weight = sum(map(weight_of, items)) if SignalParcel in kinds else len(items)
    if weight > BATCH_ITEMS_MAX:
        raise RemoteProtocolError(f"{weight} items in one frame, {BATCH_ITEMS_MAX} allowed")
    if Bulk not in kinds:
        _only_body(parts)
        return message
    rest = Parts(parts)
    whole = tuple([put_together(item, rest) if type(item) is Bulk else item for item in items])
    if rest.left:
        raise RemoteProtocolError(f"{rest.left} parts that belong to no item")
    return msgspec.structs.replace(message, items=whole)


def decode_outbound(parts: Sequence[Part]) -> Answer | Problem:
    """Return a node's answer.

    Raises:
        RemoteProtocolError: it is malformed.
    """
    return _decode(_outbound, _only_body(parts))


def decode_heartbeat(body: Part) -> Heartbeat:
    """Return a heartbeat.

    Raises:
        RemoteProtocolError: it is malformed.
    """
    return _decode(_heartbeat, body)


def encode_wired(signal: Wired) -> bytes:
    """Return the payload of the group message that carries a signal."""
    return _encoder.encode(signal)


def decode_wired(payload: bytes) -> Wired:
    """Return a signal that a group message carries.

    Raises:
        RemoteProtocolError: it is malformed.
    """
    return _decode(_wired, payload)


def check_item(item: object) -> None:
    """Make sure that `item` can travel; ask before it is submitted, where its sender still is.

    Raises:
        LocalProtocolError: it has too many buffers, or is too long.
    """
    if isinstance(item, Bulky):
        if len(item.buffers) > BUFFERS_MAX:
            raise LocalProtocolError(
                f"{len(item.buffers)} buffers in one message, {BUFFERS_MAX} allowed"
            )
        buffers = sum(map(bytes_of, item.buffers))
        inner: object = item.item
    else:
        buffers = 0
        inner = item
    payload = len(inner.payload) if isinstance(inner, _LONG) else 0
    if payload + buffers > MESSAGE_BYTES_MAX:
        raise LocalProtocolError(
            f"a message of {payload + buffers} bytes, {MESSAGE_BYTES_MAX} allowed"
        )
    # What isn't payload has to fit into the body, beside a payload and the rest of a batch.
    beside = size_of(inner) - payload
    if beside > _BESIDE_BYTES_MAX:
        raise LocalProtocolError(
            f"a {type(inner).__name__} of {beside} bytes beside its payload, "
            f"{_BESIDE_BYTES_MAX} allowed"
        )


# -- out -------------------------------------------------------------------------------------
def _body(message: msgspec.Struct) -> bytes:
    try:
        body = _encoder.encode(message)
    except UnicodeEncodeError as error:  # a lone surrogate, of a command line for one
        raise LocalProtocolError(
            f"a {type(message).__name__} with text that is none: {error}"
        ) from None
    if len(body) > FRAME_BYTES_MAX:
        raise LocalProtocolError(
            f"a {type(message).__name__} of {len(body)} bytes, {FRAME_BYTES_MAX} allowed"
        )
    return body


def _take_apart(item: object, parts: list[Part]) -> object:
    """Return what stands for `item` in the body; its long buffers are appended to `parts`."""
    buffers: tuple[Buffer, ...] = ()
    if isinstance(item, Bulky):
        buffers = tuple(item.buffers)
        item = item.item
    if not isinstance(item, _LONG):
        return item
    payload = item.payload
    head_first = False
    if isinstance(payload, bytes) and len(payload) > INLINE_BYTES_MAX:
        head_first = True
        buffers = (payload, *buffers)
        item = msgspec.structs.replace(item, payload=b"")
    if not buffers:
        return item
    for buffer in buffers:
        parts += _slices(buffer)
    sizes = tuple(map(bytes_of, buffers))
    if len(sizes) - head_first > BUFFERS_MAX or sum(sizes) > MESSAGE_BYTES_MAX:
        raise LocalProtocolError(
            f"a message of {len(sizes)} buffers and {sum(sizes)} bytes, "
            f"{BUFFERS_MAX} and {MESSAGE_BYTES_MAX} allowed"
        )
    return Bulk(item, sizes, head_first)


def _slices(buffer: Buffer) -> list[Part]:
    view = memoryview(buffer).cast("B")
    if len(view) <= PART_BYTES_MAX:
        return [view]
    return [view[at : at + PART_BYTES_MAX] for at in range(0, len(view), PART_BYTES_MAX)]


# -- in --------------------------------------------------------------------------------------
def _decode(decoder: msgspec.msgpack.Decoder[T], body: Part) -> T:
    try:
        return decoder.decode(body)
    except Raised as error:
        raise RemoteProtocolError(f"malformed: {type(error).__name__}: {error}") from None


def _only_body(parts: Sequence[Part]) -> Part:
    if len(parts) != 1:
        raise RemoteProtocolError(f"{len(parts)} parts, wanted 1")
    if len(parts[0]) > FRAME_BYTES_MAX:
        raise RemoteProtocolError(f"{len(parts[0])} bytes, {FRAME_BYTES_MAX} allowed")
    return parts[0]


class Parts:
    """The parts after the body, taken one after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """`parts` are those of the whole message, the body too."""
        self._parts = parts
        self._next = 1

    @property
    def left(self) -> int:
        """How many weren't taken."""
        return len(self._parts) - self._next

    def take(self, size: int) -> list[Part]:
        """Return the parts of a buffer of `size` bytes: all there, each of its right length.

        Raises:
            RemoteProtocolError: they aren't.
        """
        count = max(1, -(-size // PART_BYTES_MAX))
        if count > self.left:
            raise RemoteProtocolError(f"{self.left} parts left, a buffer needs {count}")
        taken = list(self._parts[self._next : self._next + count])
        self._next += count
        lengths = [len(part) for part in taken]
        wanted = [PART_BYTES_MAX] * (count - 1) + [size - PART_BYTES_MAX * (count - 1)]
        if lengths != wanted:
            raise RemoteProtocolError("a part is not as long as its buffer says")
        return taken


def put_together(bulk: Bulk, rest: Parts) -> Bulky | Signal | Ask | Reply:
    """Return the item with its buffers, which are taken from `rest`.

    Raises:
        RemoteProtocolError: they aren't there as it says.
    """
    sizes = bulk.sizes
    if not 1 <= len(sizes) <= BUFFERS_MAX + bulk.head_first:
        raise RemoteProtocolError(f"{len(sizes)} buffers, 1 to {BUFFERS_MAX} allowed")
    if min(sizes) < 0 or sum(sizes) > MESSAGE_BYTES_MAX:
        raise RemoteProtocolError(f"sizes of buffers beyond {MESSAGE_BYTES_MAX} bytes or below 0")
    item = bulk.item
    if bulk.head_first:
        if item.payload:
            raise RemoteProtocolError("two payloads in one item")
        item = msgspec.structs.replace(item, payload=b"".join(rest.take(sizes[0])))
        sizes = sizes[1:]
    if not sizes:
        return item
    return Bulky(item, tuple([bytearray().join(rest.take(size)) for size in sizes]))
