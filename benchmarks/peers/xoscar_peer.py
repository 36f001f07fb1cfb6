"""xoscar: actors of one process and of two processes (pools) of this machine, in clear."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from _peer import TEXT, report

try:
    import numpy as np
    import xoscar as mo
except ImportError:
    sys.exit("no xoscar here: pip install xoscar numpy")

MB = 1_000_000


class Sink(mo.Actor):
    """Counts and answers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def echo(self, value: int) -> int:
        """Answer."""
        return value

    def number(self, number: int, text: str) -> None:
        """Count."""
        self.count += 1

    def counted(self) -> int:
        """How many there were."""
        return self.count

    def take(self, array: Any) -> int:
        """Swallow."""
        return int(array.nbytes)


class Asker(mo.Actor):
    """Measures from inside of a pool, as an actor does."""

    async def rate(self, sink: Any, count: int) -> float:
        """Asks/s, one after the other."""
        began = time.perf_counter()
        for index in range(count):
            await sink.echo(index)
        return count / (time.perf_counter() - began)

    async def median_us(self, sink: Any, count: int) -> float:
        """Of an ask."""
        taken = []
        for index in range(count):
            began = time.perf_counter()
            await sink.echo(index)
            taken.append(time.perf_counter() - began)
        return sorted(taken)[count // 2] * 1e6

    async def one_way(self, sinks: list[Any], count: int) -> float:
        """Messages/s that nobody waits for, until all are counted."""
        each = count // len(sinks)
        before = [await sink.counted() for sink in sinks]
        began = time.perf_counter()
        for index in range(each):
            for sink in sinks:
                await sink.number.tell(index, TEXT)
        for sink, had in zip(sinks, before, strict=True):
            while await sink.counted() < had + each:
                pass
        return each * len(sinks) / (time.perf_counter() - began)

    async def bulk(self, sink: Any, size: int, count: int) -> float:
        """MB/s."""
        array = np.zeros(size, dtype=np.uint8)
        began = time.perf_counter()
        for _ in range(count):
            await sink.take(array)
        return size * count / (time.perf_counter() - began) / MB


async def main() -> None:
    """All rows."""
    pool = await mo.create_actor_pool("127.0.0.1:0", n_process=2)
    async with pool:
        where = pool.external_address
        one, two = mo.allocate_strategy.ProcessIndex(1), mo.allocate_strategy.ProcessIndex(2)

        async def make(kind: Any, place: Any) -> Any:
            return await mo.create_actor(kind, address=where, allocate_strategy=place)

        asker, near, far = await make(Asker, one), await make(Sink, one), await make(Sink, two)
        report("xoscar", "A", await asker.one_way([near], 20_000), "msgs/s")
        report("xoscar", "B", await asker.rate(near, 20_000), "calls/s")
        report("xoscar", "C", await asker.one_way([far], 20_000), "signals/s")
        report("xoscar", "D", await asker.median_us(far, 5_000), "µs p50")
        report("xoscar", "E 1 MB", await asker.bulk(far, MB, 100), "MB/s")
        report("xoscar", "E 64 MB", await asker.bulk(far, 64 * MB, 4), "MB/s")
        began = time.perf_counter()
        many = [await make(Sink, one) for _ in range(500)]
        report("xoscar", "F", len(many) / (time.perf_counter() - began), "actors/s")
        report("xoscar", "H", await asker.one_way(many[:100], 20_000), "signals/s")
        others = [await make(Sink, two) for _ in range(10)]
        report("xoscar", "H remote", await asker.one_way(others, 20_000), "signals/s")


if __name__ == "__main__":
    asyncio.run(main())
