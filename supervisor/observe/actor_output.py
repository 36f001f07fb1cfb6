"""Output of this node's actors: what they print, log and raise, each line with its actor.

A line is on the node's disk when `print` returns, so what was printed before a kill -9 is there
after it. Of each actor the last lines are kept, in memory and in the file, so that one that talks
much doesn't drive the others out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from pathlib import Path

import msgspec

from zactor.kernel import forks, limits

FILE = "output.jsonl"


class OutputLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    number: int
    at: float  # s since 1970
    node: str
    actor: str  # "": what an actor started said, and nobody knows which
    kind: str  # printed | logged | failed
    text: str


class _Kept:
    """The lines of one actor."""

    __slots__ = ("held_bytes", "lines")

    def __init__(self) -> None:
        self.lines: deque[OutputLine] = deque()
        self.held_bytes = 0

    def drop(self) -> int:
        dropped = len(self.lines.popleft().text)
        self.held_bytes -= dropped
        return dropped


class ActorOutput:
    """The last lines of each actor of one node. Threads: `take` by any, all else kernel's loop."""

    def __init__(self, node: str, incarnation: int, folder: Path) -> None:
        """Read what earlier lives left in `folder`; it takes lines only once it is attached."""
        self.node = node
        self.number = incarnation * limits.EVENTS_OF_A_LIFE_MAX
        self._file = folder / FILE
        self._kept: dict[str, _Kept] = {}
        self._held_bytes = 0
        self._lock = threading.RLock()  # a finalizer that prints may come in between
        self._descriptor = -1
        self._written_bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._is_awaited = False
        forks.in_children(self, ActorOutput._in_child)
        self._read()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take lines from now on; readers wait on `loop`."""
        self._loop = loop
        with contextlib.suppress(OSError):
            self._open()

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._loop = None
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _in_child(self) -> None:
        """Keep nothing: the file is the parent's, and its numbers are; so may the lock be."""
        self._lock = threading.RLock()
        self.close()

    def take(self, actor: str, kind: str, text: str) -> None:
        """Keep what an actor said; each line of it. Threads: any."""
        now = time.time()
        with self._lock:
            if self._loop is None:
                return
            # What isn't text, as a file's name may be, must not be somebody's error.
            for line in text.encode(errors="backslashreplace").decode().splitlines():
                self.number += 1
                row = OutputLine(
                    number=self.number,
                    at=now,
                    node=self.node,
                    actor=actor,
                    kind=kind,
                    text=line[: limits.OUTPUT_LINE_CHARS_MAX],
                )
                self._keep(row)
                self._write(row)
            if self._is_awaited:
                self._is_awaited = False
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._news.set)

    async def wait(
        self, actor: str, after: int, since: float, wait_s: float
    ) -> tuple[list[OutputLine], int]:
        """Return lines beyond `after`, oldest first, and the number to go on with; waits for one.

        Args: actor: "": all. since: s since 1970, nothing older.
        """
        until = time.monotonic() + wait_s
        while True:
            with self._lock:
                found = self._lines(actor, after, since)
                number = self.number
                self._news.clear()
                self._is_awaited = True
            more = found[limits.OUTPUT_ANSWER_LINES :]
            left = until - time.monotonic()
            if more:
                found = found[: limits.OUTPUT_ANSWER_LINES]
                return found, found[-1].number
            if found or left <= 0:
                return found, max(number, after)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    def _lines(self, actor: str, after: int, since: float) -> list[OutputLine]:
        names = [actor] if actor else list(self._kept)
        found = [
            line
            for name in names
            if name in self._kept
            for line in self._kept[name].lines
            if line.number > after and line.at >= since
        ]
        return sorted(found, key=lambda line: line.number)

    # -- what is kept ------------------------------------------------------------------------
    def _keep(self, row: OutputLine) -> None:
        kept = self._kept.get(row.actor)
        if kept is None:
            kept = self._kept[row.actor] = _Kept()
        kept.lines.append(row)
        kept.held_bytes += len(row.text)
        self._held_bytes += len(row.text)
        while (
            len(kept.lines) > limits.OUTPUT_ACTOR_LINES
            or kept.held_bytes > limits.OUTPUT_ACTOR_BYTES
        ):
            self._held_bytes -= kept.drop()
        if self._held_bytes > limits.OUTPUT_NODE_BYTES:
            self._make_room()
        if len(self._kept) > limits.OUTPUT_ACTORS_MAX:
            self._forget_silent()

    def _make_room(self) -> None:
        """Free a tenth: of who said most the older half goes, and last who was silent longest.

        Of everybody who is kept at least a line is.
        """
        while self._held_bytes > limits.OUTPUT_NODE_BYTES * 9 // 10:
            most = max(self._kept.values(), key=lambda each: each.held_bytes)
            if len(most.lines) < 2:
                self._forget_silent()
            for _ in range(len(most.lines) // 2):
                self._held_bytes -= most.drop()

    def _forget_silent(self) -> None:
        silent = min(self._kept, key=lambda name: self._kept[name].lines[-1].number)
        self._held_bytes -= self._kept.pop(silent).held_bytes

    # -- on disk -----------------------------------------------------------------------------
    def _read(self) -> None:
        with contextlib.suppress(OSError), self._file.open("rb") as file:
            for line in file:
                try:
                    row = msgspec.json.decode(line, type=OutputLine)
                except (msgspec.DecodeError, ValueError):  # cut by the kill, or not ours
                    continue
                self._keep(row)
                self.number = max(self.number, row.number)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._file, flags, 0o600)
        self._written_bytes = os.fstat(self._descriptor).st_size

    def _write(self, row: OutputLine) -> None:
        if self._descriptor < 0:
            return
        data = msgspec.json.encode(row) + b"\n"
        with contextlib.suppress(OSError):  # a full disk: the line is in memory still
            os.write(self._descriptor, data)
            self._written_bytes += len(data)
            if self._written_bytes > limits.OUTPUT_FILE_BYTES:
                self._write_anew()

    def _write_anew(self) -> None:
        """Leave in the file what is kept."""
        fresh = self._file.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for row in self._lines("", 0, 0.0):
                file.write(msgspec.json.encode(row) + b"\n")
        fresh.replace(self._file)
        os.close(self._descriptor)
        self._open()
