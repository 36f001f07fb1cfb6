"""What a node knows of nodes without a name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_nodes import live_nodes

from zactor.kernel.errors import Refused
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
            for port in range(1, 100):
                there = f"tcp://127.0.0.1:{port}"
                waiting = Waiting(WIRE_VERSION, node.hub.keys.cluster, there, (3, 11))
                node.requests.client(Client(b"x"), Request(1, waiting))
            assert len(node.waiting._heard_ms) <= 1

    asyncio.run(story())


def test_what_cant_be_a_node_of_ours_is_refused_and_no_more_are_kept_than_may_be(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_nodes, "WAITING_KEPT_MS", 60_000)
    monkeypatch.setattr(waiting_nodes, "WAITING_MAX", 3)

    async def story() -> None:
        async with live_nodes(home, "m1") as (node,):
            cluster = node.hub.keys.cluster
            for version, ours, there in (
                (WIRE_VERSION + 1, cluster, "tcp://127.0.0.1:9"),
                (WIRE_VERSION, "another", "tcp://127.0.0.1:9"),
                (WIRE_VERSION, cluster, "tcp://127.0.0.1"),
                (WIRE_VERSION, cluster, "tcp://127.0.0.1:0"),
                (WIRE_VERSION, cluster, "tcp://127.0.0.1:65536"),
                (WIRE_VERSION, cluster, "tcp://no address\x1b[2J:9"),
                (WIRE_VERSION, cluster, "tcp://[::1"),
                (WIRE_VERSION, cluster, ""),
                (WIRE_VERSION, cluster, "tcp://" + "h" * 1_000_000 + ":9"),
            ):
                with pytest.raises(Refused) as found:
                    node.waiting.heard(Waiting(version, ours, there, (3, 11)))
                assert len(str(found.value)) < 1_000
            for _ in range(2):  # who is known may say it again
                for there in ("tcp://127.0.0.1:9", "127.0.0.1:0010", "tcp://[::1]:9"):
                    node.waiting.heard(Waiting(WIRE_VERSION, cluster, there, (3, 11)))
            with pytest.raises(Refused, match="3 nodes wait"):
                node.waiting.heard(Waiting(WIRE_VERSION, cluster, "tcp://127.0.0.1:11", (3, 11)))
            assert node.waiting.endpoints() == [
                "tcp://127.0.0.1:10",
                "tcp://127.0.0.1:9",
                "tcp://[::1]:9",
            ]

    asyncio.run(story())
