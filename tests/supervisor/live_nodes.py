"""Whole nodes in this process and in one loop, for tests that look into them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from zactor.kernel.transport.keys import cluster_keys
from zactor.supervisor.node import Node
from zactor.supervisor.settings import Settings

PATIENCE_S = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of parts that tell nobody
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def live_nodes(home: Path, *names: str) -> AsyncIterator[list[Node]]:
    """Nodes that know each other; the first is a master."""
    nodes: list[Node] = []
    lives: list[asyncio.Task[str]] = []
    try:
        for name in names:
            state = home / "state" / name
            state.mkdir(parents=True)
            settings = Settings(
                home=home,
                role="node" if nodes else "master",
                join=tuple(node.hub.endpoint for node in nodes),
            )
            node = Node(name, settings, cluster_keys(home), state)
            node.open()
            nodes.append(node)
            lives.append(asyncio.get_running_loop().create_task(node.run()))
            await node.discovery.joined.wait()
        await until(lambda: all(len(node.members.peers()) == len(nodes) - 1 for node in nodes))
        yield nodes
    finally:
        for node, life in zip(reversed(nodes), reversed(lives), strict=True):
            node.stop()
            await life
            await node.close()
