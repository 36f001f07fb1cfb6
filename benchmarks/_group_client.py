"""One client of bench_j_groups.py: `rate` sends and receives COUNT messages of each, `batch`
the same with batch calls, `trip` times.

python _group_client.py HOME ENDPOINT NAME CLIENTS COUNT SERVICE rate|batch|trip SIZE NODE_PIDS…
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from statistics import quantiles

from _common import cpu_s

from zactor import Mailbox, MembershipMessage, Service

PAYLOAD = b"x" * 100
LOT = 256


async def everybody(box: Mailbox, clients: int) -> None:
    """Return when all are in the room."""
    await box.join("room")
    while True:
        message = await box.receive()
        if isinstance(message, MembershipMessage) and len(message.members) == clients:
            return


async def send(box: Mailbox, payload: bytes, count: int, service: Service) -> None:
    """One by one."""
    for _ in range(count):
        await box.multicast("room", payload, service=service)


async def send_many(box: Mailbox, payload: bytes, count: int, service: Service) -> None:
    """The same with batch calls."""
    for first in range(0, count, LOT):
        lot = [payload] * min(LOT, count - first)
        await box.multicast_many("room", lot, service=service)


async def receive(box: Mailbox, left: int) -> None:
    """So many messages, one by one."""
    while left:
        left -= not isinstance(await box.receive(), MembershipMessage)


async def receive_many(box: Mailbox, left: int) -> None:
    """The same with batch calls."""
    while left:
        for message in await box.receive_many():
            left -= not isinstance(message, MembershipMessage)


async def rate(
    box: Mailbox, clients: int, count: int, service: Service, is_batch: bool, payload: bytes
) -> dict[str, object]:
    """Messages delivered here in a second, and what that took of the processor."""
    pids = [int(pid) for pid in sys.argv[9:]]
    began, cpu, nodes = time.perf_counter(), time.process_time(), cpu_s(pids)
    work = send_many if is_batch else send
    sending = asyncio.create_task(work(box, payload, count, service))
    await (receive_many if is_batch else receive)(box, count * clients)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    await sending
    return {"rate": count * clients / took, "cpu_s": cpu, "nodes_s": cpu_s(pids) - nodes}


async def trip(box: Mailbox, count: int, service: Service) -> dict[str, object]:
    """Until a message that this client sends is delivered to itself: µs, and each in s."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await box.multicast("room", PAYLOAD, service=service)
        while isinstance(await box.receive(), MembershipMessage):
            pass
        times.append((time.perf_counter() - began) * 1e6)
    cuts = quantiles(times, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "times": [taken / 1e6 for taken in times]}


async def main() -> None:
    """Do one of the two and print a line."""
    home, endpoint, name, clients, count, level, what, size = sys.argv[1:9]
    service = Service(level)
    found: dict[str, object]
    async with Mailbox(name, endpoint, home=home) as box:
        await everybody(box, int(clients))
        if what != "trip":
            payload = PAYLOAD * (int(size) // len(PAYLOAD))
            is_batch = what == "batch"
            found = await rate(box, int(clients), int(count), service, is_batch, payload)
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
