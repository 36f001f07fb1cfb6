"""A client of the group tests: a mailbox in a process of its own, which sends and writes.

    python group_client.py HOME ENDPOINT NAME CLIENTS COUNT OUT

It joins "room", waits until CLIENTS are in it, sends COUNT messages, every other one SAFE, the rest
AGREED, then a last one that says so. It ends when everybody who is still a member has said so.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from zactor import Mailbox, MembershipMessage, Service

PADDING = b"." * 80


async def send(box: Mailbox, name: str, count: int) -> None:
    for number in range(count):
        service = Service.SAFE if number % 2 else Service.AGREED
        await box.multicast("room", b"%s %d %s" % (name.encode(), number, PADDING), service=service)
    await box.multicast("room", b"end of %s" % name.encode(), service=Service.SAFE)
    await box.flush()


async def talk(home: str, endpoint: str, name: str, clients: int, count: int, out: Path) -> None:
    members: set[str] = set()
    done: set[str] = set()
    with out.open("w", buffering=1 << 20) as file:
        async with Mailbox(name, endpoint, home=home) as box:
            await box.join("room")
            sending: asyncio.Task[None] | None = None
            while not members or members - done or sending is None:
                message = await box.receive()
                if isinstance(message, MembershipMessage):
                    if message.transitional:
                        file.write("transitional\n")
                        continue
                    members = set(message.members)
                    file.write(f"members {' '.join(sorted(members))}\n")
                    if sending is None and len(members) == clients:
                        sending = asyncio.create_task(send(box, name, count))
                    continue
                text = message.payload.rstrip(b".").decode().strip()
                file.write(f"{message.service.value} {text}\n")
                if text.startswith("end of"):
                    done.add(message.sender)
                    file.flush()
            await sending


if __name__ == "__main__":
    HOME, ENDPOINT, NAME, CLIENTS, COUNT, OUT = sys.argv[1:]
    asyncio.run(talk(HOME, ENDPOINT, NAME, int(CLIENTS), int(COUNT), Path(OUT)))
