"""Frames of Spread's session protocol as a program writes and reads them."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Literal

import msgspec

from zactor.kernel.errors import ConfigError, RemoteProtocolError
from zactor.kernel.messages.service import Service
from zactor.supervisor.spread import frames

BIT_OF = {service: bit for bit, service in frames.SERVICES.items()}
_HEAD = {"little": struct.Struct("<I32si4si"), "big": struct.Struct(">I32si4si")}
_GROUP_CHARS_MAX = frames.NAME_BYTES - 1
_MARKED = frames.MARK & 0xFF  # the mark of a little-endian sender, in the first byte it sends
_NAMES_KEPT = 4_096
DELIVERY_BYTES_MAX = 16 << 20  # of one frame of a daemon: a membership of 250,000 has 8 MB


class Cause(enum.Enum):
    """Why a group has another membership."""

    JOIN = frames.CAUSED_BY_JOIN
    LEAVE = frames.CAUSED_BY_LEAVE
    DISCONNECT = frames.CAUSED_BY_DISCONNECT
    NETWORK = frames.CAUSED_BY_NETWORK


class SpreadMessage(msgspec.Struct, frozen=True):
    """What somebody sent to groups of this program, or to itself."""

    sender: str  # private group, like "#alice#d1"
    groups: tuple[str, ...]  # all that it was sent to
    service: Service
    mess_type: int  # signed, 16 bits
    endian_mismatch: bool  # its sender's machine has the other byte order
    payload: bytes
    service_type: int  # all bits of Spread's type


@dataclass(frozen=True, slots=True)
class SpreadMembership:
    """A group of this program has another membership."""

    group: str
    cause: Cause
    members: tuple[str, ...]
    id: tuple[int, int, int]
    vs_sets: tuple[tuple[str, ...], ...]  # but with NETWORK: one set with who changed
    own_set: int  # index in `vs_sets` of the set of this program
    service_type: int

    @property
    def changed(self) -> str | None:
        """Who joined, left or disconnected."""
        return None if self.cause is Cause.NETWORK else self.vs_sets[0][0]


@dataclass(frozen=True, slots=True)
class SpreadTransitional:
    """A group is about to lose members: what follows holds among those who stay."""

    group: str
    id: tuple[int, int, int]  # of the membership that ends
    service_type: int


@dataclass(frozen=True, slots=True)
class SpreadLeft:
    """This program is out of a group, as it wished."""

    group: str
    service_type: int


SpreadNews = SpreadMessage | SpreadMembership | SpreadTransitional | SpreadLeft


def check_spread_group(group: str) -> str:
    """Return `group` if a program of Spread may be in a group of that name.

    Raises:
        ConfigError: it isn't 1 to 31 of the characters `$` to `~`.
    """
    if not 1 <= len(group) <= _GROUP_CHARS_MAX or not all("$" <= each <= "~" for each in group):
        raise ConfigError(
            f"{group[:40]!r} is no name of a group: want 1 to {_GROUP_CHARS_MAX} characters,"
            " from $ to ~"
        )
    return group


def request_frame(kind: int, own: str, groups: tuple[str, ...]) -> bytes:
    """Return a request without data.

    Raises:
        ConfigError: too many groups, or a name is too long.
    """
    head, names = request_ends(kind, own, groups, 0)
    return head + bytes(4) + names


def request_ends(
    kind: int, own: str, groups: tuple[str, ...], mess_type: int
) -> tuple[bytes, bytes]:
    """Return what stands in front of the length of a request's data, and between it and the data.

    Raises:
        ConfigError: too many groups, or a name is too long.
    """
    if len(groups) > frames.DESTINATIONS_MAX:
        raise ConfigError(f"a message goes to up to {frames.DESTINATIONS_MAX} groups")
    for group in groups:
        if len(group.encode()) > _GROUP_CHARS_MAX:
            raise ConfigError(f"{group[:40]!r} is too long: want up to {_GROUP_CHARS_MAX} bytes")
    hint = ((mess_type & 0xFFFF) << 8 | frames.MARK).to_bytes(4, "little")
    head = _HEAD["little"].pack(kind | frames.MARK, own.encode(), len(groups), hint, 0)
    return head[:-4], b"".join(map(frames.packed, groups))


def check_length(size: int, groups: int) -> None:
    """Refuse a message that the daemon would cut its sender off for.

    Raises:
        ConfigError: `size` bytes to so many groups are too long.
    """
    if size + frames.NAME_BYTES * groups > frames.BODY_BYTES_MAX:
        raise ConfigError(f"{size} bytes are too long for one message of Spread")


class NewsReader:
    """Cuts what a daemon sends into messages and memberships.

    Senders and groups come again and again: their names are read once. That and one look at each
    header make a message of 100 bytes cost a third of what it cost with a look for each part.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._names: dict[bytes, tuple[str, ...]] = {}

    @property
    def missing(self) -> int:
        """How many bytes the next frame lacks, as far as that is known; 1 or more."""
        have = len(self._buffer)
        if have < frames.HEAD_BYTES:
            return frames.HEAD_BYTES - have
        order: Literal["little", "big"] = "little" if self._buffer[0] & _MARKED else "big"
        _, _, count, _, length = _HEAD[order].unpack_from(self._buffer)
        size = int(frames.HEAD_BYTES + frames.NAME_BYTES * count + length)
        return max(1, size - have)

    def feed(self, data: bytes) -> list[SpreadNews]:
        """Return what is whole now.

        Raises:
            RemoteProtocolError: that is no frame.
        """
        buffer = self._buffer
        buffer += data
        found: list[SpreadNews] = []
        at, end = 0, len(buffer)
        while end - at >= frames.HEAD_BYTES:
            order: Literal["little", "big"] = "little" if buffer[at] & _MARKED else "big"
            kind, name, count, hint, length = _HEAD[order].unpack_from(buffer, at)
            body = at + frames.HEAD_BYTES + frames.NAME_BYTES * count
            size = body + length - at
            if count < 0 or length < 0 or size > DELIVERY_BYTES_MAX:
                raise RemoteProtocolError("the daemon says what is no frame of Spread")
            if end - at < size:
                break
            groups = self._read_names(bytes(buffer[at + frames.HEAD_BYTES : body]))
            (who,) = self._read_names(name)
            payload = bytes(buffer[body : at + size])
            service = frames.SERVICES.get(kind & 0x3F)
            if service is None:
                found.append(_read_change(kind & ~frames.MARK, order, who, groups, payload))
            else:
                is_little = bool(hint[0] & _MARKED)
                plain = int.from_bytes(hint, "little" if is_little else "big") >> 8 & 0xFFFF
                signed = (plain ^ 0x8000) - 0x8000
                found.append(
                    SpreadMessage(
                        who, groups, service, signed, not is_little, payload, kind & ~frames.MARK
                    )
                )
            at += size
        del buffer[:at]
        return found

    def _read_names(self, raw: bytes) -> tuple[str, ...]:
        names = self._names.get(raw)
        if names is None:
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            names = self._names[raw] = _names(raw)
        return names


