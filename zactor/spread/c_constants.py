"""The constants of Spread's C library, by their names there, and its macros."""

from __future__ import annotations

from zactor.supervisor.spread import frames

UNRELIABLE_MESS = 0x01
RELIABLE_MESS = 0x02
FIFO_MESS = 0x04
CAUSAL_MESS = 0x08
AGREED_MESS = 0x10
SAFE_MESS = 0x20
REGULAR_MESS = 0x3F
SELF_DISCARD = frames.SELF_DISCARD
CAUSED_BY_JOIN = frames.CAUSED_BY_JOIN
CAUSED_BY_LEAVE = frames.CAUSED_BY_LEAVE
CAUSED_BY_DISCONNECT = frames.CAUSED_BY_DISCONNECT
CAUSED_BY_NETWORK = frames.CAUSED_BY_NETWORK
REG_MEMB_MESS = frames.REG_MEMB
TRANSITION_MESS = frames.TRANSITION
MEMBERSHIP_MESS = 0x3F00
REJECT_MESS = 0x00400000
DROP_RECV = 0x01000000
DONT_BLOCK = 0x10000000
FLUSH_REQ_MESS = 0x20000000
SUBGROUP_CAST = frames.SUBGROUP_CAST

LOW_PRIORITY, MEDIUM_PRIORITY, HIGH_PRIORITY = 0, 1, 2
DEFAULT_SPREAD_PORT = 4803
MAX_GROUP_NAME = frames.NAME_BYTES
MAX_PRIVATE_NAME = 10
MAX_PROC_NAME = 20
MAX_SCATTER_ELEMENTS = 100
MAX_CLIENT_SCATTER_ELEMENTS = 100
FL_MAX_SCATTER_ELEMENTS = MAX_CLIENT_SCATTER_ELEMENTS - 1
FL_MIN_LEGAL_MESS_TYPE = -32765

READ_FD, WRITE_FD, EXCEPT_FD = 0, 1, 2

ACCEPT_SESSION = 1
ILLEGAL_SPREAD = -1
COULD_NOT_CONNECT = -2
REJECT_QUOTA = -3
REJECT_NO_NAME = -4
REJECT_ILLEGAL_NAME = -5
REJECT_NOT_UNIQUE = -6
REJECT_VERSION = -7
CONNECTION_CLOSED = -8
REJECT_AUTH = -9
ILLEGAL_SESSION = -11
ILLEGAL_SERVICE = -12
ILLEGAL_MESSAGE = -13
ILLEGAL_GROUP = -14
BUFFER_TOO_SHORT = -15
GROUPS_TOO_SHORT = -16
MESSAGE_TOO_LONG = -17
NET_ERROR_ON_SESSION = -18
ILLEGAL_PARAM = -24
WOULD_BLOCK = -25
ILLEGAL_MESSAGE_TYPE = -26
ILLEGAL_STATE = -27
ILLEGAL_RECEIVERS = -28

ERROR_TEXTS = {
    ILLEGAL_SPREAD: "Illegal spread was provided",
    COULD_NOT_CONNECT: "Could not connect. Is Spread running?",
    REJECT_QUOTA: "Connection rejected, to many users",
    REJECT_NO_NAME: "Connection rejected, no name was supplied",
    REJECT_ILLEGAL_NAME: "Connection rejected, illegal name",
    REJECT_NOT_UNIQUE: "Connection rejected, name not unique",
    REJECT_VERSION: "Connection rejected, library does not fit daemon",
    CONNECTION_CLOSED: "Connection closed by spread",
    REJECT_AUTH: "Connection rejected, authentication failed",
    ILLEGAL_SESSION: "Illegal session was supplied",
    ILLEGAL_SERVICE: "Illegal service request",
    ILLEGAL_MESSAGE: "Illegal message",
    ILLEGAL_GROUP: "Illegal group",
    BUFFER_TOO_SHORT: "The supplied buffer was too short",
    GROUPS_TOO_SHORT: "The supplied groups list was too short",
    MESSAGE_TOO_LONG: "The message body + group names was too large to fit in a message",
    NET_ERROR_ON_SESSION: "The network socket experienced an error. This Spread mailbox will no"
    " longer work until the connection is disconnected and then reconnected",
    ILLEGAL_PARAM: "Illegal parameter (eg a negative size) passed to a function.",
    WOULD_BLOCK: "Function call would have blocked.",
    ILLEGAL_MESSAGE_TYPE: "Illegal message type (int16) used, value <"
    f" FL_MIN_LEGAL_MESS_TYPE({FL_MIN_LEGAL_MESS_TYPE}).",
    ILLEGAL_STATE: "Function call performed in a prohibited state.",
    ILLEGAL_RECEIVERS: "Illegal receivers specified.",
}


