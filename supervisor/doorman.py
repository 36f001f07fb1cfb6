"""Who asks something of this node, at its door or over a link, and what is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from zactor.kernel import config
from zactor.kernel.errors import MailboxFull, OutcomeUnknown, TimedOut, ZactorError, from_wire
from zactor.kernel.protocol import messages
from zactor.kernel.runtime.asks import Outcome
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.seam import Client
from zactor.kernel.wire import results
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import decode_value
from zactor.supervisor.asker import Asker
from zactor.supervisor.groupdesk import SESSION_OPERATIONS
from zactor.supervisor.rundir import read_entries

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

log = structlog.get_logger()

_ALL_MAX = config.DOOR_REQUESTS_ALL_MAX
WAITING_KEPT_MS = 2_000  # an unconfigured node that is silent for longer isn't shown any more


class Doorman:
    """Starts an operation for each request and sends its answer. Kernel thread only."""

    def __init__(self, node: Node) -> None:
        """`node` is whose door it is."""
        self._node = node
        self._requests: Counter[bytes] = Counter()  # under way, by client
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

    def peer(self, peer: Peer, request: messages.Request) -> None:
        """Another node asks something."""
        if isinstance(request.operation, messages.Leave):
            # Not at once: the hub is in the middle of what this peer's link delivered.
            asyncio.get_running_loop().call_soon(
                self._node.hub.drop_peer, peer.node.name, f"{peer.node.name} left"
            )
            return
        self._node.spawn(self._serve_peer(peer, request))

    async def _serve_peer(self, peer: Peer, request: messages.Request) -> None:
        asker = Asker.node_called(peer.node.name)
        try:
            result = await self._node.operations.run(request.operation, asker)
        except ZactorError as error:
            self._node.hub.send(peer, results.problem(request.number, error))
        except Exception as error:
            self._log_failure(request, asker)
            self._node.hub.send(peer, results.problem(request.number, error))
        else:
            for answer in results.answers(request.number, result):
                self._node.hub.send(peer, answer)

    def client(self, client: Client, request: messages.Request) -> None:
        """A client asks something at the door."""
        operation = request.operation
        if isinstance(operation, messages.Waiting):
            self._forget_silent()  # nobody may ever ask who waits
            self._waiting.pop(operation.endpoint, None)
            self._waiting[operation.endpoint] = self._node.hub.now_ms()
            self._answer(client, request.number, {})
            return
        if type(operation) in SESSION_OPERATIONS:
            self._node.groupdesk.take(client, request)
            return
        mine = self._requests[client.routing_id]
        if mine >= config.DOOR_REQUESTS_MAX or self._requests.total() >= _ALL_MAX:
            error = MailboxFull(
                f"{mine} requests of yours are under way at {self._node.me.name}, and"
                f" {self._requests.total()} in all: wait for some of them"
            )
            self._node.hub.answer(client, results.problem(request.number, error))
            return
        self._requests[client.routing_id] += 1
        self._node.spawn(self._serve_client(client, request))

    async def _serve_client(self, client: Client, request: messages.Request) -> None:
        asker = Asker.client_at(self._node.me.name)
        try:
            result = await self._node.operations.run(request.operation, asker, request.id)
            self._answer(client, request.number, result)
        except ZactorError as error:
            self._node.hub.answer(client, results.problem(request.number, error))
        except TimeoutError:  # who asked has given up, and needn't be told in other words
            late = TimedOut(f"not done within {request.timeout_s:g} s; it may still be done")
            self._node.hub.answer(client, results.problem(request.number, late))
        except asyncio.CancelledError:
            stopping = OutcomeUnknown(
                f"node {self._node.me.name} stopped before it had answered: it may still be done"
            )
            self._node.hub.answer(client, results.problem(request.number, stopping))
            raise
        except Exception as error:
            self._log_failure(request, asker)
            self._node.hub.answer(client, results.problem(request.number, error))
        finally:
            self._requests[client.routing_id] -= 1
            if not self._requests[client.routing_id]:
                del self._requests[client.routing_id]

    def _log_failure(self, request: messages.Request, asker: Asker) -> None:
        log.exception(
            "operation_failed", operation=type(request.operation).__name__, who=asker.author
        )

    def _answer(self, client: Client, number: int, result: object) -> None:
        for answer in results.answers(number, result):
            self._node.hub.answer(client, answer)

    async def request_actor(self, op: messages.AskActor) -> object:
        """Ask an actor for a client; the value stays as the actor's node encoded it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()

        def done(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(_settle, future, outcome)

        self._node.runtime.request(op.actor, op.action, op.payload, done, plain=op.plain)
        outcome = await future
        if isinstance(outcome, messages.Failure):
            raise from_wire(outcome.kind, outcome.message, outcome.fields)
        reply: messages.Signal | messages.Ask | messages.Reply
        buffers: Sequence[Buffer] = ()
        if isinstance(outcome, Bulky):
            reply, buffers = outcome.item, outcome.buffers
        else:
            reply = outcome
        if op.plain:
            return {"value": decode_value(reply.payload, (), "data")}
        return {"payload": reply.payload, "buffers": [bytes(buffer) for buffer in buffers]}


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
