"""Messages of the group engine: heartbeats, order inside a view, and the way to the next view."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Count, MarkedMessType, Message
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import GroupId, SessionId, ViewId

Weight = Annotated[int, msgspec.Meta(ge=1, le=limits.GROUP_PARCEL_MESSAGES)]
"""How many messages an item is."""


class Kind(enum.Enum):
    """What a GroupData does beside being ordered."""

    DATA = "data"
    JOIN = "join"  # `session` enters `groups`
    LEAVE = "leave"  # `session` leaves `groups`
    DISCONNECT = "disconnect"  # `session` has gone, from all its groups


class GroupHeartbeat(Message, frozen=True, tag=100):
    """Published by every node from its own loop: it lives, whom it hears, where it stands."""

    sender: NodeId
    number: Count  # grows by one with each: older ones that come late are dropped
    view: ViewId  # installed
    promised: ViewId  # the highest ballot it obeys
    follows: NodeId  # whom it expects to propose views, perhaps itself
    hears: tuple[NodeId, ...]  # heartbeats of these arrive
    held: tuple[NodeId, ...]  # of these: it hears them but doesn't trust them yet (hold-down)
    lag_ms: Count  # how late its loop was
    line: Count  # as in GroupAck, for `view`: repairs an acknowledgement that was lost
    streams: tuple[Count, ...]  # as in GroupAck; the sender's own entry is what it has sent
    leads: tuple[
        NodeId, ...
    ] = ()  # whom it would have in a view of its own; (): it follows another
    arrived: tuple[Count, ...] = ()  # of each in `hears`: so many messages came over its link


class TicketRequest(Message, frozen=True, tag=101):
    """Member to coordinator: numbers for `count` messages that wait here."""

    view: ViewId
    count: Count


class TicketGrant(Message, frozen=True, tag=102):
    """Coordinator to member: tickets first … first + count - 1 are yours alone."""

    view: ViewId
    first: Count
    count: Count


class GroupItem(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One message in a packet, or a parcel of them: what its sender wrote."""

    number: Count  # grows over the sender's life; (sender, number) names the message
    service: Service
    session: str  # of the sender's node
    groups: tuple[str, ...]
    discard: bool  # not to be given to `session` itself
    mess_type: MarkedMessType  # the application's own, 0 where it has none
    payload: bytes
    count: Weight = 1  # above 1: a parcel, `payload` the array of theirs, `number` the first one's


class GroupPacket(Message, frozen=True, tag=103):
    """Messages of one sender that share a place. Sent to all members, or again by any holder."""

    view: ViewId
    sender: NodeId
    sequence: Count  # place in the sender's stream of this view, from 1; 0: UNRELIABLE, no place
    ticket: Count  # place in the order of all, from 1; 0: below CAUSAL
    service: Service  # of its messages; of CAUSAL to SAFE, which may share one, the strongest
    kind: Kind  # all but DATA travel alone
    line: Count  # the sender's line (see GroupAck) with this packet: saves it an acknowledgement
    items: tuple[GroupItem, ...]  # at least one, in sending order


class GroupData(msgspec.Struct, frozen=True, gc=False):
    """One message as it is delivered, or a parcel: an item with what it has from its packet."""

    view: ViewId
    sender: NodeId
    ticket: int  # of its packet: place in the order of all, 0 below CAUSAL
    number: int
    service: Service
    kind: Kind
    session: str
    groups: tuple[str, ...]
    discard: bool
    mess_type: int
    payload: bytes
    count: int = 1


class GroupAck(Message, frozen=True, tag=104):
    """Member to members, or to the coordinator of a large view: I hold all up to here."""

    view: ViewId
    line: Count  # every ticket up to it, and what precedes those in their senders' streams
    streams: tuple[Count, ...]  # of each member's stream, in the order of the view; frees buffers


