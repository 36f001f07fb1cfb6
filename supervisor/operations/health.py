"""Health: what nodes say of themselves, as parts of a status and of lists, and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from zactor.supervisor.observe.journal import FailureReport
from zactor.supervisor.operations.report_rows import ActorReport, BlockageReport, HealthReport

FAILURES_SHOWN = 3  # of all nodes, in a status: `zactor failures` has the others


def last_failures(healths: Iterable[HealthReport]) -> list[FailureReport]:
    """Return the last few failures of all nodes, oldest first."""
    failures = [failure for health in healths for failure in health.failures]
    return sorted(failures, key=lambda row: (row.at, row.node))[-FAILURES_SHOWN:]


def blocking_words(row: BlockageReport) -> str:
    """Return who blocks a node, where, and what to do."""
    where = f" ({row.where})" if row.where else ""
    return (
        f"{row.actor or 'a task of an actor'} blocks all actors of {row.node} for"
        f" {row.busy_s:.0f} s, in {row.action or 'its code'}{where}: stop {row.node},"
        ' or give the class dispatcher="thread"'
    )


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
