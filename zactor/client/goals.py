"""Goals: wait until one has a solution, by way of whichever node is there."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from zactor.client.rows import Row, rows_of
from zactor.kernel import errors, limits
from zactor.kernel.messages.operations import Operation, QueryFacts

_SLICE_S = 10.0  # of a wait at a node, so that one that hangs is noticed


async def wait_for_goal(
    goal: str,
    timeout: float,
    *,
    ask: Callable[[Operation, float], Awaitable[object]],
    ready: Callable[[], Awaitable[None]],
) -> list[Row]:
    """Return the solutions of a goal as soon as there are some.

    Args:
        ask: has an operation done, within that many s.
        ready: returns when there is a node to ask.

    Raises:
        TimedOut: it has none for `timeout` s.
    """
    until = time.monotonic() + timeout
    while True:
        left = max(0.0, until - time.monotonic())
        operation = QueryFacts(goal=goal, wait_s=min(left, _SLICE_S))
        try:
            found = rows_of(await ask(operation, operation.wait_s + limits.CLIENT_REQUEST_S))
        except errors.NotReachable:
            if time.monotonic() >= until:
                raise
            await ready()  # the node went; if there is another, it knows the answer too
            continue
        if found:
            return found
        if time.monotonic() >= until:
            raise errors.TimedOut(f"{goal!r} has not become true in {timeout:g} s")
