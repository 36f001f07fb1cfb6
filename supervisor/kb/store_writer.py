"""Writes a node's knowledge base to disk, in a thread of its own, many changes at a time.

While one batch is synced the next one gathers, so a slow disk makes batches longer, not the queue.
What nobody waits for goes along with the next batch that somebody does wait for. What finds a full
disk is kept and tried again until it is there; whoever puts writes is told, and puts no more.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable

from zactor.kernel.errors import NoRoom, ZactorError
from zactor.kernel.replication.effects import Write
from zactor.supervisor.kb.store import Store

CLOSE_S = 5.0
ASLEEP_S = 1.0  # a process that does nothing for longer was stopped
AGAIN_S, AGAIN_MAX_S = 0.1, 2.0  # until a full disk is tried again: twice as long each time
LAZY_S = 0.05  # what nobody waits for is written after so long at the latest


class StoreWriter:
    """The one that writes to a store while it lives.

    Threads: `put`, `waiting_s` and `close` are for one thread; what it is given to call is called
    in its own.
    """

    def __init__(
        self,
        store: Store,
        *,
        written: Callable[[int], None],
        failed: Callable[[str], None],
        run_out: Callable[[str], None],
        has_room: Callable[[], None],
    ) -> None:
        """Write nothing yet.

        Args:
            written: gets the number of the last Write on disk.
            failed: gets why there will be no more.
            run_out: gets where there is no room for a Write, which is kept.
            has_room: all that was kept is written.
        """
        self._store = store
        self._written = written
        self._failed = failed
        self._run_out = run_out
        self._has_room = has_room
        self._queue: deque[Write] = deque()
        self._changed = threading.Condition()
        self._since = 0.0  # monotonic: the oldest that is waiting or being written; 0: none
        self._looked_at = time.monotonic()
        self._is_closing = False
        self._thread: threading.Thread | None = None  # from the first write on

    def put(self, write: Write) -> None:
        """Write it soon."""
        with self._changed:
            self._queue.append(write)
            self._since = self._since or time.monotonic()
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="zactor-store-writer", daemon=True
            )
            self._thread.start()

    def waiting_s(self) -> float:
        """Return for how long the oldest write has been waiting; 0.0 if none is.

        Call it again and again: who wasn't called for long was stopped itself (SIGSTOP, a laptop
        that was shut), and doesn't blame the disk for that time.
        """
        now = time.monotonic()
        slept_s = now - self._looked_at - ASLEEP_S
        self._looked_at = now
        with self._changed:
            if self._since and slept_s > 0.0:
                self._since = min(now, self._since + slept_s)
            return now - self._since if self._since else 0.0

    def close(self) -> None:
        """Write what is left, and stop; a disk that doesn't answer is left alone after CLOSE_S."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                was_full = self._write(batch)
            except (ZactorError, sqlite3.Error, OSError) as error:
                self._failed(str(error))
                return
            with self._changed:
                self._since = time.monotonic() if self._queue else 0.0
            self._written(batch[-1].number)
            if was_full:
                self._has_room()

    def _write(self, batch: list[Write]) -> bool:
        """Write it as soon as there is room; return whether there was none at first.

        Raises:
            NoRoom: there is none still, and this closes. ZactorError: as `Store.write`.
        """
        pause_s = 0.0
        while True:
            try:
                self._store.write(batch)
                return bool(pause_s)
            except NoRoom as error:
                if not pause_s:
                    self._run_out(str(error))
                pause_s = min(AGAIN_MAX_S, 2 * pause_s or AGAIN_S)
                with self._changed:
                    if self._is_closing:
                        raise
                    self._since = 0.0  # it has answered
                    self._changed.wait_for(lambda: self._is_closing, pause_s)

    def _next_batch(self) -> list[Write]:
        """Wait until there is something to write; [] if there never will be."""
        with self._changed:
            while not self._queue and not self._is_closing:
                self._changed.wait()
            if not any(write.is_urgent for write in self._queue) and not self._is_closing:
                self._changed.wait_for(self._is_urgent, LAZY_S)
            batch = list(self._queue)
            self._queue.clear()
            return batch

    def _is_urgent(self) -> bool:
        return self._is_closing or any(write.is_urgent for write in self._queue)
