"""Output of a process that goes on whatever becomes of it: what can't be written is left out.

A disk without room, a reader who is gone, one that reads nothing, a closed descriptor: each costs
the lines that it would have had, and nobody who prints or logs is told, or waits.

What actors print is seen at once, line by line, and each line begins with its actor: `[c1] hello`,
unless it names that itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from zactor.kernel import forks, limits
from zactor.kernel.actors.refs import GATEWAY
from zactor.supervisor.observe import speakers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PRIVATE_FROM = 10  # descriptors of our own begin here: 0 to 2 may be closed, and given to others


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor what finds room there. It isn't closed with this. Threads: any.

    What a pipe takes in one piece needs no lock for the lines of two threads not to mix. A fork's
    child has a lock of its own: nobody would give back that of its parent.
    """

    def __init__(self, number: int) -> None:
        try:  # user code may close 1 or 2, and then open another file, which would be written to
            self._number = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _PRIVATE_FROM)
        except OSError:  # it is closed already, or no more may be open
            self._number = number
        self._given = number
        self._lock = threading.Lock()
        forks.in_children(self, _Descriptor._in_child)
        self._lost = 0  # lines
        self._is_stuck = False  # who reads it had time enough, and didn't

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._given

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write it; the next that fits after what didn't is preceded by how many are missing."""
        text = bytes(data)
        if self._lost:
            words = f"\n({self._lost} lines are missing: there was no room, or nobody read them)\n"
            self._lost = 0 if self._put(words.encode()) else self._lost
        if self._lost or not self._put_whole(text):
            self._lost += text.count(b"\n") or 1
        return len(text)

    def _in_child(self) -> None:
        self._lock = threading.Lock()

    def _put_whole(self, text: bytes) -> bool:
        lock = self._lock
        if len(text) <= select.PIPE_BUF or not lock.acquire(timeout=limits.LOG_READER_MS / 1000):
            return self._put(text)
        try:
            return self._put(text)
        finally:
            lock.release()

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
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        self._is_stuck = not poll.poll(patience_ms)
        return not self._is_stuck


class Printed(io.TextIOWrapper):
    """A text stream whose lines leave whole, each with the name of the actor that printed it.

    What doesn't end its line is written after PRINT_PART_MS without its end, or by `flush`.
    Threads: any.
    """

    def __init__(self, raw: _Descriptor, *, encoding: str) -> None:
        super().__init__(
            raw,  # type: ignore[arg-type]  # it needs no buffer, as with `python -u`
            encoding=encoding,
            errors="backslashreplace",
            write_through=True,
        )
        self._raw = raw
        self._begun: dict[tuple[int, str], str] = {}  # by thread and actor: a line without its end
        self._flusher: threading.Thread | None = None
        self._lines_only = False  # in a fork's child nobody comes back to what was begun
        forks.in_children(self, Printed._in_child)

    def write(self, text: str, /) -> int:
        """Write what is whole, keep the beginning of what isn't."""
        key = threading.get_ident(), _actor()
        lines, end, rest = (self._begun.pop(key, "") + text).rpartition("\n")
        if end:
            self._put(key[1], lines + end)
        if rest and (self._lines_only or len(rest) > limits.LOG_VALUE_CHARS_MAX):
            self._put(key[1], rest)
        elif rest:
            self._begun[key] = rest
            self._flush_later()
        return len(text)

    def flush(self) -> None:
        """Write what this thread has begun."""
        key = threading.get_ident(), _actor()
        if rest := self._begun.pop(key, ""):
            self._put(key[1], rest)

    def flush_all(self) -> None:
        """Write what any thread has begun."""
        for key in list(self._begun):
            if rest := self._begun.pop(key, ""):
                self._put(key[1], rest)

    def _put(self, actor: str, text: str) -> None:
        if actor:
            speakers.printed(actor, text)
            lines = text.splitlines(keepends=True)
            text = "".join(
                line if line.startswith(actor) else f"[{actor}] {line}" for line in lines
            )
        self._raw.write(text.encode(self.encoding, "backslashreplace"))

    def _flush_later(self) -> None:
        if self._flusher is None:
            flusher = threading.Thread(target=self._flush_on, name="zactor-output", daemon=True)
            self._flusher = flusher
            with contextlib.suppress(RuntimeError):  # the process ends: see `lasting_output`
                flusher.start()

    def _flush_on(self) -> None:
        while True:
            before = dict(self._begun)
            time.sleep(limits.PRINT_PART_MS / 1000)
            for key, text in before.items():
                if self._begun.get(key) == text and (rest := self._begun.pop(key, "")):
                    self._put(key[1], rest)
            if not self._begun:
                self._flusher = None  # who begins a line now begins another thread
                if not self._begun:
                    return

    def _in_child(self) -> None:
        self._begun.clear()  # its parent writes that
        self._lines_only = True


def _actor() -> str:
    """The name of the actor whose code runs here; "" where it is nobody's."""
    return str(getattr(GATEWAY.get(), "name", ""))


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
    return Printed(_Descriptor(number), encoding=stream.encoding)


class LineLogger:
    """Writes lines of a log to a stream, each at once and whole: a logger of structlog's kind."""

    def __init__(self, stream: TextIO) -> None:
        self._raw = stream.buffer if isinstance(stream, Printed) else None
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line, or several that belong together. Threads: any."""
        if self._raw is not None:
            self._raw.write(f"{line}\n".encode(errors="backslashreplace"))
        else:
            print(line, file=self._stream, flush=True)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


@contextlib.contextmanager
def lasting_output() -> Iterator[None]:
    """Let all that this process prints, in actors too, go where it goes line by line."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Printed):
                stream.flush_all()
        sys.stdout, sys.stderr = before
