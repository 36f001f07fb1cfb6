"""Counter: `inc` comes in and is counted, `updateVal(n)` goes out; three variants."""

from __future__ import annotations

import asyncio

from zactor import Actor, Button, Line, Number, Panel, action, signal


class Counter(Actor):
    """Counts."""

    updateVal = signal(int)
    panel = Panel(Number("value"), Line("value", "over time"), Button("inc", "count one"))

    def __init__(self, start: int = 0) -> None:
        """`start` is where counting begins."""
        self.value = start

    @action
    def inc(self, by: int = 1) -> int:
        """Add `by`, tell everybody who is connected, return the new value."""
        self.value += by
        self.updateVal.emit(self.value)
        return self.value

    @action
    def count(self) -> int:
        """Return the value."""
        return self.value


class LazyCounter(Actor):
    """Takes its time over every `inc`, so it is long in finishing its work."""

    updateVal = signal(int)

    def __init__(self, start: int = 0, seconds: float = 0.5) -> None:
        """`seconds` is how long each `inc` takes."""
        self.value = start
        self.seconds = seconds

    @action
    async def inc(self, by: int = 1) -> int:
        """Add `by`, slowly."""
        await asyncio.sleep(self.seconds)
        self.value += by
        self.updateVal.emit(self.value)
        return self.value

    @action
    def count(self) -> int:
        """Return the value."""
        return self.value

    def on_stop(self, reason: str) -> None:
        """Say so: with all its work done, or with what was left of it given up."""
        print(f"{self.name} | ends at {self.value}", flush=True)


class FailCounter(Counter):
    """Counts well, but fails while it is destroyed."""

    def on_stop(self, reason: str) -> None:
        """Fail."""
        print(f"{self.name} | ends at {self.value}", flush=True)
        raise RuntimeError(f"{self.name} fails while it is destroyed, as it was made to")
