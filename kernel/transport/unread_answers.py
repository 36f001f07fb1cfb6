"""Answers that a client hasn't read and that libzmq doesn't take: they wait, counted in bytes."""

from __future__ import annotations

import asyncio
from collections import deque

from zactor.kernel import limits

Body = bytes | memoryview


class UnreadAnswers:
    """Of one client. Kernel's loop only."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s`: the loop's time at which they are given up."""
        self.bodies: deque[Body] = deque()
        self.size = 0  # bytes
        self.patience_s = patience_s
        self._asking: list[asyncio.Future[None]] = []  # who waits for the client to read

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that nothing more that the client asks should be begun."""
        return self.size > limits.DOOR_UNREAD_BYTES_MAX

    def put(self, body: Body) -> None:
        """One more waits."""
        self.bodies.append(body)
        self.size += len(body)

    def pop(self) -> None:
        """The first of them has left."""
        self.size -= len(self.bodies.popleft())

    def clear(self) -> None:
        """Give them up."""
        self.bodies.clear()
        self.size = 0

    async def progress(self) -> None:
        """Return when the client isn't behind any more, as far as `tell` knows."""
        asking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append(asking)
        await asking

    def tell(self) -> None:
        """Wake who waits for progress."""
        asking, self._asking = self._asking, []
        for each in asking:
            if not each.done():
                each.set_result(None)
