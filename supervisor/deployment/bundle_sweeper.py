"""Removes bundles, and environments, that no factory, no actor and nothing lost needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zactor.bundles.load import loaded_identities
from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import text_of
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.deployment.environments import Environments
from zactor.supervisor.kb import facts
from zactor.supervisor.operations.constructor_arguments import stored_in

log = structlog.get_logger()


_FACTS = (("factory", 2, 1), ("spec", 4, 1), ("ordered", 6, 1), ("next", 6, 3))
"""Facts that name a bundle: functor, arity, index of the argument; constructor arguments follow."""
_SLICE = 200  # facts that are looked at before others of the loop have their turn: 1 ms


async def needed_bundles(theory: Theory) -> set[str]:
    """Return the identities of the bundles that the knowledge base speaks of."""
    needed: set[str] = set()
    for functor, arity, at in _FACTS:
        for count, fact in enumerate(theory.facts(functor, arity), start=1):
            texts = [text_of(argument) for argument in facts.arguments_of(fact.term)[at : at + 2]]
            needed.update((texts[0], *map(stored_in, texts[1:])))
            if count % _SLICE == 0:
                await asyncio.sleep(0)
    return needed - {""}


class BundleSweeper:
    """Looks from time to time. Kernel's loop only; the disk is read and written elsewhere."""

    def __init__(
        self, store: BundleStore, environments: Environments, theory: Callable[[], Theory | None]
    ) -> None:
        """`theory` gives what is known, None while it may be behind."""
        self._store = store
        self._environments = environments
        self._theory = theory

    async def run(self) -> None:
        """Never return."""
        while True:
            await asyncio.sleep(limits.BUNDLE_SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Look once."""
        theory = self._theory()
        if theory is None:
            return
        needed = await needed_bundles(theory)
        try:
            gone = await run_blocking(
                self._store.sweep, needed, loaded_identities(), limits.BUNDLE_KEPT_S
            )
            environments = await self._environments.sweep(needed, limits.BUNDLE_KEPT_S)
        except OSError as error:  # a disk that can't be read: nothing is lost by leaving them
            log.warning("bundles_not_swept", why=str(error))
            return
        if gone:
            log.info("bundles_swept", bundles=gone)
        if environments:
            log.info("environments_swept", environments=environments)
