"""An unconfigured node: a door, an announcement, and nothing else until somebody names it."""

from __future__ import annotations

import asyncio
import sys

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, Unconfigured, ZactorError
from zactor.kernel.ids import check_name
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Configure, Request, Waiting
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub, HubUser
from zactor.kernel.transport.keys import ClusterKeys
from zactor.kernel.wire import results
from zactor.supervisor.membership.discovery import JOIN_S, is_final
from zactor.supervisor.membership.run_directory import near, read_entries
from zactor.supervisor.settings import Settings

log = structlog.get_logger()

ANNOUNCE_MS = 300


class UnconfiguredNode(HubUser):
    """Waits for a Configure. Kernel's loop only."""

    def __init__(self, settings: Settings, keys: ClusterKeys) -> None:
        """It has no identity yet, so it presents the door's key and no own."""
        self._settings = settings
        self._deaf: set[str] = set()  # who doesn't answer: said once
        self.hub = Hub(
            name="",
            incarnation=0,
            role=settings.role,
            python=sys.version_info[:2],
            keys=keys,
            node_key=keys.door,
            user=self,
        )
        self.named: asyncio.Future[Configure | None] = asyncio.get_running_loop().create_future()

    def open(self) -> str:
        """Bind the door and return its endpoint."""
        return self.hub.open(self._settings.address)

    async def run(self) -> Configure | None:
        """Return how this node was named, or None when it was told to stop.

        Raises:
            NotReachable, Refused: nobody whom it was to join hears that it waits.
        """
        log.info("node_waits_for_a_name", endpoint=self.hub.endpoint)
        announcing = asyncio.get_running_loop().create_task(self._announce())
        try:
            return await self.named
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)

    def stop(self) -> None:
        """End the wait."""
        if not self.named.done():
            self.named.set_result(None)

    async def close(self) -> None:
        """Close the door."""
        self.hub.close()

    async def _announce(self) -> None:
        loop = asyncio.get_running_loop()
        until, is_heard = loop.time() + JOIN_S, not self._settings.join
        while True:
            entries = read_entries(self._settings.home)
            here = sorted({near(entry) for entry in entries if entry.name})
            join = sorted(set(self._settings.join).difference(here))
            errors = await asyncio.gather(*map(self._tell, (*join, *here)))
            failed = [error for error in errors[: len(join)] if error is not None]
            is_heard = is_heard or len(failed) < len(join)
            failed.sort(key=is_final, reverse=True)
            if not is_heard and failed and (is_final(failed[0]) or loop.time() > until):
                self._fail(failed[0])
                return
            await asyncio.sleep(ANNOUNCE_MS / 1000)

    def _fail(self, error: ZactorError) -> None:
        if not self.named.done():
            self.named.set_exception(error)

    async def _tell(self, endpoint: str) -> ZactorError | None:
        """Say at a door that we wait; return why nobody there listens, or None."""
        waiting = Waiting(
            WIRE_VERSION,
            self.hub.keys.cluster,
            self.hub.endpoint,
            sys.version_info[:2],
        )
        try:
            await self.hub.call_door(endpoint, waiting)
        except ZactorError as error:
            if endpoint not in self._deaf:
                self._deaf.add(endpoint)
                log.warning("announcement_failed", endpoint=endpoint, why=str(error))
            return error
        self._deaf.discard(endpoint)
        return None

    def on_request(self, client: Client, request: Request) -> None:
        """Only Configure is for a node without a name."""
        operation = request.operation
        if not isinstance(operation, Configure) or self.named.done():
            error: ZactorError = Unconfigured(
                f"the node at {self.hub.endpoint} is unconfigured: declareNode names it"
            )
            self.hub.answer(client, results.problem(request.number, error))
            return
        try:
            check_name("node", operation.name)
        except ConfigError as error:
            self.hub.answer(client, results.problem(request.number, error))
            return
        for answer in results.answers(request.number, {"name": operation.name}):
            self.hub.answer(client, answer)
        # The answer is on its way before the door closes: give the socket a turn.
        asyncio.get_running_loop().call_later(
            limits.LINK_ACK_DELAY_MS / 1000, self._named, operation
        )

    def _named(self, operation: Configure) -> None:
        if not self.named.done():
            self.named.set_result(operation)
