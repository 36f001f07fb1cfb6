"""What is said where one node doesn't reach another, and by whom it is believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from live_nodes import live_nodes

from zactor.kernel import limits
from zactor.supervisor.node import Node

WHY = "n1 can't reach n2: no node answers there"


def said(node: Node) -> list[str]:
    node.unreached.keep()
    return [row["why"] for row in node.journal.events(0) if row["event"] == "peer_unreached"]


def test_what_keeps_a_linked_node_out_of_the_view_is_a_trouble_and_nothing_else_is(
    home: Path,
) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (first, _):
            peer = first.hub.peers["n1"]
            first.on_unreached(peer, "n2", WHY)
            assert first.unreached.troubles() == [], "n1 is a member: the host of n2 may be off"
            assert first.unreached.why_not("n1") == ""
            assert said(first) == []
            peer.out_of_view = "n1 isn't in the view yet"
            assert first.unreached.troubles() == [WHY]
            assert said(first) == [WHY] == said(first), "once in a while"
            assert first.unreached.why_not("n1") == first.unreached.why_not("n2") == WHY
            assert first.unreached.why_not("n3") == ""
            peer.out_of_view = ""

    asyncio.run(story())


def test_what_no_node_would_say_is_not_taken_and_what_many_say_is_bounded(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (first, _):
            peer = first.hub.peers["n1"]
            peer.out_of_view = "n1 isn't in the view yet"
            first.on_unreached(peer, "\x1b[2J", WHY)
            assert said(first) == []
            first.on_unreached(peer, "n2", WHY * 1_000)
            assert len(said(first)[0]) < limits.LOG_VALUE_CHARS_MAX + 100
            for number in range(limits.UNREACHED_KEPT + 5):
                first.on_unreached(peer, f"x{number}", WHY)
            assert len(first.unreached.troubles()) == limits.UNREACHED_KEPT
            peer.out_of_view = ""

    asyncio.run(story())
