"""Frames item by item: one that can't be decoded costs itself, and neither its frame nor its link.

A frame that was dropped for one of its items would be sent again for ever, and nothing behind it
would arrive. So its items are told apart first, as far as they are msgpack at all, and then each is
decoded by itself. What can't be stands there as an Undecodable, under its number.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import msgspec

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.limits import BATCH_ITEMS_MAX, FRAME_BYTES_MAX
from zactor.kernel.messages.actors import Bulk
from zactor.kernel.messages.frames import Inbound, Item, LinkFrame
from zactor.kernel.wire.codec import Part, Parts, decode_inbound, put_together
from zactor.kernel.wire.item_size import weight_of
from zactor.kernel.wire.undecodable import Raised, Undecodable

VALUES_MAX = 20_000  # of one frame, walked through here for what msgspec finds nested too deep


class _Undecoded(msgspec.Struct, array_like=True, tag_field="tag_", tag=80, frozen=True):
    """A LinkFrame of which the items aren't decoded."""

    source: int
    target: int
    first: int
    received: int
    granted: int
    probe: bool
    again: bool
    items: tuple[msgspec.Raw, ...]


_undecoded = msgspec.msgpack.Decoder(_Undecoded)
_frame = msgspec.msgpack.Decoder(LinkFrame)
_item: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(Item)


def decode_arrived(parts: Sequence[Part]) -> Inbound:
    """Return what arrived at a node, as `codec.decode_inbound` does; items may be Undecodable.

    Raises:
        RemoteProtocolError: it is malformed or beyond a limit, whatever its items are.
    """
    try:
        return decode_inbound(parts)
    except RemoteProtocolError:
        found = _item_by_item(parts)
        if found is None:
            raise
        return found


def _item_by_item(parts: Sequence[Part]) -> LinkFrame | None:
    """Return the frame with what can be decoded of it; None if no item is to blame."""
    if not parts or len(parts[0]) > FRAME_BYTES_MAX:
        return None
    found = _apart(parts[0])
    if found is None:
        return None
    frame, raws = found
    rest = Parts(parts)
    items = [_decode(raw, rest) for raw in raws]
    if sum(map(weight_of, items)) > BATCH_ITEMS_MAX or Undecodable not in set(map(type, items)):
        return None
    return msgspec.structs.replace(frame, items=tuple(items))


def _decode(raw: bytes, rest: Parts) -> object:
    try:
        item = _item.decode(raw)
    except Raised as error:
        unknown = Undecodable(raw, f"{type(error).__name__}: {error}")
        with contextlib.suppress(RemoteProtocolError):
            for size in unknown.sizes:
                _ = rest.take(size)
        return unknown
    if not isinstance(item, Bulk):
        return item
    try:
        return put_together(item, rest)
    except RemoteProtocolError as error:
        return Undecodable(raw, str(error))  # and what is behind it, if its buffers aren't there


def _apart(body: Part) -> tuple[LinkFrame, list[bytes]] | None:
    """Return the frame in `body` without its items, and these as they came; None if it is none."""
    try:
        found = _undecoded.decode(body)
    except Raised:
        return _walk_apart(bytes(body))
    numbers = (found.source, found.target, found.first, found.received, found.granted)
    frame = LinkFrame(*numbers, found.probe, found.again, ())
    return frame, [bytes(raw) for raw in found.items]


def _walk_apart(body: bytes) -> tuple[LinkFrame, list[bytes]] | None:
    """Do the same where msgspec gives up: values nested deep are walked through without recursion.

    An item that ends nowhere, or too far away, is the last that can be told apart: it and those
    behind it are empty.
    """
    walk = _Walk(body)
    try:
        fields = walk.open()
        for _ in range(fields - 1):  # the last of them are the items
            walk.skip()
        frame = _frame.decode(body[: walk.at] + b"\x90")
        count = walk.open()
    except Raised:
        return None
    if count > BATCH_ITEMS_MAX:
        return None
    items: list[bytes] = []
    try:
        while len(items) < count:
            begin = walk.at
            walk.skip()
            items.append(body[begin : walk.at])
    except Raised:
        items += [b""] * (count - len(items))
    return frame, items


class _Walk:
    """A way through msgpack, value by value."""

    def __init__(self, body: bytes) -> None:
        self.at = 0
        self._body = body
        self._left = VALUES_MAX

    def open(self) -> int:
        """Go into an array; return how many values it has."""
        inner, is_array = self._head()
        if not is_array:
            raise ValueError("no array")
        return inner

    def skip(self) -> None:
        """Go behind the next value."""
        open_values = 1
        while open_values:
            nested = _NESTED.match(self._body, self.at)
            if nested is not None:  # however deep, at once
                self.at = nested.end()
                open_values += sum(nested[0].translate(_INNER)) - len(nested[0])
            open_values += self._head()[0] - 1

    def _head(self) -> tuple[int, bool]:
        """Go behind a head and its bytes; return how many values follow in it, and if in an array.

        See the table of formats in the specification of msgpack.
        """
        self._left -= 1
        if self._left < 0 or self.at >= len(self._body):
            raise ValueError("too long, or cut off")
        head = self._body[self.at]
        self.at += 1
        if head <= 0x7F or head >= 0xE0 or 0xC0 <= head <= 0xC3:
            return 0, False
        if head <= 0x8F:
            return 2 * (head & 0x0F), False
        if head <= 0x9F:
            return head & 0x0F, True
        if head <= 0xBF:
            return self._over(head & 0x1F)
        if head in _COUNTED:
            width, beside = _COUNTED[head]
            return self._over(self._number(width) + beside)
        if head in _FIXED:
            return self._over(_FIXED[head])
        count = self._number(2 if head in (0xDC, 0xDE) else 4)
        return (count, True) if head in (0xDC, 0xDD) else (2 * count, False)

    def _number(self, width: int) -> int:
        self.at += width
        return int.from_bytes(self._body[self.at - width : self.at])

    def _over(self, size: int) -> tuple[int, bool]:
        self.at += size
        if self.at > len(self._body):
            raise ValueError("cut off")
        return 0, False


# Short arrays and maps that aren't empty; by head: how many values follow in them.
_NESTED = re.compile(rb"[\x81-\x8f\x91-\x9f]+")
_INNER = bytes(2 * (head & 0x0F) if head < 0x90 else head & 0x0F for head in range(256))
# By head: bytes of the length, and what stands beside the bytes that it counts.
_COUNTED = {
    **{0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)},
    **{0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)},
}
# By head: bytes.
_FIXED = {
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
}
