"""Ten busy groups of bench_k_slow_client.py: one client in each, which sends all it can or reads.

python _busy_groups.py HOME ENDPOINT send|read

For each line of its input it prints how many messages it has sent or read so far; then it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

from zactor import Mailbox, MembershipMessage

PAYLOAD = b"x" * 100
GROUPS = [f"busy{number}" for number in range(10)]


async def main() -> None:
    """Do that until there are no more lines."""
    home, endpoint, what = sys.argv[1:]
    counts = dict.fromkeys(GROUPS, 0)

    async def work(group: str) -> None:
        async with Mailbox(f"{what}-{group}", endpoint, home=home) as box:
            if what == "read":
                await box.join(group)
            while True:
                if what == "send":
                    await box.multicast(group, PAYLOAD)
                    counts[group] += 1
                else:
                    counts[group] += not isinstance(await box.receive(), MembershipMessage)

    tasks = [asyncio.create_task(work(group)) for group in GROUPS]
    while await asyncio.to_thread(sys.stdin.readline):
        for task in tasks:
            if task.done():
                task.result()
        print(sum(counts.values()), flush=True)
    os._exit(0)  # the others are still at it


if __name__ == "__main__":
    asyncio.run(main())
