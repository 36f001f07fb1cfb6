"""What the supervisor reads of a change."""

from __future__ import annotations

from zactor.kernel.messages.knowledge import Change
from zactor.supervisor.kb.changed_facts import (
    ActorFact,
    ChangedFacts,
    ClauseFact,
    ErrandFact,
    FactoryFact,
    NodeFact,
    WireFact,
)


def changed(*asserted: str, retracted: tuple[str, ...] = ()) -> ChangedFacts:
    return ChangedFacts.of(Change(1, 1, "", "m1", "", 0.0, retracted, asserted, b""))


def test_every_fact_that_a_part_follows_is_read() -> None:
    found = changed(
        "node(n1,'h:1')",
        "incarnation(n1,1)",
        "actor(c1,counter,n1)",
        "spec(c1,'sha256:1',\"{}\",'m1@1#1')",
        "state('it''s',starting,\"\")",
        "reacts(g1,c1,up,fifo)",
        "factory(counter,'sha256:1')",
        "todo('m1@1#2',destroy_actor(c1),m1,n2)",
        "errand('m1@1#2',1,'m1@1#1',\"drain 5\")",
    )
    assert found.asserted == (
        NodeFact("n1"),
        NodeFact("n1"),
        ActorFact("c1"),
        ActorFact("c1"),
        ActorFact("it's"),
        WireFact("c1", "up"),
        FactoryFact("sha256:1"),
        ClauseFact("m1@1#2", "c1", "m1", "n2"),
        ErrandFact("m1@1#2", 1, "m1@1#1", "drain 5"),
    )
    assert found.retracted == ()


def test_what_went_is_read_too_and_what_nobody_follows_is_left_out() -> None:
    gone = ("founded('n1/1')", "reacts(g1,c1,up,fifo)", "actor(c1)", "odd")
    assert changed(retracted=gone) == ChangedFacts((WireFact("c1", "up"),), ())
