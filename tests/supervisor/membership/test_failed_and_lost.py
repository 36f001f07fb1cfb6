"""An actor that had failed, and whose node goes: kept, it is brought back as others are."""

from __future__ import annotations

import pytest
from desired_world import DesiredWorld, actor, wire, wish

from zactor.supervisor.kb import facts, orders
from zactor.supervisor.membership import keeping
from zactor.supervisor.membership.departures import Departure, Live, next_sweep

NODES = ("n1", "n2", "n3")
ALL: Live = dict.fromkeys(NODES, (1, "127.0.0.1:1"))
WITHOUT_N1: Live = {name: there for name, there in ALL.items() if name != "n1"}
AGAIN: Live = {**ALL, "n1": (2, "127.0.0.1:1")}


def sweep(world: DesiredWorld, live: Live) -> None:
    """Commit all that the acting node has to; each death is proved."""
    for _ in range(20):
        due = next_sweep(world.theory, live, lambda name: Departure(why="why", is_missed=True))
        due = due or keeping.next_restoration(world.theory, live, lambda row: True)
        if due is None:
            return
        world.do(require=due.require, retract=due.retract, assert_=due.assert_, why=due.why)
        world.settle()
    raise AssertionError("sweeps without an end")


def failed(*on: str, restart: str = "transient", keep: bool = True) -> DesiredWorld:
    """`a` of n1 has failed, and a wire leads to it."""
    world = DesiredWorld(NODES)
    lab = (actor("a", *on, restart=restart), actor("b", "n3"), wire("b.go -> a"))
    world.apply(wish(*lab, keep=keep))
    world.set_state("a", "failed", "restarted 3 in 10s, then again: it raised")
    return world


def place(world: DesiredWorld) -> tuple[str, str] | None:
    row = facts.actor(world.theory, "a")
    return None if row is None else (row.node, row.state)


def test_it_runs_on_the_next_node_with_its_wires() -> None:
    world = failed("n1", "n2")
    sweep(world, WITHOUT_N1)
    assert place(world) == ("n2", "running")
    assert len(facts.wires(world.theory)) == 1


def test_it_is_back_with_its_node_and_its_wires() -> None:
    world = failed("n1")
    sweep(world, WITHOUT_N1)
    assert orders.lost(world.theory, "a") is not None
    assert len(orders.down(world.theory)) == 1
    sweep(world, AGAIN)
    assert place(world) == ("n1", "running")
    assert len(facts.wires(world.theory)) == 1


@pytest.mark.parametrize("given", [{"restart": "temporary"}, {"keep": False}])
def test_who_is_not_to_be_brought_back_is_forgotten(given: dict[str, str | bool]) -> None:
    world = failed("n1", "n2", **given)  # type: ignore[arg-type]  # one of the two
    sweep(world, WITHOUT_N1)
    assert place(world) is None
    assert orders.lost(world.theory, "a") is None
