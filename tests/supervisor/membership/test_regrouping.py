"""Groups that are restarted together, in all small networks: who, in which order, how often."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from desired_world import DesiredWorld

from zactor.supervisor.kb import facts, node_marks, orders, restart_groups
from zactor.supervisor.kb.fact_patterns import actor_patterns
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.kb.restart_groups import Regroup, RestartGroup
from zactor.supervisor.membership import keeping, regrouping
from zactor.supervisor.membership.departures import Departure, Sweep, next_sweep
from zactor.supervisor.membership.regrouping import GroupRestarts, WaitToStart

NODES = ("n1", "n2", "n3")
NAMES = ("a", "b", "c")


class GroupWorld(DesiredWorld):
    """a, b and c, each on a node of its own, and their group."""

    def __init__(self, strategy: str, intensity: str = "3 in 10s") -> None:
        super().__init__(NODES)
        self.live = dict.fromkeys(NODES, (1, "127.0.0.1:1"))
        self.restarts, self.now_s = GroupRestarts(), 0.0
        self.seen: list[str] = []
        self.group = RestartGroup(
            file="lab", name="line", strategy=strategy, intensity=intensity, actors=NAMES
        )
        for name, node in zip(NAMES, NODES, strict=True):
            self.deploy(name, on=node)
            self.do(assert_=[Policy(on=(node,)).fact(name)])
        self.do(assert_=[self.group.fact(), "reacts(a, b, go, fifo)"])

    def fail(self, name: str, why: str = "it raised") -> None:
        """What its node says then."""
        row = facts.actor(self.theory, name)
        assert row is not None
        regroup = Regroup(
            file="lab",
            group="line",
            actor=name,
            cause="failed",
            why=f"{name} failed: {why}",
            phase="stop",
            since=row.since,
        )
        self.do(
            retract=[f"state({name}, _, _)"],
            assert_=[f'state({name}, failed, "{why}")', regroup.fact()],
        )

    def commit_sweep(self, sweep: Sweep) -> None:
        self.do(require=sweep.require, retract=sweep.retract, assert_=sweep.assert_, why=sweep.why)

    def place(self, row: orders.LostRow) -> facts.NodeRow | None:
        known = facts.nodes(self.theory)
        return keeping.place_of(self.theory, row, self.live, known, lambda row: True)

    def step(self) -> bool:
        """Whether anything was due: first for the acting node, then for a node."""
        due = regrouping.next_step(self.theory, self.place, self.restarts, self.now_s)
        if isinstance(due, WaitToStart):
            self.now_s += due.wait_s
            return True
        if due is None:
            due = keeping.next_restoration(self.theory, self.live, lambda row: True)
        if due is not None:
            self.commit_sweep(due)
            starting = list(self.states().values()).count("starting")
            # Of a group that goes meanwhile each is left to itself.
            assert starting <= 1 or not restart_groups.is_any(self.theory), "one after the other"
            return True
        for row in facts.actors(self.theory):
            why = node_marks.aside(self.theory, row.name)
            if row.state == "stopping" and why is not None:
                self.seen.append(f"-{row.name}")
                patterns = [*actor_patterns(row.name), node_marks.aside_pattern(row.name)]
                self.do(retract=patterns, assert_=orders.lost_facts(row, 0, why))
                return True
            if row.state == "starting":
                self.seen.append(f"+{row.name}")
                self.set_state(row.name, "running")
                return True
        return False

    def run(self) -> list[str]:
        self.seen = []
        for _ in range(200):
            if not self.step():
                return self.seen
        raise AssertionError("it has no end")

    def states(self) -> dict[str, str]:
        return {row.name: row.state for row in facts.actors(self.theory)}


def in_order(seen: Sequence[str], affected: Sequence[str], failed: str) -> None:
    stops = [f"-{name}" for name in reversed(affected) if name != failed]
    assert list(seen) == [*stops, *(f"+{name}" for name in affected)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("name", NAMES)
def test_who_is_affected_stops_in_reverse_and_starts_in_order(strategy: str, name: str) -> None:
    world = GroupWorld(strategy)
    world.fail(name)
    affected = NAMES if strategy == "one_for_all" else NAMES[NAMES.index(name) :]
    in_order(world.run(), affected, name)
    assert world.states() == dict.fromkeys(NAMES, "running")
    assert not restart_groups.is_any(world.theory)
    assert not list(world.theory.facts("aside", 2))
    assert not orders.all_lost(world.theory)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_two_that_fail_at_any_two_moments_end_well(strategy: str) -> None:
    for first, second in itertools.product(NAMES, repeat=2):
        for moment in range(14):
            world = GroupWorld(strategy)
            world.fail(first)
            for _ in range(moment):
                world.step()
            if world.states().get(second) == "running":
                world.fail(second, "it raised as well")
            world.run()
            assert world.states() == dict.fromkeys(NAMES, "running"), (first, second, moment)
            assert not restart_groups.is_any(world.theory)


def test_more_often_than_its_intensity_all_that_is_affected_has_failed() -> None:
    world = GroupWorld("rest_for_one", "2 in 100s")
    for _ in range(2):
        world.fail("b")
        world.run()
        assert world.states() == dict.fromkeys(NAMES, "running")
    assert world.now_s >= 0.3  # each restart waits twice as long
    world.fail("b")
    world.run()
    assert world.states() == {"a": "running", "b": "failed", "c": "failed"}
    row = facts.actor(world.theory, "c")
    assert row is not None
    assert row.reason == "group line of lab: restarted 2 in 100s, then again: b failed: it raised"
    assert not restart_groups.is_any(world.theory)


def test_a_node_that_dies_and_returns_restarts_the_group_and_counts_for_nothing() -> None:
    world = GroupWorld("one_for_all", "1 in 100s")
    for life in (2, 3, 4):
        del world.live["n2"]
        while (sweep := next_sweep(world.theory, world.live, _went)) is not None:
            world.commit_sweep(sweep)
        world.run()
        assert world.states() == {"a": "running", "c": "running"}
        world.live["n2"] = (life, "127.0.0.1:1")
        while (sweep := next_sweep(world.theory, world.live, _went)) is not None:
            world.commit_sweep(sweep)
        in_order(world.run(), NAMES, "b")
        assert world.states() == dict.fromkeys(NAMES, "running")


def _went(name: str) -> Departure:
    return Departure(why=f"the process of {name} is gone", is_missed=True)


def test_what_a_person_destroys_meanwhile_stays_so() -> None:
    for moment in range(12):
        world = GroupWorld("one_for_all")
        world.fail("b")
        for _ in range(moment):
            world.step()
        world.do(
            retract=[
                *actor_patterns("c"),
                "aside(c, _)",
                "lost(c, _, _, _)",
                "ordered(c, _, _, _, _, _)",
                "policy(c, _, _, _, _)",
            ]
        )
        world.run()
        assert world.states() == {"a": "running", "b": "running"}, moment
        assert not restart_groups.is_any(world.theory)


def test_a_group_that_goes_while_it_restarts_leaves_its_actors_to_themselves() -> None:
    for moment in range(10):
        world = GroupWorld("one_for_all")
        world.fail("a")
        for _ in range(moment):
            world.step()
        world.do(retract=["together(lab, line, _, _, _)"])
        world.run()
        assert not restart_groups.is_any(world.theory), moment
        states = world.states()
        assert states.pop("a") in ("running", "failed")
        assert set(states.values()) == {"running"}


def test_actors_of_a_group_that_restarts_are_left_to_it() -> None:
    world = GroupWorld("one_for_all")
    assert restart_groups.under_way(world.theory) == set()
    world.fail("b")
    assert restart_groups.under_way(world.theory) == set(NAMES)
