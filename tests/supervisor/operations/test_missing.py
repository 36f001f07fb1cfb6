"""What is lost, in sentences: they say how it ends, and ask nobody for what comes by itself."""

from __future__ import annotations

import re

import msgspec
from desired_world import DesiredWorld, actor, wish

from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import actor_patterns
from zactor.supervisor.kb.wishes import WishedGroup
from zactor.supervisor.operations.missing import sentences


def lose(world: DesiredWorld, name: str, *, life: int = 1, why: str = "the process is gone") -> str:
    """Return what is said of an actor that is lost."""
    row = facts.actor(world.theory, name)
    assert row is not None
    world.do(retract=actor_patterns(name), assert_=orders.lost_facts(row, life, why))
    (said,) = sentences(world.theory)
    return re.sub(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d", "T", said).replace("T T", "T")


def test_who_was_made_by_hand_is_restored_by_hand() -> None:
    world = DesiredWorld()
    world.deploy("a")
    assert lose(world, "a") == "a was lost with n1 at T: `zactor restore a`"


def test_who_is_kept_comes_back_by_itself() -> None:
    world = DesiredWorld()
    world.apply(wish(actor("a", "n1", "n2")))
    assert lose(world, "a") == (
        "a was lost with n1 at T: it is back as soon as it may run on n1 or n2;"
        " on another: `zactor restore a --on NODE`"
    )


def test_who_was_stopped_for_a_drain_waits_for_the_end_of_that() -> None:
    world = DesiredWorld()
    world.apply(wish(actor("a")))
    world.do(assert_=["drained(n1)"])
    assert lose(world, "a", life=0, why="n1 is drained") == (
        "a was stopped on n1 at T (n1 is drained):"
        " `zactor resume n1`, or `zactor restore a --on NODE`"
    )


def test_who_is_in_a_group_starts_with_it() -> None:
    world = DesiredWorld()
    lab = wish(actor("a"), actor("b"))
    group = WishedGroup(name="g", actors=("a", "b"), strategy="one_for_all")
    world.apply(msgspec.structs.replace(lab, groups=(group,)))
    world.do(assert_=['regroup(lab, g, b, failed, "b failed", stop)'])
    said = lose(world, "a", life=0, why="b failed")
    assert said == "a was stopped on n1 at T (b failed): its group is being restarted"
