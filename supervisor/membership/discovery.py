"""Finding the other nodes: through run/ on this machine, through addresses across machines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import Buried, NotReachable, ZactorError
from zactor.supervisor.kb.knowledge_base import NO_PRIMARY_S
from zactor.supervisor.membership.run_directory import read_entries

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

log = structlog.get_logger()

JOIN_RETRY_S = 1.0
LINK_POLL_S = 0.005


class Discovery:
    """Keeps this node acquainted with every other of its cluster. Kernel thread only."""

    def __init__(self, node: Node) -> None:
        """`node` is who looks for others."""
        self._node = node
        self._refused: dict[str, float] = {}  # endpoint -> loop time from which to ask again

    async def run(self) -> None:
        """Meet everybody, say that discovery is over, then go on looking for newcomers."""
        await self._look()
        await self._link()
        self._node.kb.ready()
        self._node.registry.nudge()
        await self._node.kb.until(lambda: self._node.kb.is_settled or None, NO_PRIMARY_S)
        self._node.joined.set()
        while True:
            await asyncio.sleep(limits.DISCOVERY_MS / 1000)
            await self._look()

    async def _link(self) -> None:
        """Wait until everybody who was met is a member: alone we would lead ourselves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.HELLO_MS / 1000
        while loop.time() < until:
            if self._node.members.all_in():
                return
            await asyncio.sleep(LINK_POLL_S)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        endpoints = {
            endpoint
            for endpoint in (*self._running_here(), *self._node.settings.join)
            if self._refused.get(endpoint, 0.0) <= now
        }
        met = {peer.hello.endpoint for peer in self._node.hub.peers.values()}
        await asyncio.gather(*(self.try_meet(there) for there in sorted(endpoints - met)))

    def _running_here(self) -> list[str]:
        try:
            entries = read_entries(self._node.settings.home)
        except OSError as error:  # no file descriptor left, say: the next look may do better
            log.warning("run_folder_unreadable", why=str(error))
            return []
        mine = self._node.hub.endpoint
        return [entry.endpoint for entry in entries if entry.name and entry.endpoint != mine]

    async def try_meet(self, endpoint: str) -> None:
        """Introduce this node at `endpoint`; a refusal is logged once and tried again later."""
        try:
            await self._node.meet(endpoint)
        except NotReachable:
            self._wait(endpoint)
        except Buried as error:
            self._node.on_buried(str(error))
        except ZactorError as error:
            if endpoint not in self._refused:
                log.warning("hello_refused", endpoint=endpoint, why=str(error))
            self._wait(endpoint)
        else:
            self._refused.pop(endpoint, None)

    def _wait(self, endpoint: str) -> None:
        self._refused[endpoint] = asyncio.get_running_loop().time() + JOIN_RETRY_S
