"""Sessions of programs that are no actors: one for each connection at the door that wants one.

What a client asks is done in the order in which it asks; what waits for room, or for a reader that
is behind, holds up what that client asks after it, but nobody else. What is delivered waits here
until the client has room, and counts as consumed when its program has taken it, so a program that
reads slowly slows those who send to its groups. Membership messages have no credit and are bounded
here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import (
    AlreadyExists,
    LocalProtocolError,
    MailboxFull,
    NoSuchThing,
    ZactorError,
)
from zactor.kernel.groups.membership_messages import SessionNames
from zactor.kernel.groups.names import check_destinations, check_group_name
from zactor.kernel.messages.client_sessions import (
    CloseSession,
    JoinGroup,
    LeaveGroup,
    Multicast,
    OpenSession,
    Outgoing,
    ReceiveGroup,
    SessionOperation,
)
from zactor.kernel.messages.operations import Answer, Operation, Problem, Request
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session import Session
from zactor.kernel.sessions.turns import Turns
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.wire import results
from zactor.supervisor.door.client_session import ClientSession

log = structlog.get_logger()

SESSION_OPERATIONS = frozenset(SessionOperation.__args__)
"""The types of what is asked of them."""

_LIVES_BITS = 20  # sessions of one life of a node that have numbers of their own


class ClientSessions:
    """The sessions of a node's clients. Kernel's loop only."""

    def __init__(
        self,
        host: GroupHost,
        hub: Hub,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        """`hub` brings the answers; `spawn` runs what has to wait."""
        self.wording = SessionNames()
        self._turns = Turns(host, spawn)
        self._host = host
        self._hub = hub
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[bytes, ClientSession] = {}  # by the client's routing id
        self._number = 0  # of the last session
        self._said: list[tuple[Client, Answer | Problem]] = []  # to be sent yet
        self._due: list[ClientSession] = []  # have news, and polls that wait for news
        self._check: asyncio.TimerHandle | None = None

    # -- what clients ask --------------------------------------------------------------------
    def take(self, client: Client, request: Request) -> None:
        """A client asks one of SESSION_OPERATIONS."""
        try:
            self._take(client, request)
        except ZactorError as error:
            self._hub.answer(client, results.problem(request.number, error))

    def _take(self, client: Client, request: Request) -> None:
        operation = request.operation
        client_session = self._sessions.get(client.routing_id)
        if isinstance(operation, OpenSession):
            if client_session is not None:
                raise LocalProtocolError("this connection has a session: open another connection")
            client_session = self._sessions[client.routing_id] = ClientSession(self, client)
            client_session.unwatch = self._hub.door.clients.watch(
                client, lambda: self._lose(client_session)
            )
            self._spawn(self._open(client_session, request.number, operation.name))
            return
        if client_session is None or (client_session.session is None and not client_session.ended):
            raise NoSuchThing(f"this connection has no session on {self._host.me.name}")
        if client_session.ended:
            raise MailboxFull(client_session.ended)
        if isinstance(operation, ReceiveGroup):
            self._receive(client_session, request.number, operation)
            return
        if len(client_session.requests) >= limits.GROUP_REQUESTS_MAX:
            raise MailboxFull(
                f"{len(client_session.requests)} requests of yours wait: wait for some of them"
            )
        client_session.requests.append(request)
        if len(client_session.requests) == 1:
            self.work(client_session)

    async def _open(self, client_session: ClientSession, number: int, name: str) -> None:
        try:
            if name:
                check_group_name("session", name)
                session = await self._host.open_session(name, client_session)
            else:
                session = await self._open_nameless(client_session)
        except ZactorError as error:
            self._forget(client_session)
            self._hub.answer(client_session.client, results.problem(number, error))
            return
        if client_session.is_over:
            session.close()
            return
        client_session.session = session
        self._number += 1
        opened = {
            "name": session.name,
            "private_group": session.private_group,
            "node": self._host.me.name,
            "number": (self._host.me.incarnation << _LIVES_BITS) + self._number,
        }
        self._answer(client_session, number, opened)

    async def _open_nameless(self, client_session: ClientSession) -> Session:
        number = self._number
        while True:
            number += 1
            try:
                return await self._host.open_session(f"client-{number}", client_session)
            except AlreadyExists:
                continue  # somebody called itself so; there are GROUP_SESSIONS_MAX at most

    def work(self, client_session: ClientSession) -> None:
        """Do what the client has asked, in order, as far as there is room."""
        while client_session.requests:
            request = client_session.requests[0]
            try:
                is_done = self._perform(client_session, request.operation)
            except ZactorError as error:
                self._say_later(client_session, results.problem(request.number, error))
            else:
                if not is_done:
                    return
                self._say_later(client_session, *results.answers(request.number, {}))
            client_session.done = 0
            client_session.requests.popleft()
            if client_session.is_over:
                self._forget(client_session)
                return

    def _say_later(self, client_session: ClientSession, *outbound: Answer | Problem) -> None:
        """Answer after what the request brings about in this turn: so a client wakes up once."""
        if not self._said:
            self._loop.call_soon(self._loop.call_soon, self._say)
        self._said += [(client_session.client, each) for each in outbound]

    def _say(self) -> None:
        said, self._said = self._said, []
        for client, outbound in said:
            self._hub.answer(client, outbound)

    def _perform(self, client_session: ClientSession, operation: Operation) -> bool:
        """Return False where the rest of it has to wait."""
        session = client_session.session
        assert session is not None, "the session is open"
        match operation:
            case Multicast():
                return self._submit(client_session, session, operation.messages)
            case JoinGroup():
                session.join(check_group_name("group", operation.group))
            case LeaveGroup():
                session.leave(operation.group)
            case CloseSession():
                client_session.is_over = True
                session.close()
            case _:
                raise AssertionError(f"{operation} is no operation of a session")
        return True

    def _submit(
        self, client_session: ClientSession, session: Session, outgoing: tuple[Outgoing, ...]
    ) -> bool:
        for message in outgoing[client_session.done :]:
            is_sent = self._turns.submit(
                client_session,
                session,
                message.service,
                check_destinations(message.groups),
                message.payload,
                message.discard,
                message.mess_type,
                message.count,
            )
            if not is_sent:
                return False
            client_session.done += 1
        return True

    # -- what clients get --------------------------------------------------------------------
    def _receive(self, client_session: ClientSession, number: int, asked: ReceiveGroup) -> None:
        if not 0 <= asked.consumed <= client_session.given:
            raise LocalProtocolError(
                f"{asked.consumed} consumed, {client_session.given} are under way"
            )
        if asked.room and len(client_session.polls) >= limits.GROUP_POLLS_MAX:
            raise LocalProtocolError(
                f"{len(client_session.polls)} requests to receive are under way already"
            )
        if asked.consumed:
            assert client_session.session is not None, "the session is open"
            client_session.given -= asked.consumed
            client_session.owed -= asked.consumed
            client_session.moved_s = self._loop.time()
            client_session.session.consumed(asked.consumed)
        if asked.room <= 0:
            self._answer(client_session, number, ())
            return
        client_session.polls.append((number, asked.room))
        self._give(client_session)

    def has_news(self, client_session: ClientSession) -> None:
        """Something is there for a client: it leaves when this turn of the loop is over."""
        if client_session.polls and not client_session.is_due:
            client_session.is_due = True
            if not self._due:
                self._loop.call_soon(self._give_all)
            self._due.append(client_session)

    def _give_all(self) -> None:
        due, self._due = self._due, []
        for client_session in due:
            client_session.is_due = False
            self._give(client_session)

    def _give(self, client_session: ClientSession) -> None:
        while client_session.polls and client_session.waiting:
            number, room = client_session.polls.popleft()
            self._answer(client_session, number, client_session.take(room))

    def _answer(self, client_session: ClientSession, number: int, result: object) -> None:
        for answer in results.answers(number, result):
            self._hub.answer(client_session.client, answer)

    # -- the end of a session ----------------------------------------------------------------
    def _lose(self, client_session: ClientSession) -> None:
        """The client has left without a word."""
        client_session.is_over = True
        if client_session.session is not None:
            log.info("group_client_lost", session=client_session.session.name)
            client_session.session.close()
        self._forget(client_session)

    def _forget(self, client_session: ClientSession) -> None:
        client_session.unwatch()
        self._sessions.pop(client_session.client.routing_id, None)
        for number, _ in client_session.polls:
            self._answer(client_session, number, ())
        self._drop(client_session)

    def _drop(self, client_session: ClientSession) -> None:
        client_session.polls.clear()
        client_session.requests.clear()
        client_session.waiting.clear()
        client_session.changes = client_session.owed = client_session.given = 0
        self._turns.forget(client_session)

    def expel_soon(self, client_session: ClientSession, why: str) -> None:
        """End a session that holds up others, when what is being delivered is delivered."""
        if not client_session.ended:
            name = client_session.session.name if client_session.session is not None else "?"
            client_session.ended = f"session {name} was closed: its program {why}"
            self._loop.call_soon(self._expel, client_session)

    def _expel(self, client_session: ClientSession) -> None:
        if client_session.is_over or client_session.session is None:
            return
        log.warning(
            "group_client_closed", session=client_session.session.name, why=client_session.ended
        )
        client_session.session.close()
        numbers = [number for number, _ in client_session.polls]
        numbers += [request.number for request in client_session.requests]
        for number in numbers:
            self._hub.answer(
                client_session.client, results.problem(number, MailboxFull(client_session.ended))
            )
        self._drop(client_session)  # the session stays: the client is told when it asks again

    def watch_progress(self, client_session: ClientSession) -> None:
        """A client has something to take: check now and then whether it does."""
        client_session.moved_s = self._loop.time()
        if self._check is None:
            self._check = self._loop.call_later(limits.GROUP_LOOK_MS / 1000, self._check_progress)

    def _check_progress(self) -> None:
        """Close the clients that let others wait for too long: who takes nothing, never will."""
        self._check = None
        holding = [
            client_session for client_session in self._sessions.values() if client_session.owed
        ]
        if not holding:
            return
        now_s = self._loop.time()
        self._check = self._loop.call_later(limits.GROUP_LOOK_MS / 1000, self._check_progress)
        long_s = limits.GROUP_CLIENT_STALL_MS / 1000
        for client_session in holding:
            if not self._is_behind(client_session):
                client_session.behind_s = None
                continue
            if client_session.behind_s is None:
                client_session.behind_s = now_s
            if now_s - max(client_session.moved_s, client_session.behind_s) >= long_s:
                why = f"took nothing for {long_s:g} s while others waited for it"
                self.expel_soon(client_session, why)

    def _is_behind(self, client_session: ClientSession) -> bool:
        session = client_session.session
        return session is not None and session.name in self._host.behind

    def close(self) -> None:
        """The node stops: check nobody any more."""
        if self._check is not None:
            self._check.cancel()
