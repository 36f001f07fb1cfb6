"""The way to the group engine: what sessions of this node want of it, from any thread, in order.

What a thread puts is queued here and handed to the engine's shell in one go, at the next turn of
that shell's thread, the host's thread. The rule a reader must not break: nobody waits here for
credit that only he can bring. While this node is so far behind that it withholds credit from all,
its own senders aren't held by the soft limit.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, assert_never

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import LocalProtocolError, MailboxFull, NotDelivered, ZactorError
from zactor.kernel.groups.events import Join, Leave, SessionClosed, SessionOpened, Submit
from zactor.kernel.sessions.session import Session, SessionUser

if TYPE_CHECKING:
    from zactor.kernel.sessions.host import GroupHost

log = structlog.get_logger()

SessionCommand = SessionOpened | Join | Leave | Submit | SessionClosed

_FULL_POLL_S = 0.01  # how often the engine's hard limit is tried again: nothing tells of its end


def at_once(call: Callable[[], None]) -> None:
    """Put nothing off."""
    call()


class QueuedSessionUser(SessionUser, Protocol):
    """Who owns a seat; called in the host's thread."""

    def on_refused(self, command: SessionCommand, error: ZactorError) -> None:
        """The engine didn't take that command. After a SessionOpened the seat is shut again."""


class QueuedSession:
    """One session of this node, open, not yet open or closed."""

    __slots__ = (
        "_session_queue",
        "excused",
        "is_over",
        "moved_s",
        "name",
        "session",
        "user",
        "waiting",
    )

    def __init__(self, session_queue: SessionQueue, name: str, user: QueuedSessionUser) -> None:
        self._session_queue = session_queue
        self.name = name
        self.user = user
        self.session: Session | None = None
        self.waiting: deque[SessionCommand] = deque()
        self.is_over = False  # it was closed, and is never opened again
        self.moved_s = 0.0  # when something was got through last, in the loop's time
        self.excused = 0  # messages that nobody waits for any more: see Rooms._excuse

    def put(self, command: SessionCommand) -> None:
        """Have this done, after what was put before. The first opens the session. Threads: any.

        After a SessionClosed nothing is done any more.

        Raises:
            MailboxFull: too many messages wait; this one, a Submit, was not taken.
        """
        self._session_queue.put(self, command)

    def consumed(self, count: int) -> None:
        """So many messages were got through, or dropped. Threads: any."""
        self._session_queue.consumed(self, count)


