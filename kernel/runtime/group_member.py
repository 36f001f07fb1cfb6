"""Members of groups: what actors call to be one, and how what comes reaches their hooks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from zactor.kernel import limits
from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.group_message import GroupMessage
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    AlreadyExists,
    ConfigError,
    NoSuchThing,
    NotDelivered,
    ZactorError,
    text_of,
)
from zactor.kernel.groups import membership_messages
from zactor.kernel.groups.effects import Cause, GroupTransitional, GroupView
from zactor.kernel.groups.events import Join, Leave, SessionClosed, SessionOpened, Submit
from zactor.kernel.groups.names import check_destinations, check_group_name
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.client_sessions import MembershipMessage
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import SessionId
from zactor.kernel.runtime.backpressure import Congestible
from zactor.kernel.runtime.envelope import Envelope, SharedPayload
from zactor.kernel.runtime.outcomes import Outcomes, Receiver
from zactor.kernel.runtime.route import Reactor
from zactor.kernel.sessions.session_queue import (
    QueuedSession,
    QueuedSessionUser,
    SessionCommand,
    SessionQueue,
)
from zactor.kernel.wire.payload import Policy, decode_message, encode_message


class MemberCell(Reactor, Receiver, Protocol):
    """An actor as a member of groups sees it."""

    actor: Any

    @property
    def is_leaving(self) -> bool:
        """Whether it was asked to stop: it is on its way out of all groups."""
        ...

    def mute_until(self, receiver: Congestible) -> None:
        """After this message have it handle no other until `receiver` is below its limit."""
        ...


class ActorGroups:
    """What all members of groups share. Threads: any, but where it says the host's.

    The host's thread is that of the group engine's shell.
    """

    def __init__(
        self,
        me: NodeId,
        session_queue: SessionQueue,
        outcomes: Outcomes,
        policy: Policy,
        promise: Callable[[str, str], Reply[None]],
    ) -> None:
        """Args:
        me: the node's present life.
        promise: makes a Reply of an actor and what was asked of it, still to end.
        """
        self.me = me
        self.session_queue = session_queue
        self.outcomes = outcomes
        self.policy = policy
        self.promise = promise
        self._woken: list[Reactor] = []  # the host's: to be woken after this round of it

    def arrived(self, cell: Reactor, message: Envelope) -> None:
        """Put into a mailbox what came for a member. The host's thread."""
        if cell.limit <= len(cell.mailbox):
            cell.admit(message, None)
            return
        cell.mailbox.append(message)
        if cell.idle:
            cell.idle = False
            self.wake_later(cell)

    def wake_later(self, *cells: Reactor) -> None:
        """Wake them when this round of deliveries is in. The host's thread.

        Waking gives the interpreter lock away: see Remoting, where a batch is put in first.
        """
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._wake)
        self._woken += cells

    def _wake(self) -> None:
        woken, self._woken = self._woken, []
        for cell in woken:
            cell.dispatcher.ready(cell)


class GroupPayload(SharedPayload):
    """A message to groups on its way through a mailbox."""

    data: Any = None  # GroupData
    transitional: bool = False

    def arguments(self, policy: Policy) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode. Only in the actor's thread: unpickling runs code."""
        data: GroupData = self.data
        message = GroupMessage(
            sender=str(SessionId(data.sender, data.session)),
            groups=data.groups,
            value=decode_message(data.payload, policy),
            service=data.service,
            transitional=self.transitional,
        )
        return (message,), {}


