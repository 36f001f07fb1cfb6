"""Actor thread: the dispatcher of an actor that has a thread of its own, since it may block.

The thread sleeps in its queue, or, once the actor has used an event loop, in that: so tasks and
timers of the actor go on while it is idle.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.refs import GATEWAY
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import said
from zactor.kernel.loops import HostLoop
from zactor.kernel.runtime import switch_interval
from zactor.kernel.runtime.dispatcher import TurnTaker
from zactor.kernel.runtime.loop_end import outlive, wind_up
from zactor.kernel.runtime.place_in_code import place_of_thread

log = structlog.get_logger()


class ActorThread:
    """A thread for one actor, which may block in it. Async actions run in a loop of its own."""

    def __init__(self, cell: TurnTaker, on_turn: Callable[[], None]) -> None:
        self.slice_end = math.inf
        self._cell = cell
        self._on_turn = on_turn
        self._tokens: SimpleQueue[TurnTaker | None] = SimpleQueue()
        self._unmuted = threading.Event()
        self.driven = False
        self._is_over = False
        self.is_running = False  # code of the actor
        self._carried: list[asyncio.Task[None]] = []  # what its loop is run for
        self._loop: HostLoop | None = None  # once it was needed
        self._sleeps_in_loop = False
        self.thread: threading.Thread | None = None

    def start_cell(self, begin: Callable[[], None]) -> None:
        """Start the thread, which makes the actor by `begin`."""
        name = f"zactor-actor-{self._cell.name}"
        self.thread = threading.Thread(target=self._run, args=(begin,), name=name, daemon=True)
        self.thread.start()

    def _run(self, begin: Callable[[], None]) -> None:
        GATEWAY.set(self._cell)
        try:
            self.is_running = True
            begin()
            self.is_running = False
            self._on_turn()
            while (cell := self._next()) is not None:
                self._turn(cell)
                self._on_turn()
        finally:
            if self._loop is not None:
                wind_up(self._loop)

    def _next(self) -> TurnTaker | None:
        """Wait for the next turn; None: there is none any more."""
        if self._loop is None:
            return self._tokens.get()
        while True:
            # Said before the queue is looked at: who puts something there looks at it afterwards.
            self._sleeps_in_loop = True
            with suppress(Empty):
                cell = self._tokens.get_nowait()
                self._sleeps_in_loop = False
                return cell
            outlive(self._loop.run_forever)

    def _turn(self, cell: TurnTaker) -> None:
        began = time.monotonic()
        self.is_running = True
        if not cell.carried:
            cell.busy_since = began
        # The kernel wants the interpreter many times for a heartbeat: each time waits that long.
        switch_interval.faster(self)
        try:
            cell.turn()
        except BaseException as error:  # not of an action: those fail by themselves
            log.error("turn_failed", error=said(error), exception=trace_of(error))
            self.ready(cell)
        finally:
            switch_interval.slower(self)
            self.is_running = False
        cell.busy_since = 0.0
        took_s = time.monotonic() - began
        cell.worked_s += took_s
        if rest_s := switch_interval.rest_s(took_s):
            time.sleep(rest_s)

    def ready(self, cell: TurnTaker) -> None:
        """Give the cell a turn. Threads: called by any."""
        self._tokens.put(cell)
        if self._sleeps_in_loop and (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it is closed: the thread ends
                loop.call_soon_threadsafe(loop.stop)

    def own_loop(self) -> HostLoop:
        """See Dispatcher; made when it is first needed."""
        if self._loop is None:
            self._loop = HostLoop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def is_own_thread(self) -> bool:
        """See Dispatcher."""
        return threading.current_thread() is self.thread

    def is_busy_with(self, cell: TurnTaker) -> bool:
        """See Dispatcher."""
        return self.is_running

    def place_of(self, cell: TurnTaker) -> tuple[str, str]:
        """See Dispatcher."""
        return place_of_thread(self.thread)

    def carry(self, cell: TurnTaker, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it here and now; from the end of another, in the loop that runs that one."""
        loop = self.own_loop()
        task = loop.create_task(coroutine, name=f"actor {cell.name}")
        task.add_done_callback(lambda _: loop.stop())
        self._carried.append(task)
        if loop.is_running():
            return
        while self._carried and not self._is_over:
            outlive(loop.run_forever)
            done = [task for task in self._carried if task.done()]
            self._carried = [task for task in self._carried if not task.done()]
            for task in done:
                task.result()

    def pause(self, cell: TurnTaker) -> None:
        """Wait until nothing mutes the cell any more."""
        while cell.is_muted() and not cell.is_called_off():
            self._unmuted.wait(limits.MUTED_POLL_S)
            self._unmuted.clear()
        self.ready(cell)

    def unmute(self) -> None:
        """Look again at whether the cell is muted. Threads: called by any."""
        self._unmuted.set()

    def gone(self, cell: TurnTaker | None) -> None:
        """The thread may end."""
        self._is_over = True  # an action that takes no cancellation is left alone
        self._tokens.put(None)
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it is closed: the thread has ended
                loop.call_soon_threadsafe(loop.stop)
