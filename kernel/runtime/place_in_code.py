"""Place in code: which action of an actor runs, or failed, and at which line of its own file.

What an action calls (a lock of the standard library, say) lies deeper than that: a person looks for
the line that they wrote.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from types import CodeType, TracebackType
from typing import Any

_BORDERS = ("zactor.kernel.runtime.", "zactor.kernel.loops", "asyncio.")
"""Modules that call actions: an action's own calls end there."""

_Step = tuple[CodeType, int, dict[str, Any]]
"""Of a stack: what runs, at which line, and its module's names."""


def place_of_thread(thread: threading.Thread | None) -> tuple[str, str]:
    """Return the action that runs in a thread and its FILE:LINE; "" and "" where none does."""
    frame = None if thread is None else sys._current_frames().get(thread.ident or 0)
    steps: list[_Step] = []
    while frame is not None:
        steps.append((frame.f_code, frame.f_lineno, frame.f_globals))
        frame = frame.f_back
    return _place(steps)


def place_of_error(trace: TracebackType | None) -> str:
    """Return the FILE:LINE at which an action raised; "" where only the runtime's code did."""
    steps: list[_Step] = []
    while trace is not None:
        steps.append((trace.tb_frame.f_code, trace.tb_lineno, trace.tb_frame.f_globals))
        trace = trace.tb_next
    return _place(reversed(steps))[1]


def _place(steps: Iterable[_Step]) -> tuple[str, str]:
    """Read a stack, innermost first."""
    calls: list[tuple[CodeType, int]] = []
    for code, line, names in steps:
        if not str(names.get("__name__", "")).startswith(_BORDERS):
            calls.append((code, line))
        elif calls:  # further in, it is only what an action calls: its signal's `emit`, say
            break
    if not calls:
        return "", ""
    outer, _ = calls[-1]
    line = next(line for code, line in calls if code.co_filename == outer.co_filename)
    return outer.co_name, f"{outer.co_filename}:{line}"
