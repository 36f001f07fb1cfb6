"""The actors of bench_e_bulk.py."""

import asyncio
import time

import numpy as np

from zactor import Actor, action


class Sender(Actor):
    """Sends arrays and waits for the answers."""

    @action
    async def send(self, to: str, size: int, count: int, at_once: int) -> float:
        """Seconds that `count` arrays of `size` bytes took, `at_once` of them under way."""
        there = self.ref(to)
        array = np.arange(size, dtype=np.uint8)

        async def one_after_the_other(share: int) -> None:
            for _ in range(share):
                assert await there.take(array) == size

        began = time.perf_counter()
        await asyncio.gather(*(one_after_the_other(count // at_once) for _ in range(at_once)))
        return time.perf_counter() - began


class Receiver(Actor):
    """Looks at each end of an array."""

    @action
    def take(self, array: np.ndarray) -> int:
        assert array[0] == 0
        assert array[-1] == (array.size - 1) % 256
        return array.nbytes
