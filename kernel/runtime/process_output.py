"""What the process of an actor prints: it goes on where the node's own output goes, and its end is
kept, since it may say why the process ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterable

from zactor.kernel import limits

_READ_BYTES = 65_536
_STREAMS = ("stdout", "stderr")


class ProcessOutput:
    """Both streams of one process. Threads: that of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._said = bytearray()  # the last of both
        self._open: dict[int, str] = {}  # reading end -> stream

    def begin(self) -> tuple[int, int]:
        """Make the pipes; return their writing ends, which the caller closes."""
        writing: list[int] = []
        for stream in _STREAMS:
            reading, end = os.pipe()
            os.set_blocking(reading, False)
            self._open[reading] = stream
            self._loop.add_reader(reading, self._read, reading)
            writing.append(end)
        return writing[0], writing[1]

    def close(self) -> None:
        """Read what it said last, and no more."""
        for reading in list(self._open):
            self._read(reading)
            self._close(reading)

    def _read(self, reading: int) -> None:
        try:
            data = os.read(reading, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(reading)
            return
        self._said += data
        del self._said[: -limits.PROCESS_SAID_BYTES_KEPT]
        with contextlib.suppress(Exception):  # the node's own output: it is as it is
            out = getattr(sys, self._open[reading])
            if hasattr(out, "buffer"):
                out.buffer.write(data)
                out.buffer.flush()
            else:
                out.write(data.decode(errors="replace"))

    def _close(self, reading: int) -> None:
        if self._open.pop(reading, None) is not None:
            self._loop.remove_reader(reading)
            os.close(reading)

    def with_last_words(self, how: str) -> str:
        """Return how the process ended, with what it said last."""
        said = _last_said(self._said.decode(errors="replace").splitlines())
        return f"{how}; it said last: {said}" if said else how


def end_words(code: int, *, cpu_max_s: int | None) -> str:
    """Return how a process ended, by its exit code or the signal that killed it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if code == -signal.SIGXCPU and cpu_max_s is not None:
        return f"was killed by {name}: it may use {cpu_max_s} s"
    return f"was killed by {name}"


def _last_said(lines: Iterable[str]) -> str:
    """The end of what it printed; what Python says of a crash is read from its beginning."""
    said = [line.strip() for line in lines if line.strip()]
    for number, line in enumerate(said):
        if line.startswith("Fatal Python error"):
            return " | ".join(said[number:])[: limits.PROCESS_SAID_CHARS_MAX]
    return " | ".join(said)[-limits.PROCESS_SAID_CHARS_MAX :]
