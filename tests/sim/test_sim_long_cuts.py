"""A node that is cut off again and again, each time for long: it is waited for no longer than F6.

What is damped is how often views change. Silence changes none, so a cut counts as time that the
node has been held down (it didn't once, and the eighth cut of a few minutes cost half a minute).
"""

from __future__ import annotations

import random

import pytest

from zactor.kernel import limits
from zactor.kernel.groups.failure_detector import FailureDetector, Peer
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = ("n1", "n2", "n3")
MERGED_MS = 2_000  # L3 of the design: one view so long after healing, but for hold-down
CUTS = 12


def views(cluster: Cluster) -> set[tuple[str, ...]]:
    engines = [cluster.nodes[name].engine for name in NAMES]
    return {tuple(member.name for member in engine.view.members) for engine in engines}


def three(seed: int) -> Cluster:
    cluster = Cluster(random.Random(seed), Faults(delay_ms_min=0.1, delay_ms_max=2.0))
    for name in NAMES:
        cluster.start(name)
    cluster.run_ms(1_000)
    assert views(cluster) == {NAMES}
    return cluster


def cut_off(cluster: Cluster, name: str, ms: float) -> None:
    for other in NAMES:
        if other != name:
            cluster.cut(name, other)
            cluster.cut(other, name)
    cluster.run_ms(ms)
    cluster.heal_all()


def back_ms(cluster: Cluster) -> float:
    """Let time go by until all are in one view; return how much."""
    begin = cluster.now_ms
    while views(cluster) != {NAMES}:
        cluster.run_ms(10)
        assert cluster.now_ms < begin + 2 * limits.GROUP_HOLD_DOWN_MS_MAX, "no common view"
    return cluster.now_ms - begin


def longest_ms(cluster: Cluster, name: str, cut_ms: float) -> float:
    """Cut a node off again and again; return how long it took to be back at most."""
    took = []
    for _ in range(CUTS):
        cut_off(cluster, name, cut_ms)
        took.append(back_ms(cluster))
        cluster.run_ms(5_000)
    return max(took)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut_ms", [15_000, 40_000])
def test_the_cut_counts_as_time_that_it_was_held_down(name: str, cut_ms: int) -> None:
    cluster = three(1)
    left_ms = max(limits.GROUP_HOLD_DOWN_MS, limits.GROUP_HOLD_DOWN_MS_MAX - cut_ms)
    assert longest_ms(cluster, name, cut_ms) < left_ms + MERGED_MS
    assert not check_all(cluster.lines)


def test_a_hold_down_that_begins_with_the_contact_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_the_whole_time(self: FailureDetector, peer: Peer) -> int:
        peer.rested_ms = 0
        return hold_down_ms(self, peer)

    hold_down_ms = FailureDetector._hold_down_ms
    monkeypatch.setattr(FailureDetector, "_hold_down_ms", for_the_whole_time)
    assert longest_ms(three(1), "n3", 15_000) > limits.GROUP_HOLD_DOWN_MS_MAX


@pytest.mark.parametrize("name", NAMES)
def test_who_comes_and_goes_at_once_is_left_out_as_long_as_it_does(name: str) -> None:
    """Contact for 3 s between cuts of 1 s: after some of them nobody pays heed any more."""
    cluster = three(0)
    views_at = []
    for _ in range(60):
        cut_off(cluster, name, 1_000)
        cluster.run_ms(3_000)
        views_at.append(len([line for line in cluster.lines if line["k"] == "view"]))
    assert views_at[-1] == views_at[10]
    back_ms(cluster)
