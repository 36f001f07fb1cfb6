"""Messages of client sessions: what a Mailbox asks at its node's door, and hears."""

from __future__ import annotations

import enum

from zactor.kernel.homes import at_home
from zactor.kernel.messages.base import Count, Message, MessType
from zactor.kernel.messages.service import Service


class OpenSession(Message, frozen=True, tag=60):
    """Begin the one session of this connection; it ends with it. "": the node makes up a name."""

    name: str


class CloseSession(Message, frozen=True, tag=61):
    """End the session: its groups see it go. Answered when what was sent before is taken over."""


class JoinGroup(Message, frozen=True, tag=62):
    """Enter a group; a MembershipMessage tells when that has happened."""

    group: str


class LeaveGroup(Message, frozen=True, tag=63):
    """Leave a group; a MembershipMessage tells when that has happened."""

    group: str


class Outgoing(Message, frozen=True, tag=64, gc=False):
    """One message of a Multicast, or a parcel of them."""

    groups: tuple[str, ...]  # `#session#node` is one session's private group
    payload: bytes
    service: Service
    discard: bool  # no copy for the sender itself
    mess_type: MessType  # the program's own, 0 where it has none
    count: Count = 1  # above 1: of a parcel, `payload` the msgpack array of theirs


class Multicast(Message, frozen=True, tag=65):
    """Send these, in order; answered when all are taken over, which waits while too much waits."""

    messages: tuple[Outgoing, ...]


class ReceiveGroup(Message, frozen=True, tag=66):
    """Give me up to `room` messages as soon as there is one; with 0 the answer comes at once."""

    consumed: int  # regular messages that the program has taken since it said so last
    room: int


@at_home
class RegularMessage(Message, frozen=True, tag=67, gc=False):
    """What somebody sent to a group, or to this session's private group."""

    sender: str  # private group of who sent it, like "#alice#n1": answers may go there
    groups: tuple[str, ...]  # all that it was sent to
    payload: bytes
    service: Service
    discard: bool  # its sender wanted no copy
    mess_type: int  # the sender's own, signed, 16 bits
    transitional: bool  # after the transitional signal: holds among those who stay, see PROTOCOL.md
    origin: str  # node and its life, like "n1@3"
    number: int  # grows at that node: origin and number name the message
    view: str  # of the nodes, in which it was sent, like "7.n1@3"

    @property
    def id(self) -> str:
        """The message's name, unique in the cluster, as event logs have it."""
        return f"{self.origin}#{self.number}"


class Parcel(Message, frozen=True, tag=130, gc=False):
    """Several RegularMessages, one after the other, that are alike but for payload and number."""

    sender: str  # this and the rest as in RegularMessage
    groups: tuple[str, ...]
    payload: bytes  # the msgpack array of theirs
    service: Service
    discard: bool
    mess_type: int
    transitional: bool
    origin: str
    number: int  # of the first; the others' follow
    view: str
    count: int


@at_home
class MembershipCause(enum.Enum):
    """Why a MembershipMessage came."""

    JOIN = "join"
    LEAVE = "leave"
    DISCONNECT = "disconnect"  # a session ended, in good order or not
    NETWORK = "network"  # nodes came or went
    SELF_LEAVE = "self_leave"  # this session itself has left


@at_home
class MembershipMessage(Message, frozen=True, tag=68):
    """A group this session is in has another membership; or is about to (`transitional`).

    Members are named by their private groups, like "#alice#n1", and stand in the order of the
    group, which is the same everywhere.
    """

    group: str
    transitional: bool  # members are lost: what follows, up to the next, holds among who stays
    cause: MembershipCause  # NETWORK with `transitional`
    members: tuple[str, ...]  # none with `transitional` and with SELF_LEAVE
    changed: str | None  # who joined, left or disconnected
    vs_sets: tuple[tuple[str, ...], ...]  # with NETWORK: members that came together, each set once
    own_set: int  # index in `vs_sets` of the set of this session; -1 where there are none
    id: str  # equal where the membership is; with `transitional` of the one that ends


SessionOperation = OpenSession | CloseSession | JoinGroup | LeaveGroup | Multicast | ReceiveGroup

"""What a node does for a client in the order in which it is asked."""
