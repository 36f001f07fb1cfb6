"""Health: what nodes say of themselves and what is under way, as parts of a status and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.kb import facts
from zactor.supervisor.observe.journal import FailureReport
from zactor.supervisor.operations.report_rows import (
    ActorReport,
    BlockageReport,
    HealthReport,
    RuntimeReport,
)

ABANDONED = "abandoned"  # the phase of an actor that is gone, while code of it runs
FAILURES_SHOWN = 3  # of all nodes, in a status: `zactor failures` has the others


def last_failures(healths: Iterable[HealthReport]) -> list[FailureReport]:
    """Return the last few failures of all nodes, oldest first."""
    failures = [failure for health in healths for failure in health.failures]
    return sorted(failures, key=lambda row: (row.at, row.node))[-FAILURES_SHOWN:]


def blocking_words(row: BlockageReport) -> str:
    """Return who blocks a node, where, and what to do."""
    where = f" ({row.where})" if row.where else ""
    said = (
        f"{row.actor or 'a task of an actor'} blocks all actors of {row.node} for"
        f" {row.busy_s:.0f} s, in {row.action or 'its code'}{where}"
    )
    if row.moves:
        return f"{said}; when that is over it gets a thread of its own"
    return f'{said}: stop {row.node}, or give the class dispatcher="thread"'


def busy_words(row: RuntimeReport) -> str:
    """Return that an actor's code runs for long, or still, though the actor is gone."""
    where = f"{row.action} ({row.where})" if row.where else row.action
    if row.phase == ABANDONED:
        return f"{row.name} is gone, and its {where} still runs"
    return f"{row.name} has been busy in {where} for {row.busy_s:.0f} s (destroy --drain S ends it)"


def with_blocking(actors: list[ActorReport], healths: Sequence[HealthReport]) -> list[ActorReport]:
    """Return `actors` with the state of those that block their nodes."""
    blocking = {(row.node, row.actor): row for health in healths for row in health.blocking}
    return [
        msgspec.structs.replace(
            row, state="blocking", reason=blocking_words(blocking[row.node, row.name])
        )
        if row.state == "running" and (row.node, row.name) in blocking
        else row
        for row in actors
    ]


def under_way(theory: Theory) -> list[str]:
    """Return what was begun and isn't at its end, each in words."""
    promised = {todo.name: todo for todo in facts.todos(theory)}
    found = [
        f"{todo.name} is being destroyed for {todo.owner}, and {todo.assignee} watches"
        for todo in promised.values()
    ]
    for row in facts.actors(theory):
        if row.state == "starting":
            found.append(f"{row.name} starts on {row.node}")
        elif row.state == "stopping" and row.name not in promised:
            found.append(f"{row.name} is being destroyed and finishes its work on {row.node}")
    return sorted(found)
