"""Metrics: what this node counts, for who watches; while nobody does, nothing is collected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.runtime.cell_report import CellCounts
from zactor.supervisor.observe.journal import Journal
from zactor.supervisor.observe.samples import Samples


class ActorCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was counted of one actor since it began."""

    name: str
    handled: int = 0  # messages
    failed: int = 0  # actions that raised
    waiting: int = 0  # messages in its mailbox
    worked_s: float = 0.0  # in its turns, without what it awaited
    sent: dict[str, int] = {}  # signal -> emissions, where that differs


class ActorKind(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of actor it is, told once."""

    name: str
    type: str
    signals: list[str]
    actions: list[str]
    has_panel: bool


class NodeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node counted, where it differs from the sample that was asked for."""

    node: str
    sample: int
    is_whole: bool  # all is told, whoever isn't in it isn't there
    at_s: float  # of this process; only differences mean something
    pid: int
    up_s: float
    cpu_s: float
    memory_bytes: int  # resident
    late_ms: int  # how late its loop was
    dead_letters: int
    failed_actions: int
    actors: list[ActorCounts]
    begun: list[ActorKind]
    gone: list[str]


class CountingActors(Protocol):
    """What runs the actors of this node, and counts."""

    def count(self) -> Iterator[CellCounts]:
        """Yield what was counted of each until now."""
        ...

    def kind_of(self, uid: int) -> tuple[list[str], list[str], bool]:
        """Return the signals and actions of one, and whether it has a panel."""
        ...


class Metrics:
    """Takes samples while somebody watches. Kernel's loop only."""

    def __init__(
        self,
        node: str,
        incarnation: int,
        *,
        actors: CountingActors,
        journal: Journal,
        late_ms: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`late_ms` is how late the loop was; `spawn` runs what takes its time."""
        self._node = node
        self._actors = actors
        self._journal = journal
        self._late_ms = late_ms
        self._spawn = spawn
        self._samples = Samples(incarnation * limits.EVENTS_OF_A_LIFE_MAX)
        self._began_s = time.monotonic()
        self._taken_s = 0.0
        self._asked_s = 0.0
        self._news = asyncio.Event()
        self.is_collecting = False

    async def watch(self, after: int, wait_s: float) -> NodeCounts:
        """Return what differs from sample `after`, once there is a newer one or the time is up."""
        self._asked_s = time.monotonic()
        if not self.is_collecting:
            self.is_collecting = True
            self._take()
            self._spawn(self._collect())
        if after == self._samples.number:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)
            self._asked_s = time.monotonic()
        return self._counts(after)

    async def _collect(self) -> None:
        try:
            while time.monotonic() - self._asked_s < limits.COUNTING_S:
                await asyncio.sleep(limits.COUNTS_EVERY_S)
                self._take()
        finally:
            self.is_collecting = False

    def _take(self) -> None:
        self._samples.take(self._actors.count())
        self._taken_s = time.monotonic()
        self._news.set()
        self._news = asyncio.Event()

    def _counts(self, after: int) -> NodeCounts:
        found = self._samples.since(after)
        return NodeCounts(
            node=self._node,
            sample=self._samples.number,
            is_whole=found.is_whole,
            at_s=self._taken_s,
            pid=os.getpid(),
            up_s=time.monotonic() - self._began_s,
            cpu_s=time.process_time(),
            memory_bytes=_resident_bytes(),
            late_ms=self._late_ms(),
            dead_letters=self._journal.dead_count,
            failed_actions=self._journal.failed_count,
            actors=[_actor_counts(counts) for counts in found.actors],
            begun=[self._kind(counts) for counts in found.begun],
            gone=found.gone,
        )

    def _kind(self, counts: CellCounts) -> ActorKind:
        signals, actions, has_panel = self._actors.kind_of(counts.uid)
        return ActorKind(
            name=counts.name,
            type=counts.type,
            signals=signals,
            actions=actions,
            has_panel=has_panel,
        )


def _actor_counts(counts: CellCounts) -> ActorCounts:
    handled, failed, waiting, worked_s = counts.counts
    return ActorCounts(
        name=counts.name,
        handled=handled,
        failed=failed,
        waiting=waiting,
        worked_s=round(worked_s, 6),
        sent=dict(counts.routes),
    )


def _resident_bytes() -> int:
    """Return the memory of this process, 0 where the system doesn't say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
