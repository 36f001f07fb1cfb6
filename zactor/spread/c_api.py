"""The functions of Spread's C library, by their names there, for programs that come from C.

What C returns by pointers is returned here; where C returns a negative number `SpreadError` is
raised, which has it as `code`. A mailbox is the descriptor of its socket, as in C. Lengths are
those of the bytes. New programs do better with `SpreadConnection`, of which these are thin covers.
"""

from __future__ import annotations

import array
import fcntl
import itertools
import sys
import termios
import threading
from collections.abc import Sequence

from zactor.kernel.errors import (
    AlreadyExists,
    ConfigError,
    NotReachable,
    TimedOut,
    ZactorError,
)
from zactor.spread.c_constants import (
    CONNECTION_CLOSED,
    COULD_NOT_CONNECT,
    ERROR_TEXTS,
    ILLEGAL_GROUP,
    ILLEGAL_MESSAGE,
    ILLEGAL_SERVICE,
    ILLEGAL_SESSION,
    ILLEGAL_SPREAD,
    MAX_SCATTER_ELEMENTS,
    MESSAGE_TOO_LONG,
    REGULAR_MESS,
    REJECT_AUTH,
    REJECT_ILLEGAL_NAME,
    REJECT_NOT_UNIQUE,
    SELF_DISCARD,
    SUBGROUP_CAST,
)
from zactor.spread.c_memberships import (
    NO_LIMIT,
    GroupId,
    MembershipInfo,
    SP_equal_group_ids,
    SP_get_gid_offset_memb_mess,
    SP_get_local_vs_set_offset,
    SP_get_local_vs_set_offset_memb_mess,
    SP_get_memb_info,
    SP_get_num_vs_offset_memb_mess,
    SP_get_vs_set_members,
    SP_get_vs_set_offset_memb_mess,
    SP_get_vs_sets_info,
    SP_scat_get_memb_info,
    SP_scat_get_vs_set_members,
    SP_scat_get_vs_sets_info,
    SpreadError,
    VsSetInfo,
    membership_message,
    packed_gid,
)
from zactor.spread.c_received import SpreadReceived, fitted, in_pieces
from zactor.spread.client_frames import (
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadNews,
    SpreadTransitional,
)
from zactor.spread.client_session import SpreadRefused
from zactor.spread.connection import CONNECT_S, SpreadConnection, spread_address
from zactor.supervisor.spread import frames
from zactor.supervisor.spread.handshake import ANNOUNCED, PWORD

__all__ = [
    "GroupId",
    "MembershipInfo",
    "SP_connect",
    "SP_connect_timeout",
    "SP_disconnect",
    "SP_equal_group_ids",
    "SP_error",
    "SP_get_gid_offset_memb_mess",
    "SP_get_local_vs_set_offset",
    "SP_get_local_vs_set_offset_memb_mess",
    "SP_get_memb_info",
    "SP_get_num_vs_offset_memb_mess",
    "SP_get_vs_set_members",
    "SP_get_vs_set_offset_memb_mess",
    "SP_get_vs_sets_info",
    "SP_join",
    "SP_kill",
    "SP_leave",
    "SP_multicast",
    "SP_multigroup_multicast",
    "SP_multigroup_scat_multicast",
    "SP_poll",
    "SP_receive",
    "SP_scat_get_memb_info",
    "SP_scat_get_vs_set_members",
    "SP_scat_get_vs_sets_info",
    "SP_scat_multicast",
    "SP_scat_receive",
    "SP_set_auth_method",
    "SP_set_auth_methods",
    "SP_version",
    "SpreadError",
    "SpreadReceived",
    "VsSetInfo",
]


class _Mailbox:
    """One session, and what was received and is still to be taken."""

    def __init__(self, connection: SpreadConnection) -> None:
        self.connection = connection
        self.kept: SpreadReceived | None = None
        self.is_closed = False  # by the daemon


_mailboxes: dict[int, _Mailbox] = {}
_lock = threading.Lock()
_methods: dict[str, object] = {"NULL": None}  # of authentication: of this process, as in C


def _of(mbox: int) -> _Mailbox:
    found = _mailboxes.get(mbox)
    if found is None:
        raise SpreadError(ILLEGAL_SESSION)
    return found


def connection_of(mbox: int) -> SpreadConnection:
    """Return the connection that a mailbox is. SpreadError: ILLEGAL_SESSION: it is none."""
    return _of(mbox).connection


