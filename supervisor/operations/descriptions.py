"""Descriptions: all that is known of one actor, its code read where it runs."""

from __future__ import annotations

from typing import Protocol

from zactor.bundles.load import load_class
from zactor.bundles.store import BundleStore
from zactor.kernel.actors.contract import Contract, contract_of
from zactor.kernel.errors import BundleRefused, NoSuchActor, ZactorError, said
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.operations import DescribeActor, DescribeType
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.operations import constructor_arguments
from zactor.supervisor.operations.changes import BundleSource
from zactor.supervisor.operations.contracts import Contracts
from zactor.supervisor.operations.report_rows import ActorDescription, WireReport

CURRENT, OLD, UNDECLARED = "current", "old", "undeclared"
"""What code is beside its factory's: the same, another, or there is no factory of that type."""


class InstalledContracts(Protocol):
    """Types whose code is loaded only where what they want is installed."""

    def contract_of(self, bundle: str, type_name: str) -> Contract | None:
        """Return what is known of one; None: nothing."""
        ...


class Descriptions:
    """Describes actors, and types. Kernel's loop only; their code is loaded elsewhere."""

    def __init__(
        self,
        kb: KnowledgeBase,
        store: BundleStore,
        source: BundleSource,
        installed: InstalledContracts,
        contracts: Contracts,
    ) -> None:
        """Ask `contracts` for what actors can do; `store` has the code of those that are here."""
        self._kb = kb
        self._store = store
        self._source = source
        self._installed = installed
        self._contracts = contracts

    async def describe(self, op: DescribeActor) -> object:
        """Return one actor's description, its code as its node reads it, if that can be asked.

        Raises:
            NoSuchActor: there is none, or it is lost.
        """
        await self._kb.catch_up()
        row = self._row(op.actor)
        contract, unreadable = Contract(), ""
        try:
            contract = await self._contracts.read(row)
        except ZactorError as error:
            unreadable = str(error)
        row = self._row(op.actor)  # it may have been lost meanwhile
        return describe(self._kb.theory, row, contract, unreadable)

    async def describe_type(self, op: DescribeType) -> object:
        """Return the contract of a type, by the class that is loaded here for it.

        Raises:
            BundleRefused: it can't be read.
        """
        if (known := self._installed.contract_of(op.bundle, op.type)) is not None:
            return known
        await self._source.need(op.bundle)
        return await run_blocking(self._read, op)

    def _read(self, op: DescribeType) -> Contract:
        try:
            return contract_of(load_class(self._store.open(op.bundle), op.type))
        except ZactorError:
            raise
        except Exception as error:  # users' code, and texts of their values and types
            raise BundleRefused(f"{op.type} can't be read: {said(error)}") from error

    def _row(self, name: str) -> ActorRow:
        row = facts.actor(self._kb.theory, name)
        if row is None:
            raise NoSuchActor(orders.absent(self._kb.theory, name))
        return row


def describe(
    theory: Theory, row: ActorRow, contract: Contract, unreadable: str = ""
) -> ActorDescription:
    """Return what the knowledge base and the class of an actor tell of it. Pure."""
    name, policy = row.name, policies.policy(theory, row.name)
    factory = facts.factory(theory, row.type)
    wires = [WireReport.of(wire, at, "up") for wire, at in facts.wires_since(theory)]
    wires += [WireReport.of(wire, at, "down") for wire, at in orders.down(theory)]
    return ActorDescription(
        name=name,
        type=row.type,
        node=row.node,
        state=row.state,
        reason=row.reason,
        since=row.at,
        uid=row.uid,
        bundle=row.bundle,
        factory=factory or "",
        code=age_of(row.bundle, factory),
        class_name=contract.class_name,
        constructor=contract.constructor,
        actions=contract.actions,
        takes_all=contract.takes_all,
        signals=contract.signals,
        emits_all=contract.emits_all,
        unreadable=unreadable,
        wires_in=[wire for wire in wires if wire.reactor == name],
        wires_out=[wire for wire in wires if wire.emitter == name],
        arguments=constructor_arguments.to_plain(row.arguments),
        restart=policy.restart if policy is not None else "",
        intensity=policy.intensity if policy is not None else "",
        on=list(policy.on) if policy is not None else [],
    )


def age_of(bundle: str, factory: str | None) -> str:
    """Return what the code of an actor is beside its factory's."""
    if factory is None:
        return UNDECLARED
    return CURRENT if bundle == factory else OLD
