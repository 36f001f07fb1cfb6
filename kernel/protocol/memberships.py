"""A group's new membership in the words that clients and actors get: names instead of ids."""

from __future__ import annotations

from collections.abc import Callable

from zactor.kernel.protocol.effects import GroupTransitional, GroupView
from zactor.kernel.protocol.messages import MembershipCause, MembershipMessage
from zactor.kernel.protocol.view import SessionId


def membership(
    change: GroupView, name: Callable[[SessionId], str] = SessionId.__str__
) -> MembershipMessage:
    """Return a new membership; `name` makes the name of a member."""
    return MembershipMessage(
        group=change.group,
        transitional=False,
        cause=MembershipCause(change.cause.value),
        members=tuple(map(name, change.members)),
        changed=None if change.changed is None else name(change.changed),
        vs_sets=tuple(tuple(map(name, part)) for part in change.sets),
        own_set=change.own,
        id=str(change.id),
    )


def transitional(change: GroupTransitional) -> MembershipMessage:
    """Return the signal that a group loses members."""
    return _note(change.group, True, MembershipCause.NETWORK, None, str(change.id))


def left(group: str, private_group: str) -> MembershipMessage:
    """Return what a session is told that is out of a group by its own wish."""
    return _note(group, False, MembershipCause.SELF_LEAVE, private_group, "")


def _note(
    group: str, is_transitional: bool, cause: MembershipCause, changed: str | None, id: str
) -> MembershipMessage:
    return MembershipMessage(
        group=group,
        transitional=is_transitional,
        cause=cause,
        members=(),
        changed=changed,
        vs_sets=(),
        own_set=-1,
        id=id,
    )
