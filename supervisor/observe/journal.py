"""What happened on this node, for people: bounded lists of events, dead letters and failures.

Events are numbered from 1 and only grow, so a reader that comes again knows what it missed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from zactor.kernel import limits
from zactor.supervisor.observe.events import Event

ReportT = TypeVar("ReportT")


class DeadLetterReport(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up."""

    sender: str
    target: str
    action: str
    reason: str
    node: str  # where it is kept
    at: float  # s since 1970


class FailureReport(msgspec.Struct, frozen=True, kw_only=True):
    """An action that raised."""

    actor: str
    action: str
    error: str
    where: str  # FILE:LINE in the actor's own code; "": it raised elsewhere
    node: str
    at: float  # s since 1970


class _Kept(Generic[ReportT]):
    """The last reports of a kind, and how many there were; any thread."""

    def __init__(self, kept: int) -> None:
        self.count = 0
        self._rows: deque[ReportT] = deque(maxlen=kept)
        self._lock = threading.Lock()

    def keep(self, row: ReportT) -> ReportT | None:
        """Keep one more; returns the one before it."""
        with self._lock:
            before = self._rows[-1] if self._rows else None
            self.count += 1
            self._rows.append(row)
        return before

    def rows(self) -> list[ReportT]:
        """Return those that are kept, oldest first."""
        with self._lock:
            return list(self._rows)


class Journal:
    """Events, dead letters and failures of one node; any thread may record them."""

    def __init__(self, node: str, incarnation: int = 0) -> None:
        """`node` is written into every entry; its numbers go on where its last life's can't be."""
        self.node = node
        self.is_joining: Callable[[], bool] = lambda: False  # what it learns now is old to others
        self._events: deque[dict[str, Any]] = deque(maxlen=limits.EVENTS_KEPT)
        self._dead: _Kept[DeadLetterReport] = _Kept(limits.DEAD_LETTERS_KEPT)
        self._failures: _Kept[FailureReport] = _Kept(limits.FAILURES_KEPT)
        self._last = incarnation * limits.EVENTS_OF_A_LIFE_MAX
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell which loop the readers that wait are on."""
        self._loop = loop
        self._news = asyncio.Event()

    def take(self, event: Event) -> None:
        """Add an event, if it has words for people."""
        line = event.journal_line()
        if line is not None:
            name, fields = line
            self.record(name, **fields)

    def record(self, event: str, **fields: Any) -> None:
        """Add an event and wake who waits for one."""
        joining = {"joining": True} if self.is_joining() else {}
        with self._lock:
            self._last += 1
            head = {"number": self._last, "at": time.time(), "node": self.node, "event": event}
            self._events.append(head | fields | joining)
        if self._loop is not None and self._news is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def keep_dead_letter(self, *, sender: str, target: str, action: str, reason: str) -> bool:
        """Keep a dead letter; returns whether it is the first of a burst, which is worth a line."""
        letter = DeadLetterReport(
            sender=sender,
            target=target,
            action=action,
            reason=reason,
            node=self.node,
            at=time.time(),
        )
        before = self._dead.keep(letter)
        return before is None or letter.at - before.at > 1.0

    def dead_letters(self) -> list[DeadLetterReport]:
        """Return those that are kept, oldest first."""
        return self._dead.rows()

    @property
    def dead_count(self) -> int:
        """How many there were."""
        return self._dead.count

    def keep_failure(self, *, actor: str, action: str, error: str, where: str) -> None:
        """Keep that an action raised."""
        at = time.time()
        self._failures.keep(
            FailureReport(
                actor=actor, action=action, error=error, where=where, node=self.node, at=at
            )
        )

    def failures(self) -> list[FailureReport]:
        """Return those that are kept, oldest first."""
        return self._failures.rows()

    @property
    def failed_count(self) -> int:
        """How many actions raised."""
        return self._failures.count

    def events(self, after: int) -> list[dict[str, Any]]:
        """Return the events with a number above `after` that are kept, oldest first."""
        found = []
        with self._lock:
            for event in reversed(self._events):
                if event["number"] <= after:
                    break
                found.append(event)
        return found[::-1]

    def known(self, after: int | None) -> int:
        """Return the number up to which a reader knows the events; None: all that there are now.

        One that no event has had yet is of another node of that name, whose folder is gone.
        """
        if after is None:
            return self._last
        return after if after <= self._last else 0

    async def wait(self, after: int, wait_s: float) -> list[dict[str, Any]]:
        """Return what `events` returns, waiting up to `wait_s` for the first."""
        assert self._news is not None, "attach comes first"
        try:
            async with asyncio.timeout(wait_s):
                while not (found := self.events(after)):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return []
        return found
