"""Effects of the group engine: what its shell must do, in order."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from zactor.kernel.groups.parcels import opened
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    EngineMessage,
    GroupData,
    GroupHeartbeat,
    GroupItem,
    GroupPacket,
)
from zactor.kernel.messages.views import GroupId, SessionId, View, ViewId


class Cause(enum.Enum):
    """Why a group's membership changed."""

    JOIN = "join"
    LEAVE = "leave"
    DISCONNECT = "disconnect"
    NETWORK = "network"  # nodes came or went


class Send(msgspec.Struct, frozen=True):
    """Give the message to the links of these peers."""

    to: tuple[NodeId, ...]
    message: EngineMessage


class SendUnreliably(msgspec.Struct, frozen=True):
    """Give the message to these peers if that can be done at once; it is never sent again."""

    to: tuple[NodeId, ...]
    message: GroupPacket


class Publish(msgspec.Struct, frozen=True):
    """Give the heartbeat to everybody who listens."""

    heartbeat: GroupHeartbeat


class Sent(msgspec.Struct, frozen=True):
    """A packet of this node got its place; stands before the Send it belongs to."""

    packet: GroupPacket


class Deliver(msgspec.Struct, frozen=True):
    """Give each message of the packet to its sessions of this node, in order."""

    packet: GroupPacket
    transitional: bool
    sessions: tuple[tuple[str, ...], ...]  # of each item; (): it is for other nodes only

    @property
    def messages(self) -> Iterator[tuple[GroupData, tuple[str, ...]]]:
        """Each message with its sessions, parcels opened.

        Raises:
            RemoteProtocolError: one that is none.
        """
        packet = self.packet
        for item, sessions in zip(packet.items, self.sessions, strict=True):
            for message in opened(message_of(packet, item)):
                yield message, sessions


def message_of(packet: GroupPacket, item: GroupItem) -> GroupData:
    """A message, or a parcel, as it is delivered."""
    return GroupData(
        packet.view,
        packet.sender,
        packet.ticket,
        item.number,
        item.service,
        packet.kind,
        item.session,
        item.groups,
        item.discard,
        item.mess_type,
        item.payload,
        item.count,
    )


class ViewInstalled(msgspec.Struct, frozen=True):
    """From now on this node works in `view`."""

    view: View


class Transitional(msgspec.Struct, frozen=True):
    """The old view's guarantees end here: what follows of it holds among `members` only."""

    view: ViewId
    members: tuple[NodeId, ...]


class GroupView(msgspec.Struct, frozen=True):
    """A group's new membership, for its members on this node."""

    group: str
    id: GroupId
    members: tuple[SessionId, ...]
    cause: Cause
    changed: SessionId | None  # who joined, left or disconnected; None with NETWORK
    sets: tuple[tuple[SessionId, ...], ...]  # of the members, those that came together (VS sets)
    own: int  # index of this node's set; -1 where there are no sets
    sessions: tuple[str, ...]


class GroupTransitional(msgspec.Struct, frozen=True):
    """The group lost members: what follows, up to its next view, holds among those who stay."""

    group: str
    id: GroupId  # of the membership that ends
    sessions: tuple[str, ...]


class GroupLeft(msgspec.Struct, frozen=True):
    """`session` of this node is out of the group by its own wish and hears no more of it."""

    group: str
    session: str


class Pause(msgspec.Struct, frozen=True):
    """Too much is waiting for credit: let submitters wait."""


class Resume(msgspec.Struct, frozen=True):
    """Submitters may go on."""


class CreditGiven(msgspec.Struct, frozen=True):
    """A group that was full may be full no more: let those who are held try again."""


Effect = (
    Send
    | SendUnreliably
    | Publish
    | Sent
    | Deliver
    | ViewInstalled
    | Transitional
    | GroupView
    | GroupTransitional
    | GroupLeft
    | Pause
    | Resume
    | CreditGiven
    | Trace
)
