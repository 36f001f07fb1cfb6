"""What a node owes to those who ask at its door."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_nodes import live_nodes

from zactor.kernel.errors import Refused
from zactor.kernel.messages.operations import Inspect, Subject
from zactor.supervisor.asker import Asker


def test_a_node_called_client_is_a_node(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "client") as (_, other):
            peer = other.members.peer("m1")
            assert peer is not None
            inspect = Inspect(what=Subject.DOCTOR, argument="")
            rows = await other.calls.ask(peer, inspect, 5.0)
            assert {row["node"] for row in rows} == {"m1"}, "what m1 knows alone"
            rows = await other.dispatch.run(inspect, Asker.client_at("client"))
            assert isinstance(rows, list)
            assert {row.node for row in rows} == {"m1", "client"}

    asyncio.run(story())


def test_who_asks_is_named_by_what_it_is() -> None:
    assert Asker.client_at("m1").author == "client@m1"
    assert Asker.client_at("m1", who="ann@lab1 zactor").author == "ann@lab1 zactor"
    assert Asker.node_called("m1").author == "m1"
    assert Asker.node_called("client") != Asker.client_at("client")


@pytest.mark.parametrize(
    "who",
    ["n1", "n1@1", "ann@lab1", "ann@lab1 a b", "ann@lab1 \x1b[2J", f"ann@lab1 {'z' * 128}", "@ x"],
)
def test_nobody_passes_for_a_node_or_writes_to_a_terminal_by_its_name(who: str) -> None:
    with pytest.raises(Refused, match="is nobody's name"):
        Asker.client_at("m1", who=who)
