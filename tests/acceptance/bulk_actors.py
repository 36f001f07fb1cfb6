"""Actors that send each other long messages, each with a sum by which a wrong byte is found."""

import zlib

from zactor import Actor, ActorError, action

LENGTHS = (300_000, 1_000_000, 3_000_001)


def filled(number: int) -> bytearray:
    """What goes as the message of that number."""
    return bytearray((number % 251).to_bytes(1, "big") * LENGTHS[number % len(LENGTHS)])


class Sender(Actor):
    """Sends to "taker" without an end, whatever happens to it."""

    def __init__(self) -> None:
        self.counts = {"answered": 0, "wrong": 0}

    @action
    def begin(self, at_once: int) -> None:
        for first in range(at_once):
            self.spawn(self.send(first, at_once))

    async def send(self, number: int, step: int) -> None:
        there = self.ref("taker")
        while True:
            data = filled(number)
            try:
                got = await there.take.opts(timeout=5)(data, zlib.crc32(data))
            except ActorError:
                await self.pause()
                continue
            self.counts["answered"] += 1
            self.counts["wrong"] += bytes(got) != bytes(data[::-1])
            number += step

    async def pause(self) -> None:
        import asyncio

        await asyncio.sleep(0.01)

    @action
    def counted(self) -> dict[str, int]:
        return self.counts


class Taker(Actor):
    """Takes them, writes into what it got, and sends it back the other way round."""

    def __init__(self) -> None:
        self.counts = {"taken": 0, "wrong": 0}

    @action
    def take(self, data: bytearray, crc: int) -> bytearray:
        self.counts["taken"] += 1
        self.counts["wrong"] += zlib.crc32(data) != crc
        answer = bytearray(data[::-1])
        data[:] = bytes(len(data))
        return answer

    @action
    def counted(self) -> dict[str, int]:
        return self.counts
