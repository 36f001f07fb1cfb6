"""Heartbeats between two hubs: who hears them, who may send them, and when they are read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from deadlines import DEADLINE_S
from hubs import first_heartbeat, linked

from zactor.kernel import limits
from zactor.kernel.ids import NodeId


def test_heartbeats_reach_every_peer(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (_, user)):
            async with asyncio.timeout(DEADLINE_S):
                while "n1" not in user.beats:
                    one.beat(first_heartbeat(one.me))
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_heartbeats_without_news_are_read_together_and_news_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEARTBEATS_REST_MS", 100)

    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, user)):
            heard = two.heartbeats
            calm = first_heartbeat(one.me)
            async with asyncio.timeout(DEADLINE_S):
                while heard._rest is None:
                    one.beat(calm)
                    await asyncio.sleep(0.005)
            user.beats.clear()
            wake_ups, select = 0, heard._ready.select

            def counted(timeout: float | None = None) -> list[Any]:
                nonlocal wake_ups
                wake_ups += 1
                return select(timeout)

            monkeypatch.setattr(heard._ready, "select", counted)
            async with asyncio.timeout(DEADLINE_S):
                while len(user.beats) < 20:
                    one.beat(calm)
                    await asyncio.sleep(0.005)
                assert wake_ups < len(user.beats) / 2
                while heard._rest is not None:  # news end the rest: the next are heard at once
                    one.beat(msgspec.structs.replace(calm, hears=(two.me,)))
                    one.beat(calm)
                    await asyncio.sleep(0.005)

    asyncio.run(story())


def test_a_heartbeat_in_the_name_of_another_is_refused_and_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, user)):
            with structlog.testing.capture_logs() as lines:
                async with asyncio.timeout(DEADLINE_S):
                    while "n1" not in user.beats or not two.refusals()["heartbeats_refused"]:
                        one.beat(first_heartbeat(NodeId("n3", 1)))
                        one.beat(first_heartbeat(one.me))
                        await asyncio.sleep(0.01)
            assert set(user.beats) == {"n1"}
            told = [line for line in lines if line["event"] == "heartbeat_refused"]
            assert [(line["peer"], line["claimed"]) for line in told] == [("n1", "n3")]

    asyncio.run(story())
