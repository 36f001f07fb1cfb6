"""A throttle for lines of the log that strangers can cause: the first at once, then sums."""

from __future__ import annotations

from zactor.kernel.limits import LOG_BURST_MS


class LogThrottle:
    """Counts events and says when to write a line about how many of them.

    The first event is reported at once; what follows within LOG_BURST_MS is reported as one
    number when that time is over. So a flood costs one line for each LOG_BURST_MS.

    Threads: one.
    """

    def __init__(self) -> None:
        """Nothing happened yet."""
        self._pending = 0
        self._silent_until_ms: int | None = None  # None: no burst is under way

    def add(self, now_ms: int) -> int:
        """Count one event; return how many to report now, 0 for none."""
        self._pending += 1
        return self.due(now_ms)

    def due(self, now_ms: int) -> int:
        """Return how many events wait to be reported now; 0 for none."""
        if self._silent_until_ms is not None and now_ms < self._silent_until_ms:
            return 0
        pending, self._pending = self._pending, 0
        self._silent_until_ms = now_ms + LOG_BURST_MS if pending else None
        return pending

    def rest(self) -> int:
        """Return what was never reported, for the last line before the end."""
        pending, self._pending = self._pending, 0
        return pending
