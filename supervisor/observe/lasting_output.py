"""Output of a process that goes on whatever becomes of it: what can't be written is left out.

A disk without room, a reader who is gone, one that reads nothing, a closed descriptor: each costs
the lines that it would have had, and nobody who prints or logs is told, or waits.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from zactor.kernel import limits

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor what finds room there. It isn't closed with this. Threads: any."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._poll = select.poll()
        self._poll.register(number, select.POLLOUT)
        self._lost = 0  # lines
        self._is_stuck = False  # who reads it had time enough, and didn't

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write it; the next that fits after what didn't is preceded by how many are missing."""
        text = bytes(data)
        if self._lost:
            words = f"\n({self._lost} lines are missing: there was no room, or nobody read them)\n"
            self._lost = 0 if self._put(words.encode()) else self._lost
        if self._lost or not self._put(text):
            self._lost += text.count(b"\n") or 1
        return len(text)

    def _put(self, text: bytes) -> bool:
        try:
            while text:
                if not self._takes_some():
                    return False
                text = text[os.write(self._number, text[: select.PIPE_BUF]) :]
        except OSError:
            return False
        return True

    def _takes_some(self) -> bool:
        """Whether it takes PIPE_BUF bytes at once; a reader that is slow is waited for, once."""
        patience_ms = 0 if self._is_stuck else limits.LOG_READER_MS
        self._is_stuck = not self._poll.poll(patience_ms)
        return not self._is_stuck


def lasting(stream: TextIO | None) -> TextIO:
    """Return what writes to the same place as `stream`, and never fails.

    None is a descriptor that was closed before Python began. What has no descriptor of its own is
    returned as it is.
    """
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    try:
        number = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(number)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


@contextlib.contextmanager
def lasting_output() -> Iterator[None]:
    """Let all that this process prints, in actors too, go where it goes line by line."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
