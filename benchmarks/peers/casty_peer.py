"""casty: typed virtual actors in one process, and of two nodes on this machine."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from _peer import TEXT, report

try:
    from casty import ActorSystem, Askable, Cluster, Context, actor
except ImportError:
    sys.exit("no casty here: it needs Python 3.12 and pip install casty")


@dataclass(frozen=True)
class Echo(Askable[int]):
    """Wants its number back."""

    value: int


@dataclass(frozen=True)
class Number:
    """Is counted."""

    number: int
    text: str


@dataclass(frozen=True)
class Counted(Askable[int]):
    """How many there were."""


async def _body(ctx: Context[int, Echo | Number | Counted]) -> None:
    count = 0
    async for message in ctx.inbox:
        if isinstance(message, Number):
            count += 1
        elif isinstance(message, Echo):
            message.reply_to.tell(message.value)
        else:
            message.reply_to.tell(count)


@actor(initial=0)
async def near(ctx: Context[int, Echo | Number | Counted]) -> None:
    """An actor of whichever node owns its key."""
    await _body(ctx)


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def rows(sink: Any, local: bool) -> None:
    """One way and asks."""
    for count in (1_000, 20_000):
        before = await sink.ask(Counted())
        began = time.perf_counter()
        for index in range(count):
            sink.tell(Number(index, TEXT))
            if index % 256 == 255:
                await asyncio.sleep(0)
        while await sink.ask(Counted()) < before + count:
            pass
        rate = count / (time.perf_counter() - began)
    report("casty", "A" if local else "C", rate, "msgs/s" if local else "signals/s")
    taken = []
    for index in range(5_000):
        began = time.perf_counter()
        await sink.ask(Echo(index))
        taken.append(time.perf_counter() - began)
    taken.sort()
    if local:
        report("casty", "B", len(taken) / sum(taken), "calls/s")
    else:
        report("casty", "D", taken[len(taken) // 2] * 1e6, "µs p50")


async def serve(own: str, seed: str) -> None:
    """Be the other node until the pipe ends."""
    async with ActorSystem(cluster=Cluster(bind=own, advertise=own, seeds=(seed,))) as system:
        system.ref(near, "warm")
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def main() -> None:
    """All rows."""
    async with ActorSystem() as system:
        await rows(system.ref(near, "one"), local=True)
    own, other = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    async with ActorSystem(cluster=Cluster(bind=own, advertise=own, seeds=())) as system:
        child = subprocess.Popen(  # noqa: ASYNC220 - it is started once
            [sys.executable, __file__, other, own], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            await asyncio.to_thread(child.stdout.readline)
            # Of many keys about half are there: the slowest to answer of a few is one of them.
            far, slowest = None, 0.0
            for key in range(16):
                sink = system.ref(near, f"far{key}")
                await sink.ask(Echo(0))
                taken = []
                for index in range(50):
                    began = time.perf_counter()
                    await sink.ask(Echo(index))
                    taken.append(time.perf_counter() - began)
                middle = sorted(taken)[25]
                if middle > slowest:
                    far, slowest = sink, middle
            await rows(far, local=False)
        finally:
            child.kill()
            child.communicate()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]) if sys.argv[1:] else main())
