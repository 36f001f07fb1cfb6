"""The plan: what is lost, what it requires, and that any file leads to any other."""

from __future__ import annotations

import itertools

import pytest
from desired_world import CODE, NEW_CODE, DesiredWorld, actor, lines, wire, wish

from zactor.kernel.errors import Refused
from zactor.supervisor.desired.export import export
from zactor.supervisor.desired.plan import Plan
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import actor_patterns
from zactor.supervisor.kb.facts import WireRow

LAB = wish(
    actor("c1"),
    actor("c2", "n2", arguments='{"start":40}'),
    actor("g1", "n3", "n1", restart="permanent"),
    wire("g1.inc -> c1"),
    wire("c1.val -> g1", "agreed"),
    wire("c2.val -> g1"),
)


@pytest.fixture
def world() -> DesiredWorld:
    return DesiredWorld()


@pytest.fixture
def applied(world: DesiredWorld) -> DesiredWorld:
    world.apply(LAB)
    return world


def detail(plan: Plan, name: str) -> str:
    return next(row.detail for row in plan.rows if row.name == name and row.sign != "=")


# -- lost ------------------------------------------------------------------------------------
def lose(world: DesiredWorld, name: str) -> None:
    row = facts.actor(world.theory, name)
    assert row is not None
    wires = [w for w in facts.wires(world.theory) if name in (w.emitter, w.reactor)]
    world.do(
        retract=[*actor_patterns(name), *(orders.wire_fact("reacts", each) for each in wires)],
        assert_=[
            *orders.lost_facts(row, 1, f"{row.node} is out of reach"),
            *(orders.wire_fact("down", each) for each in wires),
        ],
    )


def test_what_is_lost_is_started_with_the_wires_it_had(applied: DesiredWorld) -> None:
    lose(applied, "g1")
    plan = applied.plan(LAB)
    assert lines(plan) == ["+ actor g1"]
    assert "it was lost with n3, and begins when it can't run there" in detail(plan, "g1")
    applied.commit(plan.transaction)
    assert orders.lost(applied.theory, "g1") is not None, "it may run on n3 still"
    assert lines(applied.plan(LAB)) == [], "what follows it is what the file says"
    other = wish(actor("g1", "n2"))
    assert "+ actor g1" in lines(applied.plan(other)), "somebody else is to follow it"
    applied.settle()
    assert orders.lost(applied.theory, "g1") is None
    assert orders.mendable(applied.theory)  # the acting node does that next


def test_what_is_lost_and_no_longer_wanted_is_forgotten(applied: DesiredWorld) -> None:
    lose(applied, "c2")
    smaller = wish(actor("c1"), LAB.actors[2], wire("g1.inc -> c1"), wire("c1.val -> g1", "agreed"))
    assert "- actor c2" in lines(applied.apply(smaller))
    assert not any("c2" in text for text in applied.texts() if not text.startswith("wished"))


# -- what was looked at ----------------------------------------------------------------------
OTHERS = {
    "an actor is destroyed": lambda world: world.do(retract=["spec(c1, _, _, _)"]),
    "an actor is replaced": lambda world: world.do(
        retract=["spec(c1, _, _, _)"], assert_=[f"spec(c1, '{CODE}', \"{{}}\", other)"]
    ),
    "an actor is deployed": lambda world: world.do(assert_=["actor(new, counter, n1)"]),
    "a wire is made": lambda world: world.do(assert_=["reacts(new, c1, val, fifo)"]),
    "a wire is changed": lambda world: world.do(
        retract=["reacts(g1, c1, val, _)"], assert_=["reacts(g1, c1, val, safe)"]
    ),
    "code is declared": lambda world: world.do(
        retract=["factory(counter, _)"], assert_=[f"factory(counter, '{NEW_CODE}')"]
    ),
    "the node goes": lambda world: world.do(retract=["node(n1, _)"]),
    "the file is applied": lambda world: world.do(
        retract=["wish(lab, _, _)"], assert_=["wish(lab, other, keep)"]
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_it_looked_at_refuses_the_whole_when_it_changed(
    applied: DesiredWorld, other: object
) -> None:
    larger = wish(
        *LAB.actors, actor("new"), *LAB.wires, wire("c1.val -> new"), wire("c2.val -> new")
    )
    plan = applied.plan(larger)
    other(applied)  # type: ignore[operator]
    before = applied.texts()
    with pytest.raises(Refused, match="changed since this was planned"):
        applied.commit(plan.transaction)
    assert applied.texts() == before


def test_a_change_elsewhere_does_not_matter(applied: DesiredWorld) -> None:
    plan = applied.plan(wish(*LAB.actors, actor("new"), *LAB.wires))
    applied.deploy("elsewhere")
    applied.set_state("c1", "running", "for another reason")
    applied.commit(plan.transaction)


def test_the_same_plan_has_the_same_digest_and_another_another(world: DesiredWorld) -> None:
    first, second = world.plan(LAB), world.plan(LAB)
    assert first.digest == second.digest
    assert world.plan(wish(*LAB.actors)).digest != first.digest
    world.deploy("c1")
    assert world.plan(LAB).digest != first.digest


# -- export, and all small files -------------------------------------------------------------
def test_what_is_exported_has_nothing_to_do(applied: DesiredWorld) -> None:
    applied.deploy("r9", on="n2", arguments='{"start":1}')
    applied.do(assert_=["reacts(r9, c1, val, safe)"])
    text, others = export(applied.theory, "")
    assert not others
    assert text.name == "lab"
    assert {each.name for each in text.actors} >= {"r9"}
    plan = applied.plan(text)
    assert not lines(plan)
    assert not plan.differs
    elsewhere = DesiredWorld()
    elsewhere.apply(text)
    kinds = ("actor(", "reacts(", "factory(")
    assert [t for t in elsewhere.texts() if t.startswith(kinds)] == [
        t for t in applied.texts() if t.startswith(kinds)
    ]


SMALL = [
    actors + wires
    for count in range(4)
    for actors in itertools.combinations(
        (actor("a"), actor("b", "n2"), actor("c", arguments='{"x":1}')), count
    )
    for wires in ((), (wire("a.s -> a"),), (wire("a.s -> a", "safe"),))
    if not wires or any(each.name == "a" for each in actors)
]


@pytest.mark.parametrize("first", SMALL, ids=lambda parts: "+".join(map(str, range(len(parts)))))
def test_from_any_small_file_to_any_other_two_steps_suffice(first: tuple) -> None:  # type: ignore[type-arg]
    for second in SMALL:
        world = DesiredWorld()
        world.apply(wish(*first))
        world.apply(wish(*second), remove_all=True)
        plan = world.plan(wish(*second))
        assert plan.transaction.is_empty, (first, second, lines(plan))
        there = {row.name: (row.node, row.arguments) for row in facts.actors(world.theory)}
        wanted = [part for part in second if hasattr(part, "on")]
        assert there == {each.name: (each.on[0], each.arguments) for each in wanted}
        wires = [part for part in second if not hasattr(part, "on")]
        rows = facts.wires(world.theory)
        assert [(row.emitter, row.service.value) for row in rows] == [
            (each.emitter, each.service) for each in wires
        ]
        assert all(isinstance(row, WireRow) for row in rows)
