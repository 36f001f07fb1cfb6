"""Whoever dies at whichever place: an operation is whole or undone, and a todo is done once."""

from __future__ import annotations

import pytest
from operations_runs import (
    OPERATIONS,
    OWNER,
    check_all,
    places,
    run,
)
from operations_world import CrashAt

from zactor.supervisor.operations.crash_points import points
from zactor.supervisor.operations.workflows import WORKFLOWS

SEEDS = [0, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(one, marks=pytest.mark.slow if one == "destroy_todo" else ())
        for one in OPERATIONS
    ],
)
def test_whoever_dies_wherever_an_operation_is_whole_or_undone(operation: str, seed: int) -> None:
    count = check_all(operation, [seed])
    print(f"{operation}: {len(places(operation))} places, {count} runs")


@pytest.mark.soak
@pytest.mark.parametrize("operation", OPERATIONS)
def test_with_many_orders_of_events_too(operation: str) -> None:
    check_all(operation, range(100, 140))


def test_every_place_of_every_operation_is_reached() -> None:
    reached: set[str] = set()

    class Noted(CrashAt):
        def reach(self, point: str) -> None:
            reached.add(point)

    for point in points(WORKFLOWS):
        operation = point.partition(":")[0]
        for fails in (False, True):
            run(operation, 0, lambda worlds, at=point: {OWNER: Noted(at)}, fails=fails)
    assert reached == set(points(WORKFLOWS))
    print(f"{len(reached)} places")
