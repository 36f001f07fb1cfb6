"""Ask an actor for somebody outside of the cluster, or for a node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from zactor.kernel.errors import from_wire
from zactor.kernel.messages.actors import Failure, Reply
from zactor.kernel.messages.operations import AskActor
from zactor.kernel.runtime.askers import Outcome
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import decode_value


class Requests(Protocol):
    """What brings messages to actors, wherever they are."""

    def request(
        self,
        actor: str,
        action: str,
        payload: bytes,
        done: Callable[[Outcome], None] | None,
        *,
        plain: bool = False,
    ) -> Callable[[], None]:
        """Ask an actor, or tell it where `done` is None; returns what forgets the request."""
        ...


async def ask_actor(requests: Requests, op: AskActor) -> object:
    """Return what the action returned; the value stays as the actor's node encoded it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Outcome] = loop.create_future()

    def done(outcome: Outcome) -> None:
        loop.call_soon_threadsafe(_settle, future, outcome)

    forget = requests.request(op.actor, op.action, op.payload, done, plain=op.plain)
    try:
        outcome = await future
    finally:  # it may be cut
        forget()
    if isinstance(outcome, Failure):
        raise from_wire(outcome.kind, outcome.message, outcome.fields)
    buffers: Sequence[Buffer] = ()
    reply: object = outcome
    if isinstance(outcome, Bulky):
        reply, buffers = outcome.item, outcome.buffers
    assert isinstance(reply, Reply), reply
    if op.plain:
        return {"value": decode_value(reply.payload, (), "data")}
    return {"payload": reply.payload, "buffers": [bytes(buffer) for buffer in buffers]}


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
