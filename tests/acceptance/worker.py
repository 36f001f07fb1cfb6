"""The actors of test_master_dies.py, shipped in a bundle: each notes its own end in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from zactor import Actor, action, signal


class Worker(Actor):
    """Works slowly if it is told to, and writes a line when it ends."""

    done = signal(int)

    def __init__(self, file: str, seconds: float = 0.0, fails: str = "") -> None:
        if fails == "init":
            raise ValueError("it was made to fail")
        self.file = Path(file)
        self.seconds = seconds
        self.fails = fails
        self.count = 0

    @action
    async def work(self) -> int:
        await asyncio.sleep(self.seconds)
        self.count += 1
        self.done.emit(self.count)
        return self.count

    def on_stop(self, reason: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{self.count} {reason}\n")
        if self.fails == "stop":
            raise RuntimeError("it was made to fail")
