"""A client of a siege, one on each host: it deploys, wires and destroys, and talks in a group.

`python -m zactor.siege.workload_client HOST FOLLOWING` prints a line of JSON for each operation
that was acknowledged, and for each that wasn't; it ends when its input does, or says `stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time

from zactor import AlreadyExists, Mailbox, Master, Service, ZactorError, connect
from zactor.siege import workload_actors

ASK_S = 8.0
AGAIN_S = 0.3
OPERATION_S = 0.5
TALK_S = 0.05
GROUP = "siege"
SLOW_GROUP = "slow"
SLEEPS = 0.02  # how often a slow reader sleeps after a message …
SLEEP_S = 6.0  # … up to so long: five write a hundred each second, it reads a dozen or so
_SERVICES = (Service.FIFO, Service.CAUSAL, Service.AGREED, Service.SAFE)


def tell(**what: object) -> None:
    """Print a line that the audit reads."""
    print(json.dumps(what), flush=True)


class WorkloadClient:
    """What one host's client does."""

    def __init__(self, host: str, following: str) -> None:
        """`following` is the next host, where it deploys too."""
        self._host, self._following = host, following
        self._chance = random.Random(host)
        self._life = int(time.monotonic())  # a client that is started again makes new names
        self._numbers = itertools.count()

    async def operate(self) -> None:
        """Ask for one operation after the other."""
        while True:
            try:
                async with connect(timeout=ASK_S) as master:
                    await self._prepare(master)
                    while True:
                        await self._deploy_and_destroy(master)
            except (ZactorError, OSError) as error:
                tell(refused=type(error).__name__, host=self._host)
                await asyncio.sleep(AGAIN_S)

    async def _prepare(self, master: Master) -> None:
        """Have what stays: a ticker on this host, and a tally on the next that is wired to it."""
        for kind in ("ticker", "tally"):
            with contextlib.suppress(AlreadyExists):
                await master.declare_factory(kind, workload_actors.__file__)
        ticker, tally = f"ticker-{self._host}", f"tally-{self._following}"
        states = {row["name"]: row["state"] for row in await master.actors()}
        for kind, name, node in (
            ("ticker", ticker, self._host),
            ("tally", tally, self._following),
        ):
            if states.get(name) == "lost":
                await master.restore(name)
            elif name not in states:
                with contextlib.suppress(AlreadyExists):
                    await master.deploy_actor(kind, name, node)
        with contextlib.suppress(AlreadyExists):
            await master.react_interaction(tally, ticker, "number")

    async def _deploy_and_destroy(self, master: Master) -> None:
        """Deploy an actor, wire it, and destroy most of them again."""
        name = f"{self._host}-{self._life}-{next(self._numbers)}"
        node = self._chance.choice((self._host, self._following))
        tell(asked="deploy", name=name)
        await master.deploy_actor("tally", name, node)
        tell(done="deploy", name=name, node=node)
        await asyncio.sleep(OPERATION_S)
        emitter = f"ticker-{self._host}"
        await master.react_interaction(name, emitter, "number")
        tell(done="wire", name=name, emitter=emitter)
        await asyncio.sleep(OPERATION_S)
        if self._chance.random() < 0.9:
            tell(asked="destroy", name=name)
            await master.destroy_actor(name, todo=self._chance.random() < 0.5)
            tell(done="destroy", name=name)

    async def talk(self) -> None:
        """Be in the group, and say something all the time."""
        while True:
            with contextlib.suppress(ZactorError, OSError):
                async with Mailbox(f"c-{self._host}") as box:
                    await box.join(GROUP)
                    listening = asyncio.create_task(self._listen(box))
                    try:
                        while not listening.done():
                            service = self._chance.choice(_SERVICES)
                            await box.multicast(GROUP, b"x" * 100, service=service)
                            await asyncio.sleep(TALK_S)
                    finally:
                        listening.cancel()
            await asyncio.sleep(AGAIN_S)

    async def dawdle(self) -> None:
        """Be in another group whose members read now and then: who waits for them, may."""
        while True:
            with contextlib.suppress(ZactorError, OSError):
                async with Mailbox(f"d-{self._host}") as box:
                    await box.join(SLOW_GROUP)
                    sending = asyncio.create_task(self._send_to_slow(box))
                    try:
                        async for _ in box:
                            if self._chance.random() < SLEEPS:
                                await asyncio.sleep(self._chance.uniform(0, SLEEP_S))
                    finally:
                        sending.cancel()
            await asyncio.sleep(AGAIN_S)

    async def _send_to_slow(self, box: Mailbox) -> None:
        with contextlib.suppress(ZactorError, OSError):
            while True:
                await box.multicast(SLOW_GROUP, b"y" * 1_000, service=Service.AGREED)
                await asyncio.sleep(TALK_S)

    async def _listen(self, box: Mailbox) -> None:
        with contextlib.suppress(ZactorError, OSError):
            async for _ in box:
                pass


async def main(host: str, following: str) -> None:
    """Run until the input ends or says so."""
    client = WorkloadClient(host, following)
    doings = (client.operate(), client.talk(), client.dawdle())
    tasks = [asyncio.create_task(doing) for doing in doings]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tell(ended=host)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
