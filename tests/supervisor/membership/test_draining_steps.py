"""The steps of a drain, in all small networks: who moves, who stops, in which order."""

from __future__ import annotations

import itertools

import pytest
from desired_world import CODE, DesiredWorld

from zactor.supervisor.kb import facts, node_marks, orders, policies
from zactor.supervisor.kb.fact_patterns import actor_patterns
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.membership import draining, keeping
from zactor.supervisor.membership.departures import Sweep

NODES = ("n1", "n2", "n3")
LIVE = dict.fromkeys(NODES, (1, "127.0.0.1:1"))


def commit(world: DesiredWorld, sweep: Sweep) -> None:
    world.do(require=sweep.require, retract=sweep.retract, assert_=sweep.assert_, why=sweep.why)


def stop(world: DesiredWorld) -> list[str]:
    """Let the nodes end what is told to stop, as their reconcilers would; whom they set aside."""
    stopped = []
    for row in facts.actors(world.theory):
        why = node_marks.aside(world.theory, row.name)
        if row.state == "stopping" and why is not None:
            assert policies.successor(world.theory, row.name) is None
            world.do(
                retract=[*actor_patterns(row.name), node_marks.aside_pattern(row.name)],
                assert_=orders.lost_facts(row, 0, why),
            )
            stopped.append(row.name)
    world.settle()
    return stopped


def drained(*candidates: tuple[str, ...] | None, also: tuple[str, ...] = ()) -> DesiredWorld:
    """A network with an actor on n1 for each; None: it has no policy."""
    world = DesiredWorld(NODES)
    for number, on in enumerate(candidates):
        world.deploy(f"a{number}")
        if on is not None:
            world.do(assert_=[Policy(on=on).fact(f"a{number}")])
    world.do(assert_=["reacts(a0, a1, go, fifo)"])
    for node in ("n1", *also):
        world.do(assert_=[node_marks.drained_fact(node)])
    return world


def run(world: DesiredWorld) -> list[str]:
    """Take all steps; whom they set aside, in their order."""
    stopped: list[str] = []
    for _ in range(20):
        step = draining.next_step(world.theory, LIVE)
        if step is not None:
            commit(world, step)
        found = stop(world)
        assert len(found) <= 1
        stopped += found
        if step is None and not found:
            return stopped
    raise AssertionError("a drain without an end")


PLACES = [None, ("n1",), ("n1", "n2"), ("n2", "n3", "n1"), ("n3",)]


@pytest.mark.parametrize("also", [(), ("n2",), ("n2", "n3")])
def test_who_may_run_elsewhere_moves_and_the_rest_is_lost(also: tuple[str, ...]) -> None:
    for candidates in itertools.product(PLACES, repeat=3):
        world = drained(*candidates, also=also)
        stopped = run(world)
        want = [
            next((node for node in on or () if node not in ("n1", *also)), None)
            for on in candidates
        ]
        there = {row.name: row.node for row in facts.actors(world.theory)}
        assert there == {f"a{i}": node for i, node in enumerate(want) if node is not None}
        left = [f"a{i}" for i, node in enumerate(want) if node is None]
        assert stopped == left[::-1]  # the youngest first
        assert [row.name for row in orders.all_lost(world.theory)] == left
        is_down = bool({"a0", "a1"} & set(left))
        assert bool(orders.down(world.theory)) == is_down
        # nothing is kept there until it is resumed, and then just that
        assert keeping.next_restoration(world.theory, LIVE, lambda row: True) is None
        world.do(retract=[node_marks.drained_fact("n1")])
        back = keeping.next_restoration(world.theory, LIVE, lambda row: True)
        kept = [name for name in left if "n1" in (candidates[int(name[1])] or ())]
        if kept:
            assert back is not None
            commit(world, back)
            world.settle()
        assert {row.name for row in facts.actors(world.theory)} == {*there, *kept}


def test_at_its_deadline_all_stop_at_once_and_one_that_is_destroyed_stays_so() -> None:
    world = drained(None, ("n1",), None)
    world.set_state("a2", "stopping", "drain 1000")  # by a person
    step = draining.at_once(world.theory, "n1")
    assert step is not None
    commit(world, step)
    assert {row.reason for row in facts.actors(world.theory)} == {"drain 0"}
    stop(world)
    assert [row.name for row in orders.all_lost(world.theory)] == ["a0", "a1"]
    assert not facts.actors(world.theory)
    assert draining.at_once(world.theory, "n1") is None


def test_one_that_failed_moves_without_stopping_first() -> None:
    world = drained(("n1", "n2"), None)
    world.set_state("a0", "failed", "why")
    step = draining.next_step(world.theory, LIVE)
    assert step is not None
    commit(world, step)
    row = facts.actor(world.theory, "a0")
    assert row is not None
    assert (row.node, row.state, row.bundle) == ("n2", "starting", CODE)
