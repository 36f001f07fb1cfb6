"""Sessions of programs that are no actors: one for each connection at the door that wants one.

What a client asks is done in the order in which it asks; what waits for room holds up what that
client asks after it, but nobody else. What is delivered waits here until the client has room, and
counts as consumed when its program has taken it, so a program that reads slowly slows those who
send to it. What a node holds for a client is bounded by the engine, which withholds credit beyond
GROUP_BACKLOG_MESSAGES; membership messages have no credit and are bounded here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from zactor.kernel import config
from zactor.kernel.errors import (
    AlreadyExists,
    LocalProtocolError,
    MailboxFull,
    NoSuchThing,
    ZactorError,
)
from zactor.kernel.protocol import messages
from zactor.kernel.protocol.groupnames import check_destinations, check_group_name
from zactor.kernel.transport.grouphost import GroupHost
from zactor.kernel.transport.groupsession import Session
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.seam import Client
from zactor.kernel.wire import results
from zactor.supervisor.groupnews import Wording
from zactor.supervisor.groupseat import Seat

log = structlog.get_logger()

SESSION_OPERATIONS = frozenset(messages.SessionOperation.__args__)
"""The types of what the desk is asked."""

_LIVES_BITS = 20  # sessions of one life of a node that have numbers of their own


class GroupDesk:
    """The sessions of a node's clients. Kernel thread only."""

    def __init__(
        self,
        host: GroupHost,
        hub: Hub,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        """`hub` brings the answers; `spawn` runs what has to wait."""
        self.wording = Wording()
        self._host = host
        self._hub = hub
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._seats: dict[bytes, Seat] = {}  # by the client's routing id
        self._number = 0  # of the last session
        self._said: list[tuple[Client, messages.Answer | messages.Problem]] = []  # to be sent yet
        self._due: list[Seat] = []  # have news, and polls that wait for news
        self._stalled: deque[Seat] = deque()  # have something to send, and there is no room
        self._is_resuming = False
        self._look: asyncio.TimerHandle | None = None
        self._behind_s: float | None = None  # loop time since which this node is behind

    # -- what clients ask --------------------------------------------------------------------
    def take(self, client: Client, request: messages.Request) -> None:
        """A client asks one of SESSION_OPERATIONS."""
        try:
            self._take(client, request)
        except ZactorError as error:
            self._hub.answer(client, results.problem(request.number, error))

    def _take(self, client: Client, request: messages.Request) -> None:
        operation = request.operation
        seat = self._seats.get(client.routing_id)
        if isinstance(operation, messages.OpenSession):
            if seat is not None:
                raise LocalProtocolError("this connection has a session: open another connection")
            seat = self._seats[client.routing_id] = Seat(self, client)
            seat.unwatch = self._hub.door.clients.watch(client, lambda: self._lose(seat))
            self._spawn(self._open(seat, request.number, operation.name))
            return
        if seat is None or (seat.session is None and not seat.ended):
            raise NoSuchThing(f"this connection has no session on {self._host.me.name}")
        if seat.ended:
            raise MailboxFull(seat.ended)
        if isinstance(operation, messages.ReceiveGroup):
            self._receive(seat, request.number, operation)
            return
        if len(seat.requests) >= config.GROUP_REQUESTS_MAX:
            raise MailboxFull(f"{len(seat.requests)} requests of yours wait: wait for some of them")
        seat.requests.append(request)
        if len(seat.requests) == 1:
            self._work(seat)

    async def _open(self, seat: Seat, number: int, name: str) -> None:
        try:
            if name:
                check_group_name("session", name)
                session = await self._host.open_session(name, seat)
            else:
                session = await self._open_nameless(seat)
        except ZactorError as error:
            self._forget(seat)
            self._hub.answer(seat.client, results.problem(number, error))
            return
        if seat.is_gone:
            session.close()
            return
        seat.session = session
        self._number += 1
        opened = {
            "name": session.name,
            "private_group": session.private_group,
            "node": self._host.me.name,
            "number": (self._host.me.incarnation << _LIVES_BITS) + self._number,
        }
        self._answer(seat, number, opened)

    async def _open_nameless(self, seat: Seat) -> Session:
        number = self._number
        while True:
            number += 1
            try:
                return await self._host.open_session(f"client-{number}", seat)
            except AlreadyExists:
                continue  # somebody called itself so; there are GROUP_SESSIONS_MAX at most

    def _work(self, seat: Seat) -> None:
        """Do what the client has asked, in order, as far as there is room."""
        while seat.requests:
            request = seat.requests[0]
            try:
                is_done = self._perform(seat, request.operation)
            except ZactorError as error:
                self._say_later(seat, results.problem(request.number, error))
            else:
                if not is_done:
                    self._wait_for_room(seat)
                    return
                self._say_later(seat, *results.answers(request.number, {}))
            seat.done = 0
            seat.requests.popleft()
            if seat.is_gone:
                self._forget(seat)
                return

    def _say_later(self, seat: Seat, *outbound: messages.Answer | messages.Problem) -> None:
        """Answer after what the request brings about in this turn: so a client wakes up once."""
        if not self._said:
            self._loop.call_soon(self._loop.call_soon, self._say)
        self._said += [(seat.client, each) for each in outbound]

    def _say(self) -> None:
        said, self._said = self._said, []
        for client, outbound in said:
            self._hub.answer(client, outbound)

    def _perform(self, seat: Seat, operation: messages.Operation) -> bool:
        """Return False where there is no room for the rest of it."""
        session = seat.session
        assert session is not None, "the session is open"
        match operation:
            case messages.Multicast():
                return self._submit(seat, session, operation.messages)
            case messages.JoinGroup():
                session.join(check_group_name("group", operation.group))
            case messages.LeaveGroup():
                session.leave(operation.group)
            case messages.CloseSession():
                seat.is_gone = True
                session.close()
            case _:
                raise AssertionError(f"{operation} is no operation of a session")
        return True

    def _submit(
        self, seat: Seat, session: Session, outgoing: tuple[messages.Outgoing, ...]
    ) -> bool:
        host = self._host
        for message in outgoing[seat.done :]:
            if host.paused:
                return False
            groups = check_destinations(message.groups)
            try:
                session.submit(
                    message.service, groups, message.payload, message.discard, message.mess_type
                )
            except MailboxFull:
                return False  # very many clients in one turn: it will say soon that it is paused
            seat.done += 1
        return True

    # -- room --------------------------------------------------------------------------------
    def _wait_for_room(self, seat: Seat) -> None:
        self._stalled.append(seat)
        if not self._is_resuming:
            self._is_resuming = True
            self._spawn(self._resume())

    async def _resume(self) -> None:
        """Let those who wait go on, one after the other: who stalls again stands last."""
        try:
            while self._stalled:
                await asyncio.sleep(0)  # what was submitted leaves at the end of a turn
                await self._host.room()
                if self._stalled:  # or who waited went meanwhile
                    self._work(self._stalled.popleft())
        finally:
            self._is_resuming = False

    # -- what clients get --------------------------------------------------------------------
    def _receive(self, seat: Seat, number: int, asked: messages.ReceiveGroup) -> None:
        if not 0 <= asked.consumed <= seat.given:
            raise LocalProtocolError(f"{asked.consumed} consumed, {seat.given} are under way")
        if asked.room and len(seat.polls) >= config.GROUP_POLLS_MAX:
            raise LocalProtocolError(f"{len(seat.polls)} requests to receive are under way already")
        if asked.consumed:
            assert seat.session is not None, "the session is open"
            seat.given -= asked.consumed
            seat.owed -= asked.consumed
            seat.moved_s = self._loop.time()
            seat.session.consumed(asked.consumed)
        if asked.room <= 0:
            self._answer(seat, number, ())
            return
        seat.polls.append((number, asked.room))
        self._give(seat)

    def note_news(self, seat: Seat) -> None:
        """Something is there for a client: it leaves when this turn of the loop is over."""
        if seat.polls and not seat.is_due:
            seat.is_due = True
            if not self._due:
                self._loop.call_soon(self._give_all)
            self._due.append(seat)

    def _give_all(self) -> None:
        due, self._due = self._due, []
        for seat in due:
            seat.is_due = False
            self._give(seat)

    def _give(self, seat: Seat) -> None:
        while seat.polls and seat.waiting:
            number, room = seat.polls.popleft()
            self._answer(seat, number, seat.take(room))

    def _answer(self, seat: Seat, number: int, result: object) -> None:
        for answer in results.answers(number, result):
            self._hub.answer(seat.client, answer)

    # -- the end of a session ----------------------------------------------------------------
    def _lose(self, seat: Seat) -> None:
        """The client went without a word."""
        seat.is_gone = True
        if seat.session is not None:
            log.info("group_client_lost", session=seat.session.name)
            seat.session.close()
        self._forget(seat)

    def _forget(self, seat: Seat) -> None:
        seat.unwatch()
        self._seats.pop(seat.client.routing_id, None)
        for number, _ in seat.polls:
            self._answer(seat, number, ())
        self._drop(seat)

    def _drop(self, seat: Seat) -> None:
        seat.polls.clear()
        seat.requests.clear()
        seat.waiting.clear()
        seat.changes = seat.owed = seat.given = 0
        if seat in self._stalled:
            self._stalled.remove(seat)

    def expel_soon(self, seat: Seat, why: str) -> None:
        """End a session that holds up others, when what is being delivered is delivered."""
        if not seat.ended:
            name = seat.session.name if seat.session is not None else "?"
            seat.ended = f"session {name} was closed: its program {why}"
            self._loop.call_soon(self._expel, seat)

    def _expel(self, seat: Seat) -> None:
        if seat.is_gone or seat.session is None:
            return
        log.warning("group_client_closed", session=seat.session.name, why=seat.ended)
        seat.session.close()
        numbers = [number for number, _ in seat.polls]
        numbers += [request.number for request in seat.requests]
        for number in numbers:
            self._hub.answer(seat.client, results.problem(number, MailboxFull(seat.ended)))
        self._drop(seat)  # the seat stays: the client is told when it asks again

    def watch_progress(self, seat: Seat) -> None:
        """A client has something to take: look now and then whether it does."""
        seat.moved_s = self._loop.time()
        if self._look is None:
            self._look = self._loop.call_later(config.GROUP_LOOK_MS / 1000, self._look_around)

    def _look_around(self) -> None:
        """Close the client that lets others wait for too long, or they give up this node.

        The one that holds most goes first: perhaps then nobody else has to.
        """
        self._look = None
        holding = [seat for seat in self._seats.values() if seat.owed]
        if not holding:
            self._behind_s = None
            return
        now_s = self._loop.time()
        self._look = self._loop.call_later(config.GROUP_LOOK_MS / 1000, self._look_around)
        if not self._host.is_behind:
            self._behind_s = None
            return
        since_s = self._behind_s = self._behind_s if self._behind_s is not None else now_s
        long_s = config.GROUP_CLIENT_STALL_MS / 1000
        stuck = [seat for seat in holding if now_s - max(seat.moved_s, since_s) >= long_s]
        if stuck:
            most = max(stuck, key=lambda seat: seat.owed)
            self.expel_soon(most, f"took nothing for {long_s:g} s while others waited for it")

    def close(self) -> None:
        """The node stops: look after nobody any more."""
        if self._look is not None:
            self._look.cancel()
