"""Event stream: what happened on all nodes, or on one, in one order, and what happens.

One request per node is under way, through the node that the client is at: it passes them on. What
each node has told is remembered by the numbers of its events, which only grow over its lives too;
so a client that goes on at another node hears nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Protocol

import msgspec

from zactor.kernel import errors, limits
from zactor.kernel.messages.operations import Events, Operation

Row = dict[str, object]

_WAIT_S = 10.0  # of a request at a node: who came meanwhile is asked then at the latest
_HOLD_S = 0.05  # for what other nodes tell of the same moment, so that it comes in order
_SEEN_MAX = 10_000  # changes of the knowledge base that were told already

Seen = dict[str, int]
"""The number of the last event of each node that was told."""


class _NodeRows(msgspec.Struct, kw_only=True):
    """What one node answers."""

    node: str
    events: list[Row]
    next: int
    others: set[str]  # the nodes that it can ask


class Asks(Protocol):
    """What sends a request to the node that the client is at."""

    def __call__(self, operation: Operation, timeout: float | None) -> Future[object]:
        """Return the future of its result."""
        ...


class EventStream:
    """The events of one reader. It is iterated once."""

    def __init__(
        self,
        ask: Asks,
        ready: Callable[[], Awaitable[object]],
        *,
        blocking: bool,
        node: str = "",
        last: int | None = None,
        seen: Seen | None = None,
    ) -> None:
        """Read what happened on `node`, or on all.

        Args:
            ready: returns when a node answers, the same or another.
            blocking: nothing suspends.
            last: of the past only so many; 0: of a node that is new to us what happens from now on.
            seen: of an earlier reader, and kept for a later one.
        """
        self._ask = ask
        self._ready = ready
        self._node = node
        self._last = last
        self._blocking = blocking
        self._seen: Seen = {} if seen is None else seen
        self._changes: dict[object, None] = {}  # those that were told, whoever applied them
        self._asked: dict[str, Future[object]] = {}  # by node; "": the one that the client is at
        self._wanted = {node}  # who is to be asked

    async def run(self, follow: bool) -> AsyncIterator[Row]:
        """Yield what happened, in one order; with `follow` also what happens, without end.

        Raises:
            NotReachable: no node answers. NoSuchThing: there is no such node.
        """
        try:
            self._wait = _Wait(blocking=self._blocking)
            for row in await self._past():  # it has no name here, so it isn't kept while we follow
                yield row
            while follow:
                for row in await self._next():
                    yield row
        finally:
            for future in self._asked.values():
                future.cancel()

    async def _past(self) -> list[Row]:
        """Return what happened until now, as far as it is wanted.

        Who doesn't say it is named by a row of its own.
        """
        self._begin(self._node, 0.0)
        await self._until(self._asked[self._node].done)
        here = self._page(self._node)
        if not self._node:
            self._wanted |= here.others
        for name in self._wanted - {self._node}:
            self._begin(name, 0.0)
        await self._until(lambda: all(future.done() for future in self._asked.values()))
        pages, rows = [here], []
        for name in sorted(self._asked):
            try:
                pages.append(self._page(name))
            except errors.ZactorError as error:
                rows.append(_not_told(here.node, name, error))
        found = self._in_order(pages, rows)
        return found[len(found) if self._last == 0 else -(self._last or 0) :]

    async def _next(self) -> list[Row]:
        """Return what comes next: nothing, now and then."""
        for name in self._wanted - self._asked.keys():
            self._begin(name, _WAIT_S)
        await self._until(lambda: any(future.done() for future in self._asked.values()))
        await self._until(lambda: all(future.done() for future in self._asked.values()), _HOLD_S)
        pages = []
        for name in [name for name, future in self._asked.items() if future.done()]:
            try:
                page = self._page(name)
            except errors.NotReachable:
                if name == self._node:
                    await self._ready()
                else:  # until the node here says that it is there again
                    self._wanted.discard(name)
            except errors.ZactorError:
                if name == self._node:
                    raise
                self._wanted.discard(name)
            else:
                pages.append(page)
                if name == self._node == "":
                    self._wanted |= page.others
        return self._in_order(pages, [])

    # -- asking ------------------------------------------------------------------------------
    def _begin(self, name: str, wait_s: float) -> None:
        operation = Events(after=self._seen, wait_s=wait_s, node=name, past=self._last != 0)
        asked = self._ask(operation, wait_s + limits.CLIENT_REQUEST_S)
        self._asked[name] = asked
        asked.add_done_callback(lambda _: self._wait.ring())

    def _page(self, name: str) -> _NodeRows:
        """Return the answer that is there.

        Raises:
            ZactorError: what came instead.
        """
        answer = self._asked.pop(name).result()
        try:
            return msgspec.convert(answer, _NodeRows)
        except msgspec.ValidationError as error:
            raise errors.RemoteProtocolError(f"these are no events: {error}") from None

    async def _until(self, is_so: Callable[[], bool], limit_s: float | None = None) -> None:
        until = None if limit_s is None else time.monotonic() + limit_s
        while not is_so():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            await self._wait.heard(left)

    # -- telling -----------------------------------------------------------------------------
    def _in_order(self, pages: list[_NodeRows], rows: list[Row]) -> list[Row]:
        for page in pages:
            last = self._seen.get(page.node, 0)
            rows += [row for row in page.events if _number(row) > last]
            self._seen[page.node] = max(last, page.next)
        rows.sort(key=_place)
        return [row for row in rows if self._node or self._is_new(row)]

    def _is_new(self, row: Row) -> bool:
        """Whether nobody has told of it: all nodes apply each change of the knowledge base."""
        if row["event"] != "changed" or "clock" not in row:
            return True
        change = repr((row["clock"], row.get("asserted"), row.get("retracted")))
        if change in self._changes:
            return False
        self._changes[change] = None
        if len(self._changes) > _SEEN_MAX:
            del self._changes[next(iter(self._changes))]
        return True


def _place(row: Row) -> tuple[float, str, int]:
    at = row["at"]
    assert isinstance(at, float | int), row
    return (at, str(row["node"]), _number(row))


def _number(row: Row) -> int:
    number = row["number"]
    assert isinstance(number, int), row
    return number


def _not_told(here: str, name: str, error: errors.ZactorError) -> Row:
    fields = {"peer": name, "what": "events", "why": str(error)}
    return {"number": 0, "at": time.time(), "node": here, "event": "look_failed", **fields}


class _Wait:
    """Rung by any thread, heard by one reader, who may be a coroutine or block."""

    def __init__(self, *, blocking: bool) -> None:
        self._loop = None if blocking else asyncio.get_running_loop()
        self._rung: threading.Event | asyncio.Event
        self._rung = threading.Event() if blocking else asyncio.Event()

    def ring(self) -> None:
        if self._loop is None:
            self._rung.set()
        else:
            with contextlib.suppress(RuntimeError):  # closed: nobody reads any more
                self._loop.call_soon_threadsafe(self._rung.set)

    async def heard(self, limit_s: float | None) -> None:
        """Return when it was rung since the last time, or after `limit_s`."""
        if isinstance(self._rung, threading.Event):
            self._rung.wait(limit_s)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), limit_s)
        self._rung.clear()
