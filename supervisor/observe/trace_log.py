"""The event log of one life of a node, for checkers: $ZACTOR_TRACE/<name>@<incarnation>.jsonl.

One object a line: `t` is the monotonic clock in ns, `k` the kind, `p` the node's life. A line is
written before the send that it belongs to, without a buffer, so kill -9 loses none.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from zactor.kernel.ids import NodeId
from zactor.supervisor.observe.events import Event

VARIABLE = "ZACTOR_TRACE"

WriteLine = Callable[[str, dict[str, Any]], None]


class TraceLog:
    """Writes events; may be called by any thread."""

    def __init__(self, folder: Path, me: NodeId) -> None:
        """Begin the file of this life."""
        folder.mkdir(parents=True, exist_ok=True)
        self._me = str(me)
        self._file = (folder / f"{me}.jsonl").open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()
        self._torn = b""  # ends what is left of a line that was cut
        self._lock = threading.Lock()

    def __call__(self, kind: str, fields: dict[str, Any]) -> None:
        """Write one event."""
        with self._lock:
            if not self._file.closed:
                line = {"t": time.monotonic_ns(), "k": kind, "p": self._me} | fields
                self._write(self._encoder.encode(line) + b"\n")

    def _write(self, line: bytes) -> None:
        """A line that finds no room is left out, or cut: the next one begins anew."""
        try:
            wanted = self._torn + line
            self._torn = b"" if self._file.write(wanted) == len(wanted) else b"\n"
        except OSError:
            self._torn = self._torn or b""

    def take(self, event: Event) -> None:
        """Write an event, if it has words for checkers."""
        line = event.trace_line()
        if line is not None:
            self(*line)

    def close(self) -> None:
        """No more events."""
        with self._lock:
            self._file.close()


def trace_log(me: NodeId) -> TraceLog | None:
    """Return the log that the environment asks for, None when it asks for none."""
    folder = os.environ.get(VARIABLE)
    return TraceLog(Path(folder), me) if folder else None
