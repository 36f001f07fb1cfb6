"""Clients at the door: whoever depends on one is told that it went.

A ROUTER says that some connection ended, but not whose. So each client that somebody watches is
then sent an answer to nothing: ROUTER_MANDATORY refuses it when the connection is gone. The news
may overtake the socket's own clean-up, hence a few more looks after the first.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial

import structlog

log = structlog.get_logger()


LOOKS_AFTER_S = (0.0, 0.002, 0.02, 0.1, 0.5)  # after a disconnection; mostly the first finds it


class ClientWatch:
    """The watched clients of one door. Kernel's loop only, but for `somebody_went`."""

    def __init__(self, reaches: Callable[[bytes], bool]) -> None:
        """`reaches` tries a client's connection and returns whether it is there."""
        self._loop = asyncio.get_running_loop()
        self._reaches = reaches
        self._watched: dict[bytes, dict[int, Callable[[], None]]] = {}
        self._numbers = itertools.count()  # of those who watch
        self._checks_s: list[float] = []  # that are left, the next one last
        self._timer: asyncio.TimerHandle | None = None
        self._is_told = False

    def watch(self, client: Client, lost: Callable[[], None]) -> Callable[[], None]:
        """Call `lost` once when the client's connection is gone; returns what ends the watch."""
        number = next(self._numbers)
        self._watched.setdefault(client.routing_id, {})[number] = lost
        return partial(self._unwatch, client.routing_id, number)

    def _unwatch(self, routing_id: bytes, number: int) -> None:
        watching = self._watched.get(routing_id, {})
        watching.pop(number, None)
        if not watching:
            self._watched.pop(routing_id, None)

    def somebody_went(self) -> None:
        """A connection ended; any thread."""
        if not self._is_told:
            self._is_told = True
            self._loop.call_soon_threadsafe(self._begin)

    def went(self, routing_id: bytes) -> None:
        """A send to this client failed."""
        if routing_id in self._watched:
            self._loop.call_soon(self._lose, routing_id)

    def close(self) -> None:
        """Watch nobody any more."""
        self._watched.clear()
        self._checks_s.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._is_told = False
        self._checks_s = list(reversed(LOOKS_AFTER_S))
        if self._timer is not None:
            self._timer.cancel()
        self._arm()

    def _arm(self) -> None:
        self._timer = None
        if self._checks_s and self._watched:
            self._timer = self._loop.call_later(self._checks_s.pop(), self._check)

    def _check(self) -> None:
        for routing_id in list(self._watched):
            if not self._reaches(routing_id):
                self._lose(routing_id)
        self._arm()

    def _lose(self, routing_id: bytes) -> None:
        for lost in self._watched.pop(routing_id, {}).values():
            try:
                lost()
            except Exception:  # of one of them: the others, and other clients', must be told
                log.exception("client_watch_failed")


class Client:
    """Who asked something at the door: where its answer goes."""

    __slots__ = ("routing_id",)

    def __init__(self, routing_id: bytes) -> None:
        self.routing_id = routing_id
