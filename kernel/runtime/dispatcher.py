"""Dispatchers give actors their turns: one loop that most share, or a thread of an actor's own."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.actors.refs import GATEWAY, Gateway
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import said
from zactor.kernel.loops import HostLoop, Resumption, Waiter
from zactor.kernel.runtime.baton import Baton, Seat
from zactor.kernel.runtime.loop_end import outlive, wind_up
from zactor.kernel.runtime.place_in_code import place_of_thread

log = structlog.get_logger()


class TurnTaker(Gateway, Protocol):
    """An actor, as what gives it its turns sees it; refs that it unpickles take it as gateway."""

    name: str
    uid: int
    carried: bool  # an async action has the turn
    busy_since: float  # time.monotonic(); 0: not known to be busy
    worked_s: float  # in its turns
    options: ActorOptions
    dispatcher: Dispatcher

    def turn(self) -> None:
        """Handle what is in the mailbox now, up to the end of the time slice."""
        ...

    def is_muted(self) -> bool:
        """Whether something that it sent to is still congested."""
        ...

    def is_called_off(self) -> bool:
        """Whether its end, or other code, comes before the next message."""
        ...


class Dispatcher(Protocol):
    """What gives a cell its turns: the shared loop or a thread of its own."""

    slice_end: float  # time.perf_counter() when the present turn should end

    @property
    def driven(self) -> bool:
        """Whether somebody else's code runs the loop, and gets what Ctrl-C raises there."""
        ...

    def ready(self, cell: TurnTaker) -> None:
        """Give the cell a turn soon. Threads: called by any."""
        ...

    def carry(self, cell: TurnTaker, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end; the cell has no turn meanwhile, the coroutine ends it."""
        ...

    def pause(self, cell: TurnTaker) -> None:
        """Give the cell a turn when nothing mutes it any more."""
        ...

    def unmute(self) -> None:
        """Look again at who is muted. Threads: called by any."""
        ...

    def gone(self, cell: TurnTaker | None) -> None:
        """The cell is down."""
        ...

    def own_loop(self) -> HostLoop:
        """The event loop of the cells that have their turns here. Threads: that of the turns."""
        ...

    def is_own_thread(self) -> bool:
        """Whether the caller runs where turns are given."""
        ...

    def is_busy_with(self, cell: TurnTaker) -> bool:
        """Whether code of that actor runs, or is awaited. Threads: any."""
        ...

    def place_of(self, cell: TurnTaker) -> tuple[str, str]:
        """What of its code runs, and its FILE:LINE; "" and "" where it can't be seen."""
        ...


class SharedLoop:
    """An asyncio loop with a queue of its own: a message costs neither a task nor a callback.

    A slice hands out turns for about TURN_SLICE_S, then asyncio has its turn. Either a thread runs
    the loop (`start`), or whoever has it drives it (`drive`).
    """

    def __init__(self, pulse: Callable[[], object] = lambda: None) -> None:
        """Args: pulse: called now and then by who drives or watches the loop."""
        self.pulse = pulse
        self.baton: Baton | None = None  # of the kernel's loop, which this one may have as guest
        self.seat: Seat | None = None
        self.loop = HostLoop()
        self.slice_end = 0.0
        self.running: TurnTaker | None = None  # whose turn it is; read by the watchdog
        self.thread: threading.Thread | None = None
        self._ready: deque[TurnTaker] = deque()
        self._resumed: deque[tuple[Context, Resumption, Waiter]] = deque()  # tasks that go on
        self.loop.resume = self._resume
        self._to_begin: deque[tuple[Context, TurnTaker, Callable[[], None]]] = deque()
        self._begins = False  # `_begin_some` is going to look at it
        self._at_end: list[Callable[[], None]] = []  # see at_slice_end
        self._send_by = 0.0
        self._muted: dict[TurnTaker, None] = {}
        self._polling = False
        # True while a slice runs or is going to: only then need a producer not ask for one.
        self._awake = False
        self._stirred: asyncio.Event | None = None  # set where someone drives the loop
        self._tasks: dict[asyncio.Task[None], TurnTaker] = {}  # asyncio keeps only weak references
        self._closing = False

    # -- turns -------------------------------------------------------------------------------
    def ready(self, cell: TurnTaker) -> None:
        """Give the cell a turn soon. Threads: called by any."""
        self._ready.append(cell)
        if not self._awake:
            self._awake = True
            self.post(self._slice)

    def _resume(self, context: Context, callback: Resumption, waiter: Waiter) -> None:
        """Have a task go on in the slice that runs, or in the next. Threads: the loop's.

        Not at once: an answer to an answer to an answer would recurse.
        """
        self._resumed.append((context, callback, waiter))
        if not self._awake:
            self._awake = True
            self.post(self._slice)

    def post(self, call: Callable[[], object]) -> None:
        """Have `call()` done on the loop. Threads: called by any."""
        if asyncio._get_running_loop() is self.loop:
            self.loop.call_soon(call)
        else:
            try:  # noqa: SIM105 - `suppress` is three calls more
                self.loop.call_soon_threadsafe(call)
            except RuntimeError:  # closed: all cells are down
                pass

    def at_slice_end(self, call: Callable[[], None]) -> None:
        """Do `call()` once the slice that runs is over; at once where none runs in this thread.

        So what the actors of one slice send to other nodes leaves together. Where this thread has
        the baton, or may have it, it is done before the loop sleeps, and every SEND_WITHIN_S while
        it doesn't. Threads: any.
        """
        seat = self.seat
        if asyncio._get_running_loop() is not self.loop or (self.running is None and seat is None):
            call()
            return
        if call not in self._at_end:
            self._at_end.append(call)

    def send_off(self) -> None:
        """See Sender."""
        calls = self._at_end
        while calls:
            try:
                call = calls.pop(0)
            except IndexError:  # another thread did it
                return
            call()

    def send_before_sleep(self) -> None:
        """See Sender."""
        if self._at_end and not self._sends_on():
            self.send_off()

    def _sends_on(self) -> bool:
        """Whether actors go on, so that frames get longer if they wait a little."""
        goes_on = self._ready or self._resumed
        if not goes_on or self.seat is None or not self.seat.has_baton:
            return False
        now = time.perf_counter()
        if now < self._send_by:
            return True
        self._send_by = now + limits.SEND_WITHIN_S
        return False

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Have `call()` done on the loop after a while. Threads: called by any."""
        self.post(lambda: self.loop.call_later(delay_s, call))

    def is_here(self) -> bool:
        """Whether the caller runs inside this loop."""
        return asyncio._get_running_loop() is self.loop

    def is_with_kernel(self) -> bool:
        """Whether its thread sleeps, or runs the kernel's loop: no action. Threads: any."""
        return self.seat is not None and self.seat.inside

    def is_kernel_at_work(self) -> bool:
        """Whether its thread, or the keeper's, runs the kernel's loop just now. Threads: any."""
        return self.baton is not None and self.baton.is_at_work()

    def has_ready(self) -> bool:
        """Whether a cell waits for its turn."""
        return bool(self._ready or self._resumed)

    def _slice(self) -> None:
        ready = self._ready
        resumed = self._resumed
        clock = time.perf_counter
        end = self.slice_end = (now := clock()) + limits.TURN_SLICE_S
        cell: TurnTaker | None = None
        try:
            while ready or resumed:
                if resumed:
                    context, callback, waiter = resumed.popleft()
                    self.running = cell = None
                    context.run(callback, waiter)
                if ready:
                    cell = ready.popleft()
                    if cell.dispatcher is not self:  # it has left: see own_thread.py
                        cell.dispatcher.ready(cell)
                        cell = None
                        continue
                    self.running = cell
                    GATEWAY.set(cell)
                    cell.turn()
                began, now = now, clock()
                if cell is not None:
                    cell.worked_s += now - began
                if now >= end and (ready or resumed):
                    self.loop.call_soon(self._slice)
                    return
            self._awake = False
            if (ready or resumed) and not self._awake:
                self._awake = True
                self.loop.call_soon(self._slice)
        except BaseException:
            # Ctrl-C in an action, where somebody drives the loop: that turn goes on later.
            if cell is not None:
                ready.append(cell)
            self.loop.call_soon(self._slice)
            raise
        finally:
            self.running = None
            self.send_before_sleep()
            if self._stirred is not None:
                self._stirred.set()

    def carry(self, cell: TurnTaker, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it as a task."""
        GATEWAY.set(cell)
        task = self.loop.create_task(coroutine, name=f"actor {cell.name}")
        self._tasks[task] = cell
        task.add_done_callback(self._carried)

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, KeyboardInterrupt):  # who drives has that
            log.error("turn_failed", error=said(error), exception=trace_of(error))
        self.stir()

    def start_cell(self, cell: TurnTaker, begin: Callable[[], None]) -> None:
        """Have the cell's actor made on the loop, by `begin`. Threads: called by any.

        Where somebody drives the loop, and doesn't just now, it is made here: running a loop for
        each of many actors takes four times as long as all the rest. Else many that are to be made
        wake the loop once.
        """
        context = copy_context()  # its own: what a constructor sets there concerns nobody else
        if self.driven and not self.loop.is_running() and not self.is_here():
            context.run(self._begin_here, cell, begin)
            return
        self._to_begin.append((context, cell, begin))
        if not self._begins:
            self._begins = True
            self.post(self._begin_some)

    def _begin_here(self, cell: TurnTaker, begin: Callable[[], None]) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self.loop)
        try:
            self._begin(cell, begin)
        finally:
            asyncio._set_running_loop(outer)

    def _begin(self, cell: TurnTaker, begin: Callable[[], None]) -> None:
        self.running = cell
        GATEWAY.set(cell)
        try:
            begin()
        finally:
            self.running = None
            self.stir()

    def _begin_some(self) -> None:
        """Make those that are to be made, for the time of a slice."""
        end = time.perf_counter() + limits.TURN_SLICE_S
        try:
            while self._to_begin:
                context, cell, begin = self._to_begin.popleft()
                context.run(self._begin, cell, begin)
                if time.perf_counter() >= end:
                    break
        finally:  # Ctrl-C in a constructor, where somebody drives the loop
            self._begins = False
            if self._to_begin and not self._begins:
                self._begins = True
                self.loop.call_soon(self._begin_some)

    def cell_of(self, task: asyncio.Task[Any]) -> TurnTaker | None:
        """Whose actions the task awaits."""
        return self._tasks.get(task)

    # -- muted cells -------------------------------------------------------------------------
    def pause(self, cell: TurnTaker) -> None:
        """Give the cell a turn when nothing mutes it any more."""
        self._muted[cell] = None
        if not self._polling:
            self._polling = True
            self.loop.call_later(limits.MUTED_POLL_S, self._poll)

    def _poll(self) -> None:
        self._polling = False
        self._release()
        if self._muted:
            self._polling = True
            self.loop.call_later(limits.MUTED_POLL_S, self._poll)

    def _release(self) -> None:
        for cell in list(self._muted):
            if cell.is_called_off() or not cell.is_muted():
                del self._muted[cell]
                self.ready(cell)

    def unmute(self) -> None:
        """Look again at who is muted. Threads: called by any."""
        if self._muted:
            self.post(self._release)

    def gone(self, cell: TurnTaker | None) -> None:
        """Nothing of the cell is kept here."""

    def own_loop(self) -> HostLoop:
        """See Dispatcher."""
        return self.loop

    def is_own_thread(self) -> bool:
        """See Dispatcher."""
        return self.is_here()

    def is_busy_with(self, cell: TurnTaker) -> bool:
        """See Dispatcher."""
        return cell.carried or self.running is cell

    def place_of(self, cell: TurnTaker) -> tuple[str, str]:
        """See Dispatcher."""
        return place_of_thread(self.thread) if self.running is cell else ("", "")

    # -- who runs the loop -------------------------------------------------------------------
    @property
    def driven(self) -> bool:
        """Whether no thread of its own runs the loop."""
        return self.thread is None

    def start(self) -> None:
        """Run the loop in a thread of its own."""
        self.thread = threading.Thread(target=self._run, name="zactor-actors", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.belongs_to(threading.get_ident())
        if self.baton is not None:
            self.seat = self.baton.attach(self.loop, self)
        try:
            while not self._closing:
                outlive(self.loop.run_forever)
                if not self._closing:
                    log.error("actors_loop_ended", advice="it goes on: an actor ended what all use")
        except BaseException as error:
            trace = trace_of(error)
            log.critical("actors_thread_died", error=said(error), exception=trace, advice="restart")
            raise
        finally:
            try:
                self._clear()
            finally:
                if self.baton is not None and self.seat is not None:
                    self.baton.detach(self.seat)

    def drive(self, is_done: Callable[[], bool], timeout: float | None) -> bool:
        """Run the loop here until `is_done()`; False: it wasn't within `timeout` seconds."""
        # A caller inside some other loop blocks that loop: asked for, since this is no coroutine.
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self.loop.run_until_complete(self._until(is_done, timeout))
        finally:
            asyncio._set_running_loop(outer)

    async def _until(self, is_done: Callable[[], bool], timeout: float | None) -> bool:
        stirred = self._stirred = asyncio.Event()
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not is_done():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.pulse()
            with suppress(TimeoutError):
                # Everything that happens stirs, but for what users do in threads of their own.
                await asyncio.wait_for(stirred.wait(), min(left, 0.05))
            stirred.clear()
        return True

    def stir(self) -> None:
        """Something happened that whoever drives the loop may wait for. Threads: any."""
        if self._stirred is not None:
            self.post(self._stirred.set)

    def close(self, timeout_s: float) -> bool:
        """Cancel what still runs and end the loop; whether its thread ended in time."""
        self._closing = True  # before the loop is told: it may just be ending for another reason
        thread = self.thread
        if thread is None:
            if not self.loop.is_closed():
                self._clear()
            return True
        self.post(self.loop.stop)
        thread.join(timeout_s)
        return not thread.is_alive()

    def _clear(self) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            wind_up(self.loop)
        finally:
            asyncio._set_running_loop(outer)
