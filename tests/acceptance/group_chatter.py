"""A client that goes on sending to "room" until its input ends, and writes what it gets.

python group_chatter.py HOME ENDPOINT NAME OUT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from zactor import Mailbox, MembershipMessage, Service

PERIOD_S = 0.005


async def talk(box: Mailbox, name: str) -> None:
    number = 0
    while True:
        service = (Service.FIFO, Service.AGREED, Service.SAFE)[number % 3]
        await box.multicast("room", f"{name} {number}".encode(), service=service)
        number += 1
        await asyncio.sleep(PERIOD_S)


async def listen(box: Mailbox, out: Path) -> None:
    with out.open("w", buffering=1) as file:
        async for message in box:
            if not isinstance(message, MembershipMessage):
                file.write(f"{message.service.value} {message.payload.decode()}\n")
            elif message.transitional:
                file.write("transitional\n")
            else:
                file.write(f"members {message.cause.value} {' '.join(message.members)}\n")


async def main() -> None:
    home, endpoint, name, out = sys.argv[1:]
    async with Mailbox(name, endpoint, home=home) as box:
        await box.join("room")
        tasks = [asyncio.create_task(talk(box, name)), asyncio.create_task(listen(box, Path(out)))]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in done:
            if not isinstance(outcome, asyncio.CancelledError):
                raise AssertionError(f"it ended too early: {outcome!r}")


if __name__ == "__main__":
    asyncio.run(main())
