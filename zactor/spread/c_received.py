"""What programs of Spread's C library receive, and how it is made to fit their room."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from zactor.spread.c_constants import BUFFER_TOO_SHORT, DROP_RECV, GROUPS_TOO_SHORT
from zactor.spread.c_memberships import SpreadError


class SpreadReceived(NamedTuple):
    """What SP_receive returns."""

    service_type: int
    sender: str  # of a membership: the group
    groups: tuple[str, ...]  # of a membership: its members
    mess_type: int  # of a regular membership: the own place among the members
    endian_mismatch: bool
    message: bytes  # of a membership: what SP_get_memb_info and its like read


def fitted(
    whole: SpreadReceived, max_groups: int, max_mess_len: int, service_type: int
) -> SpreadReceived:
    """Return what was received, as far as its reader has room.

    Raises:
        SpreadError: as SP_receive.
    """
    if len(whole.groups) <= max_groups and len(whole.message) <= max_mess_len:
        return whole
    if not service_type & DROP_RECV:
        short = len(whole.groups) > max_groups
        code = GROUPS_TOO_SHORT if short else BUFFER_TOO_SHORT
        raise SpreadError(code, len(whole.groups), len(whole.message))
    return whole._replace(groups=whole.groups[:max_groups], message=whole.message[:max_mess_len])


def in_pieces(message: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Return a message in pieces of these sizes, as far as it goes."""
    ends = list(itertools.accumulate(sizes))
    return [message[end - size : end] for size, end in zip(sizes, ends, strict=True)]
