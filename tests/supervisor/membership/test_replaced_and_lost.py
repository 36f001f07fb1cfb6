"""An actor that stops for a successor, and is lost before it has: two of a name never run."""

from __future__ import annotations

import pytest
from desired_world import CODE, DesiredWorld

from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.membership import keeping
from zactor.supervisor.membership.departures import Departure, Live, next_sweep

NODES = ("n1", "n2", "n3")
ALL: Live = dict.fromkeys(NODES, (1, "127.0.0.1:1"))
WITHOUT_N1: Live = {name: there for name, there in ALL.items() if name != "n1"}
NEW = Successor(
    name="a", type="counter", node="n2", bundle=CODE, arguments="{}", deployment="moved"
)


def sweep(world: DesiredWorld, live: Live, *, is_safe: bool = False) -> None:
    """Commit all that the acting node has to."""
    for _ in range(20):
        due = next_sweep(world.theory, live, lambda name: Departure(why="why", is_missed=True))
        due = due or keeping.next_restoration(world.theory, live, lambda row: is_safe)
        if due is None:
            return
        world.do(require=due.require, retract=due.retract, assert_=due.assert_, why=due.why)
    raise AssertionError("sweeps without an end")


@pytest.fixture
def world() -> DesiredWorld:
    """`a` of n1 was told to stop, for another on n2; its node is out of reach."""
    made = DesiredWorld(NODES)
    made.deploy("a")
    made.deploy("b", on="n3")
    made.do(assert_=["reacts(a, b, go, fifo)"])
    made.do(retract=["state(a, _, _)"], assert_=['state(a, stopping, "drain 9")', NEW.fact()])
    sweep(made, WITHOUT_N1)
    return made


def place(world: DesiredWorld) -> tuple[str, str] | None:
    row = facts.actor(world.theory, "a")
    return None if row is None else (row.node, row.state)


def test_it_is_lost_and_nobody_begins_for_silence_proves_nothing(world: DesiredWorld) -> None:
    assert place(world) is None
    lost = orders.lost(world.theory, "a")
    assert lost is not None
    assert (lost.node, lost.life) == ("n1", 1)
    assert len(orders.down(world.theory)) == 1


def test_its_successor_begins_when_its_end_is_proved(world: DesiredWorld) -> None:
    sweep(world, WITHOUT_N1, is_safe=True)
    assert place(world) == ("n2", "starting")
    world.set_state("a", "running")
    sweep(world, WITHOUT_N1)
    assert policies.successor(world.theory, "a") is None
    assert orders.lost(world.theory, "a") is None
    assert len(facts.wires(world.theory)) == 1


def test_it_is_told_again_to_stop_when_its_node_is_back(world: DesiredWorld) -> None:
    sweep(world, ALL)
    assert place(world) == ("n1", "stopping")
    assert policies.successor(world.theory, "a") == NEW
    world.settle()
    assert place(world) == ("n2", "running")
    sweep(world, ALL)
    assert len(facts.wires(world.theory)) == 1


def test_its_name_is_given_anew_by_a_person_and_nobody_follows(world: DesiredWorld) -> None:
    by_hand = policies.start_facts("a", "counter", "n3", CODE, "{}", "restored")
    world.do(retract=orders.lost_patterns("a"), assert_=by_hand)
    world.settle()
    sweep(world, ALL, is_safe=True)
    assert place(world) == ("n3", "running")
    assert policies.successor(world.theory, "a") is None
