"""Validation of what members say: each function raises, and nothing has changed.

Not against liars: members are trusted, and one that lies can stop its cluster. But a bug in one
node, or another release of it, must not kill the others. Types and bounds of numbers are checked
when a message is decoded; here is what two numbers must have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups.parcels import weight
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import (
    BehindSessions,
    GroupPacket,
    Kind,
    Propose,
    Report,
    StreamState,
    Sync,
    TicketRequest,
)
from zactor.kernel.messages.service import TICKETED, Service
from zactor.kernel.messages.views import View, ViewId


def require(is_so: bool, words: str) -> None:
    """Raise RemoteProtocolError unless `is_so`."""
    if not is_so:
        raise RemoteProtocolError(words)


def _are_ascending(values: Sequence[NodeId] | Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(values))  # type: ignore[operator]  # alike


def check_ballot(peer: NodeId, ballot: ViewId) -> None:
    """A step of an attempt comes from its proposer."""
    require(peer == ballot.coordinator, f"ballot {ballot} isn't its own")


def check_reach(ballot: ViewId, known: int) -> None:
    """A ballot that a cluster may have come to of which epoch `known` was the last heard of."""
    require(
        ballot.epoch <= known + limits.GROUP_BALLOTS_AHEAD_MAX,
        f"ballot {ballot} is out of reach of epoch {known}",
    )


def check_members(me: NodeId, message: Propose | Sync, members_max: int) -> None:
    """A membership that can become a view with this node in it."""
    members = message.members
    require(me in members, "a membership without this node")
    require(len(members) <= members_max, "too many members")
    require(_are_ascending(members), "members in no order")
    require(members[0] == message.ballot.coordinator, "the proposer isn't the lowest member")


def _check_streams(streams: Sequence[StreamState]) -> None:
    require(bool(streams), "a view of nobody")
    require(_are_ascending([state.sender for state in streams]), "streams in no order")
    for state in streams:
        require(_are_ascending([entry.sequence for entry in state.held]), "places in no order")


def check_report(report: Report, others: Sequence[Report]) -> None:
    """A report that goes with those of the same old view that came before it."""
    _check_streams(report.streams)
    senders = [state.sender for state in report.streams]
    for other in others:
        if other.view == report.view:
            require([state.sender for state in other.streams] == senders, "another old view")


def check_plan(me: NodeId, message: Sync, view: View) -> None:
    """A plan that is for who comes from this node's view, with it."""
    plan = message.plan
    require(plan.view == view.id, "a plan for another view")
    require(me in plan.cohort, "a plan for others")
    require(_are_ascending(plan.cohort), "a cohort in no order")
    require(set(plan.cohort) <= set(message.members), "a cohort beyond the membership")
    _check_streams(plan.streams)
    require(tuple(state.sender for state in plan.streams) == view.members, "streams of others")


def check_packet(me: NodeId, packet: GroupPacket) -> None:
    """A packet whose place fits its service, and which another node has sent."""
    require(packet.sender != me, "a packet of our own")
    require(bool(packet.items), "a packet of nothing")
    is_placed = packet.service is not Service.UNRELIABLE
    require((packet.sequence > 0) is is_placed, "a sequence that its service has not")
    require((packet.ticket > 0) is (packet.service in TICKETED), "a ticket its service has not")
    if packet.kind is not Kind.DATA:
        require(packet.ticket > 0, "a change of groups without a ticket")
        require(weight(packet) == 1, "a change of groups in company")
    if not is_placed:
        require(weight(packet) == len(packet.items), "a parcel that may be dropped")


def check_request(me: NodeId, request: TicketRequest, tickets_max: int) -> None:
    """A request for tickets to who gives them, for no more than one may have."""
    require(request.view.coordinator == me, "tickets are asked of the coordinator")
    require(1 <= request.count <= tickets_max, "too many tickets")


def check_behind(message: BehindSessions, settings: Settings) -> None:
    """No more sessions than a node has, each with a name."""
    require(len(message.sessions) <= settings.sessions_max, "more sessions than a node may have")
    most = settings.name_chars_max
    are_names = all(0 < len(name) <= most for name in message.sessions)
    require(are_names, "a session without a name")
