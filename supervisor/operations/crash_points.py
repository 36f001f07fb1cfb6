"""A test instrument: every place where a process may die in an operation, and dying there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zactor.kernel.errors import ConfigError
from zactor.supervisor.operations.workflow import Workflow
from zactor.supervisor.operations.workflows import WORKFLOWS

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
    if point not in points(WORKFLOWS):
        known = ", ".join(workflow.name for workflow in WORKFLOWS)
        raise ConfigError(
            f"{VARIABLE}={asked!r} is no place where an operation can be cut off: operations are"
            f" {known}; `python -m {__spec__.name} --list` prints all places"
        )
    if not at:
        return CrashAt(point)
    fits = turns.isascii() and turns.isdecimal() and len(turns) < 5 and 0 < int(turns) <= TURNS_MAX
    if not fits or not point.endswith(f".{DURING}"):
        raise ConfigError(f"{VARIABLE}={asked!r}: want 1 to {TURNS_MAX} turns, after `.{DURING}@`")
    return CrashAt(point, int(turns))


BEFORE, DURING, END = "before", "during", "end"


def points(workflows: Sequence[Workflow[Any]]) -> list[str]:
    """Return every place where the process that runs an operation may die.

    `before` a step all earlier effects have taken place and this one hasn't; `during` it was begun
    and may have taken place; at the `end` everything has, and nobody has been told.
    """
    found = []
    for workflow in workflows:
        for step in workflow.steps:
            found += [f"{workflow.name}:{step.name}.{at}" for at in (BEFORE, DURING)]
        found.append(f"{workflow.name}:{END}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the places, one a line."""
    from zactor.supervisor.operations.workflows import WORKFLOWS

    if list(arguments) not in ([], ["--list"]):
        print(
            "usage: python -m zactor.supervisor.operations.crash_points [--list]", file=sys.stderr
        )
        return 2
    print("\n".join(points(WORKFLOWS)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
