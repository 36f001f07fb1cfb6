"""The end of a node's process: it comes in time, whatever user code does when Python ends.

The node has stopped by then. What may still hold the process are threads of executors, which Python
joins, children, and hooks of atexit: they have so long, then the process ends without them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger()

_CHILDREN_S = 0.3  # what children of multiprocessing have between SIGTERM and SIGKILL


def end_within(
    seconds: float, code: int, *, node: str, leave: Callable[[int], object] = os._exit
) -> None:
    """Have this process end with `code` in `seconds` at the latest. Nobody waits for that here."""
    threading.Thread(
        target=_end, args=(seconds, code, node, leave), name="zactor-end", daemon=True
    ).start()


def _end(seconds: float, code: int, node: str, leave: Callable[[int], object]) -> None:
    time.sleep(seconds)  # the daemon thread of a process that ends in time goes with it
    try:
        held_by = _what_holds()
        ended = _end_children()
        log.warning("process_held", name=node, by=held_by, children=ended, seconds=seconds)
    finally:
        leave(code)


def _what_holds() -> list[str]:
    """Threads that Python waits for, by name; [] where it is a hook of atexit."""
    main = threading.main_thread()
    return sorted(
        thread.name
        for thread in threading.enumerate()
        if thread is not main and not thread.daemon and thread.is_alive()
    )


def _end_children() -> int:
    """End children of multiprocessing: they are actors' helpers, and would go on for ever."""
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return 0
    children = multiprocessing.active_children()
    for child in children:
        with contextlib.suppress(Exception):  # it has just ended by itself, for one
            child.terminate()
    until = time.monotonic() + _CHILDREN_S
    for child in children:
        with contextlib.suppress(Exception):
            child.join(max(0.0, until - time.monotonic()))
            child.kill()
    return len(children)
