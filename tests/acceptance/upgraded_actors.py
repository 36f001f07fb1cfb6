"""Actors for upgrades under load: one emits numbers, the other notes what it gets.

VERSION is set anew before each declaration.
"""

import asyncio
from pathlib import Path

from zactor import Actor, action, signal

VERSION = 0


class Source(Actor):
    take = signal(str, int)

    def __init__(self):
        self.number = 0

    @action
    def begin(self, at_once):
        self.at_once = at_once
        self.timer = self.every(0.005, self.emit)

    def emit(self):
        for _ in range(self.at_once):
            self.take.emit(self.name, self.number)
            self.number += 1

    @action
    def end(self):
        self.timer.cancel()
        return self.number


class Noting:
    def __init__(self):
        self.seen = []

    def state(self):
        return self.seen

    def restore(self, seen):
        self.seen = seen

    @action
    def take(self, sender, number):
        self.seen.append((sender, number))

    @action
    def count(self):
        return VERSION, len(self.seen)

    @action
    def all(self):
        return self.seen


class SharedNoting(Noting, Actor):
    pass


class ThreadNoting(Noting, Actor, dispatcher="thread"):
    pass


class ProcessNoting(Noting, Actor, dispatcher="process"):
    pass


class Packing:
    """Hands its state over when somebody has written into a pipe, or is in a group by then."""

    def __init__(self, pipe="", group=""):
        self.pipe, self.group, self.value = pipe, group, 0

    async def state(self):
        if self.group:
            await self.join(self.group)
        if self.pipe:
            print("it packs", flush=True)
            await asyncio.to_thread(Path(self.pipe).read_bytes)
        return self.value

    def restore(self, value):
        self.value = value

    @action
    def take(self, *args):
        self.value += 1
        return self.value

    @action
    async def enter(self, group):
        await self.join(group)

    @action
    async def say(self, group):
        await self.multicast(group, b"hello")

    def on_message(self, message):
        self.value += 1


class SharedPacking(Packing, Actor):
    take_it = signal()


class ProcessPacking(Packing, Actor, dispatcher="process"):
    take_it = signal()


class Fragile(Noting, Actor):
    """Can't begin on n2: fails there, or waits for ever, as it was told."""

    def __init__(self, fails=""):
        super().__init__()
        self.fails = fails

    async def restore(self, seen):
        self.seen = seen
        if self.fails == "restore" and self.node == "n2":
            raise ValueError("not here")
        if self.fails == "wait" and self.node == "n2":
            print("it waits here", flush=True)
            await asyncio.sleep(300)

    async def on_stop(self, reason):
        if self.fails == "stop" and self.node == "n1":
            print("it leaves", flush=True)
            await asyncio.sleep(300)

    def on_start(self):
        if self.fails == "on_start" and self.node == "n2":
            raise ValueError("not here")
