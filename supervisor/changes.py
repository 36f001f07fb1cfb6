"""The operations that change the cluster, as they are asked of a node: checks, steps, answers.

Each checks the words of what was asked, lets the runner take the steps of its table, and says what
came of it. What is checked before a transaction only makes for better words: what counts is checked
again where the transaction is ordered. Asked again under the same id an operation is done once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zactor.bundles.manifest import pick_type
from zactor.kernel.errors import (
    AlreadyExists,
    NoSuchThing,
    OutcomeUnknown,
    RemoteActionError,
    ZactorError,
)
from zactor.kernel.ids import Clock, actor_uid, check_name
from zactor.kernel.protocol import messages
from zactor.kernel.protocol.service import Service
from zactor.supervisor import arguments, destruction, tables, theoryview
from zactor.supervisor.aside import aside
from zactor.supervisor.naming import Naming
from zactor.supervisor.theoryview import ActorRow

if TYPE_CHECKING:
    from zactor.supervisor.node import Node


HERE_S = 1.0  # in which what was decided comes to know here


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for an operation, and under which id."""

    who: str
    id: str


class Changes:
    """Carries out changes on behalf of one node. Kernel thread only."""

    def __init__(self, node: Node) -> None:
        """`node` is where they were asked."""
        self._node = node

    # -- declaring ---------------------------------------------------------------------------
    async def declare_node(self, op: messages.DeclareNode, asked: Asked) -> object:
        """Name a node, or meet one that has that name."""
        naming = Naming(self._node, op.name, op.address)
        done = await self._node.runner.run(
            tables.DECLARE_NODE,
            tables.DeclareNode(name=op.name),
            who=asked.who,
            calls={"find": naming.find, "name": naming.name},
        )
        return naming.result(done["appear"])

    async def declare_factory(self, op: messages.DeclareFactory, asked: Asked) -> object:
        """Hold the code of a type, and say so."""
        check_name("type of actor", op.type)

        async def check() -> None:
            await self._node.fetcher.need(op.bundle)
            bundle = await aside(self._node.store.open, op.bundle)
            pick_type(bundle.manifest, op.type)

        await self._node.runner.run(
            tables.DECLARE_FACTORY,
            tables.DeclareFactory(id=asked.id, type=op.type, bundle=op.bundle),
            who=asked.who,
            calls={"check": check},
        )
        return {"type": op.type, "bundle": op.bundle}

    # -- actors ------------------------------------------------------------------------------
    async def deploy(self, op: messages.DeployActor, asked: Asked) -> object:
        """Create an actor, and wait until it runs."""
        job = self._deployment(op, asked)

        async def check() -> object:
            check = messages.CheckBundle(job.bundle, op.type)
            return await self._node.operations.ask_node(op.node, check)

        done = await self._node.runner.run(
            tables.DEPLOY, job, who=asked.who, calls={"check": check}
        )
        outcome = done["start"]
        assert isinstance(outcome, tuple), outcome
        row = _running(op, outcome[0])
        return {
            "name": row.name,
            "uid": row.uid,
            "node": row.node,
            "type": row.type,
            "bundle": row.bundle,
        }

    def _deployment(self, op: messages.DeployActor, asked: Asked) -> tables.Deploy:
        check_name("actor", op.name)
        theory = self._node.ledger.theory
        bundle = theoryview.factory(theory, op.type)
        if bundle is None:
            known = ", ".join(theoryview.factories(theory)) or "none"
            raise NoSuchThing(f"no factory for {op.type} (declared: {known}): declareFactory first")
        if op.node not in theoryview.nodes(theory):
            known = ", ".join(theoryview.nodes(theory))
            raise NoSuchThing(f"no node {op.node} (there are: {known})")
        taken = theoryview.actor(theory, op.name)
        if taken is not None and taken.deployment != asked.id:
            raise AlreadyExists(f"an actor {op.name} exists already, on {taken.node}")
        return tables.Deploy(
            id=asked.id,
            type=op.type,
            name=op.name,
            node=op.node,
            bundle=bundle,
            arguments=arguments.to_text(op.arguments),
        )

    async def destroy(self, op: messages.DestroyActor, asked: Asked) -> object:
        """End an actor, and wait until it is gone."""
        drain = "" if op.drain_s < 0 else f"drain {op.drain_s:g}"
        end = self._destroy_with_todo if op.todo else self._destroy
        since = await end(op.name, drain, asked)
        row = theoryview.actor(self._node.ledger.theory, op.name)
        if row is not None and row.uid < actor_uid(since) and row.state == "failed":
            raise ZactorError(
                f"{op.name} on {row.node} failed while it was destroyed ({row.reason}):"
                " destroy it again to remove what is left of it"
            )
        return {}

    async def _destroy(self, name: str, drain: str, asked: Asked) -> Clock:
        """Tell the actor to stop and wait until it has; return when it was told."""
        job = destruction.Destroy(id=asked.id, name=name, drain=drain)
        done = await self._node.runner.run(destruction.DESTROY, job, who=asked.who)
        clock = done["stop"]
        assert isinstance(clock, Clock), clock
        return clock

    async def _destroy_with_todo(self, name: str, drain: str, asked: Asked) -> Clock:
        """Write the clause and wait until it is gone, whoever does what it says; see above."""
        node, ledger = self._node, self._node.ledger
        assignee, note = node.todos.assignee(name)
        job = destruction.DestroyTodo(
            id=asked.id, name=name, drain=drain, owner=node.me, assignee=assignee, note=note
        )
        try:
            with node.todos.writing(asked.id):
                done = await node.runner.run(
                    destruction.DESTROY_TODO, job, who=asked.who, only=("write",)
                )
        except AlreadyExists:  # another master was quicker: what it began is what was asked for
            found = await ledger.until(lambda: theoryview.todo_about(ledger.theory, name), HERE_S)
            if found is None:
                raise
            id_, since = found.id, found.since
        else:
            id_ = asked.id
            clock = done.get("write") or ledger.clock  # asked again: it has been written
            assert isinstance(clock, Clock), clock
            since = clock
        await node.todos.finished(id_)
        return since

    # -- interactions ------------------------------------------------------------------------
    async def react(self, op: messages.React, asked: Asked) -> object:
        """Begin an interaction."""
        check_name("action", op.action)
        job = tables.React(
            id=asked.id,
            reactor=op.reactor,
            emitter=op.emitter,
            action=op.action,
            service=Service.parse(op.service),
        )
        await self._node.runner.run(tables.REACT, job, who=asked.who)
        return {}

    async def remove_react(self, op: messages.RemoveReact, asked: Asked) -> object:
        """End an interaction."""
        job = tables.React(id=asked.id, reactor=op.reactor, emitter=op.emitter, action=op.action)
        await self._node.runner.run(tables.REMOVE, job, who=asked.who)
        return {}


def _running(op: messages.DeployActor, row: ActorRow | None) -> ActorRow:
    """Return the actor that was deployed, if it runs."""
    if row is None:
        raise OutcomeUnknown(
            f"{op.name} was destroyed, or node {op.node} went, while it was being deployed"
        )
    if row.state == "failed":
        in_hook = row.reason.startswith("on_start: ")
        kind, _, message = row.reason.removeprefix("on_start: ").partition(": ")
        raise RemoteActionError(
            message or row.reason,
            remote_type=kind,
            node=op.node,
            actor=op.name,
            action="on_start" if in_hook else "__init__",
        )
    return row
