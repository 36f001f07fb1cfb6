"""Frames of Spread's session protocol as a program writes and reads them."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Literal

from zactor.kernel.errors import ConfigError, RemoteProtocolError
from zactor.kernel.messages.service import Service
from zactor.supervisor.spread import frames

BIT_OF = {service: bit for bit, service in frames.SERVICES.items()}
_HEAD = {"little": struct.Struct("<I32si4si"), "big": struct.Struct(">I32si4si")}
_GROUP_CHARS_MAX = frames.NAME_BYTES - 1


class Cause(enum.Enum):
    """Why a group has another membership."""

    JOIN = frames.CAUSED_BY_JOIN
    LEAVE = frames.CAUSED_BY_LEAVE
    DISCONNECT = frames.CAUSED_BY_DISCONNECT
    NETWORK = frames.CAUSED_BY_NETWORK


@dataclass(frozen=True, slots=True)
class SpreadMessage:
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


def request_frame(
    kind: int, own: str, groups: tuple[str, ...], payload: bytes = b"", mess_type: int = 0
) -> bytes:
    """Return a request.

    Raises:
        ConfigError: too many groups, a name or the whole is too long.
    """
    if len(groups) > frames.DESTINATIONS_MAX:
        raise ConfigError(f"a message goes to up to {frames.DESTINATIONS_MAX} groups")
    if len(payload) + frames.NAME_BYTES * len(groups) > frames.BODY_BYTES_MAX:
        raise ConfigError(f"{len(payload)} bytes are too long for one message of Spread")
    for group in groups:
        if len(group.encode()) > _GROUP_CHARS_MAX:
            raise ConfigError(f"{group[:40]!r} is too long: want up to {_GROUP_CHARS_MAX} bytes")
    hint = ((mess_type & 0xFFFF) << 8 | frames.MARK).to_bytes(4, "little")
    head = _HEAD["little"].pack(kind | frames.MARK, own.encode(), len(groups), hint, len(payload))
    return head + b"".join(map(frames.packed, groups)) + payload


def frame_size(head: bytes) -> int:
    """Return how many bytes a frame has that begins with these HEAD_BYTES.

    Raises:
        RemoteProtocolError: that is no frame.
    """
    _, _, count, _, length = _HEAD[_order(head)].unpack(head)
    if count < 0 or length < 0:
        raise RemoteProtocolError("the daemon says what is no frame of Spread")
    return frames.HEAD_BYTES + frames.NAME_BYTES * int(count) + int(length)


def read_frame(frame: bytes, own: str) -> SpreadNews:
    """Return what a whole frame says to the program with the private group `own`.

    Raises:
        RemoteProtocolError: that is no frame.
    """
    order = _order(frame)
    kind, name, count, hint, _ = _HEAD[order].unpack_from(frame)
    kind &= ~frames.MARK
    who = _text(name)
    body = frames.HEAD_BYTES + frames.NAME_BYTES * count
    groups = _names(frame[frames.HEAD_BYTES : body])
    payload = frame[body:]
    service = frames.SERVICES.get(kind & 0x3F)
    try:
        if service is not None:
            hint_order = _order(hint)
            plain = int.from_bytes(hint, hint_order) >> 8 & 0xFFFF
            signed = (plain ^ 0x8000) - 0x8000
            return SpreadMessage(
                who, groups, service, signed, hint_order != "little", payload, kind
            )
        if kind & frames.REG_MEMB:
            cause = Cause(kind & 0xF00)
            return SpreadMembership(who, cause, groups, *_read_sets(payload, order), kind)
        if kind & frames.TRANSITION:
            return SpreadTransitional(who, _read_id(payload, order), kind)
        if kind & frames.CAUSED_BY_LEAVE:
            return SpreadLeft(who, kind)
    except (ValueError, struct.error, IndexError) as error:
        raise RemoteProtocolError(f"the daemon says what is no frame of Spread: {error}") from None
    raise RemoteProtocolError(f"the daemon says something of the type {kind:#x}")


def _order(word: bytes) -> Literal["little", "big"]:
    mark = int.from_bytes(word[:4], "little") & frames.MARK
    return "little" if mark else "big"


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
