"""Memberships as programs of Spread's C library read them: bytes, and functions that know where
what stands in them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from zactor.kernel.errors import ZactorError
from zactor.kernel.homes import at_home
from zactor.spread.c_constants import BUFFER_TOO_SHORT, ERROR_TEXTS, ILLEGAL_MESSAGE
from zactor.spread.client_frames import SpreadMembership
from zactor.supervisor.spread import frames

NO_LIMIT = 1 << 31
"""Where no size of a buffer is said."""

_GID = struct.Struct("=iii")
_INT = struct.Struct("=i")
_NUM_VS_AT, _LOCAL_AT, _SETS_AT = 12, 16, 20  # in the message of a membership


@at_home
class SpreadError(ZactorError):
    """A function of the C library would have returned `code`."""

    def __init__(self, code: int, groups: int = 0, bytes: int = 0) -> None:
        """`groups` and `bytes` say what a message needs that didn't fit."""
        super().__init__(f"({code}) {ERROR_TEXTS.get(code, 'unrecognized error')}")
        self.code = code
        self.groups = groups
        self.bytes = bytes

    def __reduce__(self) -> tuple[type[SpreadError], tuple[int, int, int]]:
        return SpreadError, (self.code, self.groups, self.bytes)


GroupId = tuple[int, int, int]
"""Numbers of a membership: equal where it is the same. See SP_equal_group_ids."""


class MembershipInfo(NamedTuple):
    """What SP_get_memb_info returns."""

    gid: GroupId
    changed_member: str  # "" but with a join, leave or disconnect
    num_vs_sets: int
    my_vs_set: VsSetInfo


class VsSetInfo(NamedTuple):
    """One set of members that came together."""

    num_members: int
    members_offset: int


def packed_gid(gid: GroupId) -> bytes:
    """Return the bytes of a group id."""
    return _GID.pack(*gid)


def membership_message(news: SpreadMembership) -> bytes:
    """Return the message of a membership as C programs read it."""
    parts = [_INT.pack(len(part)) + b"".join(map(frames.packed, part)) for part in news.vs_sets]
    offset = sum(map(len, parts[: news.own_set]))
    return _GID.pack(*news.id) + _INT.pack(len(parts)) + _INT.pack(offset) + b"".join(parts)


# -- memberships -----------------------------------------------------------------------------
def SP_equal_group_ids(one: GroupId, two: GroupId) -> bool:
    """Whether two memberships are the same."""
    return tuple(one) == tuple(two)


def SP_get_gid_offset_memb_mess() -> int:
    """Return where in the message of a membership its group id begins."""
    return 0


def SP_get_num_vs_offset_memb_mess() -> int:
    """Return where the number of its sets stands."""
    return _NUM_VS_AT


def SP_get_local_vs_set_offset_memb_mess() -> int:
    """Return where it stands how far behind the start of the sets the own one begins."""
    return _LOCAL_AT


SP_get_local_vs_set_offset = SP_get_local_vs_set_offset_memb_mess


def SP_get_vs_set_offset_memb_mess() -> int:
    """Return where the sets begin."""
    return _SETS_AT


def SP_get_memb_info(memb_mess: bytes, service_type: int) -> MembershipInfo:
    """Return what the message of a membership or of a transitional signal says.

    Raises:
        SpreadError: ILLEGAL_MESSAGE: that is none.
    """
    try:
        gid = _GID.unpack_from(memb_mess)
        if len(memb_mess) == _GID.size:
            return MembershipInfo(gid, "", 0, VsSetInfo(0, 0))
        (count,), (own,) = (_INT.unpack_from(memb_mess, at) for at in (_NUM_VS_AT, _LOCAL_AT))
        is_one = bool(service_type & (0xF00 & ~0x800))
        changed = _names(memb_mess, _SETS_AT + _INT.size, 1)[0] if is_one else ""
        return MembershipInfo(gid, changed, count, _set_at(memb_mess, _SETS_AT + own))
    except (struct.error, IndexError):
        raise SpreadError(ILLEGAL_MESSAGE) from None


def SP_get_vs_sets_info(
    memb_mess: bytes, max_vs_sets: int = NO_LIMIT
) -> tuple[tuple[VsSetInfo, ...], int]:
    """Return the sets of a membership of the cause NETWORK, and the index of the own one.

    Raises:
        SpreadError: BUFFER_TOO_SHORT: there are more than `max_vs_sets`.
    """
    try:
        (count,), (own,) = (_INT.unpack_from(memb_mess, at) for at in (_NUM_VS_AT, _LOCAL_AT))
        if count > max_vs_sets:
            raise SpreadError(BUFFER_TOO_SHORT, groups=count)
        found, mine, at = [], 0, _SETS_AT
        for number in range(count):
            if at == _SETS_AT + own:
                mine = number
            found.append(_set_at(memb_mess, at))
            at += _INT.size + frames.NAME_BYTES * found[-1].num_members
    except struct.error:
        raise SpreadError(ILLEGAL_MESSAGE) from None
    return tuple(found), mine


def SP_get_vs_set_members(
    memb_mess: bytes, vs_set: VsSetInfo, max_members: int = NO_LIMIT
) -> tuple[str, ...]:
    """Return the members of one set.

    Raises:
        SpreadError: BUFFER_TOO_SHORT: there are more than `max_members`.
    """
    if vs_set.num_members > max_members:
        raise SpreadError(BUFFER_TOO_SHORT, groups=vs_set.num_members)
    return _names(memb_mess, vs_set.members_offset, vs_set.num_members)


def SP_scat_get_memb_info(scat: Sequence[bytes], service_type: int) -> MembershipInfo:
    """The same as SP_get_memb_info of a message in pieces."""
    return SP_get_memb_info(b"".join(scat), service_type)


def SP_scat_get_vs_sets_info(
    scat: Sequence[bytes], max_vs_sets: int = NO_LIMIT
) -> tuple[tuple[VsSetInfo, ...], int]:
    """The same as SP_get_vs_sets_info of a message in pieces."""
    return SP_get_vs_sets_info(b"".join(scat), max_vs_sets)


def SP_scat_get_vs_set_members(
    scat: Sequence[bytes], vs_set: VsSetInfo, max_members: int = NO_LIMIT
) -> tuple[str, ...]:
    """The same as SP_get_vs_set_members of a message in pieces."""
    return SP_get_vs_set_members(b"".join(scat), vs_set, max_members)


def _set_at(memb_mess: bytes, at: int) -> VsSetInfo:
    (count,) = _INT.unpack_from(memb_mess, at)
    return VsSetInfo(count, at + _INT.size)


def _names(memb_mess: bytes, at: int, count: int) -> tuple[str, ...]:
    size = frames.NAME_BYTES
    raw = memb_mess[at : at + size * count]
    if len(raw) < size * count:
        raise SpreadError(ILLEGAL_MESSAGE)
    return tuple(
        raw[place : place + size].partition(b"\0")[0].decode("utf-8", "replace")
        for place in range(0, len(raw), size)
    )
