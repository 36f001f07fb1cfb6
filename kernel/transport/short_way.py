"""The short way: calls of the kernel's loop that needn't wait for its next round.

A hub's turn and the door's reading are plain calls. Where one thread runs the kernel's loop and the
actors', it does them at once: the message that wakes it is with its actor, and the answer on its
way, without a round between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Call = Callable[[], None]


class ShortWay(Protocol):
    """How calls of the kernel's loop are done sooner; `kernel/runtime/baton.py` has it."""

    def express(self, call: Call) -> bool:
        """Do a call here and now, if this thread may; whether it was done. Threads: any.

        It inherits no context; what it raises is the loop's to report. Within a call of the
        kernel's loop: False, always.
        """
        ...

    def watch(self, fd: int, read: Call) -> None:
        """Call `read`, by the short way if there is one, while that descriptor is readable."""
        ...

    def unwatch(self, fd: int) -> None:
        """Don't any more."""
        ...

    def after_actors(self, call: Call) -> bool:
        """Have `call` done when the actors that have just been woken have had their slice.

        Whether it will be: False where no actor was woken, or another thread runs them.
        """
        ...


class LongWay:
    """Of a loop without actors: everything takes its rounds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def express(self, call: Call) -> bool:
        """Nothing is."""
        return False

    def watch(self, fd: int, read: Call) -> None:
        """As loops do."""
        self._loop.add_reader(fd, read)

    def unwatch(self, fd: int) -> None:
        """As loops do."""
        self._loop.remove_reader(fd)

    def after_actors(self, call: Call) -> bool:
        """There are none."""
        return False
