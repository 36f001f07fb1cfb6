"""Processes of this run of tests, as /proc knows them: by their parent, and by their home."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def children_of(pid: int | str = "self") -> dict[int, str]:
    """Processes that a thread of `pid` started, also those that nobody has waited for."""
    pids: set[str] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            pids.update(file.read_text().split())
    found = {int(pid): _words(pid) for pid in pids}
    # Python's own helper, started once and meant to stay.
    return {pid: words for pid, words in found.items() if "resource_tracker" not in words}


def descendants() -> set[int]:
    """Our children, theirs, and so on."""
    found: set[int] = set()
    unseen = set(children_of())
    while unseen:
        found |= unseen
        unseen = {child for pid in unseen for child in children_of(pid)} - found
    return found


def processes_of(home: Path) -> dict[int, str]:
    """Who was started with this ZACTOR_HOME, or one within it; it may be nobody's child by now."""
    mark = f"ZACTOR_HOME={home}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.name == str(os.getpid()):
                continue
            environ = (folder / "environ").read_bytes()
            if mark + b"\0" in environ or mark + b"/" in environ:
                found[int(folder.name)] = _words(folder.name)
    return found


def kill(pids: set[int]) -> None:
    """kill -9 for each of them that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _words(pid: str) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "gone"
    return line.replace(b"\0", b" ").decode(errors="replace").strip() or "not waited for"
