"""Emigrant and immigrant: an actor's object gives way on one node, and comes on another.

On the node that it leaves an exchange puts an emigrant in its place, whose `restore` is the way
over; then that cell ends. On the other node it is made and restored, and waits until the former
one has run its on_stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.kept_state import check_restores
from zactor.kernel.errors import Refused
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.exchange import Exchange, ExchangeOutcome, Successor, request
from zactor.kernel.runtime.relay_cell import RelayCell, StandIn
from zactor.kernel.wire.payload import Policy, decode_value, encode_whole_value

Settle = Callable[[bytes | None], Future[None]]
"""Brings a state to the other node; done when the actor is there, and the cluster knows."""


class Emigrant(Successor):
    """What is left of an actor that has moved: it ends at once."""

    def __init__(self, cell: Cell, settle: Settle, policy: Policy) -> None:
        self._cell = cell
        self._settle = settle
        self._policy = policy
        self._is_encoded = isinstance(cell, RelayCell)

    def state(self) -> None:
        """Never called: it stands here since who restores has both."""

    async def restore(self, state: Any) -> None:
        """Bring the state to the other node.

        Raises:
            Refused: it has come into groups meanwhile; from here on it can't.
        """
        check_no_groups(self._cell)
        if state is Successor.NOTHING or (self._is_encoded and state is None):
            encoded = None
        else:
            encoded = state if self._is_encoded else encode_whole_value(state, self._policy)
        await asyncio.wrap_future(self._settle(encoded))

    def on_start(self) -> None:
        """The actor is elsewhere now."""
        self.stop()


def check_no_groups(cell: Cell) -> None:
    """Raise Refused where an actor has a session of its own: its name there is its node's, too."""
    member = cell.member
    if member is None:
        return
    joined = ", ".join(member.joined())
    why = f"is in groups ({joined})" if joined else "has a session in groups, and may be answered"
    raise Refused(
        f"{cell.name} {why}: it can't move in their order. Destroy it and deploy it there"
    )


def emigrate(
    cell: Cell,
    settle: Settle,
    policy: Policy,
    later: Callable[[float, Callable[[], object]], None],
) -> Future[ExchangeOutcome]:
    """Have an actor leave its cell after the present message. Threads: any."""
    exchange = Exchange(
        build=lambda: Emigrant(cell, settle, policy), options=cell.options, later=later
    )
    request(cell, exchange)
    return exchange.done


class Immigrant:
    """One that comes. `begin` is that of its blueprint. Threads: the rest by any."""

    def __init__(self, name: str, state: bytes | None, policy: Policy) -> None:
        self._name = name
        self._state = state
        self._policy = policy
        self.restored: Future[None] = Future()
        self._is_free: Future[None] = Future()

    def go(self) -> None:
        """The former one has ended: on_start may run."""
        if not self._is_free.done():
            self._is_free.set_result(None)

    async def begin(self, actor: Actor) -> None:
        """Take the state over, wait, and run on_start."""
        state = self._state
        if isinstance(actor, StandIn):
            await actor.load()
            await actor.restore(state)
        elif state is not None:
            check_restores(actor, self._name)
            restore: Callable[[Any], Any] = actor.restore  # type: ignore[attr-defined]  # checked
            await _done(restore(decode_value(state, (), self._policy)))
        self.restored.set_result(None)
        await asyncio.wrap_future(self._is_free)
        await _done(actor.on_start())


async def _done(result: Any) -> None:
    if isinstance(result, Coroutine):
        await result
