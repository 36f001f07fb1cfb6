"""Exchange: an actor's object gives way to one of newer code, between two of its messages.

The cell stays, and with it all that others know of the actor: name, uid, mailbox, routes, groups.
What arrives meanwhile waits in the mailbox, within its limits. The order is state(), the new
object, restore(), on_stop of the old, on_start of the new. Up to restore() nothing has happened to
the old object, which goes on if something fails; where on_start fails its own is called again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import coroutine
from typing import Any, ClassVar, Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.actor import CELL, Actor, current_cell
from zactor.kernel.actors.kept_state import check_restores, keeps_state
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.actors.user_errors import harmless, trace_of
from zactor.kernel.errors import (
    ActorError,
    ConfigError,
    NoSuchActor,
    NotDelivered,
    RemoteActionError,
    TimedOut,
    ZactorError,
    said,
    text_of,
)
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.lifecycle import LivingCell, Phase
from zactor.kernel.runtime.own_time import OwnTime
from zactor.kernel.runtime.reentrant_asks import ReentrantAsks

log = structlog.get_logger()

UPGRADED = "its code is exchanged"
"""What on_stop of the former object is told."""


@dataclass(frozen=True, slots=True)
class ExchangeOutcome:
    """How it went."""

    pause_s: float  # in which no message was handled
    remark: str = ""  # what went wrong with the farewell of the former object


@dataclass(slots=True, eq=False, kw_only=True)
class Exchange:
    """One that was asked for."""

    build: Callable[[], Any]  # of the new object; called in the actor's own thread
    options: ActorOptions
    later: Callable[[float, Callable[[], object]], None]  # has a call done after so many s
    done: Future[ExchangeOutcome] = field(default_factory=Future)
    is_begun: bool = False
    # Is done in its place, where the cell is to change and not its object; see `begin`.
    instead: Callable[[ExchangeCell], bool] | None = None

    def __post_init__(self) -> None:
        """Who waits for it may give up, it goes on."""
        self.done.set_running_or_notify_cancel()

    def refuse(self, why: str) -> Future[ExchangeOutcome]:
        """There is nobody for it."""
        self.done.set_exception(NoSuchActor(why))
        return self.done

    def fits(self, cell: ExchangeCell) -> bool:
        """Whether the code runs as the actor does; else it ends here, with a ConfigError."""
        runs, wanted = cell.options.dispatcher, self.options.dispatcher
        if runs != wanted:
            why = f"{cell.name} runs with dispatcher={runs!r}, and its new code wants {wanted!r}"
            self.done.set_exception(ConfigError(f"{why}: destroy it and deploy it again"))
        return runs == wanted


class Successor(Actor):
    """An object that takes over in any case: from who hands over nothing, `restore(NOTHING)`."""

    NOTHING: ClassVar[object] = object()


class ExchangeCell(LivingCell, Protocol):
    """A cell, as far as its object is exchanged."""

    node: str
    action: str
    carried: bool
    exchange: Exchange | None
    own_time: OwnTime | None
    beside: ReentrantAsks | None
    options: ActorOptions

    def become(self, actor: Any, options: ActorOptions) -> None:
        """From now on that object handles its messages."""
        ...


def request(cell: ExchangeCell, exchange: Exchange) -> None:
    """Have it done after the message that is handled now. Threads: any.

    `exchange.done` ends with an ActorError where it isn't done: the actor goes on as it was, or
    has ended; the words say which.
    """
    why = ""
    with cell.host.lock:
        if cell.phase is not Phase.RUNNING or cell.ending is not None:
            why = f"{cell.name} is {cell.phase.value}: only who runs can get other code"
        elif cell.exchange is not None:
            why = f"{cell.name} is getting other code already"
        else:
            cell.exchange = exchange
    if why:
        exchange.done.set_exception(ActorError(why))
        return
    exchange.later(limits.EXCHANGE_WAIT_S, partial(_give_up, cell, exchange))
    cell.attention = True  # after the exchange: see Cell.after
    cell.idle = False
    cell.dispatcher.ready(cell)


def dropped(cell: ExchangeCell, reason: str) -> None:
    """The cell is down. Threads: any."""
    exchange = _taken(cell)
    if exchange is not None:
        exchange.done.set_exception(NotDelivered(f"{cell.name} has ended: {reason}"))


def begin(cell: ExchangeCell) -> bool:
    """Do what was asked for, between two messages; whether the cell has no turn until it is done.

    The cell's own thread; `cell.after()` is called at the end.
    """
    with cell.host.lock:
        exchange = cell.exchange
        if exchange is None or cell.ending is not None:
            return False
        exchange.is_begun = True
    if exchange.instead is not None:
        return exchange.instead(cell)
    cell.carried = True
    work = _ExchangeRun(cell, exchange).run()
    try:
        work.send(None)
    except StopIteration:
        return True
    cell.dispatcher.carry(cell, work)  # a hook of it is to be awaited
    return True


def _taken(cell: ExchangeCell, exchange: Exchange | None = None) -> Exchange | None:
    """Take the exchange that hasn't begun away from the cell."""
    with cell.host.lock:
        found = cell.exchange
        if found is None or found.is_begun or (exchange is not None and found is not exchange):
            return None
        cell.exchange = None
        return found