# -- sessions --------------------------------------------------------------------------------
def SP_version() -> tuple[int, int, int]:
    """Return the version of Spread's library that this stands for."""
    return ANNOUNCED


def SP_connect(
    spread_name: str | None, private_name: str | None, priority: int = 0, group_membership: int = 1
) -> tuple[int, str]:
    """Connect to a daemon ("4803@host", "4803", ""); return the mailbox and its private group.

    Raises:
        SpreadError: it doesn't let this program in, or isn't there.
    """
    return SP_connect_timeout(spread_name, private_name, priority, group_membership, None)


def SP_connect_timeout(
    spread_name: str | None,
    private_name: str | None,
    priority: int = 0,
    group_membership: int = 1,
    sp_time: float | None = CONNECT_S,
) -> tuple[int, str]:
    """The same within `sp_time` s; None: however long it takes."""
    del priority  # it has no effect at Spread's daemon either
    try:
        spread_address(spread_name or "")
    except ConfigError:
        raise SpreadError(ILLEGAL_SPREAD) from None
    try:
        connection = SpreadConnection(
            spread_name or "",
            private_name or "",
            membership=bool(group_membership),
            timeout=sp_time,
            methods=tuple(_methods),
            password=_password(),
            exact=True,
        )
    except AlreadyExists:
        raise SpreadError(REJECT_NOT_UNIQUE) from None
    except ConfigError:
        raise SpreadError(REJECT_ILLEGAL_NAME) from None
    except SpreadRefused as error:
        raise SpreadError(int(error.code)) from None
    except (NotReachable, TimedOut):
        raise SpreadError(COULD_NOT_CONNECT) from None
    mbox = connection.fileno()
    with _lock:
        _mailboxes[mbox] = _Mailbox(connection)
    return mbox, connection.private_group


def SP_set_auth_method(auth_name: str, auth_data: object = None) -> None:
    """Choose the method of authentication of sessions to come.

    Args:
        auth_data: for PWORD (user, password).
    """
    SP_set_auth_methods((auth_name,), (auth_data,))


def SP_set_auth_methods(auth_names: Sequence[str], auth_data: Sequence[object] = ()) -> None:
    """Choose several: all of them have to pass.

    Raises:
        SpreadError: REJECT_AUTH: PWORD without a user and a password.
    """
    chosen = dict(itertools.zip_longest(auth_names, auth_data[: len(auth_names)]))
    if PWORD in chosen and not _is_password(chosen[PWORD]):
        raise SpreadError(REJECT_AUTH)
    _methods.clear()
    _methods.update(chosen)


def _is_password(data: object) -> bool:
    return (
        isinstance(data, tuple) and len(data) == 2 and all(isinstance(each, str) for each in data)
    )


def _password() -> tuple[str, str] | None:
    data = _methods.get(PWORD)
    return (str(data[0]), str(data[1])) if isinstance(data, tuple) else None


def SP_disconnect(mbox: int) -> None:
    """End a session: its groups see it disconnect."""
    _take(mbox).connection.close()


def SP_kill(mbox: int) -> None:
    """Close the socket without a word, as a child does with what it got from its parent."""
    _take(mbox).connection.socket.close()


def _take(mbox: int) -> _Mailbox:
    with _lock:
        found = _mailboxes.pop(mbox, None)
    if found is None:
        raise SpreadError(ILLEGAL_SESSION)
    return found


# -- groups and messages ---------------------------------------------------------------------
def SP_join(mbox: int, group: str) -> None:
    """Enter a group; a membership says when that has happened."""
    found = _of(mbox)
    try:
        found.connection.join(group)
    except ConfigError:
        raise SpreadError(ILLEGAL_GROUP) from None
    except NotReachable:
        raise SpreadError(CONNECTION_CLOSED) from None


def SP_leave(mbox: int, group: str) -> None:
    """Leave a group; a membership of the kind Is_self_leave says when that has happened."""
    found = _of(mbox)
    try:
        found.connection.leave(group)
    except ConfigError:
        raise SpreadError(ILLEGAL_GROUP) from None
    except NotReachable:
        raise SpreadError(CONNECTION_CLOSED) from None


def SP_multicast(mbox: int, service_type: int, group: str, mess_type: int, message: bytes) -> int:
    """Send to one group or private group; return how many bytes."""
    return SP_multigroup_multicast(mbox, service_type, (group,), mess_type, message)


