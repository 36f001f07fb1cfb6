"""Drift: how far the network is from what files want; looked at again only where it has changed."""

from __future__ import annotations

from desired_world import DesiredWorld, actor, wish

from zactor.kernel.ids import Clock
from zactor.supervisor.operations.drift import Drift, sentences


def test_what_files_want_is_compared_again_only_where_something_has_changed() -> None:
    world, drift = DesiredWorld(), Drift()
    world.apply(wish(actor("c1"), actor("c2")))
    first = drift.sentences(world.theory, Clock(1, 7))
    assert first == sentences(world.theory)
    assert first[1] == []
    assert drift.sentences(world.theory, Clock(1, 7)) is first
    world.do(retract=["actor(c1, _, _)"])
    found, drifted = drift.sentences(world.theory, Clock(1, 8))
    assert (found, drifted) == sentences(world.theory)
    assert drifted
    other = DesiredWorld()
    assert drift.sentences(other.theory, Clock(1, 8)) == ([], [])


def test_who_is_to_be_on_each_node_counts_once_on_each() -> None:
    world = DesiredWorld()
    world.do(assert_=["label(n1, roof, '')", "label(n2, roof, '')"])
    world.apply(wish(actor("c1"), actor("cam_{node}", each="roof", on=())))
    assert sentences(world.theory)[0] == ["lab: 3 of 3 actors"]
