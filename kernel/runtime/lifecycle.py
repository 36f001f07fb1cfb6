"""Lifecycle of an actor: made, on_start, on_stop, down. All in the actor's own thread.

But for what doesn't end: `expire` takes an actor down without its on_stop, or without the action
that it was to leave at once, from any thread. That code goes on by itself, and it is told.
"""

from __future__ import annotations

import asyncio
import enum
import math
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from zactor.kernel import limits
from zactor.kernel.actors.actor import CELL, Actor, ActorCell, Handler, current_cell
from zactor.kernel.actors.user_errors import harmless
from zactor.kernel.errors import ActorError, NotDelivered, TimedOut, said
from zactor.kernel.runtime.dispatcher import Dispatcher, TurnTaker
from zactor.kernel.runtime.outcomes import Outcomes, Receiver
from zactor.kernel.runtime.own_time import OwnTime


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
    crashed: bool = False  # with its process
    at_once: bool = False  # don't handle what still waits
    until: float = math.inf  # time.monotonic() from which on that holds too
    futures: list[Future[str | None]] = field(default_factory=list)
    remains: str = ""  # what of its code goes on though it is down, in words
    task: asyncio.Task[Any] | None = None  # of an async on_stop
    error: BaseException | None = None  # why on_stop didn't come to its end
    is_told: bool = False  # that it is to be over: who doesn't end then is abandoned

    def is_over(self) -> bool:
        """Whether what still waits is not to be handled."""
        return self.at_once or time.monotonic() >= self.until


class LifeHost(Protocol):
    """What the lives of all cells of a runtime share."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Guards phases, endings and limits."""
        ...

    @property
    def outcomes(self) -> Outcomes:
        """Who is told what becomes of messages."""
        ...

    @property
    def shared(self) -> Dispatcher:
        """Who gives the last turns to cells that are down."""
        ...

    @property
    def leaving(self) -> dict[LivingCell, float]:
        """Who is to end, and when somebody looks whether it has; time.monotonic()."""
        ...

    def abandon_cell(self, cell: LivingCell) -> str:
        """It is taken down though code of its goes on; return what does, in words."""
        ...


class LivingCell(ActorCell, Receiver, TurnTaker, Protocol):
    """A cell, as far as its life changes it. See Cell."""

    actor: Any
    handlers: dict[str, Handler]
    dispatcher: Dispatcher
    limit: int
    idle: bool
    attention: bool
    phase: Phase
    ending: Ending | None
    task: asyncio.Task[Any] | None

    @property
    def own_time(self) -> OwnTime | None:
        """Its timers and tasks, if it has some."""
        ...

    @property
    def host(self) -> LifeHost:
        """What it shares with the others."""
        ...

    def busy(self, action: str, task: asyncio.Task[Any] | None) -> None:
        """Note what is being awaited; "" is nothing."""
        ...

    def after(self) -> None:
        """End the turn: be scheduled again, be muted, be stopped or be idle."""
        ...

    def forget(self, reason: str) -> None:
        """It is down: nobody finds it any more."""
        ...


def begin(
    cell: LivingCell,
    build: Callable[[], Any],
    first: Callable[[Any], Any],
    started: Future[None],
) -> None:
    """Make the actor and run `first` of it, its on_start."""
    try:
        token = current_cell.set(cell)
        try:
            actor = build()
        finally:
            current_cell.reset(token)
        if not isinstance(actor, Actor):
            raise TypeError(f"{actor!r} is no Actor")
        actor.__dict__[CELL] = cell
        cell.actor = actor
        waiting = first(actor)
    except BaseException as error:
        driven_out = cell.is_driven_out(error)
        _stillborn(cell, started, error)
        if driven_out:
            raise
        return
    if isinstance(waiting, Coroutine):
        cell.dispatcher.carry(cell, _begin_later(cell, waiting, started))
    else:
        _begun(cell, started)


