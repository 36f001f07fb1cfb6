"""Bring a bundle here from any node that has it; go on where a broken transfer ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from zactor.bundles.store import BundleStore
from zactor.kernel.errors import BundleRefused, ZactorError
from zactor.kernel.messages.operations import GetPart
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.membership.peer_calls import PeerCalls

log = structlog.get_logger()

PART_TIMEOUT_S = 10.0


class BundleFetcher:
    """Fetches each bundle once, however many ask for it at a time. Kernel's loop only."""

    def __init__(
        self, store: BundleStore, calls: PeerCalls, peers: Callable[[], Iterable[Peer]]
    ) -> None:
        """`peers` tells who may have it."""
        self._store = store
        self._calls = calls
        self._peers = peers
        self._running: dict[str, asyncio.Task[None]] = {}

    async def need(self, identity: str) -> None:
        """Return when the bundle is in the store.

        Raises:
            BundleRefused: no node has it, or what came isn't what its hash says.
        """
        if self._store.has(identity):
            return
        task = self._running.get(identity)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(identity))
            self._running[identity] = task
            task.add_done_callback(lambda _: self._running.pop(identity, None))
        await asyncio.shield(task)

    async def _fetch(self, identity: str) -> None:
        refusals = []
        for peer in sorted(self._peers(), key=lambda peer: peer.node):
            try:
                await self._fetch_from(peer, identity)
            except ZactorError as error:
                refusals.append(f"{peer.node.name}: {error}")
            else:
                log.debug("bundle_fetched", bundle=identity, peer=peer.node.name)
                return
        asked = "; ".join(refusals) or "there is no other node"
        raise BundleRefused(f"no node gives bundle {identity} ({asked}): declare the factory again")

    async def _fetch_from(self, peer: Peer, identity: str) -> None:
        while not self._store.has(identity):
            offset = self._store.held(identity)
            part = await self._calls.ask(peer, GetPart(identity, offset), PART_TIMEOUT_S)
            held = self._store.put_part(identity, offset, part["total"], part["data"])
            if held <= offset and not self._store.has(identity):
                raise BundleRefused(f"{peer.node.name} sends nothing of bundle {identity}")
