"""Waits that end: for a child, a thread, an event, also on the way out of a failed assertion.

`with subprocess.Popen(...)` waits for ever when its block fails before the child was told to end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any

# Only a hang reaches it, however busy the machine is.
DEADLINE_S = 50.0


@contextlib.contextmanager
def started(words: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child with a process group of its own, which is killed when the block ends."""
    child = subprocess.Popen([str(word) for word in words], **{"process_group": 0, **options})
    try:
        yield child
    finally:
        end(child)


def run(
    words: Sequence[object],
    *,
    within_s: float = DEADLINE_S,
    input: str | None = None,  # as subprocess calls it
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said; a failure has words of what hung."""
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    pipe = subprocess.PIPE
    whole = {"stdin": stdin, "stdout": pipe, "stderr": pipe, "text": True, **options}
    with started(words, **whole) as child:
        try:
            out, err = child.communicate(input, timeout=within_s)
        except subprocess.TimeoutExpired as error:
            said = b"".join(filter(None, (error.stdout, error.stderr))).decode(errors="replace")
            command = " ".join(str(word) for word in words)
            message = f"not within {within_s:g} s: the end of {command}; it said {said[-2_000:]!r}"
            raise AssertionError(message) from None
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def end(child: subprocess.Popen[Any]) -> None:
    """Kill `child` with its process group, if it has one of its own, and wait for it."""
    if child.poll() is None:
        child.kill()
    # Its group may live on without it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait(DEADLINE_S)


def join(thread: threading.Thread, within_s: float = DEADLINE_S) -> None:
    """Wait for the end of a thread."""
    thread.join(within_s)
    assert not thread.is_alive(), f"not within {within_s:g} s: the end of thread {thread.name}"
