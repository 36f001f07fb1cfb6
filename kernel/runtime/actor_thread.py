"""Actor thread: the dispatcher of an actor that has a thread of its own, since it may block."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.refs import GATEWAY
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import said
from zactor.kernel.runtime import switch_interval
from zactor.kernel.runtime.dispatcher import TurnTaker, outlive

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
        self._runner: asyncio.Runner | None = None
        self.thread: threading.Thread | None = None

    def start_cell(self, begin: Callable[[], None]) -> None:
        """Start the thread, which makes the actor by `begin`."""
        name = f"zactor-actor-{self._cell.name}"
        self.thread = threading.Thread(target=self._run, args=(begin,), name=name, daemon=True)
        self.thread.start()

    def _run(self, begin: Callable[[], None]) -> None:
        GATEWAY.set(self._cell)
        try:
            begin()
            self._on_turn()
            while (cell := self._tokens.get()) is not None:
                self._turn(cell)
                self._on_turn()
        finally:
            if self._runner is not None:
                self._runner.close()

    def _turn(self, cell: TurnTaker) -> None:
        began = time.monotonic()
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
        cell.busy_since = 0.0
        if rest_s := switch_interval.rest_s(time.monotonic() - began):
            time.sleep(rest_s)

    def ready(self, cell: TurnTaker) -> None:
        """Give the cell a turn. Threads: called by any."""
        self._tokens.put(cell)

    def carry(self, cell: TurnTaker, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it here and now."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        loop = self._runner.get_loop()
        task = loop.create_task(coroutine, name=f"actor {cell.name}")
        task.add_done_callback(lambda _: loop.stop())
        while not task.done():
            outlive(loop.run_forever)
        task.result()

    def pause(self, cell: TurnTaker) -> None:
        """Wait until nothing mutes the cell any more."""
        while cell.is_muted() and not cell.is_stopping_at_once():
            self._unmuted.wait(limits.MUTED_POLL_S)
            self._unmuted.clear()
        self.ready(cell)

    def unmute(self) -> None:
        """Look again at whether the cell is muted. Threads: called by any."""
        self._unmuted.set()

    def gone(self, cell: TurnTaker | None) -> None:
        """The thread may end."""
        self._tokens.put(None)
