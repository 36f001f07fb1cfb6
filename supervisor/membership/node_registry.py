"""What the acting node does for all: the theory names exactly the nodes that are alive.

A node that died takes with it everything that mentions it or its actors; a node that is there and
named is written down. Both are transactions like any other, so doing them twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from zactor.kernel.errors import ZactorError
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts
from zactor.supervisor.kb.changed_facts import ChangedFacts, NodeFact
from zactor.supervisor.kb.fact_patterns import forget_patterns, still
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase

log = structlog.get_logger()

Live = Mapping[str, tuple[int, str]]  # name -> (incarnation, address)

RETRY_S = 0.2


class NodeRegistry:
    """Sweeps whenever it is told that something changed. Kernel thread only."""

    def __init__(self, me: str, kb: KnowledgeBase, live: Callable[[], Live]) -> None:
        """`live` tells who is alive now, this node included."""
        self._me = me
        self._kb = kb
        self._live = live
        self._due = asyncio.Event()

    def nudge(self) -> None:
        """Sweep again soon."""
        self._due.set()

    def on_change(self, changed: ChangedFacts) -> None:
        """These facts were taken away and brought, perhaps later than their node came or went."""
        if any(isinstance(fact, NodeFact) for fact in (*changed.retracted, *changed.asserted)):
            self.nudge()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            if not self._kb.acting:
                continue
            try:
                await self._sweep()
            except ZactorError as error:
                log.warning("sweep_refused", why=str(error))
                await asyncio.sleep(RETRY_S)
                self._due.set()

    async def _sweep(self) -> None:
        known = facts.nodes(self._kb.theory)
        live = self._live()
        for name, row in known.items():
            incarnation, _ = live.get(name, (0, ""))
            if incarnation != row.incarnation:
                await self._forget(name, row.incarnation)
        known = facts.nodes(self._kb.theory)
        for name, (incarnation, address) in sorted(live.items()):
            if name not in known:
                await self._write_down(name, incarnation, address)
        theory = self._kb.theory
        known = facts.nodes(theory)
        for actor in facts.actors(theory):
            if actor.node not in known:
                await self._forget_stray(actor)

    async def _forget(self, name: str, incarnation: int) -> None:
        node = quote_atom(name)
        patterns = [f"node({node}, _)", f"incarnation({node}, _)"]
        for row in facts.actors(self._kb.theory, name):
            patterns += forget_patterns(row.name)
        await self._kb.commit(
            f"node {name} is gone",
            who=self._me,
            require=(
                (f"incarnation({node}, {incarnation})", "NoSuchThing", f"{name} went already"),
            ),
            retract=tuple(patterns),
        )

    async def _forget_stray(self, row: ActorRow) -> None:
        """It was placed on a node while that one was being forgotten."""
        node = quote_atom(row.node)
        await self._kb.commit(
            f"{row.name} was placed on node {row.node}, which is gone",
            who=self._me,
            require=(
                still(row),
                (f"\\+ node({node}, _)", "AlreadyExists", f"{row.node} is there again"),
            ),
            retract=tuple(forget_patterns(row.name)),
        )

    async def _write_down(self, name: str, incarnation: int, address: str) -> None:
        node = quote_atom(name)
        await self._kb.commit(
            f"node {name} is here",
            who=self._me,
            require=((f"\\+ node({node}, _)", "AlreadyExists", f"{name} is there already"),),
            assert_=(f"node({node}, {quote_atom(address)})", f"incarnation({node}, {incarnation})"),
        )
