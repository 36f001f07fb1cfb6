"""The end of an actors' loop: what still runs in it is cancelled, and nothing holds it for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import said
from zactor.kernel.loops import HostLoop

log = structlog.get_logger()


def wind_up(loop: HostLoop) -> None:
    """Cancel all tasks of a loop that nobody runs, and close it. Threads of its executor go on."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _complete(loop, _last_words(tasks))
        _complete(loop, loop.shutdown_asyncgens())
        loop.drop_executor()
    finally:
        loop.close()


def _complete(loop: HostLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, though the loop may have been told to stop."""
    task = loop.create_task(work)
    task.add_done_callback(lambda _: loop.stop())
    while not task.done():
        outlive(loop.run_forever)


async def _last_words(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for tasks that were cancelled, but not for ever."""
    done, stuck = await asyncio.wait(tasks, timeout=limits.STOP_CANCEL_S)
    for task in done:
        if not task.cancelled():
            task.exception()  # read, so that nobody warns of it
    if stuck:
        log.warning("tasks_stuck", count=len(stuck), reason="they take no cancellation")


def outlive(run: Callable[[], object]) -> None:
    """Run a loop; what asyncio lets through from a task that a user made ends only this round."""
    try:
        run()
    except (KeyboardInterrupt, SystemExit) as error:
        log.error("task_failed", error=said(error), exception=trace_of(error))
