"""Finding the other nodes: through run/ on this machine, through addresses across machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import Buried, NotReachable, ZactorError
from zactor.kernel.transport.hub import Hub
from zactor.supervisor.kb.knowledge_base import NO_PRIMARY_S, KnowledgeBase
from zactor.supervisor.membership.run_directory import read_entries

log = structlog.get_logger()

JOIN_RETRY_S = 1.0
LINK_POLL_S = 0.005


class Discovery:
    """Keeps this node acquainted with every other of its cluster. Kernel thread only."""

    def __init__(
        self,
        hub: Hub,
        *,
        home: Path,
        join: tuple[str, ...],
        kb: KnowledgeBase,
        all_in: Callable[[], bool],
        on_ready: Callable[[], None],
        on_buried: Callable[[str], None],
    ) -> None:
        """Search in `home`, and at the endpoints `join`.

        Args:
            all_in: whether everybody who was met is a member.
            on_ready: the first search is over, and `kb` knows it.
            on_buried: this incarnation counts as dead somewhere, and why.
        """
        self._hub = hub
        self._home = home
        self._join = join
        self._kb = kb
        self._all_in = all_in
        self._on_ready = on_ready
        self._on_buried = on_buried
        self.joined = asyncio.Event()  # everybody who was there at the start is met
        self._refused: dict[str, float] = {}  # endpoint -> loop time from which to ask again

    async def run(self) -> None:
        """Meet everybody, say that discovery is over, then go on searching for newcomers."""
        await self._search()
        await self._link()
        self._kb.ready()
        self._on_ready()
        await self._kb.until(lambda: self._kb.is_settled or None, NO_PRIMARY_S)
        self.joined.set()
        while True:
            await asyncio.sleep(limits.DISCOVERY_MS / 1000)
            await self._search()

    async def _link(self) -> None:
        """Wait until everybody who was met is a member: alone we would lead ourselves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.HELLO_MS / 1000
        while loop.time() < until:
            if self._all_in():
                return
            await asyncio.sleep(LINK_POLL_S)

    async def _search(self) -> None:
        now = asyncio.get_running_loop().time()
        endpoints = {
            endpoint
            for endpoint in (*self._running_here(), *self._join)
            if self._refused.get(endpoint, 0.0) <= now
        }
        met = {peer.hello.endpoint for peer in self._hub.peers.values()}
        await asyncio.gather(*(self.try_meet(there) for there in sorted(endpoints - met)))

    def _running_here(self) -> list[str]:
        try:
            entries = read_entries(self._home)
        except OSError as error:  # no file descriptor left, say: the next search may do better
            log.warning("run_folder_unreadable", why=str(error))
            return []
        mine = self._hub.endpoint
        return [entry.endpoint for entry in entries if entry.name and entry.endpoint != mine]

    async def meet(self, endpoint: str) -> None:
        """Introduce this node at a door, and at those the node there knows.

        Raises:
            NotReachable, Refused: as the node there answers.
        """
        others = await self._hub.introduce(endpoint)
        strangers = [hello for hello in others if hello.name not in self._hub.peers]
        await asyncio.gather(*(self.try_meet(hello.endpoint) for hello in strangers))

    async def try_meet(self, endpoint: str) -> None:
        """Introduce this node at `endpoint`; a refusal is logged once and tried again later."""
        try:
            await self.meet(endpoint)
        except NotReachable:
            self._wait(endpoint)
        except Buried as error:
            self._on_buried(str(error))
        except ZactorError as error:
            if endpoint not in self._refused:
                log.warning("hello_refused", endpoint=endpoint, why=str(error))
            self._wait(endpoint)
        else:
            self._refused.pop(endpoint, None)

    def _wait(self, endpoint: str) -> None:
        self._refused[endpoint] = asyncio.get_running_loop().time() + JOIN_RETRY_S
