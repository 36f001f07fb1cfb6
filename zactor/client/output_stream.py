"""Output stream: what actors printed, logged and raised, of all nodes or of one, and what they say.

One request per node is under way, through the node that the client is at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Protocol

import msgspec

from zactor.kernel import errors, limits
from zactor.kernel.messages.operations import Operation, ReadOutput

Row = dict[str, object]

_WAIT_S = 5.0  # of a request at a node; then new nodes are asked too
_AGAIN_S = 1.0  # until a node that didn't answer is asked again


class _Page(msgspec.Struct, kw_only=True):
    node: str
    lines: list[Row]
    next: int
    others: list[str]


class Asks(Protocol):
    """What sends a request to the node that the client is at."""

    def __call__(self, operation: Operation, timeout: float | None) -> Future[object]:
        """Return the future of its result."""
        ...


class OutputStream:
    """The lines of one reader. It is iterated once, in an event loop."""

    def __init__(self, ask: Asks, *, node: str = "", actor: str = "", since: float = 0.0) -> None:
        """Read what `actor` said, or all; on `node`, or on all. `since` is in s since 1970."""
        self._ask = ask
        self._node = node
        self._actor = actor
        self._since = since
        self._after: dict[str, int] = {}

    async def past(self) -> tuple[list[Row], list[str]]:
        """Return what was said until now, in order, and the nodes that don't answer.

        Raises:
            NotReachable, NoSuchThing: the only node that is wanted.
        """
        rows, others = await self._all_of(self._node, 0.0)
        silent = []
        if not self._node:
            answers = await asyncio.gather(
                *(self._all_of(name, 0.0) for name in others), return_exceptions=True
            )
            for name, answer in zip(others, answers, strict=True):
                if isinstance(answer, errors.ZactorError):
                    silent.append(name)
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    rows += answer[0]
        return sorted(rows, key=_at), silent

    async def follow(self) -> AsyncIterator[Row]:
        """Yield what is said from then on, without end."""
        queue: asyncio.Queue[list[Row]] = asyncio.Queue()
        asking: dict[str, asyncio.Task[None]] = {}
        try:
            wanted = list(self._after)
            while True:
                for name in wanted:
                    if name not in asking or asking[name].done():
                        asking[name] = asyncio.create_task(self._next(name, queue))
                rows = await queue.get()
                for row in sorted(rows, key=_at):
                    yield row
                wanted = [self._node] if self._node else list(self._after)
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)

    async def _next(self, name: str, queue: asyncio.Queue[list[Row]]) -> None:
        try:
            rows, others = await self._all_of(name, _WAIT_S)
        except errors.ZactorError:
            await asyncio.sleep(_AGAIN_S)
            rows, others = [], []
        if not self._node:
            for other in others:
                self._after.setdefault(other, 0)
        await queue.put(rows)

    async def _all_of(self, name: str, wait_s: float) -> tuple[list[Row], list[str]]:
        rows: list[Row] = []
        while True:
            operation = ReadOutput(name, self._actor, self._after.get(name, 0), self._since, wait_s)
            timeout = wait_s + limits.CLIENT_REQUEST_S
            answer = await asyncio.wrap_future(self._ask(operation, timeout))
            try:
                page = msgspec.convert(answer, _Page)
            except msgspec.ValidationError as error:
                raise errors.RemoteProtocolError(f"these are no lines: {error}") from None
            self._after[page.node] = page.next
            rows += page.lines
            if not page.lines or wait_s or len(page.lines) < limits.OUTPUT_ANSWER_LINES:
                return rows, page.others
            name = page.node


def _at(row: Row) -> tuple[float, str, int]:
    at, number = row["at"], row["number"]
    assert isinstance(at, float | int), row
    assert isinstance(number, int), row
    return at, str(row["node"]), number
