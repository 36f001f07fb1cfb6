"""One client of bench_j_groups.py: `rate` sends and receives COUNT messages of each, `trip` times.

python _group_client.py HOME ENDPOINT NAME CLIENTS COUNT SERVICE rate|trip
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from statistics import quantiles

from zactor import Mailbox, MembershipMessage, Service

PAYLOAD = b"x" * 100


async def everybody(box: Mailbox, clients: int) -> None:
    """Return when all are in the room."""
    await box.join("room")
    while True:
        message = await box.receive()
        if isinstance(message, MembershipMessage) and len(message.members) == clients:
            return


async def rate(box: Mailbox, clients: int, count: int, service: Service) -> dict[str, float]:
    """Messages delivered here in a second."""

    async def send() -> None:
        for _ in range(count):
            await box.multicast("room", PAYLOAD, service=service)

    began = time.perf_counter()
    sending = asyncio.create_task(send())
    left = count * clients
    while left:
        left -= not isinstance(await box.receive(), MembershipMessage)
    took = time.perf_counter() - began
    await sending
    return {"rate": count * clients / took}


async def trip(box: Mailbox, count: int, service: Service) -> dict[str, float]:
    """Microseconds until a message that this client sends is delivered to itself."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await box.multicast("room", PAYLOAD, service=service)
        while isinstance(await box.receive(), MembershipMessage):
            pass
        times.append((time.perf_counter() - began) * 1e6)
    cuts = quantiles(times, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


async def main() -> None:
    """Do one of the two and print a line."""
    home, endpoint, name, clients, count, level, what = sys.argv[1:]
    service = Service(level)
    async with Mailbox(name, endpoint, home=home) as box:
        await everybody(box, int(clients))
        if what == "rate":
            found = await rate(box, int(clients), int(count), service)
        elif name == "c1":
            found = await trip(box, int(count), service)
            await box.multicast("room", b"end", service=service)
        else:
            while getattr(await box.receive(), "payload", b"") != b"end":
                pass
            found = {}
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
