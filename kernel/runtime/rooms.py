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

from zactor.kernel import config
from zactor.kernel.errors import LocalProtocolError, MailboxFull, NotDelivered, ZactorError
from zactor.kernel.protocol.events import Join, Leave, SessionClosed, SessionOpened, Submit
from zactor.kernel.runtime.refs import Reply
from zactor.kernel.transport.groupsession import Session, SessionUser

if TYPE_CHECKING:
    from zactor.kernel.transport.grouphost import GroupHost

log = structlog.get_logger()

Command = SessionOpened | Join | Leave | Submit | SessionClosed

_FULL_POLL_S = 0.01  # how often the engine's hard limit is tried again: nothing tells of its end


def at_once(call: Callable[[], None]) -> None:
    """Put nothing off."""
    call()


class SeatUser(SessionUser, Protocol):
    """Who owns a seat; called in the host's thread."""

    def on_refused(self, command: Command, error: ZactorError) -> None:
        """The engine didn't take that command. After a SessionOpened the seat is shut again."""


class Seat:
    """One session of this node, open, not yet open or closed."""

    __slots__ = ("_rooms", "excused", "is_over", "moved_s", "name", "session", "user", "waiting")

    def __init__(self, rooms: Rooms, name: str, user: SeatUser) -> None:
        self._rooms = rooms
        self.name = name
        self.user = user
        self.session: Session | None = None
        self.waiting: deque[Command] = deque()
        self.is_over = False  # it was closed, and is never opened again
        self.moved_s = 0.0  # when something was got through last, in the loop's time
        self.excused = 0  # messages that nobody waits for any more: see Rooms._excuse

    def put(self, command: Command) -> None:
        """Have this done, after what was put before. The first opens the session. Threads: any.

        After a SessionClosed nothing is done any more.

        Raises:
            MailboxFull: too many messages wait; this one, a Submit, was not taken.
        """
        self._rooms.put(self, command)

    def consumed(self, count: int) -> None:
        """So many messages were got through, or dropped. Threads: any."""
        self._rooms.consumed(self, count)


class Rooms:
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
        self._outbox: deque[tuple[Seat, Command]] = deque()
        self._handled: deque[tuple[Seat, int]] = deque()
        self._busy: dict[Seat, None] = {}  # seats with something waiting, in the order to serve
        self._taken: dict[str, Seat] = {}  # names that are open, or about to be
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
        is_full = host.paused or len(self._outbox) + self._waiting > config.GROUP_QUEUE_SOFT
        return is_full and not host.is_behind

    def put(self, seat: Seat, command: Command) -> None:
        """See Seat.put. Threads: any."""
        if type(command) is Submit:
            waiting = len(self._outbox) + self._waiting
            too_long = self._waiting_bytes >= config.GROUP_QUEUE_HARD_BYTES
            if waiting >= config.GROUP_QUEUE_HARD or too_long:
                raise MailboxFull(
                    f"{waiting} messages to groups wait for credit: send less, or await multicast"
                )
        self._outbox.append((seat, command))
        self._wake()

    def consumed(self, seat: Seat, count: int) -> None:
        """See Seat.consumed. Threads: any."""
        self._handled.append((seat, count))
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
            seat, command = self._outbox.popleft()
            seat.waiting.append(command)
            self._waiting += 1
            if type(command) is Submit:
                self._waiting_bytes += len(command.payload)
            self._busy[seat] = None
        self._work()

    def _settle(self) -> None:
        """Hand over what was got through, and excuse who gets through nothing."""
        now_s = asyncio.get_running_loop().time()
        for _ in range(len(self._handled)):
            seat, count = self._handled.popleft()
            seat.moved_s = now_s
            late = min(count, seat.excused)
            seat.excused -= late
            if seat.session is not None:
                seat.session.consumed(count - late)
        if not self._get_host().is_behind:
            self._behind_s = math.inf
        elif self._behind_s == math.inf:
            self._behind_s = now_s
        else:
            self._excuse(now_s - config.GROUP_ACTOR_STALL_MS / 1000)

    def _excuse(self, since_s: float) -> None:
        """Let the others not wait for an actor that is stuck, or they give up its whole node.

        What it hasn't handled stays in its mailbox, whose own limit holds from now on.
        """
        for seat in self._taken.values():
            session = seat.session
            if session is None or not session.owed or max(seat.moved_s, self._behind_s) > since_s:
                continue
            log.error("group_member_stuck", session=seat.name, waiting=session.owed)
            seat.excused += session.owed
            session.consumed(session.owed)

    def _work(self) -> None:
        """Serve every seat as far as its session and the engine allow."""
        self._budget = config.GROUP_QUEUE_SOFT
        for seat in list(self._busy):
            if seat.is_over:
                self._refuse(seat, NotDelivered(f"{seat.name} has stopped"))
            elif seat.session is not None or self._is_opened(seat):
                self._serve(seat)
        self.look()
        if self._senders:
            self._rest(self._get_host())

    def _serve(self, seat: Seat) -> None:
        waiting = seat.waiting
        host = self._get_host()
        is_first = True
        while waiting:
            command = waiting[0]
            try:
                if type(command) is Submit:
                    if host.paused or not self._budget:
                        raise MailboxFull("not now")
                    self._budget -= 1
                self._do(seat, command)
            except MailboxFull:
                if not is_first:  # who had no turn yet comes before it next time
                    del self._busy[seat]
                    self._busy[seat] = None
                self._rest(host)
                return
            except LocalProtocolError as error:
                seat.user.on_refused(self._drop(seat), error)
            else:
                self._drop(seat)
            is_first = False
            if seat.is_over:
                self._refuse(seat, NotDelivered(f"{seat.name} has stopped"))
        self._busy.pop(seat, None)

    def _refuse(self, seat: Seat, error: ZactorError) -> None:
        self._busy.pop(seat, None)
        while seat.waiting:
            seat.user.on_refused(self._drop(seat), error)

    def _drop(self, seat: Seat) -> Command:
        command = seat.waiting.popleft()
        self._waiting -= 1
        if type(command) is Submit:
            self._waiting_bytes -= len(command.payload)
        return command

    def _do(self, seat: Seat, command: Command) -> None:
        session = seat.session
        if session is None:  # it never was open, and this closes it
            seat.is_over = True
            return
        match command:
            case Submit():
                session.submit(command.service, command.groups, command.payload, command.discard)
            case Join():
                session.join(command.group)
            case Leave():
                session.leave(command.group)
            case SessionClosed():
                seat.session = None
                seat.is_over = True
                del self._taken[seat.name]
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

    def _is_opened(self, seat: Seat) -> bool:
        """Begin to open a seat whose name is free; whether it can be served now."""
        if type(seat.waiting[0]) is SessionClosed:
            return True  # it never was open: that is all that is left of it
        if seat.name not in self._taken:
            self._taken[seat.name] = seat
            self._spawn(self._open(seat))
        return False

    async def _open(self, seat: Seat) -> None:
        try:
            seat.session = await self._get_host().open_session(seat.name, seat.user)
        except ZactorError as error:
            del self._taken[seat.name]
            seat.user.on_refused(SessionOpened(seat.name), error)
            self._refuse(seat, error)
        self._work()
