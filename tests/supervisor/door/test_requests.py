"""What a node owes to those who ask at its door."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_nodes import live_nodes

from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Inspect, Request, Subject, Waiting
from zactor.kernel.transport.door_clients import Client
from zactor.supervisor.asker import Asker
from zactor.supervisor.membership import waiting_nodes


def test_who_waits_for_a_name_is_forgotten_without_anybody_looking(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_nodes, "WAITING_KEPT_MS", -1)  # over as soon as it is said

    async def story() -> None:
        async with live_nodes(home, "m1") as (node,):
            for port in range(100):
                there = f"tcp://127.0.0.1:{port}"
                waiting = Waiting(WIRE_VERSION, node.hub.keys.cluster, there, (3, 11))
                node.requests.client(Client(b"x"), Request(1, waiting))
            assert len(node.waiting._heard_ms) <= 1

    asyncio.run(story())


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
    assert Asker.node_called("m1").author == "m1"
    assert Asker.node_called("client") != Asker.client_at("client")
