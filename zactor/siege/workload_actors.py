"""The actors of a siege: who sends numbers all the time, and who counts them."""

from __future__ import annotations

import asyncio

from zactor import Actor, action, signal

PERIOD_S = 0.1


class Ticker(Actor):
    """Sends 0, 1, 2 … to whoever is wired to it."""

    number = signal(int)

    def on_start(self) -> None:
        """Begin."""
        self.sent = 0
        self.ref(self.name).tick.tell()

    @action
    async def tick(self) -> None:
        """Send a number, and go on so for as long as it lives."""
        await asyncio.sleep(PERIOD_S)
        self.number.emit(self.sent)
        self.sent += 1
        self.ref(self.name).tick.tell()


class Tally(Actor):
    """Counts what it gets."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self.count = 0

    @action
    def number(self, number: int) -> None:
        """Take a number."""
        self.count += 1
