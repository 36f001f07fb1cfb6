"""The actors of these tests, shipped to the nodes in a bundle."""

from zactor import Actor, action, signal


class Source(Actor):
    """Emits numbered signals."""

    number = signal(int)
    other = signal(int)

    def __init__(self) -> None:
        self.next = 0

    @action
    def burst(self, count: int) -> int:
        for _ in range(count):
            self.number.emit(self.next)
            self.next += 1
        return self.next

    @action
    def poke(self) -> None:
        self.other.emit(1)


class Sink(Actor):
    """Notes what comes and whether it came in order."""

    def __init__(self) -> None:
        self.count = 0
        self.last = -1
        self.wrong: list[tuple[int, int]] = []
        self.pokes = 0

    @action
    def number(self, value: int) -> None:
        if value != self.last + 1:
            self.wrong.append((self.last, value))
        self.last = value
        self.count += 1

    @action
    def other(self, value: int) -> None:
        self.pokes += value

    @action
    def report(self) -> dict[str, object]:
        return {"count": self.count, "last": self.last, "wrong": self.wrong, "pokes": self.pokes}


class Sleeper(Actor):
    """Never answers in time."""

    @action
    async def sleep(self, seconds: float) -> str:
        import asyncio

        await asyncio.sleep(seconds)
        return "awake"

    @action
    def hold(self, seconds: float) -> None:
        import time

        time.sleep(seconds)
