"""Reentrant asks: what an actor handles beside its action, while that waits for an ask of its own.

Threads: all in the actor's own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any, Protocol

from zactor.kernel.actors.actor import reentrant_of
from zactor.kernel.runtime.dispatcher import Dispatcher
from zactor.kernel.runtime.envelope import AnyEnvelope, ArrivedSignal, Asker, Envelope


class ReentrantCell(Protocol):
    """An actor, as far as its asks are let in."""

    actor: Any
    mailbox: deque[AnyEnvelope]
    dispatcher: Dispatcher
    handled: int
    serving: Asker | None

    @property
    def reentrant_apart(self) -> frozenset[str]:
        """See Cell."""
        ...

    def start(self, message: Envelope | ArrivedSignal) -> Any:
        """Start one message; returns what must be awaited."""
        ...

    def failed(self, message: AnyEnvelope, error: BaseException) -> None:
        """What was awaited raised."""
        ...

    def answer(self, asker: Asker, result: Any) -> None:
        """What was awaited has a result."""
        ...


def reentrant_actions(cell: ReentrantCell) -> frozenset[str]:
    """Return the actions of an actor that are let in, wherever its class is."""
    return cell.reentrant_apart or reentrant_of(type(cell.actor))


class ReentrantAsks:
    """Those of one actor."""

    def __init__(self, cell: ReentrantCell) -> None:
        self._cell = cell
        self.tasks: set[asyncio.Task[None]] = set()  # asyncio keeps only weak references

    def let_in(self, message: AnyEnvelope) -> None:
        """Take an ask out of the mailbox and handle it beside the action that waits."""
        cell = self._cell
        if isinstance(message, tuple) or message.asker is None or message.hook:
            return
        if message.action not in reentrant_actions(cell):
            return
        try:
            cell.mailbox.remove(message)
        except ValueError:  # it has had its turn
            return
        cell.handled += 1
        serving = cell.serving
        try:
            result = cell.start(message)
        finally:
            cell.serving = serving
        if type(result) is CoroutineType:
            task = cell.dispatcher.own_loop().create_task(self._beside(result, message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _beside(self, coroutine: Coroutine[Any, Any, Any], message: Envelope) -> None:
        try:
            result = await coroutine
        except BaseException as error:
            self._cell.failed(message, error)
        else:
            assert message.asker is not None
            self._cell.answer(message.asker, result)
