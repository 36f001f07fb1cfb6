"""One client of bench_k_slow_client.py: sends all it can, or reads with PAUSE s after each message.

python _slow_client.py HOME ENDPOINT NAME PAUSE SECONDS send|read
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time

from zactor import Mailbox, MembershipMessage, Service

PAYLOAD = b"x" * 100
CLIENTS = 3


async def main() -> None:
    """Do that for so long after all are there, then print a line."""
    home, endpoint, name, pause, seconds, what = sys.argv[1:]
    async with Mailbox(name, endpoint, home=home) as box:
        await box.join("room")
        while True:
            first = await box.receive()
            if isinstance(first, MembershipMessage) and len(first.members) == CLIENTS:
                break
        until = time.monotonic() + float(seconds)
        sent = read = others = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await box.multicast("room", PAYLOAD, service=Service.AGREED)
                sent += 1

        sending = asyncio.create_task(send()) if what == "send" else None
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + float(seconds)):
                while time.monotonic() < until:
                    message = await box.receive()
                    others += isinstance(message, MembershipMessage)
                    read += not isinstance(message, MembershipMessage)
                    if float(pause):
                        await asyncio.sleep(float(pause))
        except TimeoutError:
            pass
        if sending is not None:
            sending.cancel()
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"sent": sent, "read": read, "changes": others, "rss": round(rss)}))
        sys.stdout.flush()
        sys.stdin.read()  # stay a member until all are done
        os._exit(0)  # a goodbye would wait for the slow one


if __name__ == "__main__":
    asyncio.run(main())
