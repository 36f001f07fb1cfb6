"""Watchdog: a thread that tells who blocks the shared loop, since the loop itself can't."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import FrameType

import structlog

from zactor.kernel import limits
from zactor.kernel.runtime.dispatcher import SharedLoop, TurnTaker

log = structlog.get_logger()


class Watchdog:
    """Names an action that blocks the shared loop for over ACTION_WARNING_S, once each time.

    What has to be done in time though the loop is blocked, the loop's `pulse`, is done here too.
    """

    def __init__(self, shared: SharedLoop, warning_s: float = limits.ACTION_WARNING_S) -> None:
        self._shared = shared
        self._warning_s = warning_s
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
            warned = False
            self._pulse()
            while not self._beaten.wait(period) and not self._closed.is_set():
                self._pulse()
                blocked_s = time.monotonic() - asked
                if blocked_s >= self._warning_s and not warned:
                    warned = True
                    self._warn(blocked_s)

    def _pulse(self) -> None:
        try:
            self._shared.pulse()
        except Exception:  # it reaches into the rest of the node; and the watch must go on
            log.exception("pulse_failed")

    def _warn(self, blocked_s: float) -> None:
        cell = self._culprit()
        action, where = self._place()
        log.warning(
            "action_slow",
            actor=cell.name if cell is not None else "",
            action=action,
            where=where,
            seconds=round(blocked_s, 2),
            advice='give the actor dispatcher="thread", or await what takes long',
        )

    def _culprit(self) -> TurnTaker | None:
        running = self._shared.running
        if running is not None:
            return running
        task = asyncio.current_task(self._shared.loop)
        return None if task is None else self._shared.cell_of(task)

    def _place(self) -> tuple[str, str]:
        """The function that the runtime called, and the line where it is now."""
        thread = self._shared.thread
        frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
        if frame is None:
            return "", ""
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        outer: FrameType | None = frame
        action = ""
        while outer is not None:
            module = outer.f_globals.get("__name__", "")
            if not module.startswith("zactor.kernel.runtime."):
                action = outer.f_code.co_name
            elif action:  # what it calls inside of itself, as a signal's `emit`, doesn't count
                break
            outer = outer.f_back
        return action, where
