"""Session of the group engine, as its owner sees it: an actor, a client, the node itself.

All of it belongs to the kernel's loop.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups import events
from zactor.kernel.groups.effects import GroupTransitional, GroupView
from zactor.kernel.groups.process_groups import private_group
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId


class SessionUser:
    """Who owns a session. Called in the kernel's loop, in the order of delivery.

    What is asked for only of members of groups does nothing here.
    """

    __slots__ = ()

    takes_parcels = False
    """Whether parcels come to `on_parcel`; else they are opened, for `on_message`."""

    def on_message(self, message: GroupData, transitional: bool) -> None:
        """A message for this session; `Session.consumed` says when it was got through."""
        raise NotImplementedError

    def on_parcel(self, parcel: GroupData, transitional: bool) -> None:
        """The messages of a parcel, unopened; each of them is to be got through."""
        raise NotImplementedError

    def on_group_view(self, change: GroupView) -> None:
        """A group of this session has a new membership."""

    def on_group_transitional(self, change: GroupTransitional) -> None:
        """A group lost members: what follows holds among those who stay."""

    def on_group_left(self, group: str) -> None:
        """This session is out of the group, as it wished."""


class Listener:
    """A part of the node that sees every message to a system group, with no session of its own.

    Each method does nothing here.
    """

    __slots__ = ()

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        """A message to the group, at its place in the order."""

    def on_transitional(self, view: ViewId, members: tuple[NodeId, ...]) -> None:
        """The guarantees of `view` end here; what follows of it holds among `members`."""

    def on_view(self, view: View, together: tuple[NodeId, ...]) -> None:
        """The node works in `view` now; `together` came with it from the view before."""


class SessionHost(Protocol):
    """Where a session is open."""

    me: NodeId

    def step(self, event: events.Event) -> None:
        """Let the engine take one event."""
        ...

    def submit(self, event: events.Submit) -> None:
        """Queue a message."""
        ...

    def note_consumed(self, session: str, count: int, size: int) -> None:
        """So many of its messages, of so many bytes, were got through."""
        ...

    def drop_session(self, session: Session) -> None:
        """Close it."""
        ...


class Session:
    """An open session. Made by `GroupHost.open_session`."""

    def __init__(self, host: SessionHost, name: str, user: SessionUser) -> None:
        self.name = name
        self.user = user
        self.private_group = private_group(host.me, name)
        self.groups: set[str] = set()  # that it has asked to be in
        self.is_open = True
        self._host = host
        self.owed = 0  # messages that were handed over and not got through
        self._owed: deque[tuple[int, int]] = deque()  # messages and bytes of each delivery
        self._ahead = 0  # messages of the first that were got through

    def join(self, group: str) -> None:
        """Enter a group; `on_group_view` tells when that has happened.

        Raises:
            LocalProtocolError: it is in it, that is no name, or the session is closed.
        """
        self._check()
        self._host.step(events.Join(self.name, group))
        self.groups.add(group)

    def leave(self, group: str) -> None:
        """Leave a group; `on_group_left` tells when that has happened.

        Raises:
            LocalProtocolError: it isn't in it, or the session is closed.
        """
        self._check()
        self._host.step(events.Leave(self.name, group))
        self.groups.discard(group)

    def submit(
        self,
        service: Service,
        groups: tuple[str, ...],
        payload: bytes,
        discard: bool = False,
        mess_type: int = 0,
        count: int = 1,
    ) -> None:
        """Send to groups, of which the session need not be a member.

        Args: `discard`: no copy for this session. `mess_type`: the application's own, 16 bits.
            `count`: above 1, `payload` is a parcel of so many messages (kernel/groups/parcels.py).

        Raises:
            LocalProtocolError: no group, too many, too long, no parcel, or the session is closed.
            MailboxFull: the hard limit of what may wait for credit is reached.
        """
        self._check()
        submit = events.Submit(self.name, service, groups, payload, discard, mess_type, count)
        self._host.submit(submit)

    def _check(self) -> None:
        if not self.is_open:  # another of the same name may be open by now
            raise LocalProtocolError(f"session {self.name!r} is closed")

    def owe(self, size: int, count: int = 1) -> None:
        """A message, or a parcel of several, of so many bytes was handed over (the host's call)."""
        self._owed.append((count, size))
        self.owed += count

    def consumed(self, count: int) -> None:
        """Say that `count` more messages were got through, oldest first.

        Bytes of a parcel count with its last one.
        """
        count = min(count, self.owed)
        if count <= 0:
            return
        self.owed -= count
        left, size, owed = self._ahead + count, 0, self._owed
        while owed and owed[0][0] <= left:
            messages, its_size = owed.popleft()
            left -= messages
            size += its_size
        self._ahead = left
        self._host.note_consumed(self.name, count, size)

    def close(self) -> None:
        """End it: its groups see it go. A second call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        self._owed.clear()
        self.owed = 0
        self._host.drop_session(self)