def Is_unreliable_mess(type: int) -> bool:
    """Whether that service type is of an UNRELIABLE message."""
    return bool(type & UNRELIABLE_MESS)


def Is_reliable_mess(type: int) -> bool:
    """Whether it is of a RELIABLE message."""
    return bool(type & RELIABLE_MESS)


def Is_fifo_mess(type: int) -> bool:
    """Whether it is of a FIFO message."""
    return bool(type & FIFO_MESS)


def Is_causal_mess(type: int) -> bool:
    """Whether it is of a CAUSAL message."""
    return bool(type & CAUSAL_MESS)


def Is_agreed_mess(type: int) -> bool:
    """Whether it is of an AGREED message."""
    return bool(type & AGREED_MESS)


def Is_safe_mess(type: int) -> bool:
    """Whether it is of a SAFE message."""
    return bool(type & SAFE_MESS)


def Is_regular_mess(type: int) -> bool:
    """Whether it is of what somebody sent, and no rejected one."""
    return bool(type & REGULAR_MESS) and not type & REJECT_MESS


def Is_self_discard(type: int) -> bool:
    """Whether its sender wanted no copy."""
    return bool(type & SELF_DISCARD)


def Is_reg_memb_mess(type: int) -> bool:
    """Whether it is of a regular membership."""
    return bool(type & REG_MEMB_MESS) and not type & REJECT_MESS


def Is_transition_mess(type: int) -> bool:
    """Whether it is of a transitional signal."""
    return bool(type & TRANSITION_MESS) and not type & REJECT_MESS


def Is_caused_join_mess(type: int) -> bool:
    """Whether somebody has joined."""
    return bool(type & CAUSED_BY_JOIN) and Is_reg_memb_mess(type)


def Is_caused_leave_mess(type: int) -> bool:
    """Whether somebody has left."""
    return bool(type & CAUSED_BY_LEAVE) and not type & REJECT_MESS


def Is_caused_disconnect_mess(type: int) -> bool:
    """Whether somebody's session has ended."""
    return bool(type & CAUSED_BY_DISCONNECT) and Is_reg_memb_mess(type)


def Is_caused_network_mess(type: int) -> bool:
    """Whether daemons came or went."""
    return bool(type & CAUSED_BY_NETWORK) and Is_reg_memb_mess(type)


def Is_membership_mess(type: int) -> bool:
    """Whether it is of any membership."""
    return bool(type & MEMBERSHIP_MESS) and not type & (REJECT_MESS | REGULAR_MESS)


def Is_reject_mess(type: int) -> bool:
    """Whether the daemon refused it."""
    return bool(type & REJECT_MESS)


def Is_self_leave(type: int) -> bool:
    """Whether this session has left, by its own wish."""
    return bool(type & CAUSED_BY_LEAVE) and not type & (REG_MEMB_MESS | REGULAR_MESS)


def Is_flush_req_mess(type: int) -> bool:
    """Whether the program is asked to flush."""
    return bool(type & FLUSH_REQ_MESS)


def Is_subgroup_mess(type: int) -> bool:
    """Whether it was sent to some members of a group."""
    return bool(type & SUBGROUP_CAST)
