"""Who has been silent for too long: a machine without a clock of its own.

Source: the failure detector's rules 2, 3 and 5 of the group design. A connection that libzmq's own
heartbeats keep alive says that the host and the process are there, so a loop that is silent behind
it is only stuck, and gets more time. The rule a reader must not break: who slept doesn't accuse the
others, so a late tick gives every node as much more time as it was late.
"""

from __future__ import annotations

from collections.abc import Collection


class Detector:
    """Counts the ms since each watched node was heard, leaving out our own pauses."""

    def __init__(self, *, tick_ms: int, silence_ms: int, stuck_ms: int) -> None:
        """Say what silence means death.

        Args:
            tick_ms: how often `tick` is meant to be called.
            silence_ms: of a node whose connection is broken.
            stuck_ms: of a node whose connection lives.
        """
        assert 0 < tick_ms < silence_ms <= stuck_ms, (tick_ms, silence_ms, stuck_ms)
        self._tick_ms = tick_ms
        self._silence_ms = silence_ms
        self._stuck_ms = stuck_ms
        self._heard_ms: dict[str, int] = {}
        self._last_tick_ms: int | None = None
        self.lag_ms = 0  # how late the last tick was

    def heard(self, name: str, now_ms: int) -> None:
        """A sign of life of `name`, which is watched from now on."""
        self._heard_ms[name] = now_ms

    def forget(self, name: str) -> None:
        """Stop watching `name`."""
        self._heard_ms.pop(name, None)

    def silence_ms(self, name: str, now_ms: int) -> int:
        """Return how long a watched node has been silent; 0 for one that isn't watched."""
        return now_ms - self._heard_ms.get(name, now_ms)

    def tick(self, now_ms: int, broken: Collection[str]) -> list[str]:
        """Return who counts as dead now, sorted; they are forgotten.

        Args:
            broken: nodes whose connection is broken at the moment.
        """
        last = self._last_tick_ms
        self._last_tick_ms = now_ms
        self.lag_ms = max(0, now_ms - last - self._tick_ms) if last is not None else 0
        if self.lag_ms > self._tick_ms:
            for name in self._heard_ms:
                self._heard_ms[name] = min(now_ms, self._heard_ms[name] + self.lag_ms)
        dead = sorted(
            name
            for name, heard_ms in self._heard_ms.items()
            if now_ms - heard_ms >= (self._silence_ms if name in broken else self._stuck_ms)
        )
        for name in dead:
            self.forget(name)
        return dead
