"""Who asks something of this node, at its door or over a link, and what is answered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, OutcomeUnknown, TimedOut, ZactorError, from_wire
from zactor.kernel.messages.actors import Ask, Failure, Reply, Signal
from zactor.kernel.messages.operations import (
    Answer,
    AskActor,
    CheckBundle,
    Events,
    GetPart,
    Inspect,
    Leave,
    Problem,
    PutPart,
    QueryFacts,
    Request,
    Waiting,
)
from zactor.kernel.runtime.remoting import Outcome
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.peer import Peer
from zactor.kernel.wire import results
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import decode_value
from zactor.supervisor.asker import Asker
from zactor.supervisor.door.client_sessions import SESSION_OPERATIONS
from zactor.supervisor.membership.run_directory import read_entries

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

log = structlog.get_logger()

Outbound = Sequence[Answer | Problem]

_MAY_BE_CUT = AskActor | Inspect | QueryFacts | Events | PutPart | GetPart | CheckBundle
"""Operations that end with who waits for them. The others change something, and are done to their
end all the same: half a change would be worse than one that nobody waits for."""

WAITING_KEPT_MS = 2_000  # an unconfigured node that is silent for longer isn't shown any more


@dataclass(slots=True, eq=False)
class _Visit:
    """A client, from its first request under way to its last."""

    client: Client
    under_way: set[_Errand] = field(default_factory=set)  # not answered
    unwatch: Callable[[], None] = lambda: None


@dataclass(slots=True, eq=False)
class _Errand:
    """One request of a client."""

    visit: _Visit
    request: Request
    task: asyncio.Task[object] | None = None
    timer: asyncio.TimerHandle | None = None  # None: as long as the client is there

    def cut(self) -> None:
        """Nobody waits for it any more: end it, where that is all right."""
        if self.task is not None and isinstance(self.request.operation, _MAY_BE_CUT):
            self.task.cancel()


class RequestServer:
    """Starts an operation for each request and sends its answer. Kernel thread only."""

    def __init__(self, node: Node) -> None:
        """`node` is whose door it is."""
        self._node = node
        self._visits: dict[bytes, _Visit] = {}  # of clients with requests under way
        self._under_way = 0  # operations of clients, also those that nobody waits for any more
        self._waiting: dict[str, int] = {}  # when each was last heard, the longest ago first

    def waiting_endpoints(self) -> list[str]:
        """Return the doors of the unconfigured nodes that are known of, sorted."""
        self._forget_silent()
        here = read_entries(self._node.settings.home)
        unnamed = {entry.endpoint for entry in here if not entry.name}
        named = {peer.hello.endpoint for peer in self._node.hub.peers.values()}
        return sorted((unnamed | self._waiting.keys()) - named)

    def _forget_silent(self) -> None:
        since = self._node.hub.now_ms() - WAITING_KEPT_MS
        while self._waiting and next(iter(self._waiting.values())) < since:
            del self._waiting[next(iter(self._waiting))]

    def peer(self, peer: Peer, request: Request) -> None:
        """Another node asks something."""
        if isinstance(request.operation, Leave):
            # Not at once: the hub is in the middle of what this peer's link delivered.
            asyncio.get_running_loop().call_soon(
                self._node.hub.drop_peer, peer.node.name, f"{peer.node.name} left"
            )
            return
        self._node.spawn(self._serve_peer(peer, request))

    async def _serve_peer(self, peer: Peer, request: Request) -> None:
        asker = Asker.node_called(peer.node.name)
        limit_s = _limit_s(request) if isinstance(request.operation, _MAY_BE_CUT) else None
        outbound: Outbound
        try:
            async with asyncio.timeout(limit_s) as limit:
                outbound = await self._outcome(request, asker)
        except TimeoutError:
            if not limit.expired():
                raise
            outbound = [self._late(request)]
        for each in outbound:
            self._node.hub.send(peer, each)

    async def _outcome(self, request: Request, asker: Asker) -> Outbound:
        """Do what is asked and return what to answer."""
        try:
            result = await self._node.operations.run(request.operation, asker, request.id)
            return list(results.answers(request.number, result))
        except ZactorError as error:
            return [results.problem(request.number, error)]
        except Exception as error:
            name = type(request.operation).__name__
            log.exception("operation_failed", operation=name, who=asker.author)
            return [results.problem(request.number, error)]

    def _late(self, request: Request) -> Problem:
        name = type(request.operation).__name__
        late = TimedOut(
            f"{self._node.me.name} has not done {name} within {request.timeout_s:g} s: it may"
            " still be done, look first"
        )
        return results.problem(request.number, late)

    def client(self, client: Client, request: Request) -> None:
        """A client asks something at the door."""
        operation = request.operation
        if isinstance(operation, Waiting):
            self._forget_silent()  # nobody may ever ask who waits
            self._waiting.pop(operation.endpoint, None)
            self._waiting[operation.endpoint] = self._node.hub.now_ms()
            self._answer(client, request.number, {})
            return
        if type(operation) in SESSION_OPERATIONS:
            self._node.groupdesk.take(client, request)
            return
        visit = self._visits.get(client.routing_id)
        mine = 0 if visit is None else len(visit.under_way)
        if mine >= limits.DOOR_REQUESTS_MAX or self._under_way >= limits.DOOR_REQUESTS_ALL_MAX:
            error = MailboxFull(
                f"{mine} requests of yours are under way at {self._node.me.name}, and"
                f" {self._under_way} in all: wait for some of them"
            )
            self._node.hub.answer(client, results.problem(request.number, error))
            return
        if visit is None:
            visit = self._visits[client.routing_id] = _Visit(client)
            gone = partial(self._went, visit)
            visit.unwatch = self._node.hub.door.clients.watch(client, gone)
        self._begin(visit, request)

    def _begin(self, visit: _Visit, request: Request) -> None:
        errand = _Errand(visit, request)
        visit.under_way.add(errand)
        errand.task = self._node.make_task(self._serve_client(errand))
        self._under_way += 1
        errand.task.add_done_callback(self._one_less)
        limit_s = _limit_s(request)
        if limit_s is not None:
            errand.timer = asyncio.get_running_loop().call_later(limit_s, self._expire, errand)

    def _one_less(self, _: object) -> None:
        self._under_way -= 1

    async def _serve_client(self, errand: _Errand) -> None:
        try:
            asker = Asker.client_at(self._node.me.name)
            self._end(errand, await self._outcome(errand.request, asker))
        except asyncio.CancelledError:
            stopping = OutcomeUnknown(
                f"node {self._node.me.name} stopped before it had answered: it may still be done"
            )
            self._end(errand, [results.problem(errand.request.number, stopping)])
            raise

    def _end(self, errand: _Errand, outbound: Outbound) -> None:
        """Answer, unless that was done or nobody is there; the client's slot is free again."""
        visit = errand.visit
        if errand not in visit.under_way:
            return
        visit.under_way.discard(errand)
        if errand.timer is not None:
            errand.timer.cancel()
        if not visit.under_way:
            visit.unwatch()
            self._visits.pop(visit.client.routing_id, None)
        for each in outbound:
            self._node.hub.answer(visit.client, each)

    def _expire(self, errand: _Errand) -> None:
        self._end(errand, [self._late(errand.request)])
        errand.cut()

    def _went(self, visit: _Visit) -> None:
        """The client went: nobody waits for what it has asked."""
        self._visits.pop(visit.client.routing_id, None)
        under_way, visit.under_way = visit.under_way, set()
        for errand in under_way:
            if errand.timer is not None:
                errand.timer.cancel()
            errand.cut()

    def _answer(self, client: Client, number: int, result: object) -> None:
        for answer in results.answers(number, result):
            self._node.hub.answer(client, answer)

    async def request_actor(self, op: AskActor) -> object:
        """Ask an actor for a client; the value stays as the actor's node encoded it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()

        def done(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(_settle, future, outcome)

        runtime = self._node.runtime
        forget = runtime.request(op.actor, op.action, op.payload, done, plain=op.plain)
        try:
            outcome = await future
        finally:  # it may be cut
            forget()
        if isinstance(outcome, Failure):
            raise from_wire(outcome.kind, outcome.message, outcome.fields)
        reply: Signal | Ask | Reply
        buffers: Sequence[Buffer] = ()
        if isinstance(outcome, Bulky):
            reply, buffers = outcome.item, outcome.buffers
        else:
            reply = outcome
        if op.plain:
            return {"value": decode_value(reply.payload, (), "data")}
        return {"payload": reply.payload, "buffers": [bytes(buffer) for buffer in buffers]}


def _limit_s(request: Request) -> float | None:
    """How long the answer is waited for; None: for ever, as an ask may be. NaN is no limit."""
    return request.timeout_s if 0 < request.timeout_s < math.inf else None


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
