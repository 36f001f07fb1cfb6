"""Rows B: asks between two actors of one node, one after the other and a hundred at once."""

from __future__ import annotations

import asyncio

from _common import best_rate, report

from zactor import Actor, action
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

COUNT = 50_000
AT_ONCE = 100


class Adder(Actor):
    """Answers."""

    @action
    def add(self, one: int, other: int) -> int:
        return one + other


class Asker(Actor):
    """Asks."""

    @action
    async def one_by_one(self, count: int) -> int:
        add = self.ref("adder").add
        for number in range(count):
            await add(number, 1)
        return count

    @action
    async def at_once(self, count: int) -> int:
        add = self.ref("adder").add
        for number in range(0, count, AT_ONCE):
            for reply in [add(number, 1) for _ in range(AT_ONCE)]:
                await reply
        return count


async def futures(count: int) -> int:
    """The raw limit: an asyncio future per call, set by a callback."""
    loop = asyncio.get_running_loop()
    for number in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, number + 1)
        await future
    return count


def main() -> None:
    """Print the row."""
    runtime = Runtime(dead_letter=lambda letter: None)
    runtime.start()
    for uid, (name, cls) in enumerate({"adder": Adder, "asker": Asker}.items(), 1):
        runtime.spawn(blueprint_of(cls, name=name, uid=uid)).result()
    asker = runtime.ref("asker")
    one_by_one = best_rate(lambda: int(asker.one_by_one(COUNT).result()))
    at_once = best_rate(lambda: int(asker.at_once(COUNT).result()))
    runtime.close()
    raw = best_rate(lambda: asyncio.run(futures(COUNT)))
    report("B", one_by_one, "calls/s", raw)
    report("B at once", at_once, "calls/s", raw)


if __name__ == "__main__":
    main()
