"""Blueprints: of actors of this node, from what the knowledge base and bundles have of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from zactor.bundles.load import load_class, missing_optional
from zactor.bundles.store import BundleStore
from zactor.bundles.stored_arguments import stored_payload
from zactor.kernel.actors.actor import Actor, options_of
from zactor.kernel.errors import ZactorError
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.wire.payload import Policy
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.deployment.bundle_fetch import BundleFetcher
from zactor.supervisor.deployment.bundled_actor import BundledActor, make_actor
from zactor.supervisor.deployment.environments import Environments
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.operations import constructor_arguments

log = structlog.get_logger()

_Loaded = tuple[type[Actor], list[str]]  # and optional modules that aren't here


class Blueprints:
    """Makes them. Kernel's loop only; users' code is loaded elsewhere."""

    def __init__(
        self,
        policy: Policy,
        store: BundleStore,
        fetcher: BundleFetcher,
        environments: Environments,
    ) -> None:
        """Args: environments: where actors run for which something is to be installed."""
        self.policy = policy
        self._store = store
        self._fetcher = fetcher
        self._environments = environments
        # By bundle and type, while it is being loaded: those of a thousand actors that are deployed
        # together read and check the bundle once.
        self._loading: dict[tuple[str, str], asyncio.Future[_Loaded]] = {}

    async def prefetch(self, identity: str) -> None:
        """Hold the code of every factory, so that no node's death takes it away."""
        try:
            await self._fetcher.need(identity)
        except ZactorError as error:
            log.info("prefetch_failed", bundle=identity, why=str(error))

    async def make(self, row: ActorRow) -> Blueprint:
        """Fetch what an actor needs, load its class, and return its blueprint.

        Raises:
            ZactorError: its code isn't to be had, or can't be loaded here; or whatever it raises.
        """
        if stored := constructor_arguments.stored_in(row.arguments):
            await self._fetcher.need(stored)
        bundled = BundledActor(self._store.folder, row.bundle, row.type, row.arguments, self.policy)
        if row.installs:
            await self._fetcher.need(row.bundle)
            found = await self._environments.type_of(row.bundle, row.type)
            return Blueprint(
                name=row.name,
                uid=row.uid,
                type=row.type,
                build=bundled,
                options=replace(found.options, dispatcher="process"),
                recipe=bundled.recipe,
                environment=found.folder,
            )
        cls, missing = await self._loaded(row.bundle, row.type)
        if missing:  # it may never come to them; if it does, its author has read this
            log.info("optional_imports_missing", actor=row.name, type=row.type, modules=missing)
        return Blueprint(
            name=row.name,
            uid=row.uid,
            type=row.type,
            build=_builder(cls, row, self.policy, self._stored),
            options=options_of(cls),
            recipe=bundled.recipe,
        )

    async def _loaded(self, bundle: str, type_: str) -> _Loaded:
        key = (bundle, type_)
        if (loading := self._loading.get(key)) is not None:
            return await asyncio.shield(loading)
        loading = self._loading[key] = asyncio.get_running_loop().create_future()
        try:
            await self._fetcher.need(bundle)
            # User code is imported away from the kernel's loop: it may take its time.
            found = await run_blocking(self._load, bundle, type_)
        except Exception as error:
            loading.set_exception(error)
            loading.exception()  # nobody else need wait for it
            raise
        else:
            loading.set_result(found)
            return found
        finally:
            loading.cancel()  # unless it is done: this life of the node ends
            del self._loading[key]

    def _load(self, identity: str, type_: str) -> _Loaded:
        bundle = self._store.open(identity)
        return load_class(bundle, type_), missing_optional(bundle)

    def _stored(self, identity: str) -> bytes:
        return stored_payload(self._store.open(identity))


def _builder(
    cls: type[Actor], row: ActorRow, policy: Policy, stored: Callable[[str], bytes]
) -> Callable[[], Actor]:
    def build() -> Actor:
        keywords = constructor_arguments.to_keywords(row.arguments, policy, stored)
        return make_actor(cls, row.type, keywords)

    return build
