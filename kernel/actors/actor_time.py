"""Actor time: what an actor's own timers and tasks look like to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class ActorTimer(Protocol):
    """A call that an actor has asked for."""

    def cancel(self) -> None:
        """It is due no more. Again: nothing. Threads: any."""
        ...


class ActorTime(Protocol):
    """Timers and tasks of one actor, which end with it."""

    def start_timer(
        self, delay_s: float, call: Callable[..., Any], arguments: tuple[Any, ...], *, again: bool
    ) -> ActorTimer:
        """See Actor.every and Actor.after."""
        ...

    def start_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """See Actor.spawn."""
        ...
