"""What may be asked of a node, by a client at its door or by another node over their link.

Each operation is a coroutine of the kernel's loop; many run at a time and none waits for another.
Those that change the cluster are in changes.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, get_args

import msgspec

from zactor.bundles.load import check
from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.errors import NoSuchActor, NoSuchThing, NotReachable, Refused
from zactor.kernel.messages.daemon_monitor import MonitorOperation
from zactor.kernel.messages.desired import (
    ApplyWish,
    DrainNode,
    ExportWish,
    PlanWish,
    ResumeNode,
    UndoChange,
)
from zactor.kernel.messages.operations import (
    AT_WORK,
    AskActor,
    CheckBundle,
    DeclareFactory,
    DeclareNode,
    DeployActor,
    DeployActors,
    DescribeActor,
    DescribeType,
    DestroyActor,
    EmitSignal,
    Events,
    FlushLink,
    ForgetNode,
    GetPart,
    Inspect,
    LookAtPanels,
    MoveActor,
    Operation,
    PutPart,
    QueryFacts,
    ReadOutput,
    ReceiveActor,
    RecoverPrimary,
    RestoreActors,
    Subject,
    TellActor,
    ToActors,
    UndeclareFactory,
    Unwire,
    UpgradeActor,
    Watch,
    Watches,
    Wire,
)
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.asker import Asker
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership.members import Members
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.observe.journal import Journal
from zactor.supervisor.operations import knowledge_rows
from zactor.supervisor.operations.ask_actor import Requests, ask_actor
from zactor.supervisor.operations.changes import Asked, BundleSource, Changes
from zactor.supervisor.operations.contracts import Contracts
from zactor.supervisor.operations.descriptions import Descriptions, InstalledContracts
from zactor.supervisor.operations.desired_state import DesiredState
from zactor.supervisor.operations.drain import Draining
from zactor.supervisor.operations.query_turns import QueryTurns
from zactor.supervisor.operations.reports import KNOWLEDGE, OF_ONE_NODE, Reports
from zactor.supervisor.operations.watching import Watching
from zactor.supervisor.operations.ways_out import WaysOut

REQUEST_ID_CHARS_MAX = 128
_EVENTS_WAIT_S = 30.0  # less than another node is waited for
_ASKED = "asked "  # begins the ids that clients choose: none of them is a node's own

_ANSWERED_BY_ITSELF = (
    Inspect,
    Events,
    PutPart,
    GetPart,
    *get_args(Watches),
    *get_args(MonitorOperation),
)
"""What a node answers at once; for anything else it first takes the newest knowledge over. A
client's reports of the knowledge base wait for that too, but for the nodes: by these a client asks
whether there is anybody at all (zactor/client/request_loop.py)."""


Handlers = dict[type[Any], Callable[[Any, Asker], Awaitable[object]]]


class Actors(Requests, Protocol):
    """What brings messages to actors, and makes those of this node emit."""

    def emit(self, actor: str, action: str, payload: bytes) -> int:
        """Make an actor emit; returns how many reactors it is on its way to."""
        ...


class Installs(InstalledContracts, Protocol):
    """What installs what bundles want, on this node."""

    async def is_ready(self, bundle: str, type_name: str) -> bool:
        """Return whether it is done; it goes on with that."""
        ...


class MonitoredDaemon(Protocol):
    """What Spread's monitor asks, where this node is a daemon."""

    async def run(self, operation: MonitorOperation) -> object:
        """Do it and return plain data."""
        ...


