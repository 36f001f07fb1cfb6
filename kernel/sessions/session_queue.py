"""SessionQueue: what sessions of this node want of the group engine, from any thread, in order.

What a thread puts is queued here and handed to the engine's shell in one go, at the next turn of
that shell's thread, the host's thread. A session whose next message is for a full group is held,
with what it puts after it, and counted apart: nobody else waits for that reader. The rule a reader
must not break: nobody waits here for credit that only he can bring. Who is held while he is behind
himself isn't muted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, MailboxFull, NotDelivered, ZactorError
from zactor.kernel.groups.events import Join, Leave, SessionClosed, SessionOpened, Submit
from zactor.kernel.messages.service import Service
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
        "callers",
        "excused",
        "is_held",
        "is_over",
        "moved_s",
        "name",
        "opened",
        "user",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, session_queue: SessionQueue, name: str, user: QueuedSessionUser) -> None:
        self._session_queue = session_queue
        self.name = name
        self.user = user
        self.opened: Session | None = None
        self.waiting: deque[SessionCommand] = deque()
        self.waiting_bytes = 0
        self.is_held = False  # the first of `waiting` is for a full group
        self.callers: deque[Callable[[], None]] = deque()  # see `when_free`
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

    @property
    def congested(self) -> bool:
        """Whether who sends by it should wait before it sends more. Threads: any."""
        return self._session_queue.is_congested(self)

    def when_free(self, call: Callable[[], None]) -> None:
        """Have `call()` done as soon as it isn't congested: perhaps now. Threads: any."""
        self._session_queue.when_free(self, call)

    def recheck(self) -> None:
        """Something came in: it may be behind, and then nobody may wait to send by it."""
        if self.callers:
            self._session_queue.recheck(self)


