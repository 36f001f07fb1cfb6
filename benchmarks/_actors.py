"""The actors of the benchmarks across nodes."""

import asyncio
import time

from zactor import Actor, action, signal

TEXT = "x" * 60


class Source(Actor):
    """Sends numbered signals of ~100 B in bursts, one burst a turn."""

    number = signal(int, str)

    @action
    def run(self, count: int, burst: int) -> None:
        self.left = count
        self.burst = burst
        self.go()

    @action
    def go(self) -> None:
        burst = min(self.burst, self.left)
        for index in range(burst):
            self.number.emit(self.left - index, TEXT)
        self.left -= burst
        if self.left:
            self.ref(self.name).go.tell()


class Sink(Actor):
    """Counts, and notes when the first and the last came."""

    def __init__(self) -> None:
        self.reset(0)

    @action
    def reset(self, due: int) -> None:
        self.due = due
        self.count = 0
        self.first = self.last = 0.0

    @action
    def number(self, number: int, text: str) -> None:
        if not self.count:
            self.first = time.monotonic()
        self.count += 1
        if self.count == self.due:
            self.last = time.monotonic()

    @action
    def took(self) -> float:
        """Seconds from the first to the last; 0 while some are missing."""
        return self.last - self.first if self.count >= self.due else 0.0


class Echo(Actor):
    """Answers."""

    @action
    def echo(self, value: int) -> int:
        return value


class Asker(Actor):
    """Asks another actor many times and tells how long each took."""

    @action
    async def measure(self, name: str, count: int) -> list[float]:
        there = self.ref(name)
        taken = []
        for index in range(count):
            began = time.perf_counter()
            await there.echo(index)
            taken.append(time.perf_counter() - began)
        return taken


class Burner(Actor):
    """Computes for 50 ms at a time, with as long a pause, until it is told to stop."""

    burns = False

    @action
    async def burn(self) -> None:
        self.burns = True
        while self.burns:
            end = time.perf_counter() + 0.05
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0.05)

    @action
    def stop(self) -> None:
        self.burns = False