class Dispatch:
    """Carries out operations on behalf of one node."""

    def __init__(
        self,
        hub: Hub,
        *,
        kb: KnowledgeBase,
        members: Members,
        joined: asyncio.Event,
        changes: Changes,
        desired: DesiredState,
        contracts: Contracts,
        ways_out: WaysOut,
        reports: Reports,
        actors: Actors,
        journal: Journal,
        store: BundleStore,
        fetcher: BundleSource,
        installs: Installs,
        calls: PeerCalls,
        daemon: MonitoredDaemon,
        watching: Watching,
    ) -> None:
        """`joined` is set when `kb` can be as new as any; `calls` asks other nodes."""
        self._me = hub.me.name
        self._hub = hub
        self._kb = kb
        self._members = members
        self._joined = joined
        self._ways_out = ways_out
        self._reports = reports
        self._actors = actors
        self._journal = journal
        self._store = store
        self._fetcher = fetcher
        self._installs = installs
        self._calls = calls
        self._turns = QueryTurns[Asker](lambda asker: hub.door.is_behind(_client(asker)))
        self._changes: dict[type[Any], Callable[[Any, Asked], Awaitable[object]]] = {
            DeclareNode: changes.declare_node,
            DeclareFactory: changes.declare_factory,
            UndeclareFactory: changes.undeclare_factory,
            DeployActor: changes.deploy,
            DeployActors: changes.deploy_many,
            RestoreActors: changes.restore,
            UpgradeActor: changes.upgrade,
            MoveActor: changes.move,
            DestroyActor: changes.destroy,
            Wire: changes.wire,
            Unwire: changes.unwire,
            ApplyWish: desired.apply,
            UndoChange: desired.undo,
            DrainNode: Draining(kb).drain,
            ResumeNode: Draining(kb).resume,
        }
        self._contracts = contracts
        self._descriptions = Descriptions(kb, store, fetcher, installs, contracts)
        self._daemon = daemon
        self._by_kind = self._handlers(desired, watching)
        self._by_kind[ReceiveActor] = _of_nodes(changes.receive)
        self._by_kind[FlushLink] = _of_nodes(changes.flush)

    def _handlers(self, desired: DesiredState, watching: Watching) -> Handlers:
        """Return who answers what, but for changes."""
        return {
            EmitSignal: self._emit_signal,
            TellActor: self._tell_actor,
            AskActor: self._ask_actor,
            ForgetNode: self._forget,
            RecoverPrimary: self._recover,
            Inspect: self._inspect,
            QueryFacts: self._query,
            Events: self._events,
            PutPart: self._put_part,
            GetPart: self._get_part,
            CheckBundle: self._check_bundle,
            DescribeActor: lambda op, _: self._descriptions.describe(op),
            DescribeType: lambda op, _: self._descriptions.describe_type(op),
            PlanWish: lambda op, _: desired.plan(op),
            ExportWish: lambda op, _: desired.export(op),
            Watch: watching.watch,
            LookAtPanels: watching.look,
            ReadOutput: watching.read,
            **dict.fromkeys(get_args(MonitorOperation), self._monitor),
        }

    async def run(self, operation: Operation, asker: Asker, id: str = "") -> object:
        """Carry out `operation` for `asker` and return plain data.

        Args:
            id: of the request: a change that is asked for twice under one id is made once.

        Raises:
            ZactorError: why it can't be done.
        """
        if len(id) > REQUEST_ID_CHARS_MAX:
            raise Refused(f"a request's id has at most {REQUEST_ID_CHARS_MAX} characters")
        if not isinstance(operation, _ANSWERED_BY_ITSELF):
            await self._joined.wait()
        change = self._changes.get(type(operation))
        if change is not None:
            asked = Asked(asker.author, f"{_ASKED}{id}" if id else self._kb.new_id())
            outcome = await change(operation, asked)
            # What is asked of another node next meets a network that knows of it.
            await self._kb.everywhere()
            return outcome
        handler = self._by_kind.get(type(operation))
        if handler is None:
            raise Refused(f"{type(operation).__name__} is nothing to ask of a configured node")
        return await handler(operation, asker)

    # -- messages to actors ------------------------------------------------------------------
    def _actor(self, name: str) -> ActorRow:
        row = facts.actor(self._kb.theory, name)
        if row is None:
            raise NoSuchActor(orders.absent(self._kb.theory, name))
        if row.node in self._hub.peers:
            self._reach(row.node)
        return row

    async def _settled(self, name: str) -> None:
        """Return when the actor doesn't move: what asks for more than a message needs a place."""

        def settled() -> bool | None:
            return None if facts.moving_to(self._kb.theory, name) else True

        if not settled():
            await self._kb.until(settled, limits.MOVE_DRAIN_S + limits.MOVE_GO_S)

    async def _checked(self, op: ToActors, asker: Asker) -> ActorRow:
        """Return the actor that a message is for, if the message can be for it."""
        row = self._actor(op.actor)
        if asker.is_client and not op.anyway:
            await self._contracts.check_message(op, row)
        return row

    async def _emit_signal(self, op: EmitSignal, asker: Asker) -> object:
        await self._settled(op.actor)
        row = await self._checked(op, asker)
        if row.node != self._me:
            return await self.ask_node(row.node, op)
        return {"reached": self._actors.emit(op.actor, op.action, op.payload)}

    async def _tell_actor(self, op: TellActor, asker: Asker) -> object:
        row = await self._checked(op, asker)
        if op.checked and row.node != self._me:
            return await self.ask_node(row.node, op)
        self._actors.request(op.actor, op.action, op.payload, None)
        return {}

    async def _ask_actor(self, op: AskActor, asker: Asker) -> object:
        if op.plain:
            await self._settled(op.actor)
        row = await self._checked(op, asker)
        if op.plain and row.node != self._me:
            # The value is made plain where its class is known.
            return await self.ask_node(row.node, op)
        return await ask_actor(self._actors, op)

    async def _monitor(self, op: MonitorOperation, asker: Asker) -> object:
        return await self._daemon.run(op)

    # -- an operator's word ------------------------------------------------------------------
    async def _forget(self, op: ForgetNode, asker: Asker) -> object:
        return await self._ways_out.forget(op, asker.author)

    async def _recover(self, op: RecoverPrimary, asker: Asker) -> object:
        if op.node != self._me:
            return await self.ask_node(op.node, op)
        return await self._ways_out.recover(op)

    # -- reading -----------------------------------------------------------------------------
    async def _inspect(self, op: Inspect, asker: Asker) -> object:
        if asker.is_client and op.what in KNOWLEDGE:
            if op.what is not Subject.NODES:
                await self._joined.wait()
            await self._kb.catch_up()
        if op.what in OF_ONE_NODE and op.argument not in ("", self._me):
            return await self.ask_node(op.argument, op)
        await self._hub.door.until_read(_client(asker))  # a list may be long, and is made at once
        rows = knowledge_rows.ROWS.get(op.what)
        if rows is not None:
            return await self._turns.rows(asker, rows(op.argument, self._kb))
        everywhere = asker.is_client and not (op.what in OF_ONE_NODE and op.argument)
        return await self._reports.show(op.what, op.argument, everywhere=everywhere)

    async def _query(self, op: QueryFacts, asker: Asker) -> object:
        async def find() -> list[msgspec.Raw] | None:
            rows = knowledge_rows.solutions(op.goal, self._kb)
            return await self._turns.rows(asker, rows) or None

        await self._kb.catch_up()
        return await self._kb.until_found(find, min(op.wait_s, 3600.0)) or []

    async def _events(self, op: Events, asker: Asker) -> object:
        if op.node not in ("", self._me):
            return await self.ask_node(op.node, op)
        after = self._journal.known(op.after.get(self._me, 0 if op.past else None))
        events = await self._journal.wait(after, min(op.wait_s, _EVENTS_WAIT_S))
        if asker.is_client:
            await self._hub.door.until_read(_client(asker))
        return {
            "node": self._me,
            "events": events,
            "next": events[-1]["number"] if events else after,
            "others": sorted(peer.node.name for peer in self._members.peers()),
        }

    # -- bundles -----------------------------------------------------------------------------
    async def _put_part(self, op: PutPart, asker: Asker) -> object:
        held = self._store.put_part(op.bundle, op.offset, op.total, op.data)
        return {"held": held}

    async def _get_part(self, op: GetPart, asker: Asker) -> object:
        data, total = self._store.get_part(op.bundle, op.offset)
        return {"data": data, "total": total}

    async def _check_bundle(self, op: CheckBundle, asker: Asker) -> object:
        await self._fetcher.need(op.bundle)
        bundle = await run_blocking(self._store.open, op.bundle)
        await run_blocking(check, bundle, op.type, node=self._me, imports=not op.install)
        if op.install and not await self._installs.is_ready(op.bundle, op.type):
            return AT_WORK
        return {}

    async def ask_node(self, node: str, operation: Operation) -> object:
        """Carry out `operation` at `node`, which may be this one."""
        if node == self._me:
            return await self.run(operation, Asker.node_called(node))
        return await self._calls.ask(self._reach(node), operation, limits.HELLO_MS / 1000 * 30)

    def _reach(self, node: str) -> Peer:
        """Return the link of a node that can answer.

        Raises:
            NoSuchThing: it isn't there. NotReachable: it is out of the view.
        """
        peer = self._hub.peers.get(node)
        if peer is None:
            raise NoSuchThing(f"node {node} is not connected to {self._me}")
        if peer.out_of_view:  # nothing would end it: who asks there was told when it left the view
            raise NotReachable(
                f"node {node} is out of reach ({peer.out_of_view}): ask again when it is back"
            )
        return peer


def _of_nodes(
    handle: Callable[[Any], Awaitable[object]],
) -> Callable[[Any, Asker], Awaitable[object]]:
    """Return a handler of what only nodes may ask of each other."""

    async def handler(op: Any, asker: Asker) -> object:
        if asker.is_client:
            raise Refused(f"{type(op).__name__} is nothing to ask of a configured node")
        return await handle(op)

    return handler


def _client(asker: Asker) -> Client:
    """Whose answers wait at the door, if it isn't a node that asks."""
    return Client(asker.connection)