class SessionQueue:
    """All sessions that actors and the node itself have. What has no `Threads:` is the host's."""

    def __init__(
        self,
        *,
        host: Callable[[], GroupHost],
        post: Callable[[Callable[[], None]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        coalesce: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        """Args:
        host: gives the engine's shell; called at the first turn, in its thread.
        post: has a call done in that thread, soon. Threads: called by any.
        spawn: runs a coroutine there.
        coalesce: does a call, or puts it off while more is about to come. Threads: by any.
        """
        self._coalesce = coalesce
        self._find_host = host
        self._host: GroupHost | None = None
        self._post = post
        self._spawn = spawn
        self._due = False
        self._outbox: deque[tuple[QueuedSession, SessionCommand]] = deque()
        self._handled: deque[tuple[QueuedSession, int]] = deque()
        self._busy: dict[
            QueuedSession, None
        ] = {}  # seats with something waiting, in the order to serve
        self._taken: dict[str, QueuedSession] = {}  # names that are open, or about to be
        self._waiting = 0  # commands in seats
        self._waiting_bytes = 0
        self._senders: deque[Reply[None]] = deque()  # who awaits room
        self._behind_s = math.inf  # since when this node withholds credit; never: it doesn't
        self._budget = 0  # messages that may be submitted before the engine is looked at again
        self._resting = False  # a task waits until the engine takes more

    # -- any thread --------------------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether senders should wait before they put more. Threads: any."""
        host = self._host
        if host is None:
            return False
        is_full = host.paused or len(self._outbox) + self._waiting > limits.GROUP_QUEUE_SOFT
        return is_full and not host.is_behind

    def put(self, queued: QueuedSession, command: SessionCommand) -> None:
        """See Seat.put. Threads: any."""
        if type(command) is Submit:
            waiting = len(self._outbox) + self._waiting
            too_long = self._waiting_bytes >= limits.GROUP_QUEUE_HARD_BYTES
            if waiting >= limits.GROUP_QUEUE_HARD or too_long:
                raise MailboxFull(
                    f"{waiting} messages to groups wait for credit: send less, or await multicast"
                )
        self._outbox.append((queued, command))
        self._wake()

    def consumed(self, queued: QueuedSession, count: int) -> None:
        """See Seat.consumed. Threads: any."""
        self._handled.append((queued, count))
        self._wake()

    def when_free(self, reply: Reply[None]) -> None:
        """End the reply as soon as senders need not wait. Threads: any."""
        if not self.congested:
            reply.set_result(None)
            return
        self._senders.append(reply)
        self._wake()  # it may end just now, and nobody else would look

    def is_idle(self) -> bool:
        """Whether nothing waits here. Threads: any."""
        return not (self._outbox or self._handled or self._due or self._busy)

    def _wake(self) -> None:
        if not self._due:
            self._coalesce(self._ask_for_turn)

    def _ask_for_turn(self) -> None:
        if not self._due:
            self._due = True
            self._post(self.turn)

    # -- a turn ------------------------------------------------------------------------------
    def look(self) -> None:
        """Something came in: this node may be behind, so that nobody may wait for room."""
        if self._senders and not self.congested:
            self._release()

    def _release(self) -> None:
        while self._senders:
            self._senders.popleft().set_result(None)

    def turn(self) -> None:
        """Take what was put. A call now and then helps where it was put off for too long."""
        self._due = False
        self._get_host()
        self._settle()
        for _ in range(len(self._outbox)):
            queued, command = self._outbox.popleft()
            queued.waiting.append(command)
            self._waiting += 1
            if type(command) is Submit:
                self._waiting_bytes += len(command.payload)
            self._busy[queued] = None
        self._work()

    def _settle(self) -> None:
        """Hand over what was got through, and excuse who gets through nothing."""
        now_s = asyncio.get_running_loop().time()
        for _ in range(len(self._handled)):
            queued, count = self._handled.popleft()
            queued.moved_s = now_s
            late = min(count, queued.excused)
            queued.excused -= late
            if queued.session is not None:
                queued.session.consumed(count - late)
        if not self._get_host().is_behind:
            self._behind_s = math.inf
        elif self._behind_s == math.inf:
            self._behind_s = now_s
        else:
            self._excuse(now_s - limits.GROUP_ACTOR_STALL_MS / 1000)

    def _excuse(self, since_s: float) -> None:
        """Let the others not wait for an actor that is stuck, or they give up its whole node.

        What it hasn't handled stays in its mailbox, whose own limit holds from now on.
        """
        for queued in self._taken.values():
            session = queued.session
            if session is None or not session.owed or max(queued.moved_s, self._behind_s) > since_s:
                continue
            log.error("group_member_stuck", session=queued.name, waiting=session.owed)
            queued.excused += session.owed
            session.consumed(session.owed)

    def _work(self) -> None:
        """Serve every seat as far as its session and the engine allow."""
        self._budget = limits.GROUP_QUEUE_SOFT
        for queued in list(self._busy):
            if queued.is_over:
                self._refuse(queued, NotDelivered(f"{queued.name} has stopped"))
            elif queued.session is not None or self._is_opened(queued):
                self._serve(queued)
        self.look()
        if self._senders:
            self._rest(self._get_host())

    def _serve(self, queued: QueuedSession) -> None:
        waiting = queued.waiting
        host = self._get_host()
        is_first = True
        while waiting:
            command = waiting[0]
            try:
                if type(command) is Submit:
                    if host.paused or not self._budget:
                        raise MailboxFull("not now")
                    self._budget -= 1
                self._do(queued, command)
            except MailboxFull:
                if not is_first:  # who had no turn yet comes before it next time
                    del self._busy[queued]
                    self._busy[queued] = None
                self._rest(host)
                return
            except LocalProtocolError as error:
                queued.user.on_refused(self._drop(queued), error)
            else:
                self._drop(queued)
            is_first = False
            if queued.is_over:
                self._refuse(queued, NotDelivered(f"{queued.name} has stopped"))
        self._busy.pop(queued, None)

    def _refuse(self, queued: QueuedSession, error: ZactorError) -> None:
        self._busy.pop(queued, None)
        while queued.waiting:
            queued.user.on_refused(self._drop(queued), error)

    def _drop(self, queued: QueuedSession) -> SessionCommand:
        command = queued.waiting.popleft()
        self._waiting -= 1
        if type(command) is Submit:
            self._waiting_bytes -= len(command.payload)
        return command

    def _do(self, queued: QueuedSession, command: SessionCommand) -> None:
        session = queued.session
        if session is None:  # it never was open, and this closes it
            queued.is_over = True
            return
        match command:
            case Submit():
                session.submit(command.service, command.groups, command.payload, command.discard)
            case Join():
                session.join(command.group)
            case Leave():
                session.leave(command.group)
            case SessionClosed():
                queued.session = None
                queued.is_over = True
                del self._taken[queued.name]
                session.close()
                self._ask_for_turn()  # whoever waits for the name
            case SessionOpened():
                pass  # it is open
            case _:
                assert_never(command)

    def _get_host(self) -> GroupHost:
        if self._host is None:
            self._host = self._find_host()
        return self._host

    # -- waiting -----------------------------------------------------------------------------
    def _rest(self, host: GroupHost) -> None:
        if not self._resting:
            self._resting = True
            self._spawn(self._until_room(host))

    async def _until_room(self, host: GroupHost) -> None:
        try:
            if not self._budget:
                await asyncio.sleep(0)  # the engine sends what it got
            elif not host.paused:
                await asyncio.sleep(_FULL_POLL_S)
            await host.room()
        finally:
            self._resting = False
        self._work()

    def _is_opened(self, queued: QueuedSession) -> bool:
        """Begin to open a seat whose name is free; whether it can be served now."""
        if type(queued.waiting[0]) is SessionClosed:
            return True  # it never was open: that is all that is left of it
        if queued.name not in self._taken:
            self._taken[queued.name] = queued
            self._spawn(self._open(queued))
        return False

    async def _open(self, queued: QueuedSession) -> None:
        try:
            queued.session = await self._get_host().open_session(queued.name, queued.user)
        except ZactorError as error:
            del self._taken[queued.name]
            queued.user.on_refused(SessionOpened(queued.name), error)
            self._refuse(queued, error)
        self._work()