def _read_change(
    kind: int,
    order: Literal["little", "big"],
    group: str,
    members: tuple[str, ...],
    body: bytes,
) -> SpreadNews:
    try:
        if kind & frames.REG_MEMB:
            cause = Cause(kind & 0xF00)
            return SpreadMembership(group, cause, members, *_read_sets(body, order), kind)
        if kind & frames.TRANSITION:
            return SpreadTransitional(group, _read_id(body, order), kind)
        if kind & frames.CAUSED_BY_LEAVE:
            return SpreadLeft(group, kind)
    except (ValueError, struct.error, IndexError) as error:
        raise RemoteProtocolError(f"the daemon says what is no frame of Spread: {error}") from None
    raise RemoteProtocolError(f"the daemon says something of the type {kind:#x}")


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def _names(raw: bytes) -> tuple[str, ...]:
    size = frames.NAME_BYTES
    return tuple(_text(raw[at : at + size]) for at in range(0, len(raw), size))


def _read_id(body: bytes, order: str) -> tuple[int, int, int]:
    first, second, third = struct.unpack_from(f"{'<' if order == 'little' else '>'}iii", body)
    return first, second, third


def _read_sets(
    body: bytes, order: str
) -> tuple[tuple[int, int, int], tuple[tuple[str, ...], ...], int]:
    sign = "<" if order == "little" else ">"
    count, own = struct.unpack_from(f"{sign}ii", body, 12)
    sets, own_set, at = [], 0, 20
    for number in range(count):
        if at - 20 == own:
            own_set = number
        (size,) = struct.unpack_from(f"{sign}i", body, at)
        end = at + 4 + frames.NAME_BYTES * size
        if size < 0 or end > len(body):
            raise ValueError("a set is longer than its frame")
        sets.append(_names(body[at + 4 : end]))
        at = end
    return _read_id(body, order), tuple(sets), own_set
