"""Waits that end: for a child and for a thread, also on the way out of a failed assertion.

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
DEADLINE_S = 40.0

BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
"""A program that only computes, for as long as who began it lives."""


@contextlib.contextmanager
def running(words: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child with a process group of its own, which is killed when the block ends."""
    child = subprocess.Popen(list(map(str, words)), **{"process_group": 0, **options})
    try:
        yield child
    finally:
        end(child)


def run_to_end(
    words: Sequence[object],
    *,
    input: str | None = None,
    check: bool = False,
    timeout: float = DEADLINE_S,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said, as subprocess.run does; nothing of it stays."""
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    pipe = subprocess.PIPE
    whole = {"stdin": stdin, "stdout": pipe, "stderr": pipe, "text": True, **options}
    command = " ".join(map(str, words))
    with running(words, **whole) as child:
        try:
            out, err = child.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            said = f"{error.stdout!r} {error.stderr!r}"[-2_000:]
            message = f"not within {timeout:g} s: the end of {command}; it said {said}"
            raise AssertionError(message) from None
    assert not (check and child.returncode), f"{command}: exit code {child.returncode}, {err}"
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def end(child: subprocess.Popen[Any]) -> None:
    """Kill `child` with its process group, if it has one of its own, and wait for it."""
    if child.poll() is None:
        child.kill()
    # The others of its group may live on without it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait(DEADLINE_S)


def join(*threads: threading.Thread) -> None:
    """Wait for the end of all of them."""
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), f"not within {DEADLINE_S:g} s: the end of {thread.name}"
