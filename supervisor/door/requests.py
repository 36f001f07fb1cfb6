"""Who asks something of this node, at its door or over a link, and what is answered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, OutcomeUnknown, Refused, TimedOut, ZactorError
from zactor.kernel.messages.base import Message
from zactor.kernel.messages.operations import (
    Answer,
    AskActor,
    Leave,
    Operation,
    Problem,
    PutArguments,
    Reads,
    Request,
    Waiting,
)
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.kernel.wire import results
from zactor.supervisor.asker import Asker
from zactor.supervisor.door.client_sessions import SESSION_OPERATIONS, ClientSessions
from zactor.supervisor.door.long_arguments import LongArguments
from zactor.supervisor.membership.members import said_goodbye
from zactor.supervisor.membership.waiting_nodes import WaitingNodes

log = structlog.get_logger()

Outbound = Sequence[Answer | Problem]

_MAY_BE_CUT = AskActor | Reads
"""Operations that end with who waits for them. The others change something, and are done to their
end all the same: half a change would be worse than one that nobody waits for."""


@dataclass(slots=True, eq=False)
class _AskingClient:
    """A client, from its first request under way to its last."""

    client: Client
    under_way: set[_OpenRequest] = field(default_factory=set)  # not answered
    bytes: int = 0  # of these
    unwatch: Callable[[], None] = lambda: None


@dataclass(slots=True, eq=False)
class _OpenRequest:
    """One request of a client."""

    busy: _AskingClient
    request: Request
    bytes: int
    task: asyncio.Task[object] | None = None
    timer: asyncio.TimerHandle | None = None  # None: as long as the client is there

    def cut(self) -> None:
        """Nobody waits for it any more: end it, where that is all right."""
        if self.task is not None and isinstance(self.request.operation, _MAY_BE_CUT):
            self.task.cancel()


class OperationRunner(Protocol):
    """What carries out operations, and says why where it can't."""

    async def run(self, operation: Operation, asker: Asker, id: str = "") -> object:
        """Return plain data."""
        ...