def _give_up(cell: ExchangeCell, exchange: Exchange) -> None:
    if _taken(cell, exchange) is None:
        return
    busy = f"its {cell.action} goes on" if cell.action else "it had no turn"
    exchange.done.set_exception(
        TimedOut(
            f"{cell.name} has its former code still: {busy} for over"
            f" {limits.EXCHANGE_WAIT_S:g} s. Ask again when it is done"
        )
    )


@coroutine
def _as_a_task() -> Generator[None, None, None]:
    """Give way to `begin`, which has the rest done as a task; so what awaits nothing needs none."""
    yield


class _ExchangeRun:
    """One exchange under way."""

    def __init__(self, cell: ExchangeCell, exchange: Exchange) -> None:
        self._cell = cell
        self._exchange = exchange
        self._hook = ""  # that is called
        self._is_task = False
        self._remark = ""

    async def run(self) -> None:
        """Do all of it, tell how it went, and end the cell's turn."""
        cell, done = self._cell, self._exchange.done
        began = time.perf_counter()
        driven_out: BaseException | None = None
        try:
            await self._exchange_objects()
        except BaseException as error:
            failure = self._as_failure(error)
            driven_out = error if cell.is_driven_out(error) else None
            outcome = partial(done.set_exception, failure)
        else:
            outcome = partial(
                done.set_result, ExchangeOutcome(time.perf_counter() - began, self._remark)
            )
        cell.exchange = None
        cell.carried = False
        cell.busy("", None)
        cell.attention = True  # what muted it may do so still
        outcome()  # before the turn ends: a thread that is muted sleeps in there
        cell.after()
        if driven_out is not None:
            raise driven_out

    async def _exchange_objects(self) -> None:
        cell, exchange = self._cell, self._exchange
        old, former_options = cell.actor, cell.options
        await self._others_end()
        keeps = keeps_state(type(old))
        kept = await self._call("state", old.state) if keeps else None
        # What the new object begins in its constructor is its own.
        former_time, cell.own_time = cell.own_time, None
        try:
            new = self._build()
            if keeps:
                check_restores(new, cell.name)
            if keeps or isinstance(new, Successor):
                await self._call("restore", new.restore, kept if keeps else Successor.NOTHING)
            self._check_is_wanted()
        except BaseException:
            self._close_time(former_time)
            raise
        await self._farewell(old, former_time)
        if cell.phase is Phase.DOWN:
            raise NotDelivered(f"{cell.name} was stopped meanwhile")
        cell.become(new, exchange.options)
        try:
            await self._call("on_start", new.on_start)
        except BaseException as error:
            self._close_time(None)
            await self._go_back(old, former_options, error)
            raise

    async def _others_end(self) -> None:
        """Wait for the asks that are handled beside the actor's messages."""
        tasks = self._cell.beside.tasks if self._cell.beside is not None else ()
        if tasks:
            await self._call("reentrant asks", partial(_all_of, tasks))

    def _build(self) -> Any:
        cell = self._cell
        self._hook = "__init__"
        token = current_cell.set(cell)
        try:
            new = self._exchange.build()
        finally:
            current_cell.reset(token)
        if not isinstance(new, Actor):
            raise TypeError(f"{new!r} is no Actor")
        new.__dict__[CELL] = cell
        return new

    def _check_is_wanted(self) -> None:
        """Refuse to go on where the actor is to end, or was taken down, in the meantime."""
        if self._cell.phase is not Phase.RUNNING:
            raise NotDelivered(f"{self._cell.name} was stopped meanwhile")

    async def _farewell(self, old: Any, former_time: OwnTime | None) -> None:
        """End the former object. What it raises is told: it is no reason to keep it."""
        if former_time is not None:
            former_time.stop_timers()
        try:
            await self._call("on_stop", partial(old.on_stop, UPGRADED))
        except Exception as error:
            self._remark = f"on_stop of its former code: {said(error)}"
            log.error(
                "on_stop_failed",
                actor=self._cell.name,
                error=said(error),
                exception=trace_of(error),
            )
        if former_time is not None:
            former_time.close()

    async def _go_back(self, old: Any, options: ActorOptions, error: BaseException) -> None:
        """Begin the former object again, since the new one can't; if that fails too, end."""
        cell = self._cell
        if cell.phase is not Phase.RUNNING:
            return
        cell.become(old, options)
        try:
            await self._call("on_start", old.on_start)
        except BaseException as second:
            reason = (
                f"its new code didn't start ({said(error)}), and its former code not again"
                f" ({said(second)})"
            )
            lifecycle.request_end(cell, reason, at_once=True, by_itself=True, crashed=True)
            raise ActorError(f"{cell.name} has ended: {reason}") from error

    def _close_time(self, instead: OwnTime | None) -> None:
        """End what the new object has begun."""
        cell = self._cell
        begun, cell.own_time = cell.own_time, instead
        if begun is not None:
            begun.close()

    async def _call(self, name: str, hook: Callable[..., Any], *arguments: Any) -> Any:
        """Call a hook, and await it where it is async, for a bounded time."""
        cell = self._cell
        self._hook = name
        result = hook(*arguments)
        if not isinstance(result, Coroutine):
            return result
        if not self._is_task:
            self._is_task = True
            await _as_a_task()
        # Neither a farewell nor a beginning is cut short by a stop at once: as in lifecycle.
        is_cut_short = name not in ("on_stop", "on_start")
        cell.busy(name, asyncio.current_task() if is_cut_short else None)
        bounds = {"on_stop": limits.STOP_HOOK_S, "on_start": limits.EXCHANGE_START_S}
        is_ours = isinstance(getattr(hook, "__self__", None), Successor)  # it has its own limits
        limit_s = None if is_ours else bounds.get(name, limits.EXCHANGE_HOOK_S)
        try:
            async with asyncio.timeout(limit_s) as bound:
                return await result
        except TimeoutError as error:
            if bound.expired():
                raise TimedOut(f"{name} of {cell.name} took over {limit_s:g} s") from error
            raise
        finally:
            cell.busy("", None)

    def _as_failure(self, error: BaseException) -> Exception:
        """What is told to whoever asked; user code's errors as those of an action."""
        if isinstance(error, ZactorError):
            return error
        if not isinstance(error, Exception):  # it was cancelled, say
            return harmless(error)
        return RemoteActionError(
            text_of(error),
            remote_type=type(error).__name__,
            traceback=trace_of(error),
            node=self._cell.node,
            actor=self._cell.name,
            action=self._hook,
        )


async def _all_of(tasks: set[asyncio.Task[None]]) -> None:
    while tasks:
        await asyncio.wait(set(tasks))
