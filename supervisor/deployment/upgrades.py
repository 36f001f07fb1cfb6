"""Upgrades: actors of this node get other code, and the knowledge base is told which they have.

The exchange comes first, the transaction after it: so what the theory says of an actor's code was
true at least once, and a node that dies in between takes the actor along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

import structlog

from zactor.kernel.errors import NoSuchActor, NotPrimary, Refused
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.exchange import ExchangeOutcome
from zactor.supervisor.deployment.blueprints import Blueprints
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.observe.events import ActorUpgraded, Tell

log = structlog.get_logger()


class ExchangeRuntime(Protocol):
    """What runs the actors of this node."""

    def exchange(self, blueprint: Blueprint) -> Future[ExchangeOutcome]:
        """Give an actor an object of other code; done when it has it."""
        ...


class Commit(Protocol):
    """Commits what is true of an actor of this node, again and again, until it is known or past."""

    def __call__(
        self,
        row: ActorRow,
        why: str,
        *,
        who: str,
        retract: tuple[str, ...],
        assert_: tuple[str, ...],
    ) -> Awaitable[None]:
        """See ActorReports.insist."""
        ...


class Upgrades:
    """Carries them out on one node. Kernel's loop only."""

    def __init__(
        self,
        node: str,
        *,
        kb: KnowledgeBase,
        runtime: ExchangeRuntime,
        blueprints: Blueprints,
        runs: Callable[[ActorRow], bool],
        commit: Commit,
        tell: Tell,
    ) -> None:
        """Args: runs: whether that deployment runs here, and isn't being restarted."""
        self._node = node
        self._kb = kb
        self._runtime = runtime
        self._blueprints = blueprints
        self._runs = runs
        self._commit = commit
        self._tell = tell
        self._turns: dict[str, asyncio.Lock] = {}  # by name: one upgrade of an actor at a time

    async def upgrade(self, name: str, bundle: str, who: str) -> dict[str, object]:
        """Give an actor that runs here the code of `bundle`; return what became of it.

        Returns name, type, node, bundle, former (its bundle until now), changed (False: it had
        that code), pause_ms, and remark (what its former code's on_stop raised, or "").

        Raises:
            ZactorError: why it has its former code still, or has ended.
        """
        turn = self._turns.setdefault(name, asyncio.Lock())
        try:
            async with turn:
                return await self._upgrade(self._row(name), bundle, who)
        finally:
            if not turn.locked():
                self._turns.pop(name, None)

    def _row(self, name: str) -> ActorRow:
        row = facts.actor(self._kb.theory, name)
        if row is None:
            raise NoSuchActor(orders.absent(self._kb.theory, name))
        if row.node != self._node:
            raise Refused(f"{name} runs on {row.node}, not on {self._node}: ask again")
        if row.state != "running" or not self._runs(row):
            why = f" ({row.reason})" if row.reason else ""
            raise Refused(f"{name} is {row.state}{why}: only who runs can get other code")
        if not self._kb.primary:
            raise NotPrimary(
                f"{self._node} is in no primary: nobody could be told of {name}'s code"
            )
        return row

    async def _upgrade(self, row: ActorRow, bundle: str, who: str) -> dict[str, object]:
        done = ExchangeOutcome(0.0)
        changed = row.bundle != bundle
        if changed:
            blueprint = await self._blueprints.make(replace(row, bundle=bundle))
            done = await asyncio.wrap_future(self._runtime.exchange(blueprint))
            pause_ms = round(done.pause_s * 1000, 3)
            self._tell(ActorUpgraded(row.name, row.type, bundle, pause_ms, done.remark))
            name, parts = quote_atom(row.name), (bundle, row.arguments, row.deployment)
            spec = f"{quote_atom(parts[0])}, {format_term(parts[1])}, {quote_atom(parts[2])}"
            await self._commit(
                row,
                f"upgrade({row.name})",
                who=who,
                retract=(f"spec({name}, _, _, _)",),
                assert_=(f"spec({name}, {spec})",),
            )
        return {
            "name": row.name,
            "type": row.type,
            "node": row.node,
            "bundle": bundle,
            "former": row.bundle,
            "changed": changed,
            "pause_ms": round(done.pause_s * 1000, 3),
            "remark": done.remark,
        }