class RequestServer:
    """Starts an operation for each request and sends its answer. Kernel's loop only."""

    def __init__(
        self,
        hub: Hub,
        *,
        runner: OperationRunner,
        sessions: ClientSessions,
        waiting: WaitingNodes,
        spawn: Callable[[Coroutine[Any, Any, object]], asyncio.Task[object]],
    ) -> None:
        """`hub` brings requests and answers; `spawn` runs what takes its time."""
        self._hub = hub
        self._runner = runner
        self._sessions = sessions
        self._waiting = waiting
        self._spawn = spawn
        self._busy: dict[bytes, _AskingClient] = {}  # of clients with requests under way
        self._long = LongArguments()
        self._look: asyncio.TimerHandle | None = None  # for those that stand still
        self._sending: dict[bytes, Callable[[], None]] = {}  # who sends long ones: ends the watch
        self._under_way = 0  # operations of clients, also those that nobody waits for any more
        self._bytes = 0  # of these

    def peer(self, peer: Peer, request: Request) -> None:
        """Another node asks something."""
        if isinstance(request.operation, Leave):
            # Not at once: the hub is in the middle of what this peer's link delivered.
            asyncio.get_running_loop().call_soon(
                self._hub.drop_peer, peer.node.name, said_goodbye(peer.node.name)
            )
            return
        _ = self._spawn(self._serve_peer(peer, request))

    async def _serve_peer(self, peer: Peer, request: Request) -> None:
        asker = Asker.node_called(peer.node.name)
        limit_s = _limit_s(request) if isinstance(request.operation, _MAY_BE_CUT) else None
        outbound: Outbound
        try:
            async with asyncio.timeout(limit_s) as limit:
                outbound = await self._outcome(request, asker, _sender(peer))
        except TimeoutError:
            if not limit.expired():
                raise
            outbound = [self._late(request)]
        for each in outbound:
            self._hub.send(peer, each)

    def peer_dead(self, peer: Peer) -> None:
        """A node is gone: what it has sent of long arguments goes too."""
        self._long.forget(_sender(peer))

    async def _outcome(
        self, request: Request, asker: Asker, sender: bytes | None = None
    ) -> Outbound:
        """Do what is asked and return what to answer; `sender` is the node that sent it."""
        try:
            if sender is not None:
                if isinstance(request.operation, PutArguments):
                    held = self._put(sender, request.operation)
                    return list(results.answers(request.number, {"held": held}))
                operation = self._long.resolved(sender, request.operation)
                request = msgspec.structs.replace(request, operation=operation)
            result = await self._runner.run(request.operation, asker, request.id)
            return list(results.answers(request.number, result))
        except ZactorError as error:
            # Its frames hold the request, and often the error too: a circle, which would stay
            # until the collector comes.
            return [results.problem(request.number, error.with_traceback(None))]
        except Exception as error:
            name = type(request.operation).__name__
            log.exception("operation_failed", operation=name, who=asker.author)
            return [results.problem(request.number, error)]

    def _late(self, request: Request) -> Problem:
        name = type(request.operation).__name__
        late = TimedOut(
            f"{self._hub.me.name} has not done {name} within {request.timeout_s:g} s: it may"
            " still be done, look first"
        )
        return results.problem(request.number, late)

    def client(self, client: Client, request: Request) -> None:
        """A client asks something at the door."""
        operation = request.operation
        if isinstance(operation, Waiting):
            self._take_waiting(client, request.number, operation)
            return
        if type(operation) in SESSION_OPERATIONS:
            self._sessions.take(client, request)
            return
        if isinstance(operation, PutArguments):
            self._take_arguments(client, request.number, operation)
            return
        try:
            operation = self._long.resolved(client.routing_id, operation)
        except Refused as refusal:
            self._hub.answer(client, results.problem(request.number, refusal))
            return
        if operation is not request.operation:
            request = msgspec.structs.replace(request, operation=operation)
        busy = self._busy.get(client.routing_id)
        # Long arguments were counted while they came.
        held = min(held_bytes(request.operation), limits.FRAME_BYTES_MAX)
        if (error := self._is_too_much(busy, held)) is not None:
            # Who has that much unread too gets no answer at all: nor are refusals kept for it.
            if not self._hub.door.drop_if_behind(client):
                self._hub.answer(client, results.problem(request.number, error))
            return
        if busy is None:
            busy = self._busy[client.routing_id] = _AskingClient(client)
            left = partial(self._client_left, busy)
            busy.unwatch = self._hub.door.clients.watch(client, left)
        self._begin(busy, request, held)

    def _is_too_much(self, busy: _AskingClient | None, held: int) -> MailboxFull | None:
        """Return why one more request can't be begun, of so many bytes."""
        mine, bytes_mine = (0, 0) if busy is None else (len(busy.under_way), busy.bytes)
        if (
            mine < limits.DOOR_REQUESTS_MAX
            and self._under_way < limits.DOOR_REQUESTS_ALL_MAX
            and bytes_mine + held <= limits.DOOR_REQUEST_BYTES_MAX
            and self._bytes + held <= limits.DOOR_REQUEST_BYTES_ALL_MAX
        ):
            return None
        return MailboxFull(
            f"{mine} requests of yours are under way at {self._hub.me.name} ({bytes_mine} bytes),"
            f" and {self._under_way} in all ({self._bytes} bytes): wait for some of them"
        )

    def _take_waiting(self, client: Client, number: int, waiting: Waiting) -> None:
        try:
            self._waiting.heard(waiting)
        except Refused as error:
            self._hub.answer(client, results.problem(number, error))
        else:
            self._answer(client, number, {})

    def _take_arguments(self, client: Client, number: int, piece: PutArguments) -> None:
        if client.routing_id not in self._sending:
            gone = partial(self._sender_left, client.routing_id)
            self._sending[client.routing_id] = self._hub.door.clients.watch(client, gone)
        try:
            held = self._put(client.routing_id, piece)
        except ZactorError as error:
            self._hub.answer(client, results.problem(number, error))
        else:
            self._answer(client, number, {"held": held})

    def _put(self, sender: bytes, piece: PutArguments) -> int:
        loop = asyncio.get_running_loop()
        held = self._long.put(sender, piece, loop.time())
        if self._look is None:
            self._look = loop.call_later(limits.DOOR_ARGUMENTS_IDLE_MS / 1000, self._expire_long)
        return held

    def _expire_long(self) -> None:
        loop = asyncio.get_running_loop()
        self._look = None
        if self._long.expire(loop.time()):
            self._look = loop.call_later(limits.DOOR_ARGUMENTS_IDLE_MS / 1000, self._expire_long)

    def _sender_left(self, routing_id: bytes) -> None:
        self._sending.pop(routing_id, None)
        self._long.forget(routing_id)

    def _begin(self, busy: _AskingClient, request: Request, held: int) -> None:
        work = _OpenRequest(busy, request, held)
        busy.under_way.add(work)
        busy.bytes += held
        work.task = self._spawn(self._serve_client(work))
        self._under_way += 1
        self._bytes += held
        work.task.add_done_callback(partial(self._one_less, held))
        limit_s = _limit_s(request)
        if limit_s is not None:
            work.timer = asyncio.get_running_loop().call_later(limit_s, self._expire, work)

    def _one_less(self, held: int, _: object) -> None:
        self._under_way -= 1
        self._bytes -= held

    async def _serve_client(self, work: _OpenRequest) -> None:
        try:
            await self._hub.door.until_read(work.busy.client)
            request = work.request
            try:
                me, client = self._hub.me.name, work.busy.client
                asker = Asker.client_at(me, client.routing_id, request.who)
            except Refused as error:
                self._end(work, [results.problem(request.number, error)])
            else:
                self._end(work, await self._outcome(request, asker))
        except asyncio.CancelledError:
            stopping = OutcomeUnknown(
                f"node {self._hub.me.name} stopped before it had answered: it may still be done"
            )
            self._end(work, [results.problem(work.request.number, stopping)])
            raise

    def _end(self, work: _OpenRequest, outbound: Outbound) -> None:
        """Answer, unless that was done or nobody is there; the client's slot is free again."""
        busy = work.busy
        if work not in busy.under_way:
            return
        busy.under_way.discard(work)
        busy.bytes -= work.bytes
        if work.timer is not None:
            work.timer.cancel()
        if not busy.under_way:
            busy.unwatch()
            self._busy.pop(busy.client.routing_id, None)
        for each in outbound:
            self._hub.answer(busy.client, each)

    def _expire(self, work: _OpenRequest) -> None:
        self._end(work, [self._late(work.request)])
        work.cut()

    def _client_left(self, busy: _AskingClient) -> None:
        """Nobody waits any more for what the client has asked."""
        self._busy.pop(busy.client.routing_id, None)
        under_way, busy.under_way = busy.under_way, set()
        for work in under_way:
            if work.timer is not None:
                work.timer.cancel()
            work.cut()

    def _answer(self, client: Client, number: int, result: object) -> None:
        for answer in results.answers(number, result):
            self._hub.answer(client, answer)


def _sender(peer: Peer) -> bytes:
    return f"node {peer.node}".encode()


def held_bytes(value: object) -> int:
    """Return what an operation's texts and payloads hold, in bytes or characters."""
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, Message):
        return sum(map(held_bytes, msgspec.structs.astuple(value)))
    if isinstance(value, dict):
        own = limits.DOOR_KNOWN_BYTES_EACH * len(value)
        return own + sum(map(held_bytes, (*value, *value.values())))
    return sum(map(held_bytes, value)) if isinstance(value, tuple) else 0


def _limit_s(request: Request) -> float | None:
    """How long the answer is waited for; None: for ever, as an ask may be. NaN is no limit."""
    return request.timeout_s if 0 < request.timeout_s < math.inf else None
