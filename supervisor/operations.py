"""What may be asked of a node, by a client at its door or by another node over their link.

Each operation is a coroutine of the kernel thread; many run at a time and none waits for another
(A18). What changes the cluster is one transaction of the ledger, checked again where it is ordered;
the checks before it only make for better words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from zactor.bundles.load import check
from zactor.bundles.manifest import pick_type
from zactor.kernel import config
from zactor.kernel.errors import (
    AlreadyExists,
    NoSuchActor,
    NoSuchThing,
    OutcomeUnknown,
    Refused,
    RemoteActionError,
    TimedOut,
    ZactorError,
)
from zactor.kernel.ids import check_name
from zactor.kernel.knowledge.query import solve
from zactor.kernel.knowledge.terms import format_term, quote_atom, to_json
from zactor.kernel.protocol import messages
from zactor.kernel.protocol.service import Service
from zactor.supervisor import arguments, looks, naming, theoryview
from zactor.supervisor.aside import aside
from zactor.supervisor.reconcile import forget_patterns, still
from zactor.supervisor.theoryview import ActorRow

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

START_TIMEOUT_S = 60.0  # an actor may load large libraries


class Operations:
    """Carries out operations on behalf of one node."""

    def __init__(self, node: Node) -> None:
        """`node` is where they were asked."""
        self._node = node
        self._by_kind: dict[type[Any], Callable[[Any, str], Awaitable[object]]] = {
            messages.DeclareNode: self._declare_node,
            messages.DeclareFactory: self._declare_factory,
            messages.DeployActor: self._deploy_actor,
            messages.DestroyActor: self._destroy_actor,
            messages.React: self._react,
            messages.RemoveReact: self._remove_react,
            messages.EmitSignal: self._emit_signal,
            messages.TellActor: self._tell_actor,
            messages.AskActor: self._ask_actor,
            messages.Look: self._look,
            messages.QueryFacts: self._query,
            messages.Events: self._events,
            messages.PutPart: self._put_part,
            messages.GetPart: self._get_part,
            messages.CheckBundle: self._check_bundle,
        }

    async def run(self, operation: messages.Operation, who: str) -> object:
        """Carry out `operation` for `who` ("" for a client) and return plain data.

        Raises:
            ZactorError: why it can't be done.
        """
        handler = self._by_kind.get(type(operation))
        if handler is None:
            raise Refused(f"{type(operation).__name__} is nothing to ask of a configured node")
        return await handler(operation, who or "client")

    # -- declaring ---------------------------------------------------------------------------
    async def _declare_node(self, op: messages.DeclareNode, who: str) -> object:
        return await naming.declare_node(self._node, op.name, op.address)

    async def _declare_factory(self, op: messages.DeclareFactory, who: str) -> object:
        check_name("type of actor", op.type)
        await self._node.fetcher.need(op.bundle)
        bundle = await aside(self._node.store.open, op.bundle)
        pick_type(bundle.manifest, op.type)
        await self._node.ledger.commit(
            f"declareFactory({op.type})",
            who=who,
            retract=(f"factory({quote_atom(op.type)}, _)",),
            assert_=(f"factory({quote_atom(op.type)}, {quote_atom(op.bundle)})",),
        )
        return {"type": op.type, "bundle": op.bundle}

    # -- deploying ---------------------------------------------------------------------------
    async def _deploy_actor(self, op: messages.DeployActor, who: str) -> object:
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
        if taken is not None:
            raise AlreadyExists(f"an actor {op.name} exists already, on {taken.node}")
        text = arguments.to_text(op.arguments)
        await self._ask_node(op.node, messages.CheckBundle(bundle, op.type))
        name, node, type_name = quote_atom(op.name), quote_atom(op.node), quote_atom(op.type)
        deployment = self._node.ledger.new_id()
        await self._node.ledger.commit(
            f"deployActor({op.type}, {op.name}, {op.node})",
            who=who,
            require=(
                (f"\\+ actor({name}, _, _)", "AlreadyExists", f"actor {op.name} exists already"),
                (f"node({node}, _)", "NoSuchThing", f"node {op.node} is gone"),
            ),
            assert_=(
                f"actor({name}, {type_name}, {node})",
                f"spec({name}, {quote_atom(bundle)}, {format_term(text)}, "
                f"{quote_atom(deployment)})",
                f'state({name}, starting, "")',
            ),
        )
        row = await self._started(op, deployment)
        return {
            "name": row.name,
            "uid": row.uid,
            "node": row.node,
            "type": row.type,
            "bundle": row.bundle,
        }

    async def _started(self, op: messages.DeployActor, deployment: str) -> ActorRow:
        """Return the actor once it runs; undo the deployment where it fails."""

        def settled() -> tuple[ActorRow | None] | None:
            row = theoryview.actor(self._node.ledger.theory, op.name)
            if row is None or row.deployment != deployment or row.state == "stopping":
                return (None,)
            return None if row.state == "starting" else (row,)

        found = await self._node.ledger.until(settled, START_TIMEOUT_S)
        if found is None:
            raise TimedOut(
                f"{op.name} has not started on {op.node} for {START_TIMEOUT_S:g} s; it still may"
            )
        (row,) = found
        if row is None:
            raise OutcomeUnknown(
                f"{op.name} was destroyed, or node {op.node} went, while it was being deployed"
            )
        if row.state == "failed":
            with contextlib.suppress(NoSuchActor):  # its node was quicker
                await self._node.ledger.commit(
                    f"deployActor({op.name}) failed",
                    who=self._node.me.name,
                    require=(still(row),),
                    retract=forget_patterns(op.name),
                )
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

    async def _destroy_actor(self, op: messages.DestroyActor, who: str) -> object:
        if op.todo:
            raise Refused("destroyActor with todo is not there yet: leave the todo out")
        row = self._actor(op.name)
        name = quote_atom(op.name)
        reason = "" if op.drain_s < 0 else f"drain {op.drain_s:g}"
        await self._node.ledger.commit(
            f"destroyActor({op.name})",
            who=who,
            require=((f"actor({name}, _, _)", "NoSuchActor", f"no actor {op.name}"),),
            retract=(
                f"reacts({name}, _, _, _)",
                f"reacts(_, {name}, _, _)",
                f"state({name}, _, _)",
            ),
            assert_=(f"state({name}, stopping, {format_term(reason)})",),
        )

        def ended() -> str | None:
            now = theoryview.actor(self._node.ledger.theory, op.name)
            if now is None or now.uid != row.uid:
                return ""
            return now.reason if now.state == "failed" else None

        failure = await self._node.ledger.until(ended, None)
        if failure:
            raise ZactorError(
                f"{op.name} on {row.node} failed while it was destroyed ({failure}):"
                " destroy it again to remove what is left of it"
            )
        return {}

    # -- interactions ------------------------------------------------------------------------
    async def _react(self, op: messages.React, who: str) -> object:
        service = Service.parse(op.service)
        check_name("action", op.action)
        self._actor(op.reactor)
        self._actor(op.emitter)
        reactor, emitter, action = (
            quote_atom(op.reactor),
            quote_atom(op.emitter),
            quote_atom(op.action),
        )
        await self._node.ledger.commit(
            f"remoteReactInteraction({op.reactor}, {op.emitter}, {op.action})",
            who=who,
            require=(
                (f"actor({reactor}, _, _)", "NoSuchActor", f"no actor {op.reactor}"),
                (f"actor({emitter}, _, _)", "NoSuchActor", f"no actor {op.emitter}"),
            ),
            retract=(f"reacts({reactor}, {emitter}, {action}, _)",),
            assert_=(f"reacts({reactor}, {emitter}, {action}, {service.value})",),
        )
        return {}

    async def _remove_react(self, op: messages.RemoveReact, who: str) -> object:
        parts = map(quote_atom, (op.reactor, op.emitter, op.action))
        wire = f"reacts({', '.join(parts)}, _)"
        await self._node.ledger.commit(
            f"removeInteraction({op.reactor}, {op.emitter}, {op.action})",
            who=who,
            require=(
                (
                    wire,
                    "NoSuchThing",
                    f"{op.reactor} doesn't react to {op.action} of {op.emitter}",
                ),
            ),
            retract=(wire,),
        )
        return {}

    # -- messages to actors ------------------------------------------------------------------
    def _actor(self, name: str) -> ActorRow:
        row = theoryview.actor(self._node.ledger.theory, name)
        if row is None:
            raise NoSuchActor(f"no actor {name}: `zactor ps` shows which there are")
        return row

    async def _emit_signal(self, op: messages.EmitSignal, who: str) -> object:
        row = self._actor(op.actor)
        if row.node != self._node.me.name:
            return await self._ask_node(row.node, op)
        return {"reached": self._node.runtime.emit(op.actor, op.action, op.payload)}

    async def _tell_actor(self, op: messages.TellActor, who: str) -> object:
        self._actor(op.actor)
        self._node.runtime.request(op.actor, op.action, op.payload, None)
        return {}

    async def _ask_actor(self, op: messages.AskActor, who: str) -> object:
        row = self._actor(op.actor)
        if op.plain and row.node != self._node.me.name:
            # The value is made plain where its class is known.
            return await self._ask_node(row.node, op)
        return await self._node.doorman.request_actor(op)

    # -- reading -----------------------------------------------------------------------------
    async def _look(self, op: messages.Look, who: str) -> object:
        return await looks.look(self._node, op.what, op.argument, everywhere=who == "client")

    async def _query(self, op: messages.QueryFacts, who: str) -> object:
        def look() -> list[dict[str, Any]] | None:
            found = solve(op.goal, self._node.ledger.theory)
            return [{name: to_json(term) for name, term in row.items()} for row in found] or None

        return await self._node.ledger.until(look, min(op.wait_s, 3600.0)) or []

    async def _events(self, op: messages.Events, who: str) -> object:
        events = await self._node.journal.wait(op.after, min(op.wait_s, 60.0))
        return {"events": events, "next": events[-1]["number"] if events else op.after}

    # -- bundles -----------------------------------------------------------------------------
    async def _put_part(self, op: messages.PutPart, who: str) -> object:
        held = self._node.store.put_part(op.bundle, op.offset, op.total, op.data)
        return {"held": held}

    async def _get_part(self, op: messages.GetPart, who: str) -> object:
        data, total = self._node.store.get_part(op.bundle, op.offset)
        return {"data": data, "total": total}

    async def _check_bundle(self, op: messages.CheckBundle, who: str) -> object:
        await self._node.fetcher.need(op.bundle)
        bundle = await aside(self._node.store.open, op.bundle)
        await aside(check, bundle, op.type, node=self._node.me.name)
        return {}

    async def _ask_node(self, node: str, operation: messages.Operation) -> object:
        """Carry out `operation` at `node`, which may be this one."""
        if node == self._node.me.name:
            return await self.run(operation, node)
        peer = self._node.hub.peers.get(node)
        if peer is None:
            raise NoSuchThing(f"node {node} is not connected to {self._node.me.name}")
        return await self._node.calls.ask(peer, operation, config.HELLO_MS / 1000 * 30)
