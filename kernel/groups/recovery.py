"""Recovery: what a cohort must share before it leaves its old view, and what it then delivers.

Pure functions of the reports. Every member of the cohort computes the same answer from the same
plan, whatever it has delivered itself. Source: extended virtual synchrony, Moser et al., ICDCS
1994, section 3 (step 6 of the algorithm: the obligation set and the transitional configuration).
The rule a reader must not break: what anybody may have delivered in the regular configuration
stands in `regular`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import Held, Plan, Report, StreamState
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId


class Place(NamedTuple):
    """A message of a stream."""

    sender: NodeId
    sequence: int


class Schedule(NamedTuple):
    """Where each message of the plan belongs; what is in neither is dropped by the whole cohort."""

    regular: tuple[Place, ...]  # in order of delivery, before the transitional signal
    transitional: tuple[Place, ...]  # after it


def make_plans(reports: Mapping[NodeId, Report]) -> dict[ViewId, Plan]:
    """Return one plan for each old view among the reports."""
    cohorts: dict[ViewId, list[NodeId]] = {}
    for node in sorted(reports):
        cohorts.setdefault(reports[node].view, []).append(node)
    return {
        view: _make_plan(view, tuple(cohort), [reports[node] for node in cohort])
        for view, cohort in sorted(cohorts.items())
    }


def _make_plan(view: ViewId, cohort: tuple[NodeId, ...], reports: list[Report]) -> Plan:
    obligation = set(cohort).union(*(report.obligation for report in reports))
    streams = []
    for states in zip(*(report.streams for report in reports), strict=True):
        held: dict[int, Held] = {}
        for state in states:
            for entry in state.held:
                held.setdefault(entry.sequence, entry)
        streams.append(
            StreamState(
                sender=states[0].sender,
                base=max(state.base for state in states),
                held=tuple(held[sequence] for sequence in sorted(held)),
            )
        )
    return Plan(
        view=view,
        cohort=cohort,
        delivered=max(report.delivered for report in reports),
        stable=max(report.stable for report in reports),
        obligation=tuple(sorted(obligation)),
        streams=tuple(streams),
    )


def make_schedule(plan: Plan) -> Schedule:
    """Divide the plan's messages into regular, transitional and dropped.

    A ticket counts as there if its message is held and so is all before it in its sender's stream.
    *cut*: the first ticket that isn't, or is SAFE beyond the best known stable line. *gap*: the
    first ticket that isn't. Beyond the gap a message may depend on one that nobody here has, unless
    its sender is in the obligation set: then all it had seen is here.
    """
    whole = {state.sender: _prefix(state) for state in plan.streams}
    tickets: dict[int, tuple[NodeId, Held]] = {}
    for state in plan.streams:
        for entry in state.held:
            if entry.ticket and entry.sequence <= whole[state.sender]:
                tickets[entry.ticket] = (state.sender, entry)

    # Tickets up to plan.delivered were delivered by somebody: held there, or held by everybody.
    gap = plan.delivered + 1
    while gap in tickets:
        gap += 1
    cut = plan.delivered + 1
    while cut < gap and (tickets[cut][1].service is not Service.SAFE or cut <= plan.stable):
        cut += 1

    obligation = frozenset(plan.obligation)
    regular: list[Place] = []
    transitional: list[Place] = []
    trails = {state.sender: _trails(state, whole[state.sender]) for state in plan.streams}
    for state in plan.streams:
        loose = (entry for entry in state.held if entry.service is Service.RELIABLE)
        regular += [Place(state.sender, entry.sequence) for entry in loose]
        regular += trails[state.sender][0]
    for ticket in sorted(tickets):
        sender, entry = tickets[ticket]
        if ticket >= gap and sender not in obligation:
            continue
        part = regular if ticket < cut else transitional
        part.append(Place(sender, entry.sequence))
        part += trails[sender][entry.sequence]
    return Schedule(tuple(regular), tuple(transitional))


def _prefix(state: StreamState) -> int:
    """The last message of the stream up to which nothing is missing."""
    there = {entry.sequence for entry in state.held}
    last = state.base
    while last + 1 in there:
        last += 1
    return last


def _trails(state: StreamState, whole: int) -> dict[int, list[Place]]:
    """The FIFO messages that follow each ticketed one (key 0: those before the first).

    They are delivered right after it: a FIFO message never comes before an earlier one of its
    sender. After a dropped message the rest of the stream is dropped too.
    """
    trails: dict[int, list[Place]] = {0: []}
    trail = trails[0]
    for entry in state.held:
        if entry.sequence > whole:
            break
        if entry.ticket:
            trail = trails[entry.sequence] = []
        elif entry.service is Service.FIFO:
            trail.append(Place(state.sender, entry.sequence))
    return trails
