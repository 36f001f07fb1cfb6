"""Links that need seconds for what a view has to move: who makes progress isn't silent."""

from __future__ import annotations

import random

import pytest

from zactor.kernel.groups import events
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = ("n1", "n2", "n3")
BYTES_PER_MS = 15.0
SESSIONS, GROUPS = 400, 8  # a map of groups of 54 kB: 4 s on such a line
LIMIT_MS = 60_000


class NoOneView(AssertionError):
    """The nodes hear each other, and have no view of all."""


def views(cluster: Cluster) -> set[tuple[str, ...]]:
    """The members of each view that a node has now."""
    return {
        tuple(member.name for member in node.engine.view.members) for node in cluster.nodes.values()
    }


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    raises=NoOneView,
    reason="an attempt ends, and who waits for it goes on alone, after a fixed time however much"
    " has come meanwhile, and the next one sends all from the beginning",
)
def test_nodes_come_to_one_view_though_its_state_needs_seconds_on_the_line() -> None:
    cluster = Cluster(random.Random(1), Faults(delay_ms_min=5, delay_ms_max=5))
    cluster.network.bytes_per_ms = BYTES_PER_MS
    n1 = cluster.start("n1")
    for session in range(SESSIONS):
        cluster.step(n1, events.SessionOpened(f"session{session}"))
        for group in range(GROUPS):
            cluster.step(n1, events.Join(f"session{session}", f"group{group}"))
    cluster.run_ms(500)
    assert views(cluster) == {("n1",)}
    begin = len(cluster.lines)
    for name in NAMES[1:]:
        cluster.start(name)
    took_ms = 0
    while views(cluster) != {NAMES}:
        installed = sum(line["k"] == "view" for line in cluster.lines[begin:])
        if took_ms >= LIMIT_MS:
            raise NoOneView(f"in {LIMIT_MS} ms {installed} views, none of all")
        cluster.run_ms(100)
        took_ms += 100


def test_nodes_come_to_one_view_on_a_line_that_is_quick_enough() -> None:
    cluster = Cluster(random.Random(1), Faults(delay_ms_min=5, delay_ms_max=5))
    cluster.network.bytes_per_ms = BYTES_PER_MS
    for name in NAMES:
        cluster.start(name)
    cluster.run_ms(5_000)
    assert views(cluster) == {NAMES}
