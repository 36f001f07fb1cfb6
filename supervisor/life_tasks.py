"""Tasks of one life of a node: what runs as long as it lasts, and what it can't go on without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

VITAL = "vital"  # name of tasks without which a node isn't one


class LifeTasks:
    """The tasks of one life, on the running loop. Kernel's loop only."""

    def __init__(self, fail: Callable[[str], None]) -> None:
        """`fail` ends this life, and hears why, where a vital task fails."""
        self._loop = asyncio.get_running_loop()
        self._fail = fail
        self._tasks: set[asyncio.Task[object]] = set()

    def spawn(self, work: Coroutine[Any, Any, object], name: str | None = None) -> None:
        """Run a coroutine as long as this life lasts; an error of ours is logged, loudly."""
        _ = self.make(work, name)

    def make(
        self, work: Coroutine[Any, Any, object], name: str | None = None
    ) -> asyncio.Task[object]:
        """The same, for who may want to cancel it."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task_failed", exc_info=task.exception())
            if task.get_name() == VITAL:
                self._fail(f"a part without which it can't go on failed: {task.exception()!r}")

    async def end(self) -> None:
        """Cancel all, and return when they have ended."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
