"""How an actor begins and ends: made, on_start, on_stop, down. All in the actor's own thread."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zactor.kernel.errors import NotDelivered
from zactor.kernel.runtime.actor import BIRTH, Actor

if TYPE_CHECKING:
    from zactor.kernel.runtime.cell import Cell


class Phase(enum.Enum):
    """The life of a cell, in this order."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"  # takes no more messages, may still handle what it has
    LEAVING = "leaving"  # on_stop runs
    DOWN = "down"


@dataclass(slots=True)
class Ending:
    """A stop that was asked for."""

    reason: str
    by_itself: bool = False
    at_once: bool = False  # don't handle what still waits
    futures: list[Future[None]] = field(default_factory=list)
    error: BaseException | None = None  # what on_stop raised


def begin(cell: Cell, build: Callable[[], Any], started: Future[None]) -> None:
    """Make the actor and run on_start."""
    try:
        token = BIRTH.set(cell)
        try:
            actor = build()
        finally:
            BIRTH.reset(token)
        if not isinstance(actor, Actor):
            raise TypeError(f"{actor!r} is no Actor")
        actor.__dict__["_Actor__cell"] = cell
        cell.actor = actor
        waiting = actor.on_start()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _stillborn(cell, started, error)
        return
    if isinstance(waiting, Coroutine):
        cell.dispatcher.carry(cell, _begin_later(cell, waiting, started))
    else:
        _begun(cell, started)


async def _begin_later(
    cell: Cell, waiting: Coroutine[Any, Any, Any], started: Future[None]
) -> None:
    cell.busy("on_start", asyncio.current_task())
    try:
        await waiting
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _stillborn(cell, started, error)
    else:
        cell.busy("", None)
        _begun(cell, started)


def _begun(cell: Cell, started: Future[None]) -> None:
    with cell.runtime.lock:
        cell.phase = Phase.RUNNING if cell.ending is None else Phase.STOPPING
    cell.runtime.note("actor_up", {"actor": cell.name, "inc": cell.uid})
    started.set_result(None)
    cell.after()


def _stillborn(cell: Cell, started: Future[None], error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        error = NotDelivered(f"{cell.name} was stopped while it started")
    _down(cell, f"{cell.name} could not start: {type(error).__name__}: {error}")
    started.set_exception(error)


def end(cell: Cell, ending: Ending) -> None:
    """Run on_stop and go. Between two messages."""
    cell.phase = Phase.LEAVING
    try:
        waiting = cell.actor.on_stop(ending.reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _ended(cell, ending, error)
        return
    if isinstance(waiting, Coroutine):
        cell.dispatcher.carry(cell, _end_later(cell, waiting, ending))
    else:
        _ended(cell, ending, None)


async def _end_later(cell: Cell, waiting: Coroutine[Any, Any, Any], ending: Ending) -> None:
    cell.busy("on_stop", None)  # a stop at once doesn't cut the farewell short
    try:
        await waiting
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _ended(cell, ending, error)
    else:
        _ended(cell, ending, None)


def _ended(cell: Cell, ending: Ending, error: BaseException | None) -> None:
    ending.error = error
    if error is not None:
        cell.runtime.failure(cell, "on_stop", error)
    cell.runtime.note("actor_down", {"actor": cell.name, "inc": cell.uid})
    _down(cell, ending.reason)


def _down(cell: Cell, reason: str) -> None:
    runtime = cell.runtime
    with runtime.lock:
        cell.phase = Phase.DOWN
        cell.limit = -1
        ending = cell.ending
    runtime.forget(cell, reason)
    runtime.sweep(cell, reason)
    cell.dispatcher.gone(cell)
    cell.actor = None
    cell.handlers = {}
    cell.attention = False
    cell.busy("", None)
    # A producer that looked at the limit before it changed may still append: it sees that the
    # cell is idle and asks for a turn, in which the message is swept out.
    cell.dispatcher = runtime.shared
    cell.idle = True
    runtime.sweep(cell, reason)
    if ending is not None:
        for future in ending.futures:
            if ending.error is not None:
                future.set_exception(ending.error)
            else:
                future.set_result(None)
