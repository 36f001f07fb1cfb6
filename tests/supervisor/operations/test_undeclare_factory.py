"""undeclareFactory in the knowledge base: who keeps a type, and what goes with it."""

from __future__ import annotations

import pytest
from desired_world import CODE, DesiredWorld

from zactor.kernel.errors import NoSuchThing, Refused
from zactor.supervisor.operations.workflow import Transact
from zactor.supervisor.operations.workflows import NAMED_MAX, UNDECLARE_FACTORY, UndeclareFactory


def undeclare(world: DesiredWorld, kind: str = "gui") -> None:
    effect = UNDECLARE_FACTORY.steps[0].effect(UndeclareFactory(id="r", type=kind), world.theory)
    assert isinstance(effect, Transact)
    world.do(require=effect.require, retract=effect.retract, assert_=effect.assert_)


def declared() -> DesiredWorld:
    world = DesiredWorld()
    facts = [f"factory({kind}, '{CODE}')" for kind in ("gui", "'a b'")]
    world.do(assert_=[*facts, "owned(lab, factory(gui))", "owned(lab, factory('a b'))"])
    return world


def test_the_factory_goes_with_what_files_say_of_it_and_nothing_else() -> None:
    world = declared()
    before = set(world.theory.texts())
    undeclare(world, "a b")
    gone = {f"factory('a b','{CODE}')", "owned(lab,factory('a b'))"}
    assert before - set(world.theory.texts()) == gone


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (["actor(g1, gui, n1)", "actor(c1, 'a b', n1)"], r"\(g1\)"),
        (["lost(g1, gui, n1, why)", "ordered(g1, '', '{}', d, 1, 5)"], r"\(g1, lost\)"),
        (["next(g1, gui, n1, '', '{}', d)"], r"\(since just now\)"),
        ([f"actor(g{i:02}, gui, n1)" for i in range(NAMED_MAX + 2)], "g09; 2 more"),
    ],
)
def test_a_type_stays_while_somebody_needs_it(facts: list[str], said: str) -> None:
    world = declared()
    world.do(assert_=facts)
    with pytest.raises(Refused, match=said):
        undeclare(world)


def test_a_type_that_is_not_declared_cannot_go() -> None:
    with pytest.raises(NoSuchThing, match=r"no factory for nix \(declared: a b, gui\)"):
        undeclare(declared(), "nix")
