"""Frames of Spread's session protocol: bytes of a client in, requests out; deliveries to bytes.

A frame is a header of 48 bytes, `num_groups` names of 32 bytes each, and the data. Its numbers are
in the order of who sent it; a mark in two of the words says which. What is no frame that a library
of Spread makes raises FrameError: the client is cut off. Source: Spread 4.4 and 5.0, as their
programs and daemons are seen to behave.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from zactor.kernel.messages.service import Service

NAME_BYTES = 32  # a name on the wire, with at least one 0 at its end
BODY_BYTES_MAX = 144_000 - 48  # of names and data of one request
DESTINATIONS_MAX = 100

MARK = 0x80000080  # both bits: a little-endian sender; neither: a big-endian one
SELF_DISCARD = 0x40
CAUSED_BY_JOIN, CAUSED_BY_LEAVE, CAUSED_BY_DISCONNECT, CAUSED_BY_NETWORK = 256, 512, 1024, 2048
REG_MEMB, TRANSITION = 0x1000, 0x2000
JOIN, LEAVE, KILL = 0x10000, 0x20000, 0x40000
SUBGROUP_CAST = 0x40000000  # of the flush library: travels from program to program
_FREE_AT = 23
_FREE = 0x7F << _FREE_AT  # bits of a type that mean nothing to a daemon: they travel too

SERVICES = {
    0x01: Service.UNRELIABLE,
    0x02: Service.RELIABLE,
    0x04: Service.FIFO,
    0x08: Service.CAUSAL,
    0x10: Service.AGREED,
    0x20: Service.SAFE,
}
_BIT_OF = {service: bit for bit, service in SERVICES.items()}
_ASKED = sum(SERVICES) | JOIN | LEAVE | KILL  # exactly one of them is in each request
_HINT = 0x00FFFF00

BIG_ENDIAN = 1 << 16
SUBGROUP = 1 << 17
CONSENT = 1 << 18
_FREE_SHIFT = 19
"""Marks above the 16 bits of a mess_type: its sender's order, SUBGROUP_CAST, that a flush library's
FIFO message consents to a change; and the free bits of its type."""

_FLUSH_OK = 0x8000  # such a message's mess_type

_LITTLE, _BIG = struct.Struct("<I32siii"), struct.Struct(">I32siii")
HEAD_BYTES = _LITTLE.size
_INT = struct.Struct("<i")
_HEAD_WORDS = struct.Struct("<I32s")


class FrameError(ValueError):
    """What a client sent is no request; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Data:
    """A message to groups, perhaps to none."""

    service: Service
    discard: bool
    groups: tuple[str, ...]
    mess_type: int  # unsigned, with the marks above
    payload: bytes

    def is_like(self, other: Data) -> bool:
        """Whether only the payloads differ."""
        return (
            self.groups == other.groups
            and self.service is other.service
            and self.discard is other.discard
            and self.mess_type == other.mess_type
        )


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a group."""

    group: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave a group."""

    group: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the session."""


Asked = Data | Join | Leave | Disconnect


_PARCEL_BYTES_EACH = 5  # what a payload takes in a parcel beside itself


def alike(requests: Iterable[Asked], count_max: int, bytes_max: int) -> list[bytes]:
    """Return the payloads of the first, which is Data, and of those behind it in one parcel."""
    payloads: list[bytes] = []
    first: Data | None = None
    size = 0
    for asked in islice(requests, count_max):
        if type(asked) is not Data or not asked.is_like(first or asked):
            break
        size += len(asked.payload) + _PARCEL_BYTES_EACH
        if payloads and size > bytes_max:
            break
        payloads.append(asked.payload)
        first = asked
        if asked.service is Service.UNRELIABLE:
            break  # each is lost or not by itself
    return payloads


class FrameReader:
    """Cuts what one client sends into requests."""

    def __init__(self, private_group: str) -> None:
        """`private_group` is the client's own name: it stands in each header."""
        self._own = private_group.encode()
        self._buffer = bytearray()
        self._texts: dict[bytes, str] = {}

    @property
    def waiting(self) -> int:
        """Bytes of a frame that hasn't come whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Asked]:
        """Return the requests that are whole now.

        Raises:
            FrameError: nothing that follows can be read.
        """
        buffer = self._buffer
        buffer += data
        found: list[Asked] = []
        at = 0
        try:
            while len(buffer) - at >= HEAD_BYTES:
                asked, size = self._read(buffer, at)
                if asked is None:
                    break
                found.append(asked)
                at += size
        finally:
            del buffer[:at]
        return found

    def _read(self, buffer: bytearray, at: int) -> tuple[Asked | None, int]:
        word = int.from_bytes(buffer[at : at + 4], "little")
        if word & MARK == MARK:
            head = _LITTLE
        elif not word & MARK:
            head = _BIG
        else:
            raise FrameError(f"its type {word:#x} says neither little- nor big-endian")
        kind, name, count, _, length = head.unpack_from(buffer, at)
        if name.partition(b"\0")[0] != self._own:
            raise FrameError("it speaks for another")
        if not 0 <= count <= DESTINATIONS_MAX:
            raise FrameError(f"{count} groups: want 0 to {DESTINATIONS_MAX}")
        if length < 0 or length + NAME_BYTES * count > BODY_BYTES_MAX:
            raise FrameError(f"{length} bytes of data to {count} groups")
        bit = kind & _ASKED
        if not bit or bit & (bit - 1):
            raise FrameError(f"its type {kind:#x} asks for not exactly one thing")
        mess_type = _read_hint(bytes(buffer[at + 40 : at + 44]))
        if bit in (JOIN, LEAVE) and not count:
            raise FrameError("it joins or leaves no group")
        body = at + HEAD_BYTES + NAME_BYTES * count
        end = body + length
        if len(buffer) < end:
            return None, 0
        if bit == KILL:
            return Disconnect(), end - at
        names = bytes(buffer[at + HEAD_BYTES : body])
        if bit in (JOIN, LEAVE):
            group = _checked_group(self._text(names[:NAME_BYTES]))
            return (Join(group) if bit == JOIN else Leave(group)), end - at
        groups = tuple(
            self._text(names[first : first + NAME_BYTES])
            for first in range(0, len(names), NAME_BYTES)
        )
        if kind & SUBGROUP_CAST:
            mess_type |= SUBGROUP
        if kind & _FREE:
            mess_type |= (kind & _FREE) >> _FREE_AT << _FREE_SHIFT
        payload = bytes(buffer[body:end])
        service = SERVICES[bit]
        if mess_type & 0xFFFF == _FLUSH_OK and service is Service.FIFO:
            # All see the view begin at one place among AGREED messages, as with Spread, whose FIFO
            # messages have the order of AGREED ones: its library rests on that.
            service = Service.AGREED
            mess_type |= CONSENT
        data = Data(service, bool(kind & SELF_DISCARD), groups, mess_type, payload)
        return data, end - at

    def _text(self, raw: bytes) -> str:
        text = self._texts.get(raw)
        if text is None:
            if len(self._texts) >= _TEXTS_MAX:
                self._texts.clear()
            text = self._texts[raw] = _read_name(raw)
        return text


_TEXTS_MAX = 256  # names of one client that are remembered as text; more only costs time


def _read_name(raw: bytes) -> str:
    """Return a name; "", which is nobody's, for 32 bytes without an end."""
    name, end, _ = raw.partition(b"\0")  # what is behind the 0 may be anything
    return name.decode("utf-8", "replace") if end else ""


