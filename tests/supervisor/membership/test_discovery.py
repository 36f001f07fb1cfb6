"""supervisor/membership/discovery.py: who starts among many meets a few at a time, each once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from live_nodes import live_nodes, until

from zactor.kernel import limits
from zactor.kernel.messages.operations import Welcome
from zactor.kernel.transport.keys import cluster_keys
from zactor.supervisor.membership import discovery
from zactor.supervisor.membership.run_directory import (
    RunEntry,
    process_start,
    read_entries,
    write_entry,
)
from zactor.supervisor.node import Node
from zactor.supervisor.settings import Settings


def test_a_newcomer_knocks_at_a_few_doors_at_a_time_and_at_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEETINGS_MAX", 2)
    knocked: Counter[str] = Counter()
    at_once: list[int] = []

    async def story() -> None:
        async with live_nodes(tmp_path, "m1", "n1", "n2", "n3", "n4", "n5") as nodes:
            state = tmp_path / "state" / "late"
            state.mkdir()
            join = tuple(node.hub.endpoint for node in nodes)
            late = Node("late", Settings(home=tmp_path, join=join), cluster_keys(tmp_path), state)
            introduce = late.hub.introduce
            under_way: set[str] = set()

            async def counted(endpoint: str) -> Welcome:
                knocked[endpoint] += 1
                under_way.add(endpoint)
                at_once.append(len(under_way))
                try:
                    return await introduce(endpoint)
                finally:
                    under_way.discard(endpoint)

            monkeypatch.setattr(late.hub, "introduce", counted)
            late.open()
            life = asyncio.get_running_loop().create_task(late.run())
            try:
                await late.discovery.joined.wait()
                await until(lambda: len(late.members.peers()) == len(nodes))
            finally:
                late.stop()
                await life
                await late.close()

    asyncio.run(story())
    assert max(at_once) == 2
    assert set(knocked.values()) == {1}, "whom one tells of is met by then, or is waited for"


def test_entries_that_have_not_changed_are_read_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    def counted(home: Path) -> list[RunEntry]:
        nonlocal reads
        reads += 1
        return read_entries(home)

    monkeypatch.setattr(discovery, "read_entries", counted)
    nobody, pid = "tcp://127.0.0.1:9", os.getpid()
    here = RunEntry(name="n2", role="node", endpoint=nobody, pid=pid, started=process_start(pid))

    async def story() -> None:
        async with live_nodes(tmp_path, "m1", "n1") as (m1, _):
            look = m1.discovery._running_here
            assert look() == []
            before = reads
            assert [look(), look(), reads] == [[], [], before]
            entry = write_entry(tmp_path, here)
            assert [look(), reads] == [[nobody], before + 1], "who came is seen at the next look"
            assert [look(), reads] == [[nobody], before + 2], "and as long as it isn't met"
            entry.unlink()
            assert [look(), look(), reads] == [[], [], before + 3]
            monkeypatch.setattr(limits, "DISCOVERY_MS_MAX", 0)
            m1.discovery._read_again = 0.0
            assert [look(), look(), reads] == [[], [], before + 5], "now and then in any case"

    asyncio.run(story())
