"""Queries take turns: what is asked of the whole knowledge base is answered bit by bit.

A node has one loop for all its links, its clients and its part in every agreement. So a query runs
for QUERY_SLICE_MS and then rests, whatever it looks at; each client has one query at work, and the
clients' go on in turns, so nobody's hundred queries keep another's one waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import Refused

Who = TypeVar("Who")

Rows = Generator[object, None, None]
"""Yields rows, plain data; and None when it has worked for about a millisecond."""

_ENCODER = msgspec.msgpack.Encoder()


class _Query:
    """One query, and the rows that it has found."""

    def __init__(self, rows: Rows) -> None:
        self.found: asyncio.Future[list[msgspec.Raw]] = asyncio.get_running_loop().create_future()
        self.has_begun = False
        self._rows = rows
        self._encoded: list[msgspec.Raw] = []
        self._bytes = 0

    def go_on(self) -> bool:
        """Work until the next pause; return whether that was the end."""
        self.has_begun = True
        try:
            for _ in range(limits.QUERY_ROWS_AT_ONCE):
                row = next(self._rows)
                if row is None:
                    return False
                self._keep(row)
        except StopIteration:
            self._end(None)
        except Exception as error:  # whatever it is, it is for who asked
            self._end(error)
        return self.found.done()

    def close(self) -> None:
        """Let go of what it looks at."""
        self._rows.close()

    def _keep(self, row: object) -> None:
        raw = _ENCODER.encode(row)  # at once: the answer is as long as the bytes that are kept
        self._bytes += len(raw)
        if self._bytes > limits.QUERY_ANSWER_BYTES_MAX:
            raise Refused(
                f"the answer is longer than {limits.QUERY_ANSWER_BYTES_MAX} bytes: ask for less at"
                " a time"
            )
        self._encoded.append(msgspec.Raw(raw))

    def _end(self, error: Exception | None) -> None:
        if self.found.done():  # nobody waits any more
            return
        if error is None:
            self.found.set_result(self._encoded)
        else:
            self.found.set_exception(error)


class QueryTurns(Generic[Who]):
    """The queries that a node is asked. Kernel's loop only."""

    def __init__(self, is_behind: Callable[[Who], bool]) -> None:
        """`is_behind` tells of who should read its answers first: no query of his is begun."""
        self._is_behind = is_behind
        self._lines: dict[Who, deque[_Query]] = {}  # by who asks, whose turn is next first
        self._timer: asyncio.Handle | None = None

    async def rows(self, who: Who, rows: Rows) -> list[msgspec.Raw]:
        """Return what `rows` yields but None, encoded; those of `who` run one after the other.

        Raises:
            Refused: that is longer than QUERY_ANSWER_BYTES_MAX.
            ZactorError: what `rows` raises.
        """
        query = _Query(rows)
        self._lines.setdefault(who, deque()).append(query)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_soon(self._slice)
        try:
            return await query.found
        finally:
            self._forget(who, query)
            query.close()

    def _slice(self) -> None:
        """Let the queries work for a while, and rest if some are left."""
        self._timer = None
        end_s = time.monotonic() + limits.QUERY_SLICE_MS / 1000
        idle = 0  # clients in a row that are behind
        while idle < len(self._lines) and time.monotonic() < end_s:
            who = next(iter(self._lines))
            line = self._lines.pop(who)
            if not line[0].has_begun and self._is_behind(who):
                idle += 1
            else:
                idle = 0
                if line[0].go_on():
                    line.popleft()
            if line:
                self._lines[who] = line  # behind the others
        if self._lines:
            rest_ms = limits.QUERY_REST_MS if idle < len(self._lines) else limits.QUERY_LOOK_MS
            self._timer = asyncio.get_running_loop().call_later(rest_ms / 1000, self._slice)

    def _forget(self, who: Who, query: _Query) -> None:
        line = self._lines.get(who, deque())
        if query in line:
            line.remove(query)
            if not line:
                del self._lines[who]
