"""Membership messages: what the group engine delivers, with names instead of ids."""

from __future__ import annotations

from collections.abc import Callable

from zactor.kernel.groups.effects import GroupTransitional, GroupView
from zactor.kernel.groups.parcels import payloads_of
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import plain_mess_type
from zactor.kernel.messages.client_sessions import (
    MembershipCause,
    MembershipMessage,
    Parcel,
    RegularMessage,
)
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.views import SessionId, ViewId


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
    return _message(change.group, True, MembershipCause.NETWORK, None, str(change.id))


def left(group: str, private_group: str) -> MembershipMessage:
    """Return what a session is told that is out of a group by its own wish."""
    return _message(group, False, MembershipCause.SELF_LEAVE, private_group, "")


def _message(
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


News = RegularMessage | Parcel | MembershipMessage


def regular_messages(parcel: Parcel) -> list[RegularMessage]:
    """Return the messages of a parcel.

    Raises:
        RemoteProtocolError: it is none of so many.
    """
    sender, groups, service = parcel.sender, parcel.groups, parcel.service
    discard, mess_type, transitional = parcel.discard, parcel.mess_type, parcel.transitional
    origin, view = parcel.origin, parcel.view
    return [
        RegularMessage(
            sender, groups, payload, service, discard, mess_type, transitional, origin, number, view
        )
        for number, payload in enumerate(payloads_of(parcel.payload, parcel.count), parcel.number)
    ]


_TEXTS_MAX = 4_096  # names remembered as text; beyond it all are forgotten, which only costs time

_HEAD_BYTES = 128  # of one regular message beside groups and payload, rounded up

_NAME_BYTES = 64  # of one name in a membership: most are shorter, and a batch is allowed to be more


class SessionNames:
    """Makes the messages for clients. Kernel's loop only."""

    def __init__(self) -> None:
        """Names come back often: each is put together once."""
        self._texts: dict[SessionId | NodeId | ViewId | tuple[NodeId, str], str] = {}
        self._last: tuple[GroupData, RegularMessage] | None = None

    def regular(self, message: GroupData, transitional: bool) -> RegularMessage:
        """Return what the sessions of this node get for `message`; the same value for each."""
        if self._last is not None and self._last[0] is message:
            return self._last[1]  # another session of this node got it a moment ago
        texts = self._texts
        sender = message.sender
        found = RegularMessage(
            texts.get((sender, message.session)) or self._name(sender, message.session),
            message.groups,
            message.payload,
            message.service,
            message.discard,
            plain_mess_type(message.mess_type),
            transitional,
            texts.get(sender) or self._text(sender),
            message.number,
            texts.get(message.view) or self._text(message.view),
        )
        self._last = message, found
        return found

    def parcel(self, parcel: GroupData, transitional: bool) -> Parcel:
        """Return what the sessions of this node get for a parcel."""
        texts = self._texts
        sender = parcel.sender
        return Parcel(
            texts.get((sender, parcel.session)) or self._name(sender, parcel.session),
            parcel.groups,
            parcel.payload,
            parcel.service,
            parcel.discard,
            plain_mess_type(parcel.mess_type),
            transitional,
            texts.get(sender) or self._text(sender),
            parcel.number,
            texts.get(parcel.view) or self._text(parcel.view),
            parcel.count,
        )

    def view(self, change: GroupView) -> MembershipMessage:
        """Return a new membership."""
        return membership(change, self._member)

    def _member(self, member: SessionId) -> str:
        return self._texts.get((member.node, member.session)) or self._name(*member)

    def _name(self, node: NodeId, session: str) -> str:
        return self._remember((node, session), f"#{session}#{node.name}")

    def _text(self, id: NodeId | ViewId) -> str:
        return self._remember(id, str(id))

    def _remember(self, id: NodeId | ViewId | tuple[NodeId, str], text: str) -> str:
        if len(self._texts) >= _TEXTS_MAX:
            self._texts.clear()
        self._texts[id] = text
        return text


def size_of(news: News) -> int:
    """About how many bytes it takes on its way to the client."""
    if type(news) is RegularMessage or type(news) is Parcel:
        return _HEAD_BYTES + len(news.payload)
    assert isinstance(news, MembershipMessage), "there are three kinds"
    return _HEAD_BYTES + _NAME_BYTES * (len(news.members) + sum(map(len, news.vs_sets)))