class _Waiting:
    """Commands that wait, and the bytes of their payloads."""

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0


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
        self._held: dict[QueuedSession, None] = {}
        self._waiting = _Waiting()  # in the sessions that aren't held
        self._waiting_held = _Waiting()  # in those that are
        self._callers: dict[QueuedSession, None] = {}  # by whom somebody waits to send
        self._behind_s: dict[str, float] = {}  # since when each session is seen to be behind
        self._budget = 0  # messages that may be submitted before the engine is looked at again
        self._resting = False  # a task waits until the engine takes more

    # -- any thread --------------------------------------------------------------------------
    def is_congested(self, session: QueuedSession) -> bool:
        """See QueuedSession.congested. Threads: any."""
        host = self._host
        if host is None:
            return False
        if session.is_held:
            is_full = (
                len(session.waiting) > limits.GROUP_HELD_SOFT
                or session.waiting_bytes > limits.GROUP_HELD_SOFT_BYTES
            )
            return is_full and session.name not in host.behind
        return host.paused or len(self._outbox) + self._waiting.count > limits.GROUP_QUEUE_SOFT

    def put(self, session: QueuedSession, command: SessionCommand) -> None:
        """See QueuedSession.put. Threads: any."""
        if type(command) is Submit:
            self._check_room(session, command)
        self._outbox.append((session, command))
        self._wake()

    def _check_room(self, session: QueuedSession, command: Submit) -> None:
        waiting = len(self._outbox) + self._waiting.count
        too_long = self._waiting.size >= limits.GROUP_QUEUE_HARD_BYTES
        if waiting >= limits.GROUP_QUEUE_HARD or (too_long and not session.is_held):
            raise MailboxFull(
                f"{waiting} messages to groups wait for credit: send less, or await multicast"
            )
        held = self._waiting_held
        if session.is_held and (
            len(session.waiting) >= limits.GROUP_HELD_HARD
            or session.waiting_bytes >= limits.GROUP_HELD_HARD_BYTES
            or held.count >= limits.GROUP_HELD_ALL
            or held.size >= limits.GROUP_HELD_ALL_BYTES
        ):
            raise MailboxFull(
                f"{len(session.waiting)} messages of {session.name} wait for a slow member of "
                f"{' '.join(command.groups)[:200]}, or of a group before: send less, or await "
                "multicast"
            )

    def consumed(self, session: QueuedSession, count: int) -> None:
        """See QueuedSession.consumed. Threads: any."""
        self._handled.append((session, count))
        self._wake()

    def when_free(self, session: QueuedSession, call: Callable[[], None]) -> None:
        """See QueuedSession.when_free. Threads: any."""
        if not self.is_congested(session):
            call()
            return
        session.callers.append(call)
        self._callers[session] = None
        self._wake()  # it may end just now, and nobody else would look

    def is_idle(self) -> bool:
        """Whether nothing waits here. Threads: any."""
        return not (self._outbox or self._handled or self._due or self._busy or self._held)

    def _wake(self) -> None:
        if not self._due:
            self._coalesce(self._ask_for_turn)

    def _ask_for_turn(self) -> None:
        if not self._due:
            self._due = True
            self._post(self.turn)

    # -- a turn ------------------------------------------------------------------------------
    def recheck(self, session: QueuedSession) -> None:
        """Tell those who wait to send by it, if they need not."""
        if not self.is_congested(session):
            self._callers.pop(session, None)
            while session.callers:
                session.callers.popleft()()

    def turn(self) -> None:
        """Take what was put. A call now and then helps where it was put off for too long."""
        self._due = False
        self._get_host()
        self._settle()
        for _ in range(len(self._outbox)):
            session, command = self._outbox.popleft()
            session.waiting.append(command)
            self._count(session, 1, len(command.payload) if type(command) is Submit else 0)
            if not session.is_held:
                self._busy[session] = None
        self._work()

    def _count(self, session: QueuedSession, count: int, size: int) -> None:
        """So many more commands wait in the session, with so many bytes; below 0: fewer."""
        session.waiting_bytes += size
        waiting = self._waiting_held if session.is_held else self._waiting
        waiting.count += count
        waiting.size += size

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
        behind = self._get_host().behind
        if behind or self._behind_s:
            self._behind_s = {name: self._behind_s.get(name, now_s) for name in behind}
            self._excuse(now_s - limits.GROUP_ACTOR_STALL_MS / 1000)

    def _excuse(self, since_s: float) -> None:
        """Let the others not wait for an actor that is stuck: it would be for ever.

        What it hasn't handled stays in its mailbox, whose own limit holds from now on.
        """
        for name, behind_s in self._behind_s.items():
            session = self._taken.get(name)
            opened = session.opened if session is not None else None
            if session is None or opened is None or not opened.owed:
                continue
            if max(session.moved_s, behind_s) > since_s:
                continue
            log.error("group_member_stuck", session=name, waiting=opened.owed)
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
        for session in list(self._callers):
            self.recheck(session)
        if any(not session.is_held for session in self._callers):
            self._rest(self._get_host())  # who is held waits for a reader

    def _serve(self, session: QueuedSession) -> None:
        waiting = session.waiting
        host = self._get_host()
        is_first = True
        while waiting:
            command = waiting[0]
            try:
                if type(command) is Submit:
                    if command.service is not Service.UNRELIABLE and host.is_full(command.groups):
                        self._hold(session)
                        return
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

    def _hold(self, session: QueuedSession) -> None:
        """Its next message is for a full group: it waits for that, and for nothing else."""
        self._busy.pop(session, None)
        self._held[session] = None
        self._set_held(session, True)

    def _let_go(self) -> None:
        """Some group may be full no more: who was held tries again."""
        held, self._held = self._held, {}
        for session in held:
            self._set_held(session, False)
            self._busy[session] = None
        self._work()

    def _set_held(self, session: QueuedSession, is_held: bool) -> None:
        count, size = len(session.waiting), session.waiting_bytes
        sign = 1 if is_held else -1
        session.is_held = is_held
        self._waiting_held.count += sign * count
        self._waiting_held.size += sign * size
        self._waiting.count -= sign * count
        self._waiting.size -= sign * size

    def _refuse(self, session: QueuedSession, error: ZactorError) -> None:
        self._busy.pop(session, None)
        while session.waiting:
            session.user.on_refused(self._drop(session), error)

    def _drop(self, session: QueuedSession) -> SessionCommand:
        command = session.waiting.popleft()
        self._count(session, -1, -len(command.payload) if type(command) is Submit else 0)
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
            self._host.on_credit(self._let_go)
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
