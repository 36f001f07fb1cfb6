"""How long views take in quiet surroundings, in virtual time over links of up to 1 ms."""

from __future__ import annotations

import random

import pytest

from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

_MS_MAX = 5_000


def _cluster(count: int) -> Cluster:
    cluster = Cluster(random.Random(count), Faults(delay_ms_min=0.1, delay_ms_max=1.0))
    for number in range(count):
        cluster.start(f"n{number:02}")
    return cluster


def _until_common(cluster: Cluster) -> float:
    """Let time go by until all that live are in one view; return how much."""
    begin = cluster.now_ms
    while any(
        len(node.engine.view.members) != len(cluster.nodes) for node in cluster.nodes.values()
    ):
        cluster.run_ms(0.5)
        assert cluster.now_ms < begin + _MS_MAX, "no common view"
    return cluster.now_ms - begin


@pytest.mark.parametrize("count", [2, 3, 20])
def test_nodes_that_start_together_are_soon_in_one_view(count: int) -> None:
    cluster = _cluster(count)
    assert _until_common(cluster) <= 100
    views = [line for line in cluster.lines if line["k"] == "view"]
    assert len(views) == 2 * count, "one of its own, then the common one"


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_newcomer_is_soon_in_the_view(count: int) -> None:
    cluster = _cluster(count)
    cluster.run_ms(1_040)
    cluster.start("late")
    assert _until_common(cluster) <= 80


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("lost", ["n00", "n01"])
def test_a_proved_death_takes_a_few_round_trips(count: int, lost: str) -> None:
    """3 ms until the host refuses connections, then five hops; the coordinator's death too."""
    cluster = _cluster(count)
    cluster.run_ms(1_040)
    cluster.crash(lost, refused=True)
    assert _until_common(cluster) <= 10
