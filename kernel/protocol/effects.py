"""What the group engine asks of its shell, in order."""

from __future__ import annotations

import enum

import msgspec

from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.messages import GroupData, GroupHeartbeat, GroupMessage
from zactor.kernel.protocol.view import GroupId, SessionId, View, ViewId


class Cause(enum.Enum):
    """Why a group's membership changed."""

    JOIN = "join"
    LEAVE = "leave"
    DISCONNECT = "disconnect"
    NETWORK = "network"  # nodes came or went


class Send(msgspec.Struct, frozen=True):
    """Give the message to the links of these peers."""

    to: tuple[NodeId, ...]
    message: GroupMessage


class SendUnreliably(msgspec.Struct, frozen=True):
    """Give the message to these peers if that can be done at once; it is never sent again."""

    to: tuple[NodeId, ...]
    message: GroupData


class Publish(msgspec.Struct, frozen=True):
    """Give the heartbeat to everybody who listens."""

    heartbeat: GroupHeartbeat


class Sent(msgspec.Struct, frozen=True):
    """A message of this node got its place; stands before the Send it belongs to."""

    message: GroupData


class Deliver(msgspec.Struct, frozen=True):
    """Give the message to `sessions` of this node (none: it is for other nodes only)."""

    message: GroupData
    transitional: bool
    sessions: tuple[str, ...]


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


class Trace(msgspec.Struct, frozen=True):
    """Something worth a line in the log; the engine itself never logs."""

    event: str  # past tense, snake case, constant
    fields: dict[str, object]


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
    | Trace
)