class Member(QueuedSessionUser):
    """One actor's session. The actor's own thread calls what comes first, the host's the rest."""

    def __init__(self, cell: MemberCell, shared: ActorGroups) -> None:
        self._cell = cell
        self._shared = shared
        self._session = QueuedSession(shared.session_queue, cell.name, self)
        self._groups: set[str] = set()  # that the actor has asked to be in
        # Not ended yet, by what was wanted of which group, the oldest first.
        self._awaited: dict[tuple[type[Join] | type[Leave], str], deque[Reply[None]]] = {}
        self._inherited: set[str] = set()  # groups that a former object of this actor is in
        self._sees_views = self._has_on_view()
        self._is_closed = False

    def _has_on_view(self) -> bool:
        cls = type(self._cell.actor) if self._cell.actor is not None else None
        return cls is None or cls.on_view is not Actor.on_view

    def goes_over(self) -> None:
        """Another object is the actor: it is in all these groups, and may join them again."""
        self._inherited = set(self._groups)
        self._sees_views = self._has_on_view()

    def joined(self) -> list[str]:
        """Return the groups that it is in, or on its way to. Threads: any."""
        return sorted(self._groups.copy())

    # -- for the actor -----------------------------------------------------------------------
    def join(self, group: str) -> Reply[None]:
        """Enter a group; the reply ends when this actor is a member of it.

        Raises:
            ConfigError: that is no name of a group.
            AlreadyExists: it is in it, or on its way.
        """
        check_group_name("group", group)
        if group in self._inherited:
            self._inherited.discard(group)
            return self._join_again(group)
        if group in self._groups:
            raise AlreadyExists(f"{self._cell.name} is in group {group} already")
        if len(self._groups) >= limits.GROUP_JOINED_MAX:
            most = limits.GROUP_JOINED_MAX
            raise ConfigError(f"{self._cell.name} is in {most} groups: that is the maximum")
        self._groups.add(group)
        return self._change(Join(self._cell.name, group))

    def leave(self, group: str) -> Reply[None]:
        """Leave a group; the reply ends when this actor hears no more of it.

        Raises:
            NoSuchThing: it isn't in it.
        """
        if group not in self._groups:
            raise NoSuchThing(f"{self._cell.name} isn't in group {group}")
        self._groups.discard(group)
        self._inherited.discard(group)
        return self._change(Leave(self._cell.name, group))

    def _join_again(self, group: str) -> Reply[None]:
        """Return what ends when the former object's join does, if that hasn't yet."""
        reply: Reply[None] = self._shared.promise(self._cell.name, "join")
        waiting = self._awaited.get((Join, group))
        if not waiting:
            reply.set_result(None)
            return reply

        def pass_on(joined: Reply[None]) -> None:
            try:
                joined.result(0)
            except ZactorError as error:
                reply.set_error(error)
            else:
                reply.set_result(None)

        waiting[-1].add_done_callback(pass_on)
        return reply

    def _change(self, command: Join | Leave) -> Reply[None]:
        what = "join" if isinstance(command, Join) else "leave"
        reply: Reply[None] = self._shared.promise(self._cell.name, what)
        self._awaited.setdefault((type(command), command.group), deque()).append(reply)
        self._session.put(command)
        return reply

    def multicast(
        self, groups: str | Iterable[str], value: Any, service: Service, discard: bool
    ) -> Reply[None]:
        """Send to groups; the reply ends when there is room for more.

        Raises:
            ConfigError: a name is wrong, or the value can't travel, or is too long.
            MailboxFull: the hard limit of what may wait is reached.
        """
        names = check_destinations(groups)
        cell = self._cell
        payload = self.encoded(value)
        if len(payload) > limits.GROUP_PAYLOAD_BYTES_MAX:
            most = limits.GROUP_PAYLOAD_BYTES_MAX
            raise ConfigError(f"a group message of {len(payload)} bytes: the limit is {most}")
        self._session.put(Submit(cell.name, service, names, payload, discard))
        reply: Reply[None] = self._shared.promise(cell.name, "multicast")
        self._session.when_free(partial(reply.set_result, None))
        if not reply.done():
            cell.mute_until(self._session)  # who doesn't await it pauses after this message
        return reply

    def encoded(self, value: Any) -> bytes:
        """Return a value as the payload of its message."""
        return encode_message(value, self._shared.policy)

    def close(self) -> None:
        """End the session: the actor is gone. Threads: any."""
        if not self._is_closed:
            self._is_closed = True
            self._session.put(SessionClosed(self._cell.name))
            self._fail(NotDelivered(f"{self._cell.name} has stopped"))

    def consumed(self, count: int) -> None:
        """So many messages left the mailbox. Threads: any."""
        self._session.consumed(count)

    # -- from the host -----------------------------------------------------------------------
    def on_message(self, data: GroupData, transitional: bool) -> None:
        """A message to a group of the actor, or to itself."""
        self._session.recheck()
        if self._cell.is_leaving:
            self._session.consumed(1)
            return
        shared_payload = GroupPayload(
            data.payload, (), self, 0, 0, data=data, transitional=transitional
        )
        sender = str(SessionId(data.sender, data.session))
        message = Envelope("on_message", shared_payload=shared_payload, sender=sender, hook=True)
        self._shared.arrived(self._cell, message)

    def on_group_view(self, change: GroupView) -> None:
        """A group of the actor has a new membership."""
        if change.cause is Cause.JOIN and change.changed == self._id():
            self._settle(Join, change.group)
        self._show(membership_messages.membership(change))

    def on_group_transitional(self, change: GroupTransitional) -> None:
        """A group of the actor is about to lose members."""
        self._show(membership_messages.transitional(change))

    def on_group_left(self, group: str) -> None:
        """The actor is out of the group."""
        self._settle(Leave, group)
        self._show(membership_messages.left(group, str(self._id())))

    def on_refused(self, command: SessionCommand, error: ZactorError) -> None:
        """The session can't be opened, or isn't what the actor takes it for."""
        cell = self._cell
        match command:
            case SessionOpened():
                self._groups.clear()
                self._shared.outcomes.failure(cell, "join", error)
                self._fail(error)
            case Submit():
                target = " ".join(command.groups)
                self._shared.outcomes.dead(cell.name, target, "multicast", text_of(error))
            case Join() | Leave():
                self._settle(type(command), command.group, error)

    def _id(self) -> SessionId:
        return SessionId(self._shared.me, self._cell.name)

    def _show(self, view: MembershipMessage) -> None:
        cell = self._cell
        if self._sees_views and not cell.is_leaving:
            self._shared.arrived(cell, Envelope("on_view", (view,), {}, hook=True))

    def _settle(
        self, kind: type[Join] | type[Leave], group: str, error: ZactorError | None = None
    ) -> None:
        replies = self._awaited.get((kind, group))
        with suppress(IndexError):  # nobody waits
            reply = replies.popleft() if replies is not None else None
            if reply is not None and error is not None:
                reply.set_error(error)
            elif reply is not None:
                reply.set_result(None)

    def _fail(self, error: ZactorError) -> None:
        for (kind, group), replies in list(self._awaited.items()):
            for _ in range(len(replies)):
                self._settle(kind, group, error)
