"""SessionQueue: what sessions of this node want of the group engine, from any thread, in order.

What a thread puts is queued here and handed to the engine's shell in one go, at the next turn of
that shell's thread, the host's thread. The rule a reader must not break: nobody waits here for
credit that only he can bring. While this node is so far behind that it withholds credit from all,
its own senders aren't muted by the soft limit.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from zactor.kernel import limits
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


class QueuedSessionUser(SessionUser):
    """Who owns a queued session; called in the host's thread."""

    __slots__ = ()

    def on_refused(self, command: SessionCommand, error: ZactorError) -> None:
        """The engine didn't take that command. After a SessionOpened it isn't open after all."""
        raise NotImplementedError


class QueuedSession:
    """One session of this node, open, not yet open or closed."""

    __slots__ = (
        "_session_queue",
        "excused",
        "is_over",
        "moved_s",
        "name",
        "opened",
        "user",
        "waiting",
    )

    def __init__(self, session_queue: SessionQueue, name: str, user: QueuedSessionUser) -> None:
        self._session_queue = session_queue
        self.name = name
        self.user = user
        self.opened: Session | None = None
        self.waiting: deque[SessionCommand] = deque()
        self.is_over = False  # it was closed, and is never opened again
        self.moved_s = 0.0  # when something was got through last, in the loop's time
        self.excused = 0  # messages that nobody waits for any more: see SessionQueue._excuse

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
        self._busy: dict[QueuedSession, None] = {}  # something waits: in the order to serve
        self._taken: dict[str, QueuedSession] = {}  # names that are open, or about to be
        self._waiting = 0  # commands in the sessions
        self._waiting_bytes = 0
        self._when_free: deque[Callable[[], None]] = deque()  # calls to those who await room
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

    def put(self, session: QueuedSession, command: SessionCommand) -> None:
        """See QueuedSession.put. Threads: any."""
        if type(command) is Submit:
            waiting = len(self._outbox) + self._waiting
            too_long = self._waiting_bytes >= limits.GROUP_QUEUE_HARD_BYTES
            if waiting >= limits.GROUP_QUEUE_HARD or too_long:
                raise MailboxFull(
                    f"{waiting} messages to groups wait for credit: send less, or await multicast"
                )
        self._outbox.append((session, command))
        self._wake()

    def consumed(self, session: QueuedSession, count: int) -> None:
        """See QueuedSession.consumed. Threads: any."""
        self._handled.append((session, count))
        self._wake()

    def when_free(self, call: Callable[[], None]) -> None:
        """Have `call()` done as soon as senders need not wait: perhaps now. Threads: any."""
        if not self.congested:
            call()
            return
        self._when_free.append(call)
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
    def recheck(self) -> None:
        """Something came in: this node may be behind, and then nobody may wait for room."""
        if self._when_free and not self.congested:
            self._release()

    def _release(self) -> None:
        while self._when_free:
            self._when_free.popleft()()

    def turn(self) -> None:
        """Take what was put. A call now and then helps where it was put off for too long."""
        self._due = False
        self._get_host()
        self._settle()
        for _ in range(len(self._outbox)):
            session, command = self._outbox.popleft()
            session.waiting.append(command)
            self._waiting += 1
            if type(command) is Submit:
                self._waiting_bytes += len(command.payload)
            self._busy[session] = None
        self._work()

    def _settle(self) -> None:
        """Hand over what was got through, and excuse who gets through nothing."""
        now_s = asyncio.get_running_loop().time()
        for _ in range(len(self._handled)):
            session, count = self._handled.popleft()
            session.moved_s = now_s
            late = min(count, session.excused)
            session.excused -= late
            if session.opened is not None:
                session.opened.consumed(count - late)
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
        for session in self._taken.values():
            opened = session.opened
            if opened is None or not opened.owed or max(session.moved_s, self._behind_s) > since_s:
                continue
            log.error("group_member_stuck", session=session.name, waiting=opened.owed)
            session.excused += opened.owed
            opened.consumed(opened.owed)

    def _work(self) -> None:
        """Serve every session as far as it and the engine allow."""
        self._budget = limits.GROUP_QUEUE_SOFT
        for session in list(self._busy):
            if session.is_over:
                self._refuse(session, NotDelivered(f"{session.name} has stopped"))
            elif session.opened is not None or self._is_opened(session):
                self._serve(session)
        self.recheck()
        if self._when_free:
            self._rest(self._get_host())

    def _serve(self, session: QueuedSession) -> None:
        waiting = session.waiting
        host = self._get_host()
        is_first = True
        while waiting:
            command = waiting[0]
            try:
                if type(command) is Submit:
                    if host.paused or not self._budget:
                        raise MailboxFull("not now")
                    self._budget -= 1
                self._do(session, command)
            except MailboxFull:
                if not is_first:  # who had no turn yet comes before it next time
                    del self._busy[session]
                    self._busy[session] = None
                self._rest(host)
                return
            except LocalProtocolError as error:
                session.user.on_refused(self._drop(session), error)
            else:
                self._drop(session)
            is_first = False
            if session.is_over:
                self._refuse(session, NotDelivered(f"{session.name} has stopped"))
        self._busy.pop(session, None)

    def _refuse(self, session: QueuedSession, error: ZactorError) -> None:
        self._busy.pop(session, None)
        while session.waiting:
            session.user.on_refused(self._drop(session), error)

    def _drop(self, session: QueuedSession) -> SessionCommand:
        command = session.waiting.popleft()
        self._waiting -= 1
        if type(command) is Submit:
            self._waiting_bytes -= len(command.payload)
        return command

    def _do(self, session: QueuedSession, command: SessionCommand) -> None:
        opened = session.opened
        if opened is None:  # it never was open, and this closes it
            session.is_over = True
            return
        match command:
            case Submit():
                opened.submit(command.service, command.groups, command.payload, command.discard)
            case Join():
                opened.join(command.group)
            case Leave():
                opened.leave(command.group)
            case SessionClosed():
                session.opened = None
                session.is_over = True
                del self._taken[session.name]
                opened.close()
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

    def _is_opened(self, session: QueuedSession) -> bool:
        """Begin to open a session whose name is free; whether it can be served now."""
        if type(session.waiting[0]) is SessionClosed:
            return True  # it never was open: that is all that is left of it
        if session.name not in self._taken:
            self._taken[session.name] = session
            self._spawn(self._open(session))
        return False

    async def _open(self, session: QueuedSession) -> None:
        try:
            session.opened = await self._get_host().open_session(session.name, session.user)
        except ZactorError as error:
            del self._taken[session.name]
            session.user.on_refused(SessionOpened(session.name), error)
            self._refuse(session, error)
        self._work()
