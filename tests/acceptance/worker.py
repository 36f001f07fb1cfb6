"""The actors of test_master_dies.py, shipped in a bundle: each notes its own end in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from zactor import Actor, action, signal


class Worker(Actor):
    """Works when its gate is there, a file, and writes a line when it ends."""

    done = signal(int)

    def __init__(self, file: str, gate: str = "", fails: str = "") -> None:
        if fails == "init":
            raise ValueError("it was made to fail")
        self.file = Path(file)
        self.gate = Path(gate or self.file.parent)
        self.fails = fails
        self.count = 0

    @action
    async def work(self) -> int:
        while not self.gate.exists():  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.005)
        self.count += 1
        self.done.emit(self.count)
        return self.count

    @action
    def note(self, count: int) -> None:
        self.count += count

    def on_stop(self, reason: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{self.count} {reason}\n")
        if self.fails == "stop":
            raise RuntimeError("it was made to fail")
