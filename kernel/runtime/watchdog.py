"""Watchdog: a thread that tells who blocks the shared loop, since the loop itself can't."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from zactor.kernel import limits
from zactor.kernel.runtime.dispatcher import SharedLoop, TurnTaker
from zactor.kernel.runtime.place_in_code import place_of_thread

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blockage:
    """An action that holds the shared loop, so that no other actor of it gets a turn."""

    actor: str  # "": a task that an actor made
    uid: int
    action: str
    where: str  # FILE:LINE
    since: float  # time.monotonic()
    moves: bool = False  # the actor gets a thread of its own then, if it can: see own_thread.py

    def lasts_s(self) -> float:
        """Return for how long it has."""
        return time.monotonic() - self.since


BlockageSink = Callable[[Blockage], None]


class Watchdog:
    """Names an action that blocks the shared loop for over ACTION_WARNING_S, once each time.

    It costs the actors nothing: the loop says whose turn it is anyway, and this thread looks there.
    What has to be done in time though the loop is blocked, the loop's `pulse`, is done here too.
    """

    def __init__(
        self,
        shared: SharedLoop,
        warning_s: float = limits.ACTION_WARNING_S,
        *,
        begun: BlockageSink = lambda blockage: None,
        over: BlockageSink = lambda blockage: None,
    ) -> None:
        """`begun` is called when an action was found to block, `over` when it does no longer.

        Threads: both by the watchdog's.
        """
        self._shared = shared
        self._warning_s = warning_s
        self._begun = begun
        self._over = over
        self.blockage: Blockage | None = None  # what blocks now; read by any thread
        self._closed = threading.Event()
        self._beaten = threading.Event()  # set by the loop: it got round since it was asked to
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._run, name="zactor-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        period = min(limits.WATCH_PERIOD_S, self._warning_s / 4)
        while not self._closed.wait(period):
            self._beaten.clear()
            asked = time.monotonic()
            self._shared.post(self._beaten.set)
            self._pulse()
            is_told = False
            while not self._beaten.wait(period) and not self._closed.is_set():
                self._pulse()
                if is_told or time.monotonic() - asked < self._warning_s:
                    continue
                is_told = True
                if not self._shared.is_with_kernel():
                    self._begin(asked)
                elif self._shared.is_kernel_at_work():  # else it sleeps: the machine is busy
                    self._blame_kernel(asked)
            self._end()

    def _pulse(self) -> None:
        try:
            self._shared.pulse()
        except Exception:  # it reaches into the rest of the node; and the watch must go on
            log.exception("pulse_failed")

    def _blame_kernel(self, since: float) -> None:
        """It isn't an action that holds the loop's thread, but the node's own work."""
        work, where = place_of_thread(self._shared.thread)
        seconds = round(time.monotonic() - since, 2)
        log.warning("kernel_slow", work=work, where=where, seconds=seconds)

    def _begin(self, since: float) -> None:
        cell = self._culprit()
        action, where = place_of_thread(self._shared.thread)
        name, uid = ("", 0) if cell is None else (cell.name, cell.uid)
        moves = cell is not None and cell.options.dispatcher == "auto"
        blockage = Blockage(
            actor=name, uid=uid, action=action, where=where, since=since, moves=moves
        )
        self.blockage = blockage
        log.warning(
            "action_slow",
            actor=name,
            action=action,
            where=where,
            seconds=round(blockage.lasts_s(), 2),
            advice="it gets a thread of its own then"
            if moves
            else 'give the actor dispatcher="thread", or await what takes long',
        )
        self._begun(blockage)

    def _end(self) -> None:
        blockage, self.blockage = self.blockage, None
        if blockage is not None:
            self._over(blockage)

    def _culprit(self) -> TurnTaker | None:
        running = self._shared.running
        if running is not None:
            return running
        task = asyncio.current_task(self._shared.loop)
        return None if task is None else self._shared.cell_of(task)
