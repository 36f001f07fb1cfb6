"""zactor/client/checked.py: what a program passes wrongly is said at once, in its own words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zactor import BlockingMaster, Master, local
from zactor.client.checked import checked
from zactor.kernel.messages import operations

WRONG: list[tuple[Any, str]] = [
    (operations.Wire(reactor=["s"], emitter="e", action="a", service=1), "reactor of Wire"),
    (operations.TellActor(actor="a", action=b"b", payload=b""), "action of TellActor"),
    (operations.TellActor(actor="a", action="b", payload="c"), "payload of TellActor"),
    (operations.RestoreActors(names=("a", 3), node=""), "names of RestoreActors"),
    (operations.RestoreActors(names="abc", node=""), "names of RestoreActors"),
    (operations.DestroyActor(name="a", todo=1, drain_s=0.0), "todo of DestroyActor"),
    (operations.DestroyActor(name="a", todo=True, drain_s="5"), "drain_s of DestroyActor"),
    (operations.DestroyActor(name="a", todo=True, drain_s=True), "drain_s of DestroyActor"),
]


@pytest.mark.parametrize(("operation", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_a_field_of_another_kind_is_named(operation: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        checked(operation)


def test_what_is_right_goes_through() -> None:
    for operation in (
        operations.DestroyActor(name="a", todo=True, drain_s=5),
        operations.RestoreActors(names=("a", "b"), node=""),
        operations.Inspect(what=operations.Subject.NODES, argument=""),
    ):
        assert checked(operation) is operation


def test_a_program_hears_of_it_at_once_and_its_connection_goes_on() -> None:
    with local(nodes=1) as cluster:
        m: Any = cluster.master
        with pytest.raises(TypeError, match=r"reactor of Wire is no str: \['a', 'b'\]"):
            m.react_interaction(["a", "b"], "c", "d")
        with pytest.raises(TypeError, match="name of DeclareNode"):
            m.declare_node(3, "host:1")
        with pytest.raises(TypeError, match="actor of TellActor"):
            m.tell(3, "inc")
        with pytest.raises(TypeError, match="actor of AskActor"):
            m.ask(3, "inc")
        assert isinstance(m, BlockingMaster)
        assert [row["name"] for row in m.nodes()] == ["m1", "n1"]


def test_an_awaiting_program_too() -> None:
    async def story() -> None:
        async with local(nodes=1) as cluster:
            m: Any = cluster.master
            assert isinstance(m, Master)
            with pytest.raises(TypeError, match="reactor of Wire"):
                await m.react_interaction(["a"], "c", "d")
            assert len(await m.nodes()) == 2

    asyncio.run(story())