async def _begin_later(
    cell: LivingCell, waiting: Coroutine[Any, Any, Any], started: Future[None]
) -> None:
    cell.busy("on_start", asyncio.current_task())
    try:
        await waiting
    except BaseException as error:
        driven_out = cell.is_driven_out(error)
        _stillborn(cell, started, error)
        if driven_out:
            raise
    else:
        cell.busy("", None)
        _begun(cell, started)


def _begun(cell: LivingCell, started: Future[None]) -> None:
    with cell.host.lock:
        was_abandoned = cell.phase is Phase.DOWN
        if not was_abandoned:
            cell.phase = Phase.RUNNING if cell.ending is None else Phase.STOPPING
    if was_abandoned:
        cell.actor = None
        started.set_exception(NotDelivered(f"{cell.name} was stopped while it started"))
        return
    cell.host.outcomes.trace_event("actor_up", {"actor": cell.name, "inc": cell.uid})
    started.set_result(None)
    cell.after()


def _stillborn(cell: LivingCell, started: Future[None], error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError) and cell.ending is not None:
        error = NotDelivered(f"{cell.name} was stopped while it started")
    if _is_first_to_end(cell):
        _down(cell, f"{cell.name} could not start: {said(error)}")
    started.set_exception(harmless(error))


def request_end(
    cell: LivingCell,
    reason: str,
    *,
    at_once: bool,
    by_itself: bool = False,
    until: float = math.inf,
    bounded: bool = False,
    crashed: bool = False,
) -> Future[str | None]:
    """Have a cell end, or end sooner than it was going to. Threads: any.

    Done when it is down, with what of its code goes on though, or None.

    Args: bounded: if it is to end at once, or at `until`, and doesn't, it is down without that.
    """
    future: Future[str | None] = Future()
    future.set_running_or_notify_cancel()  # who waits for it may give up, the end still comes
    with cell.host.lock:
        if cell.phase is Phase.DOWN:
            future.set_result(None)
            return future
        if cell.ending is None:
            cell.ending = Ending(reason, by_itself=by_itself, crashed=crashed)
        cell.ending.futures.append(future)
        cell.ending.at_once |= at_once
        cell.ending.until = min(cell.ending.until, until)
        cell.limit = -1
        if cell.phase is Phase.RUNNING:
            cell.phase = Phase.STOPPING
        if bounded and cell.phase is not Phase.LEAVING:
            due = time.monotonic() + limits.ABANDON_S if at_once else until
            cell.ending.is_told |= at_once
            cell.host.leaving[cell] = min(due, cell.host.leaving.get(cell, math.inf))
    cell.attention = True
    if at_once:
        cell.host.outcomes.sweep(cell, reason)
        task = cell.task
        if task is not None and not by_itself:
            task.get_loop().call_soon_threadsafe(task.cancel)
        cell.dispatcher.unmute()
    if cell.idle:
        cell.idle = False
        cell.dispatcher.ready(cell)
    return future


def end(cell: LivingCell, ending: Ending) -> None:
    """Run on_stop and go. Between two messages."""
    if not _is_first_to_leave(cell):
        return
    if cell.own_time is not None:
        cell.own_time.stop_timers()
    dispatcher = cell.dispatcher  # it loses this when it is given up meanwhile
    cell.host.leaving[cell] = time.monotonic() + limits.STOP_HOOK_S
    try:
        waiting = cell.actor.on_stop(ending.reason)
    except BaseException as error:
        driven_out = cell.is_driven_out(error)
        _ended(cell, ending, error)
        if driven_out:
            raise
        return
    if isinstance(waiting, Coroutine):
        dispatcher.carry(cell, _end_later(cell, waiting, ending))
    else:
        _ended(cell, ending, None)


async def _end_later(cell: LivingCell, waiting: Coroutine[Any, Any, Any], ending: Ending) -> None:
    ending.task = asyncio.current_task()
    if ending.error is not None:  # after the task: see cut_off
        waiting.close()
        _ended(cell, ending, None)
        return
    cell.busy("on_stop", None)  # a first stop at once doesn't cut the farewell short
    try:
        await waiting
    except BaseException as error:
        driven_out = cell.is_driven_out(error)
        _ended(cell, ending, error)
        if driven_out:
            raise
    else:
        _ended(cell, ending, None)