def _checked_group(name: str) -> str:
    """Return the name of a group that a program of Spread may join."""
    if not name or not all("$" <= character <= "~" for character in name):
        raise FrameError(f"{name!r} is no name for a group")
    return name


def _read_hint(raw: bytes) -> int:
    """Return the mess_type, unsigned, with the mark of its order."""
    word = int.from_bytes(raw, "little")
    if word & ~(MARK | _HINT):
        raise FrameError(f"its hint {word:#x} has bits that mean nothing")
    if word & MARK == MARK:
        return word >> 8 & 0xFFFF
    if word & MARK:
        raise FrameError(f"its hint {word:#x} says neither little- nor big-endian")
    return int.from_bytes(raw, "big") >> 8 & 0xFFFF | BIG_ENDIAN


# -- to the client ---------------------------------------------------------------------------
def packed(name: str) -> bytes:
    """Return a name of at most 31 bytes as it stands on the wire."""
    raw = name.encode()
    assert len(raw) < NAME_BYTES, "longer names are shortened before"
    return raw.ljust(NAME_BYTES, b"\0")


def data_frames(
    sender: bytes,
    groups: bytes,
    service: Service,
    discard: bool,
    mess_type: int,
    payloads: Iterable[bytes],
) -> bytes:
    """Return messages of `sender` that are alike but for their payloads, as a client gets them.

    Names are packed. `mess_type` has the marks that it had at its sender, or none and a sign.
    """
    if mess_type >= 0 and mess_type & CONSENT:
        service = Service.FIFO
    kind = _BIT_OF[service] | MARK
    if discard:
        kind |= SELF_DISCARD
    if mess_type >= SUBGROUP:
        if mess_type & SUBGROUP:
            kind |= SUBGROUP_CAST
        kind |= mess_type >> _FREE_SHIFT << _FREE_AT
    plain = mess_type & 0xFFFF
    is_big = mess_type >= 0 and mess_type & BIG_ENDIAN
    hint = (plain << 8).to_bytes(4, "big") if is_big else (plain << 8 | MARK).to_bytes(4, "little")
    head = _HEAD_WORDS.pack(kind, sender) + _INT.pack(len(groups) // NAME_BYTES) + hint
    parts: list[bytes] = []
    for payload in payloads:
        parts += (head, _INT.pack(len(payload)), groups, payload)
    return b"".join(parts)


def membership_frame(
    group: str,
    cause: int,
    members: tuple[str, ...],
    id: bytes,
    sets: tuple[tuple[str, ...], ...],
    own: int,
) -> bytes:
    """Return a regular membership; `own` is the index of the receiver's set in `sets`."""
    parts = [_INT.pack(len(part)) + b"".join(map(packed, part)) for part in sets]
    offset = sum(map(len, parts[:own]))
    body = id + _INT.pack(len(parts)) + _INT.pack(offset) + b"".join(parts)
    return _notice(REG_MEMB | cause, group, b"".join(map(packed, members)), body)


def transitional_frame(group: str, id: bytes) -> bytes:
    """Return the signal that a group loses members; `id` is of the membership that ends."""
    return _notice(TRANSITION, group, b"", id)


def self_leave_frame(group: str) -> bytes:
    """Return what tells a client that it is out of a group by its own wish."""
    return _notice(CAUSED_BY_LEAVE, group, b"", b"")


def _notice(kind: int, group: str, names: bytes, body: bytes) -> bytes:
    count = len(names) // NAME_BYTES
    hint = MARK.to_bytes(4, "little")
    head = _HEAD_WORDS.pack(kind | MARK, packed(group)) + _INT.pack(count) + hint
    return head + _INT.pack(len(body)) + names + body
