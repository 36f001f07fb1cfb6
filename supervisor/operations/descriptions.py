"""Descriptions: all that is known of one actor, its code read where it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from zactor.bundles.load import load_class
from zactor.bundles.store import BundleStore
from zactor.kernel.actors.actor import takes_all
from zactor.kernel.actors.signatures import action_signatures, signal_signatures
from zactor.kernel.errors import NoSuchActor, NotReachable, OutcomeUnknown, TimedOut, said
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.operations import DescribeActor, Operation
from zactor.supervisor.asker import Asker
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.operations import constructor_arguments
from zactor.supervisor.operations.report_rows import ActorDescription, CodeReport, WireReport

CURRENT, OLD, UNDECLARED = "current", "old", "undeclared"
"""What code is beside its factory's: the same, another, or there is no factory of that type."""


class Descriptions:
    """Describes actors. Kernel's loop only; their code is loaded elsewhere."""

    def __init__(
        self,
        me: str,
        *,
        kb: KnowledgeBase,
        store: BundleStore,
        ask_node: Callable[[str, Operation], Awaitable[object]],
    ) -> None:
        """Ask an actor's node by `ask_node`; `store` has the code of those that are here."""
        self._me = me
        self._kb = kb
        self._store = store
        self._ask_node = ask_node

    async def describe(self, op: DescribeActor, asker: Asker) -> object:
        """Return one actor's description, of its node if that can be asked.

        Raises:
            NoSuchActor: there is none, or it is lost.
        """
        kb = self._kb
        if asker.is_client:
            await kb.catch_up()
        row = self._row(op.actor)
        if row.node == self._me:
            code = await run_blocking(_read_code, self._store, row)
        elif asker.is_client:
            try:
                return await self._ask_node(row.node, op)
            except (NotReachable, OutcomeUnknown, TimedOut) as error:
                code = CodeReport(unreadable=str(error))
            row = self._row(op.actor)  # it may have been lost meanwhile
        else:  # a node that is behind took it for ours
            code = CodeReport(unreadable=f"{row.name} runs on {row.node} now")
        return describe(kb.theory, row, code)

    def _row(self, name: str) -> ActorRow:
        row = facts.actor(self._kb.theory, name)
        if row is None:
            raise NoSuchActor(orders.absent(self._kb.theory, name))
        return row


def describe(theory: Theory, row: ActorRow, code: CodeReport) -> ActorDescription:
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
        class_name=code.class_name,
        actions=code.actions,
        takes_all=code.takes_all,
        signals=code.signals,
        unreadable=code.unreadable,
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


def _read_code(store: BundleStore, row: ActorRow) -> CodeReport:
    """Load the class, which its actor has done before, and read it. It is users' code."""
    try:
        cls = load_class(store.open(row.bundle), row.type)
        return CodeReport(
            class_name=cls.__qualname__,
            actions=action_signatures(cls),
            takes_all=takes_all(cls),
            signals=signal_signatures(cls),
        )
    except Exception as error:
        return CodeReport(unreadable=said(error))
