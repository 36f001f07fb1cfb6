"""The functions of Spread's flush library, by their names there: groups whose members see the same.

A view comes only when all of its members have agreed to it. So a program is first asked for a flush
(Is_flush_req_mess); it sends what belongs to the old view yet, calls FL_flush, and sends no more
until the membership is there. What C returns by pointers is returned here, as in `c_api`; mailboxes
are of FL_connect only. Threads: one receives, others send.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence

from zactor.kernel.errors import ZactorError
from zactor.spread.c_api import (
    SP_connect,
    SP_disconnect,
    SP_join,
    SP_leave,
    SP_multigroup_multicast,
    SP_poll,
    connection_of,
)
from zactor.spread.c_constants import (
    CONNECTION_CLOSED,
    DONT_BLOCK,
    ERROR_TEXTS,
    FIFO_MESS,
    FL_MAX_SCATTER_ELEMENTS,
    ILLEGAL_MESSAGE,
    ILLEGAL_PARAM,
    ILLEGAL_SERVICE,
    ILLEGAL_SESSION,
    REGULAR_MESS,
    SELF_DISCARD,
    SUBGROUP_CAST,
    WOULD_BLOCK,
)
from zactor.spread.c_memberships import NO_LIMIT, SpreadError
from zactor.spread.c_received import SpreadReceived, fitted, in_pieces
from zactor.spread.flush import FlushGroups, FlushMessage
from zactor.supervisor.spread import frames

__all__ = [
    "FL_connect",
    "FL_disconnect",
    "FL_error",
    "FL_flush",
    "FL_get_gid_offset_memb_mess",
    "FL_get_num_vs_offset_memb_mess",
    "FL_get_vs_set_offset_memb_mess",
    "FL_join",
    "FL_leave",
    "FL_lib_init",
    "FL_more_msgs",
    "FL_multicast",
    "FL_poll",
    "FL_receive",
    "FL_scat_multicast",
    "FL_scat_receive",
    "FL_scat_subgroupcast",
    "FL_scat_unicast",
    "FL_subgroupcast",
    "FL_unicast",
    "FL_version",
]

_NUM_VS_AT, _SETS_AT = 12, 16  # in the message of a membership: its group id stands before


class _FlushMailbox:
    """One session: its groups, and who may touch them."""

    def __init__(self, mbox: int, private_group: str) -> None:
        self.mbox = mbox
        self.groups = FlushGroups(private_group)
        self.state = threading.Lock()  # of `groups`
        self.sending = threading.Lock()  # taken before `state`: what was decided first goes first
        self.receiving = threading.Lock()

    def send(self, sending: FlushMessage, service_type: int = FIFO_MESS) -> None:
        flags = SUBGROUP_CAST if sending.is_subgroup else 0
        SP_multigroup_multicast(
            self.mbox, service_type | flags, sending.groups, sending.mess_type, sending.payload
        )

    @contextlib.contextmanager
    def changing(self) -> Iterator[FlushGroups]:
        """Let the block change the groups, and send what follows from it."""
        with self.sending:
            with self.state:
                yield self.groups
            self._send_out()

    def _send_out(self) -> None:
        while True:
            with self.state:
                if not self.groups.out:
                    return
                sending = self.groups.out.popleft()
            self.send(sending)

    def take_one(self) -> None:
        """Receive something from the daemon; waits for it."""
        try:
            news = connection_of(self.mbox).receive()
        except ZactorError:
            raise SpreadError(CONNECTION_CLOSED) from None
        with self.state:
            self.groups.take(news)
            has_more = bool(self.groups.out)
        if has_more:
            with self.sending:
                self._send_out()


_mailboxes: dict[int, _FlushMailbox] = {}
_lock = threading.Lock()


def _of(mbox: int) -> _FlushMailbox:
    found = _mailboxes.get(mbox)
    if found is None:
        raise SpreadError(ILLEGAL_SESSION)
    return found


# -- sessions --------------------------------------------------------------------------------
def FL_lib_init() -> None:
    """Do nothing: it has its locks."""


def FL_version() -> tuple[int, int, int]:
    """Return the version of the flush library that this stands for."""
    return 2, 0, 0


def FL_connect(
    spread_name: str | None, private_name: str | None, priority: int = 0
) -> tuple[int, str]:
    """Connect as SP_connect does, with memberships; return the mailbox and its private group."""
    mbox, private_group = SP_connect(spread_name, private_name, priority, 1)
    with _lock:
        _mailboxes[mbox] = _FlushMailbox(mbox, private_group)
    return mbox, private_group


def FL_disconnect(mbox: int) -> None:
    """End a session: its groups see it disconnect."""
    with _lock:
        found = _mailboxes.pop(mbox, None)
    if found is None:
        raise SpreadError(ILLEGAL_SESSION)
    SP_disconnect(mbox)


# -- groups ----------------------------------------------------------------------------------
def FL_join(mbox: int, group: str) -> None:
    """Enter a group; a membership says when all of its members have let this one in.

    Raises:
        SpreadError: ILLEGAL_GROUP: it is there already, or on its way, or that is no name.
    """
    found = _of(mbox)
    with found.changing() as groups:
        groups.join(group)
        try:
            SP_join(mbox, group)
        except SpreadError:
            groups.not_joined(group)
            raise


def FL_leave(mbox: int, group: str) -> None:
    """Leave a group; a membership of the kind Is_self_leave says when that has happened.

    Raises:
        SpreadError: ILLEGAL_GROUP: it is no member of it, or is leaving already.
    """
    with _of(mbox).changing() as groups:
        groups.leave(group)
        SP_leave(mbox, group)


def FL_flush(mbox: int, group: str) -> None:
    """Agree to the next view of a group: nothing is sent to it until it is there.

    Raises:
        SpreadError: ILLEGAL_STATE: nobody has asked for it, or it has agreed already.
            ILLEGAL_GROUP: it is no member of it.
    """
    with _of(mbox).changing() as groups:
        groups.flush(group)


# -- messages --------------------------------------------------------------------------------
def FL_multicast(mbox: int, service_type: int, group: str, mess_type: int, message: bytes) -> int:
    """Send to a group of which this is a member, or to a private group; return how many bytes.

    Raises:
        SpreadError: ILLEGAL_GROUP: it is no member. ILLEGAL_STATE: it has agreed to the next view.
            ILLEGAL_MESSAGE_TYPE: below FL_MIN_LEGAL_MESS_TYPE. Others as SP_multicast.
    """
    found = _of(mbox)
    _check_service(service_type)
    with found.sending:
        with found.state:
            sending = found.groups.message(group, mess_type, bytes(message))
        found.send(sending, service_type)
    return len(message)


def FL_scat_multicast(
    mbox: int, service_type: int, group: str, mess_type: int, scat: Sequence[bytes]
) -> int:
    """Send the pieces of `scat` as one message."""
    return FL_multicast(mbox, service_type, group, mess_type, _gathered(scat))


def FL_subgroupcast(
    mbox: int,
    service_type: int,
    group: str,
    receivers: Sequence[str],
    mess_type: int,
    message: bytes,
) -> int:
    """Send to some members of the view, by their private groups; return how many bytes.

    Raises:
        SpreadError: ILLEGAL_RECEIVERS: one of them isn't in the view. Others as FL_multicast.
    """
    found = _of(mbox)
    _check_service(service_type)
    with found.sending:
        with found.state:
            sending = found.groups.subgroup_message(group, receivers, mess_type, bytes(message))
        found.send(sending, service_type)
    return len(message)


def FL_scat_subgroupcast(
    mbox: int,
    service_type: int,
    group: str,
    receivers: Sequence[str],
    mess_type: int,
    scat: Sequence[bytes],
) -> int:
    """Send the pieces of `scat` as one message to some members."""
    return FL_subgroupcast(mbox, service_type, group, receivers, mess_type, _gathered(scat))


def FL_unicast(
    mbox: int, service_type: int, group: str, receiver: str, mess_type: int, message: bytes
) -> int:
    """Send to one member of the view."""
    return FL_subgroupcast(mbox, service_type, group, (receiver,), mess_type, message)


def FL_scat_unicast(
    mbox: int, service_type: int, group: str, receiver: str, mess_type: int, scat: Sequence[bytes]
) -> int:
    """Send the pieces of `scat` as one message to one member."""
    return FL_unicast(mbox, service_type, group, receiver, mess_type, _gathered(scat))


def _check_service(service_type: int) -> None:
    if service_type & ~(REGULAR_MESS | SELF_DISCARD):
        raise SpreadError(ILLEGAL_SERVICE)


def _gathered(scat: Sequence[bytes]) -> bytes:
    if len(scat) > FL_MAX_SCATTER_ELEMENTS:
        raise SpreadError(ILLEGAL_MESSAGE)
    return b"".join(scat)


def FL_receive(
    mbox: int,
    max_groups: int = NO_LIMIT,
    max_mess_len: int = NO_LIMIT,
    service_type: int = 0,
) -> tuple[SpreadReceived, int]:
    """Return the next message, membership or request to flush, and how many more are here.

    A subgroup's message has the group behind its receivers. The message of a membership is its
    group id, how many names follow, and these: who changed, or who came along (NETWORK).

    Args:
        service_type: DONT_BLOCK: don't wait. DROP_RECV: cut what doesn't fit.

    Raises:
        SpreadError: WOULD_BLOCK: nothing is here. Others as SP_receive.
    """
    if max_groups < 0 or max_mess_len < 0:
        raise SpreadError(ILLEGAL_PARAM)
    found = _of(mbox)
    with found.receiving:
        while True:
            with found.state:
                ready = found.groups.ready
                if ready:
                    whole = fitted(ready[0], max_groups, max_mess_len, service_type)
                    ready.popleft()
                    return whole, len(ready)
            if service_type & DONT_BLOCK and not SP_poll(mbox):
                raise SpreadError(WOULD_BLOCK)
            found.take_one()


def FL_scat_receive(
    mbox: int, sizes: Sequence[int], max_groups: int = NO_LIMIT, service_type: int = 0
) -> tuple[SpreadReceived, list[bytes], int]:
    """The same into pieces of these sizes; returns them besides."""
    whole, more = FL_receive(mbox, max_groups, sum(sizes), service_type)
    return whole, in_pieces(whole.message, sizes), more


def FL_more_msgs(mbox: int) -> int:
    """Return how many messages are here and weren't taken."""
    found = _of(mbox)
    with found.state:
        return len(found.groups.ready)


def FL_poll(mbox: int) -> int:
    """Return how many bytes can be received without waiting, those of the layer itself too."""
    found = _of(mbox)
    with found.state:
        here = sum(
            frames.HEAD_BYTES + frames.NAME_BYTES * len(each.groups) + len(each.message)
            for each in found.groups.ready
        )
    return here + SP_poll(mbox)


def FL_get_gid_offset_memb_mess() -> int:
    """Return where in the message of a membership its group id begins."""
    return 0


def FL_get_num_vs_offset_memb_mess() -> int:
    """Return where the number of names stands."""
    return _NUM_VS_AT


def FL_get_vs_set_offset_memb_mess() -> int:
    """Return where the names begin."""
    return _SETS_AT


def FL_error(error: int) -> None:
    """Print what an error means on standard output, as C's function does."""
    text = ERROR_TEXTS.get(error, "unrecognized error")
    print(f"FL_error: ({error}) {text}", file=sys.stdout, flush=True)
