"""Who has been silent for too long: a machine without a clock of its own.

Source: the failure detector's rules 3 and 5 of the group design. The rule a reader must not break:
who slept doesn't accuse the others, so a late tick moves every deadline by as much as it was late.
"""

from __future__ import annotations


class Detector:
    """Counts the ms since each watched node was heard, leaving out our own pauses."""

    def __init__(self, *, tick_ms: int, silence_ms: int) -> None:
        """`tick_ms` is how often `tick` is meant to be called, `silence_ms` what counts as dead."""
        assert 0 < tick_ms < silence_ms, (tick_ms, silence_ms)
        self._tick_ms = tick_ms
        self._silence_ms = silence_ms
        self._deadlines: dict[str, int] = {}
        self._last_tick_ms: int | None = None
        self.lag_ms = 0  # how late the last tick was

    def heard(self, name: str, now_ms: int) -> None:
        """A sign of life of `name`, which is watched from now on."""
        self._deadlines[name] = now_ms + self._silence_ms

    def forget(self, name: str) -> None:
        """Stop watching `name`."""
        self._deadlines.pop(name, None)

    def tick(self, now_ms: int) -> list[str]:
        """Return who has been silent for too long, sorted; they are forgotten."""
        last = self._last_tick_ms
        self._last_tick_ms = now_ms
        self.lag_ms = max(0, now_ms - last - self._tick_ms) if last is not None else 0
        if self.lag_ms > self._tick_ms:
            for name in self._deadlines:
                self._deadlines[name] += self.lag_ms
        silent = sorted(name for name, due in self._deadlines.items() if due <= now_ms)
        for name in silent:
            self.forget(name)
        return silent
