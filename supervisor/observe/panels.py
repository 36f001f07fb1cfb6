"""Panels of this node's actors, for who looks at them: read while somebody does, and not else.

The attributes are read in the actors' thread between two turns, so no hook costs an actor anything
that nobody looks at.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull
from zactor.kernel.runtime.cell_report import PanelSink, Shown


class PanelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one actor shows."""

    name: str
    version: int  # grows when what it shows changes
    controls: list[dict[str, object]]  # []: it has no panel, or isn't here
    values: dict[str, object]


class ShowingActors(Protocol):
    """What runs actors that show something."""

    def look_at_panels(self, names: Iterable[str], done: PanelSink) -> None:
        """Call `done` with what they show. Threads: it is called by another."""
        ...


class Panels:
    """Compares what is looked at with what was sent. Kernel's loop only."""

    def __init__(
        self, actors: ShowingActors, spawn: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        """`spawn` runs what goes on while somebody looks."""
        self._actors = actors
        self._spawn = spawn
        self._until: dict[str, float] = {}  # actor -> when nobody looks at it any more
        self._shown: dict[str, tuple[int, Shown]] = {}
        self._versions = time.time_ns() // 1_000_000  # over a node's lives too
        self._news = asyncio.Event()
        self._is_looking = False

    async def look(self, after: Mapping[str, int], wait_s: float) -> list[PanelReport]:
        """Return the panels whose version isn't the one in `after`, waiting for the first.

        Raises:
            MailboxFull: too many are looked at already.
        """
        if len(self._until.keys() | after.keys()) > limits.PANELS_LOOKED_AT_MAX:
            raise MailboxFull(
                f"{limits.PANELS_LOOKED_AT_MAX} panels of this node are looked at already"
            )
        until = time.monotonic() + wait_s
        while True:
            now = time.monotonic()
            for name in after:
                self._until[name] = now + limits.COUNTING_S
            self._begin()
            found = [self._report(name) for name in after if self._is_new(name, after[name])]
            if found or now >= until:
                return found
            news = self._news
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(until - now, limits.COUNTING_S / 3))

    def _is_new(self, name: str, version: int) -> bool:
        return name in self._shown and self._shown[name][0] != version

    def _report(self, name: str) -> PanelReport:
        version, (controls, values) = self._shown[name]
        return PanelReport(name=name, version=version, controls=controls, values=values)

    def _begin(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._spawn(self._keep_looking())

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._until:
                self._actors.look_at_panels(
                    list(self._until),
                    lambda shown: loop.call_soon_threadsafe(self._take, shown),
                )
                await asyncio.sleep(limits.PANEL_LOOK_S)
                now = time.monotonic()
                for name in [name for name, end in self._until.items() if end < now]:
                    del self._until[name]
                    self._shown.pop(name, None)
        finally:
            self._is_looking = False

    def _take(self, shown: dict[str, Shown | None]) -> None:
        is_news = False
        for name in self._until:
            now: Shown | None = shown.get(name, ([], {}))
            if now is None:
                continue
            if name not in self._shown or self._shown[name][1] != now:
                self._versions += 1
                self._shown[name] = (self._versions, now)
                is_news = True
        if is_news:
            self._news.set()
            self._news = asyncio.Event()