class AckSummary(Message, frozen=True, tag=105):
    """Coordinator to the members of a large view: the lowest of all acknowledgements."""

    view: ViewId
    line: Count
    streams: tuple[Count, ...]


class BehindSessions(Message, frozen=True, tag=123):
    """Node to the members of its view: these of my sessions are behind, and no others."""

    sessions: tuple[str, ...]


class Want(Message, frozen=True, tag=106):
    """Member to a holder: send me these again. (sender, first, last) of its stream."""

    view: ViewId
    ranges: tuple[tuple[NodeId, Count, Count], ...]


class Propose(Message, frozen=True, tag=107):
    """The lowest alive to those it wants: freeze and promise `ballot`."""

    ballot: ViewId
    members: tuple[NodeId, ...]


class Held(Message, frozen=True, tag=113):
    """A packet that exists, without its content."""

    sequence: Count
    ticket: Count
    service: Service
    holder: NodeId  # who can send it (in a report: who reports)


class StreamState(Message, frozen=True, tag=114):
    """What is known of one sender's stream: all members hold 1 … base, beyond it `held` exist."""

    sender: NodeId
    base: Count
    held: tuple[Held, ...]  # in order of sequence


class Report(Message, frozen=True, tag=115):
    """What a frozen member has of its old view."""

    view: ViewId
    delivered: Count  # every ticket up to it was delivered here
    stable: Count  # every ticket up to it is known to be held by every member of the view
    obligation: tuple[NodeId, ...]  # whose messages it must deliver even beyond a gap
    streams: tuple[StreamState, ...]  # in the order of the view


class Accept(Message, frozen=True, tag=108):
    """Member to proposer: frozen and promised; this is what I have."""

    ballot: ViewId
    report: Report


class Plan(Message, frozen=True, tag=116):
    """What the members that come from one old view together (`cohort`) must do before they go."""

    view: ViewId  # the old one
    cohort: tuple[NodeId, ...]
    delivered: Count  # every ticket up to it was delivered by somebody in the cohort
    stable: Count  # the best known
    obligation: tuple[NodeId, ...]
    streams: tuple[StreamState, ...]  # the union of what the cohort holds


class Sync(Message, frozen=True, tag=109):
    """Proposer to each cohort: get what you lack from its holder, then say Ready."""

    ballot: ViewId
    members: tuple[NodeId, ...]
    plan: Plan


class GroupState(Message, frozen=True, tag=117):
    """A group as a cohort knows it when it leaves its old view, lost members included."""

    group: str
    id: GroupId
    members: tuple[SessionId, ...]
    disturbed: bool  # its members got a transitional signal and wait for a new membership


class CohortGroups(Message, frozen=True, tag=118):
    """All groups of a cohort."""

    cohort: tuple[NodeId, ...]
    groups: tuple[GroupState, ...]


class Ready(Message, frozen=True, tag=110):
    """Member to proposer: I hold all that the plan names."""

    ballot: ViewId
    groups: tuple[GroupState, ...]  # from the cohort's first member; () from the others


class Install(Message, frozen=True, tag=111):
    """Proposer to members, when all are ready: deliver the rest, then `ballot` is the view."""

    ballot: ViewId
    cohorts: tuple[CohortGroups, ...]


class GroupPiece(Message, frozen=True, tag=120):
    """A part of an Accept, Sync, Ready, Install, Want or BehindSessions that is long: encoded."""

    number: Count  # 0, 1 …
    more: bool  # others follow
    payload: bytes


class Departed(Message, frozen=True, tag=112):
    """A node that stops in good order, to the members: don't wait for my silence."""


EngineMessage = (
    GroupPacket
    | GroupAck
    | TicketRequest
    | TicketGrant
    | AckSummary
    | Want
    | Propose
    | Accept
    | Sync
    | Ready
    | Install
    | Departed
    | GroupPiece
    | BehindSessions
)

"""What the engine sends over links; GroupHeartbeat and UNRELIABLE data go beside them."""