def cut_off(cell: LivingCell, error: ActorError) -> None:
    """Cancel an async on_stop; soon the actor is down in any case. Threads: any."""
    ending = cell.ending
    assert ending is not None, cell.name
    cell.host.leaving[cell] = time.monotonic() + limits.STOP_CANCEL_S
    ending.error = error
    task = ending.task  # after the error: see _end_later
    if task is not None:
        with suppress(RuntimeError):  # its loop is closed: it came to an end
            task.get_loop().call_soon_threadsafe(task.cancel)


def expire(leaving: dict[LivingCell, float]) -> None:
    """Let nobody who is to end go on beyond its time. Threads: any, called again and again.

    Args: leaving: see LifeHost.
    """
    now = time.monotonic()
    for cell, deadline in list(leaving.items()):
        ending = cell.ending
        if ending is None or cell.phase is Phase.DOWN:
            leaving.pop(cell, None)
        elif now < deadline:
            continue
        elif cell.phase is not Phase.LEAVING:
            _hurry(cell, ending, leaving)
        elif ending.task is not None and ending.error is None:
            limit = f"{limits.STOP_HOOK_S:g} s"
            cut_off(cell, TimedOut(f"on_stop of {cell.name} took over {limit} and was cancelled"))
        else:
            what = f"on_stop of {cell.name} doesn't end and can't be cancelled"
            ending.error = TimedOut(f"{what}: the actor is gone, its on_stop goes on")
            _ended(cell, ending, None)


def _hurry(cell: LivingCell, ending: Ending, leaving: dict[LivingCell, float]) -> None:
    """Its time is over, and it handles a message still, or has no turn to see that."""
    if not ending.is_told:
        leaving.pop(cell, None)
        request_end(cell, ending.reason, at_once=True, bounded=True)
    elif _is_first_to_end(cell):
        cell.host.outcomes.trace_event("actor_down", {"actor": cell.name, "inc": cell.uid})
        ending.remains = cell.host.abandon_cell(cell)
        _down(cell, ending.reason)


def _ended(cell: LivingCell, ending: Ending, error: BaseException | None) -> None:
    if not _is_first_to_end(cell):
        return
    error = ending.error or error
    if error is not None:
        ending.error = harmless(error)
        cell.host.outcomes.failure(cell, "on_stop", error)
    cell.host.outcomes.trace_event("actor_down", {"actor": cell.name, "inc": cell.uid})
    _down(cell, ending.reason)


def _is_first_to_leave(cell: LivingCell) -> bool:
    """Whether on_stop may run; not where it was abandoned just now."""
    with cell.host.lock:
        if cell.phase is Phase.DOWN:
            return False
        cell.phase = Phase.LEAVING
    return True


def _is_first_to_end(cell: LivingCell) -> bool:
    """Whether the caller has to take it down; an on_stop that was given up may end later."""
    with cell.host.lock:
        if cell.phase is Phase.DOWN:
            return False
        cell.phase = Phase.DOWN
        cell.limit = -1
    return True


def _down(cell: LivingCell, reason: str) -> None:
    host = cell.host
    ending = cell.ending
    cell.forget(reason)
    host.outcomes.sweep(cell, reason)
    if cell.own_time is not None:
        cell.own_time.close()
    cell.dispatcher.gone(cell)
    cell.actor = None
    cell.handlers = {}
    cell.attention = False
    cell.busy("", None)
    # A producer that looked at the limit before it changed may still append: it sees that the
    # cell is idle and asks for a turn, in which the message is swept out.
    cell.dispatcher = host.shared
    cell.idle = True
    host.outcomes.sweep(cell, reason)
    if ending is not None:
        for future in ending.futures:
            if ending.error is not None:
                future.set_exception(ending.error)
            else:
                future.set_result(ending.remains or None)
