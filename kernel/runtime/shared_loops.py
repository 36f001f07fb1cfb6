"""Shared loops: the one that most actors share, and others for who comes while that is blocked.

An action that blocks its loop can't be ended. So that a node isn't lost with it, actors that begin
meanwhile share another loop, of a thread of its own; those of the first go on when it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from zactor.kernel import limits
from zactor.kernel.runtime.dispatcher import SharedLoop
from zactor.kernel.runtime.watchdog import Blockage, BlockageSink, Watchdog


class SharedLoops:
    """All of one runtime. Threads: all by any, but for `start`."""

    def __init__(
        self, pulse: Callable[[], object], *, begun: BlockageSink, over: BlockageSink
    ) -> None:
        """Args: as of SharedLoop and Watchdog."""
        self._pulse = pulse
        self._begun = begun
        self._over = over
        self._lock = threading.Lock()
        self._loops: list[tuple[SharedLoop, Watchdog]] = []
        self._held: dict[SharedLoop, Callable[[], bool]] = {}  # whether what holds it goes on
        self.first = self._make()

    def _make(self) -> SharedLoop:
        loop = SharedLoop(self._pulse)
        watchdog = Watchdog(loop, begun=self._begun, over=self._over)
        self._loops.append((loop, watchdog))
        return loop

    def start(self) -> None:
        """Run the first in the thread "zactor-actors"."""
        loop, watchdog = self._loops[0]
        loop.start()
        watchdog.start()

    def hold(self, loop: SharedLoop, goes_on: Callable[[], bool]) -> None:
        """What an abandoned actor left behind holds that loop, while `goes_on()`."""
        self._held[loop] = goes_on

    def free(self) -> SharedLoop:
        """Return one that isn't blocked, the first if it may be."""
        if self.first.thread is None or not self._is_blocked(*self._loops[0]):
            return self.first
        with self._lock:
            for loop, watchdog in self._loops:
                if not self._is_blocked(loop, watchdog):
                    return loop
            if len(self._loops) >= limits.SHARED_LOOPS_MAX:
                return self.first
            loop = self._make()
            loop.start()
            self._loops[-1][1].start()
            return loop

    def _is_blocked(self, loop: SharedLoop, watchdog: Watchdog) -> bool:
        goes_on = self._held.get(loop)
        if goes_on is not None and not goes_on():
            del self._held[loop]
            goes_on = None
        return goes_on is not None or watchdog.blockage is not None

    def blockages(self) -> list[Blockage]:
        """Return what holds them, the longest first."""
        found = [watchdog.blockage for _, watchdog in list(self._loops)]
        return sorted((each for each in found if each is not None), key=lambda each: each.since)

    def is_here(self) -> bool:
        """Whether the caller runs inside one of them."""
        return any(loop.is_here() for loop, _ in list(self._loops))

    def unmute(self) -> None:
        """Look again at who is muted."""
        for loop, _ in list(self._loops):
            loop.unmute()

    def close_watch(self) -> None:
        """Nobody is told any more what blocks them."""
        for _, watchdog in self._loops:
            watchdog.close()

    def close(self, end: float) -> bool:
        """Cancel what still runs; whether all ended until `end`, by time.monotonic()."""
        ended = [loop.close(max(0.1, end - time.monotonic())) for loop, _ in self._loops]
        return all(ended)