def SP_multigroup_multicast(
    mbox: int, service_type: int, groups: Sequence[str], mess_type: int, message: bytes
) -> int:
    """Send to several groups: who is in more than one gets it once."""
    found = _of(mbox)
    service = frames.SERVICES.get(service_type & REGULAR_MESS)
    if service is None:
        raise SpreadError(ILLEGAL_SERVICE)
    if len(message) + frames.NAME_BYTES * len(groups) > frames.BODY_BYTES_MAX:
        raise SpreadError(MESSAGE_TOO_LONG)
    try:
        found.connection.multicast(
            tuple(groups),
            bytes(message),
            service,
            mess_type=mess_type,
            discard=bool(service_type & SELF_DISCARD),
            subgroup=bool(service_type & SUBGROUP_CAST),
        )
    except ConfigError:
        raise SpreadError(ILLEGAL_MESSAGE) from None
    except NotReachable:
        raise SpreadError(CONNECTION_CLOSED) from None
    return len(message)


def SP_scat_multicast(
    mbox: int, service_type: int, group: str, mess_type: int, scat: Sequence[bytes]
) -> int:
    """Send the pieces of `scat` as one message."""
    return SP_multigroup_scat_multicast(mbox, service_type, (group,), mess_type, scat)


def SP_multigroup_scat_multicast(
    mbox: int, service_type: int, groups: Sequence[str], mess_type: int, scat: Sequence[bytes]
) -> int:
    """The same to several groups."""
    if len(scat) > MAX_SCATTER_ELEMENTS:
        raise SpreadError(ILLEGAL_MESSAGE)
    return SP_multigroup_multicast(mbox, service_type, groups, mess_type, b"".join(scat))


def SP_receive(
    mbox: int,
    max_groups: int = NO_LIMIT,
    max_mess_len: int = NO_LIMIT,
    service_type: int = 0,
) -> SpreadReceived:
    """Return the next message or membership; waits for it.

    Raises:
        SpreadError: GROUPS_TOO_SHORT or BUFFER_TOO_SHORT, with what it needs: it is kept for the
            next call, unless `service_type` has DROP_RECV: then it is cut to what fits.
            CONNECTION_CLOSED: the daemon went away.
    """
    found = _of(mbox)
    if found.kept is None:
        try:
            own = found.connection.private_group
            found.kept = _as_received(found.connection.receive(), own)
        except ZactorError:
            raise SpreadError(CONNECTION_CLOSED) from None
    whole = fitted(found.kept, max_groups, max_mess_len, service_type)
    found.kept = None
    return whole


def SP_scat_receive(
    mbox: int, sizes: Sequence[int], max_groups: int = NO_LIMIT, service_type: int = 0
) -> tuple[SpreadReceived, list[bytes]]:
    """The same into pieces of these sizes; returns them besides."""
    whole = SP_receive(mbox, max_groups, sum(sizes), service_type)
    return whole, in_pieces(whole.message, sizes)


def SP_poll(mbox: int) -> int:
    """Return how many bytes can be received without waiting; 0: none."""
    found = _of(mbox)
    waiting = array.array("i", [0])
    fcntl.ioctl(found.connection.fileno(), termios.FIONREAD, waiting)
    is_here = found.kept is not None or found.connection.pending
    return int(waiting[0]) + (1 if is_here else 0)


def _as_received(news: SpreadNews, own: str) -> SpreadReceived:
    kind = news.service_type
    match news:
        case SpreadMessage():
            return SpreadReceived(
                kind, news.sender, news.groups, news.mess_type, news.endian_mismatch, news.payload
            )
        case SpreadMembership():
            place = news.members.index(own) if own in news.members else -1
            return SpreadReceived(
                kind, news.group, news.members, place, False, membership_message(news)
            )
        case SpreadTransitional():
            return SpreadReceived(kind, news.group, (), -1, False, packed_gid(news.id))
        case SpreadLeft():
            return SpreadReceived(kind, news.group, (), -1, False, b"")


# -- errors ----------------------------------------------------------------------------------
def SP_error(error: int) -> None:
    """Print what an error means on standard output, as C's function does."""
    text = ERROR_TEXTS.get(error, "unrecognized error")
    print(f"SP_error: ({error}) {text}", file=sys.stdout, flush=True)
