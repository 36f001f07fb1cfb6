"""Writes a node's knowledge base to disk, in a thread of its own, many changes at a time.

While one batch is synced the next one gathers, so a slow disk makes batches longer, not the queue.
What nobody waits for goes along with the next batch that somebody does wait for.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable

from zactor.kernel.errors import ZactorError
from zactor.kernel.replication.effects import Write
from zactor.supervisor.kb.store import Store

CLOSE_S = 5.0
ASLEEP_S = 1.0  # a process that does nothing for longer was stopped
LAZY_S = 0.05  # what nobody waits for is written after so long at the latest


class StoreWriter:
    """The one that writes to a store while it lives.

    Threads: `put`, `waiting_s` and `close` are for one thread; `written` and `failed` are called in
    its own.
    """

    def __init__(
        self, store: Store, written: Callable[[int], None], failed: Callable[[str], None]
    ) -> None:
        """`written` gets the number of the last Write on disk; `failed` why there will be none."""
        self._store = store
        self._written = written
        self._failed = failed
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
                self._store.write(batch)
            except (ZactorError, sqlite3.Error, OSError) as error:
                self._failed(str(error))
                return
            with self._changed:
                self._since = time.monotonic() if self._queue else 0.0
            self._written(batch[-1].number)

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
