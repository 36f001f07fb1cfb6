"""What a node knows of nodes without a name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_nodes import live_nodes

from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Request, Waiting
from zactor.kernel.transport.door_clients import Client
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
