"""How slow the machine is while a test measures: what the papers promise holds on a quiet one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

TICK_S = 0.01


class Slowness:
    """Looks all the time how late a short timer comes and how many wait for a processor."""

    def __init__(self) -> None:
        self.worst = 1.0  # times slower than a quiet machine, at the worst moment so far
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, name="slowness", daemon=True)
        self._thread.start()

    def quiet_s(self, took_s: float) -> float:
        """Return what that would have taken on a quiet machine, at most."""
        return took_s / self.worst

    def close(self) -> None:
        """Look no longer."""
        self._ends.set()
        self._thread.join(10)

    def _look(self) -> None:
        cores = os.cpu_count() or 1
        began = time.monotonic()
        while not self._ends.wait(TICK_S):
            now = time.monotonic()
            # A quiet machine is late too, by less than a tick.
            late = (now - began) / (2 * TICK_S)
            self.worst = max(self.worst, late, running() / cores)
            began = time.monotonic()


def running() -> int:
    """Return how many processes run or wait for a processor."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
