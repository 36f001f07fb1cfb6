"""Networks in which not all who hear somebody hear each other: views fit what can talk."""

from __future__ import annotations

import itertools
import random

import pytest
from slow_marks import slow_after

from zactor.kernel.messages.views import View
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = tuple(f"n{number}" for number in range(1, 8))
SETTLED_MS = 8_000  # silence, patience with each leader that won't have one, and an attempt
STILL_MS = 30_000
Pairs = set[frozenset[str]]


def pairs(names: tuple[str, ...]) -> Pairs:
    return {frozenset(pair) for pair in itertools.combinations(names, 2)}


def are_cut(cluster: Cluster, lost: Pairs) -> None:
    for one, other in map(sorted, lost):
        cluster.cut(one, other)
        cluster.cut(other, one)


def views_of(cluster: Cluster) -> dict[str, View]:
    return {name: node.engine.view for name, node in cluster.nodes.items()}


def names_of(view: View) -> tuple[str, ...]:
    return tuple(member.name for member in view.members)


def assert_views_fit(views: dict[str, View], lost: Pairs) -> None:
    for name, view in views.items():
        assert name in names_of(view)
        assert {views[member] for member in names_of(view)} == {view}, "all of a view are in it"
        assert not pairs(names_of(view)) & lost, "all of a view hear each other"
    for one, other in itertools.combinations(set(views.values()), 2):
        both = names_of(one) + names_of(other)
        assert pairs(both) & lost, f"{one} and {other} could be one"


@pytest.mark.parametrize("seed", slow_after(6, range(30)))
def test_nodes_end_in_views_of_nodes_that_hear_each_other_and_stay_there(seed: int) -> None:
    chance = random.Random(seed)
    names = NAMES[: chance.randint(3, 7)]
    lost = {pair for pair in sorted(pairs(names), key=sorted) if chance.random() < 0.4}
    cluster = Cluster(chance, Faults(delay_ms_min=0.5, delay_ms_max=5.0))
    for name in names:
        cluster.start(name)
    if chance.random() < 0.5:  # they know each other already
        cluster.run_ms(3_000)
        assert len(set(views_of(cluster).values())) == 1
    are_cut(cluster, lost)
    cluster.run_ms(SETTLED_MS)
    views = views_of(cluster)
    assert_views_fit(views, lost)
    cluster.run_ms(STILL_MS)
    assert views_of(cluster) == views, "views don't move while the network stands still"
    cluster.heal_all()
    cluster.run_ms(SETTLED_MS)
    assert len(set(views_of(cluster).values())) == 1
    assert {name: words for name, words in check_all(cluster.lines).items() if words} == {}


def test_whoever_is_left_by_a_leader_that_follows_another_leads_the_rest() -> None:
    names = NAMES[:5]
    cluster = Cluster(random.Random(1), Faults())
    for name in names:
        cluster.start(name)
    cluster.run_ms(3_000)
    lost = {frozenset(("n1", other)) for other in ("n3", "n4", "n5")}
    are_cut(cluster, lost)
    cluster.run_ms(2_000)
    found = {names_of(view) for view in views_of(cluster).values()}
    assert found == {("n1", "n2"), ("n3", "n4", "n5")}
