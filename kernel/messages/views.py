"""Names of views, groups and sessions, and the view itself.

Source: a view id is a ballot, as in Paxos: totally ordered, and it only grows at a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import msgspec

from zactor.kernel.ids import NodeId


class ViewId(NamedTuple):
    """Number of a view and of the attempt to make it; compares as a tuple."""

    epoch: Annotated[
        int, msgspec.Meta(ge=0, lt=1 << 53)
    ]  # 0 only for the view of its own in which a node begins
    coordinator: NodeId  # who proposed it: its lowest member, who gives the tickets

    def __str__(self) -> str:
        return f"{self.epoch}.{self.coordinator}"


class SessionId(NamedTuple):
    """A session and its node: a member of groups. Compares in the order of memberships."""

    node: NodeId
    session: str

    def __str__(self) -> str:
        return f"#{self.session}#{self.node.name}"


class GroupId(NamedTuple):
    """Number of a group's membership: the same wherever the membership is the same."""

    view: ViewId  # in which it changed last
    # 0: by the view itself, or by the first join; above: joins, leaves and disconnects are counted,
    # each one more than the membership before, whatever view that is of; below: by one of those
    # between the transitional signal of the view before and this view
    index: int  # type: ignore[assignment]  # Spread's word; tuple.index is not used

    def __str__(self) -> str:
        return f"{self.view}/{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Who is connected: a numbered membership."""

    id: ViewId
    members: tuple[NodeId, ...]  # in ascending order; the first is the coordinator

    def __post_init__(self) -> None:
        assert self.members == tuple(sorted(set(self.members))), "members are sorted and distinct"
        assert self.id.coordinator == self.members[0], "the lowest member coordinates"


def first_view(node: NodeId) -> View:
    """Return the view of its own in which `node` begins."""
    return View(id=ViewId(0, node), members=(node,))
