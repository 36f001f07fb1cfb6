"""A test instrument: this process kills itself at a chosen place of an operation.

ZACTOR_CRASH_AT=OPERATION:STEP.before | OPERATION:STEP.during[@TURNS] | OPERATION:end, where the
places are those that `python -m zactor.supervisor.steps --list` prints. It is kill -9, so nothing
is said, flushed or undone; TURNS is how many turns of the kernel's loop a step that was begun has.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError
from zactor.supervisor.steps import DURING, points
from zactor.supervisor.tables import TABLES

VARIABLE = "ZACTOR_CRASH_AT"
TURNS = 2  # in which a transaction leaves for the other nodes; whether it does is chance
TURNS_MAX = 1_000


def kill_this_process() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class CrashAt:
    """One place, and what happens there."""

    point: str
    turns: int = TURNS
    kill: Callable[[], None] = kill_this_process

    def reach(self, point: str) -> None:
        """The operation is at `point`; there may be no way on from there."""
        if point == self.point:
            self.kill()


def crash_at(environment: Mapping[str, str]) -> CrashAt | None:
    """Return the place that the environment asks for, None when it asks for none.

    Raises:
        ConfigError: there is no such place.
    """
    asked = environment.get(VARIABLE)
    if not asked:
        return None
    point, at, turns = asked.partition("@")
    if point not in points(TABLES):
        known = ", ".join(table.name for table in TABLES)
        raise ConfigError(
            f"{VARIABLE}={asked!r} is no place where an operation can be cut off: operations are"
            f" {known}; `python -m zactor.supervisor.steps --list` prints all places"
        )
    if not at:
        return CrashAt(point)
    fits = turns.isascii() and turns.isdecimal() and len(turns) < 5 and 0 < int(turns) <= TURNS_MAX
    if not fits or not point.endswith(f".{DURING}"):
        raise ConfigError(f"{VARIABLE}={asked!r}: want 1 to {TURNS_MAX} turns, after `.{DURING}@`")
    return CrashAt(point, int(turns))
