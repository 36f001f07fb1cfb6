"""Mailbox: group messages for programs that are no actors, as Spread's clients have them.

A mailbox is a session at one node. It enters and leaves groups, sends to any group, and receives
the messages and the memberships of its groups in one stream, in the order that all have.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TypeVar

from zactor.client.blocking import Blocking, blocking, finish, iterate
from zactor.kernel import errors, limits
from zactor.kernel.groups.names import check_destinations, check_group_name
from zactor.kernel.homes import at_home
from zactor.kernel.messages.client_sessions import (
    CloseSession,
    JoinGroup,
    LeaveGroup,
    MembershipCause,
    MembershipMessage,
    Outgoing,
    RegularMessage,
)
from zactor.kernel.messages.service import Service
from zactor.mailbox.session_client import SessionClient
from zactor.mailbox.windows import Message

__all__ = [
    "BlockingMailbox",
    "Mailbox",
    "MembershipCause",
    "MembershipMessage",
    "RegularMessage",
]

T = TypeVar("T")

_CLOSE_S = 1.0  # what a mailbox that ends with an error has for its goodbye
_MESS_TYPE_MAX = (1 << 15) - 1


class _Limit:
    """For how long something is waited for, and what is said when that is over."""

    def __init__(self, what: str, seconds: float | None) -> None:
        self.what = what
        self.seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return how many s are left; None: no limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())


@at_home
class Mailbox:
    """A member of groups: `async with Mailbox("alice")` gives one that awaits, `with` that blocks.

    Any number of tasks and threads may use one. Calls raise a `ZactorError`: `NotReachable` when
    the node went away (open another mailbox then: it is another session), `TimedOut`, `ConfigError`
    for what can't be sent or joined.

    A program that reads slowly slows those who send to its groups. One that reads nothing for
    GROUP_CLIENT_STALL_MS, while others wait for that, is closed: `MailboxFull`.
    """

    def __init__(
        self,
        name: str = "",
        endpoint: str | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Nothing happens before the block is entered.

        Args:
            name: of the session, unique at its node: 1 to 128 characters and no `#`; "": the node
                makes one up.
            endpoint: HOST or HOST:PORT of the node; None: any node of `home`.
            home: where the cluster's keys are; None: $ZACTOR_HOME or ~/.zactor.
            timeout: in s, for connecting and for each call but `receive`; None: CLIENT_REQUEST_S,
                and no limit for `multicast` and `flush`, which wait as long as receivers are slow.

        Raises (on entering):
            AlreadyExists: the node has a session of that name.
            NotReachable, Refused: as `connect`.
        """
        if name:
            check_group_name("session", name)
        self._name = name
        self._endpoint = endpoint
        self._home = home
        self._timeout = timeout
        self._client: SessionClient | None = None
        self._is_blocking = False

    # -- who it is ---------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """The name of the session."""
        opened = self._open_client().opened
        assert opened is not None, "a client is kept once it is open"
        return opened.name

    @property
    def private_group(self) -> str:
        """The group that reaches this mailbox alone: `#NAME#NODE`."""
        opened = self._open_client().opened
        assert opened is not None, "a client is kept once it is open"
        return opened.private_group

    # -- groups ------------------------------------------------------------------------------
    async def join(self, group: str) -> None:
        """Enter a group. It has happened when the MembershipMessage arrives that says so.

        Raises:
            LocalProtocolError: this mailbox is in it.
        """
        operation = JoinGroup(check_group_name("group", group))
        await self._ended(self._open_client().ask(operation), self._answer_limit())

    async def leave(self, group: str) -> None:
        """Leave a group. It has happened when the MembershipMessage with SELF_LEAVE arrives.

        Raises:
            LocalProtocolError: this mailbox isn't in it.
        """
        operation = LeaveGroup(check_group_name("group", group))
        await self._ended(self._open_client().ask(operation), self._answer_limit())

    # -- sending -----------------------------------------------------------------------------
    async def multicast(
        self,
        group: str | Sequence[str],
        payload: bytes | bytearray | memoryview,
        *,
        service: Service | str = Service.AGREED,
        discard: bool = False,
        mess_type: int = 0,
    ) -> None:
        """Send to one group or to several, member or not, or to private groups.

        It returns when the message is in this mailbox's queue, which waits for room if the
        receivers are slow. What goes wrong at the node is raised by a later call; `flush` waits
        until there can be nothing of the kind.

        Args:
            group: a receiver that several of them reach gets the message once.
            payload: up to GROUP_PAYLOAD_BYTES_MAX bytes.
            service: what is promised about order and delivery.
            discard: this mailbox itself gets no copy.
            mess_type: passed on as it is: -32768 to 32767.

        Raises:
            ConfigError: no group, a name that is none, or a payload that is too long.
            MailboxFull: this mailbox was closed, see the class.
        """
        client = self._client or self._open_client()
        like = _like(group, service, discard, mess_type)
        if type(payload) is not bytes or len(payload) > limits.GROUP_PAYLOAD_BYTES_MAX:
            payload = _bytes_of(payload)
        if not client.put(like, payload):
            limit = self._room_limit(like)
            while not client.put(like, payload):
                await self._ended(client.room(), limit)

    async def multicast_many(
        self,
        group: str | Sequence[str],
        payloads: Sequence[bytes | bytearray | memoryview],
        *,
        service: Service | str = Service.AGREED,
        discard: bool = False,
        mess_type: int = 0,
    ) -> None:
        """Send several messages, one after the other: as many calls of `multicast`, but cheaper.

        Each is a message of its own, and others may come between them. If it raises, or is
        cancelled, some of them may have been sent, from the first on.

        Args:
            payloads: of each message, as for `multicast`; so are the others, which all share.

        Raises:
            As `multicast`. A ConfigError: none was sent.
        """
        client = self._client or self._open_client()
        like = _like(group, service, discard, mess_type)
        if isinstance(payloads, bytes | bytearray | memoryview | str):
            raise errors.ConfigError(f"payloads are several, not one {type(payloads).__name__}")
        most = limits.GROUP_PAYLOAD_BYTES_MAX
        bodies = [
            one if type(one) is bytes and len(one) <= most else _bytes_of(one) for one in payloads
        ]
        sent = client.put_many(like, bodies)
        if sent < len(bodies):
            limit = self._room_limit(like)
            while sent < len(bodies):
                await self._ended(client.room(), limit)
                sent += client.put_many(like, bodies[sent:])

    async def flush(self) -> None:
        """Wait until the node has taken over all that was sent: it will reach those who live.

        Raises:
            ZactorError: something that was sent before can't be, or may not have been.
        """
        client = self._open_client()
        limit = _Limit("the node has not taken over all that was sent", self._timeout)
        while not client.is_flushed():
            await self._ended(client.room(), limit)

    # -- receiving ---------------------------------------------------------------------------
    async def receive(self, timeout: float | None = None) -> Message:
        """Return the next message or membership.

        Args:
            timeout: in s; None: no limit.

        Raises:
            NotReachable: the node went away, and all that had arrived was read; or the mailbox is
                closed. TimedOut: nothing came.
        """
        client = self._client or self._open_client()
        message = client.take()
        return await self._arrived(client.take, timeout) if message is None else message

    async def receive_many(self, timeout: float | None = None) -> list[Message]:
        """Return the next messages and memberships, as many as came together: one at least.

        They count as taken, all of them. One call of this is cheaper than as many of `receive`.

        Args:
            timeout: as for `receive`.

        Raises:
            As `receive`.
        """
        client = self._client or self._open_client()
        return client.take_many() or await self._arrived(client.take_many, timeout)

    async def _arrived(self, take: Callable[[], T | None], timeout: float | None) -> T:
        """Wait until there is something to take, and return it."""
        client = self._open_client()
        limit = _Limit(f"no message for {self.name!r}", timeout)
        while True:
            await self._ended(client.arrival(), limit)
            if found := take():
                return found
            if client.broken is not None:
                client.check()

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Receive until the mailbox is closed, what came together in one list: `receive_many`."""
        while True:
            try:
                batch = await self.receive_many()
            except errors.NotReachable:
                if self._open_client().is_closed:
                    return
                raise
            yield batch

    def __aiter__(self) -> Mailbox:
        """Receive until the mailbox is closed."""
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.receive()
        except errors.NotReachable:
            if self._open_client().is_closed:
                raise StopAsyncIteration from None
            raise

    # -- the ends ----------------------------------------------------------------------------
    async def __aenter__(self) -> Mailbox:
        assert self._client is None, "a mailbox is entered once"
        client = SessionClient(self._endpoint, self._home)
        try:
            limit = _Limit("no mailbox", None)  # the connection has limits of its own
            await self._ended(client.ready(self._timeout), limit)
            client.begin(await self._ended(client.open(self._name, self._timeout), limit))
        except BaseException:
            client.close()
            raise
        self._client = client
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close(error is None)

    async def close(self) -> None:
        """Send what is queued, then leave all groups and end; the block's end does the same."""
        await self._close(True)

    async def _close(self, in_good_order: bool) -> None:
        client = self._open_client()
        if client.is_closed:
            return
        try:
            limit = self._answer_limit() if in_good_order else _Limit("no goodbye", _CLOSE_S)
            await self._say_goodbye(client, limit)
        except errors.ZactorError:
            if in_good_order:
                raise
        finally:
            client.close()

    async def _say_goodbye(self, client: SessionClient, limit: _Limit) -> None:
        """Raise only what means that something wasn't sent: that the session is gone is no news."""
        if client.broken is None:
            client.check()
            with contextlib.suppress(
                errors.NotReachable, errors.OutcomeUnknown, errors.MailboxFull
            ):
                await self._ended(client.ask(CloseSession()), limit)
        if client.fault is not None:
            client.check()

    def __enter__(self) -> BlockingMailbox:
        self._is_blocking = True
        finish(self.__aenter__())
        return BlockingMailbox(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finish(self._close(error is None))

    # -- the two modes -----------------------------------------------------------------------
    def _open_client(self) -> SessionClient:
        if self._client is None:
            raise errors.NotReachable("a mailbox is open within its `async with` or `with`")
        return self._client

    def _room_limit(self, like: Outgoing) -> _Limit:
        return _Limit(f"no room for a message to {' '.join(like.groups)}", self._timeout)

    def _answer_limit(self) -> _Limit:
        seconds = limits.CLIENT_REQUEST_S if self._timeout is None else self._timeout
        return _Limit("no answer from the node", seconds)

    async def _ended(self, future: Future[T], limit: _Limit) -> T:
        try:
            if self._is_blocking:
                return future.result(limit.left())
            if limit.seconds is None:
                return await asyncio.wrap_future(future)
            async with asyncio.timeout(limit.left()):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise errors.TimedOut(f"{limit.what} in {limit.seconds:g} s") from None
        finally:
            future.cancel()  # if it isn't done: nobody waits for it any more


@at_home
class BlockingMailbox(Blocking[Mailbox]):
    """`Mailbox` for programs without an event loop: what `with Mailbox() as box` gives.

    Threads: any, except an event loop's, which would stand still meanwhile.
    """

    @property
    def name(self) -> str:
        """The name of the session."""
        return self.awaiting.name

    @property
    def private_group(self) -> str:
        """The group that reaches this mailbox alone: `#NAME#NODE`."""
        return self.awaiting.private_group

    join = blocking(Mailbox.join)
    leave = blocking(Mailbox.leave)
    multicast = blocking(Mailbox.multicast)
    multicast_many = blocking(Mailbox.multicast_many)
    flush = blocking(Mailbox.flush)
    receive = blocking(Mailbox.receive)
    receive_many = blocking(Mailbox.receive_many)
    close = blocking(Mailbox.close)

    def batches(self) -> Iterator[list[Message]]:
        """Receive until the mailbox is closed, what came together in one list: `receive_many`."""
        return iterate(self.awaiting.batches())

    def __iter__(self) -> Iterator[Message]:
        """Receive until the mailbox is closed."""
        return iterate(self.awaiting)


def _said(
    group: str | Sequence[str], service: Service | str, discard: bool, mess_type: int
) -> Outgoing:
    """Return a message with nothing in it, after a look at what is said of it."""
    level = service if isinstance(service, Service) else Service.parse(service)
    groups, own_type = check_destinations(group), _checked_mess_type(mess_type)
    return Outgoing(groups, b"", level, bool(discard), own_type)


_said_before = functools.lru_cache(1024, typed=True)(_said)  # most messages are like one before


def _like(
    group: str | Sequence[str], service: Service | str, discard: bool, mess_type: int
) -> Outgoing:
    try:
        return _said_before(group, service, discard, mess_type)
    except TypeError:  # a list of groups, for one: it has no hash
        return _said(group, service, discard, mess_type)


def _bytes_of(payload: bytes | bytearray | memoryview) -> bytes:
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise errors.ConfigError(f"a payload is bytes, not {type(payload).__name__}")
    size = memoryview(payload).nbytes
    if size > limits.GROUP_PAYLOAD_BYTES_MAX:
        raise errors.ConfigError(
            f"a payload of {size} bytes, {limits.GROUP_PAYLOAD_BYTES_MAX} allowed"
        )
    return bytes(payload)


def _checked_mess_type(mess_type: int) -> int:
    if not isinstance(mess_type, int):
        raise errors.ConfigError(f"a mess_type is an int, not {type(mess_type).__name__}")
    if not -_MESS_TYPE_MAX - 1 <= mess_type <= _MESS_TYPE_MAX:
        raise errors.ConfigError(f"mess_type {mess_type} has more than 16 bits")
    return int(mess_type)  # of a bool or an IntEnum
