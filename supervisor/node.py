"""One life of one configured node: everything that runs on it, put together.

Threads: all of this runs in the kernel's loop, but `on_late_item` and what the
actor runtime calls. User code never runs here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import structlog

from zactor.bundles import load as bundles
from zactor.bundles.store import BundleStore
from zactor.bundles.versions import other_versions
from zactor.kernel import forks, limits
from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import (
    Ask,
    AskCycle,
    AskProbe,
    Failure,
    InMemory,
    Reply,
    Signal,
    SignalParcel,
    Undelivered,
    Withdrawn,
)
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.knowledge import KbLinked
from zactor.kernel.messages.operations import Answer, Leave, Operation, Problem, Request
from zactor.kernel.messages.views import View
from zactor.kernel.runtime.baton import Baton
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.sessions.host import GROUP_ITEMS, GroupHost
from zactor.kernel.transport.addresses import is_loopback
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub, HubUser
from zactor.kernel.transport.keys import ClusterKeys, KeyPair, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.wire.bulky import Bulky
from zactor.supervisor.actors_queue import open_session_queue
from zactor.supervisor.deployment.blueprints import Blueprints
from zactor.supervisor.deployment.bundle_fetch import BundleFetcher
from zactor.supervisor.deployment.bundle_sweeper import BundleSweeper
from zactor.supervisor.deployment.environments import Environments
from zactor.supervisor.deployment.reconciler import Reconciler
from zactor.supervisor.deployment.spawned_child import be_main
from zactor.supervisor.door.client_sessions import ClientSessions
from zactor.supervisor.door.requests import RequestServer
from zactor.supervisor.item_owners import ItemOwners, one_by_one
from zactor.supervisor.kb.changed_facts import ChangedFacts
from zactor.supervisor.kb.group_channel import GROUP as KB_GROUP
from zactor.supervisor.kb.home_founding import HomeFounding
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.store import Store
from zactor.supervisor.life_tasks import VITAL, LifeTasks
from zactor.supervisor.membership.change_watch import ChangeWatch
from zactor.supervisor.membership.discovery import Discovery
from zactor.supervisor.membership.members import Members
from zactor.supervisor.membership.node_registry import NodeRegistry
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.membership.unreached import Unreached
from zactor.supervisor.membership.waiting_nodes import WaitingNodes
from zactor.supervisor.observe import speakers
from zactor.supervisor.observe.actor_output import ActorOutput
from zactor.supervisor.observe.events import (
    ActionFailed,
    DeadLetters,
    Events,
    LoopBlocked,
    LoopFree,
    to_log,
)
from zactor.supervisor.observe.journal import Journal
from zactor.supervisor.observe.metrics import Metrics
from zactor.supervisor.observe.panels import Panels
from zactor.supervisor.observe.spans import make_runtime
from zactor.supervisor.observe.trace_log import trace_log
from zactor.supervisor.operations.changes import Changes
from zactor.supervisor.operations.contracts import Contracts
from zactor.supervisor.operations.declare_node import DeclareNodeCall, Surroundings
from zactor.supervisor.operations.desired_state import DesiredState
from zactor.supervisor.operations.dispatch import Dispatch
from zactor.supervisor.operations.reports import Reports
from zactor.supervisor.operations.todo_runner import TodoRunner
from zactor.supervisor.operations.watching import Watching
from zactor.supervisor.operations.ways_out import WaysOut
from zactor.supervisor.operations.workflow_runner import WorkflowRunner
from zactor.supervisor.settings import Settings
from zactor.supervisor.spread.daemon import Daemon

log = structlog.get_logger()


ACTOR_ITEMS = frozenset(
    (
        Signal,
        SignalParcel,
        Ask,
        AskCycle,
        AskProbe,
        Reply,
        Failure,
        Undelivered,
        Withdrawn,
        Bulky,
        InMemory,
    )
)
"""Types of the items of a link that are actors' messages."""

ACTOR_PROCESS = "zactor.supervisor.actor_process"

RETIRE_S = 1.0  # the others go on without us by agreement; if they are stuck, without it
GOODBYE_MS = 300  # a peer that is stuck doesn't keep us
GOODBYE_POLL_S = 0.002


class Node(HubUser):
    """One incarnation of a named node."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        keys: ClusterKeys,
        state: Path,
        baton: Baton | None = None,
    ) -> None:
        """Args:
        state: this node's own folder, locked by the caller.
        baton: of the running loop, which actors' threads may run too.
        """
        self.settings = settings
        self.kb_store = Store(state)
        self.me = NodeId(name, self.kb_store.next_incarnation())
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.tasks = LifeTasks(self.fail)
        self.journal = Journal(name, self.me.incarnation)
        self.journal.attach(self._loop)
        self.output = ActorOutput(name, self.me.incarnation, state)
        self._trace = trace_log(self.me)
        traces = () if self._trace is None else (self._trace.take,)
        self.events = Events((*traces, to_log, self.journal.take))
        self.runtime = make_runtime(
            self.me,
            settings.is_traced,
            policy=settings.payload,
            dead_letter=self.on_dead_letter,
            trace=self._trace,
            ended=self._on_actor_ended,
            crashed=self._on_actor_crashed,
            failed=self._on_action_failed,
            blocked=lambda b: self.events.tell(LoopBlocked(b.actor, b.action, b.where, b.moves)),
            unblocked=lambda b: self.events.tell(LoopFree(b.actor, b.lasts_s())),
        )
        self.runtime.process_module = ACTOR_PROCESS
        self.baton = self.runtime.shared.baton = baton
        self.hub = self._make_hub(keys, node_keys(state))
        self.calls = PeerCalls(self.hub.send)
        self.groups = GroupHost(self.hub, self, self._trace)
        self.members = Members(
            self.hub,
            self.groups,
            user=self,
            tell=self.events.tell,
            spawn=self.tasks.spawn,
            has_ended=lambda *node: self.discovery.has_ended(*node),  # noqa: PLW0108 - made later
        )
        self.unreached = Unreached(
            self.hub,
            is_member=lambda name: self.members.peer(name) is not None,
            tell=self.events.tell,
            spawn=self.tasks.spawn,
        )
        self.waiting = WaitingNodes(self.hub, settings.home)
        self._make_knowledge()
        self._make_deployment(state / "bundles")
        self._make_operations()
        self._make_owners()

    def _make_knowledge(self) -> None:
        """Make the knowledge base, and what keeps it true to who is there."""
        self.kb = self._make_knowledge_base()
        self.change_watch = ChangeWatch(self.me.name, self.kb, self.events.tell)
        self.groups.listen(KB_GROUP, self.kb)
        who, labels = self.members.departure, self.settings.labels
        self.registry = NodeRegistry(self.me.name, self.kb, self._citizens, who, labels)
        self.discovery = Discovery(
            self.hub,
            home=self.settings.home,
            join=self.settings.join,
            told=self.settings.told,
            kb=self.kb,
            unreached=self.unreached,
            all_in=self.members.all_in,
            on_ready=self.registry.nudge,
            on_buried=self.on_buried,
        )
        self.journal.is_joining = lambda: not self.discovery.joined.is_set()

    def _make_deployment(self, bundles: Path) -> None:
        """Make what brings code and actors here, as the knowledge base says."""
        store = self.store = BundleStore(bundles)
        self.fetcher = BundleFetcher(store, self.calls, self.members.peers)
        place, allowed = self.settings.home / "environments" / self.me.name, self.settings.installs
        self.environments = Environments(
            place, store, self.runtime.orphans, self.events.tell, allowed
        )
        self.sweeper = BundleSweeper(
            store,
            self.environments,
            lambda: self.kb.theory if self.kb.primary and not self.journal.is_joining() else None,
        )
        self.reconciler = Reconciler(
            self.me,
            kb=self.kb,
            runtime=self.runtime,
            blueprints=Blueprints(self.settings.payload, store, self.fetcher, self.environments),
            tell=self.events.tell,
            port_of=self.members.peer,
            spawn_task=self.tasks.spawn,
        )

    def _make_operations(self) -> None:
        """Make what others may ask of this node, and who listens to them."""
        self.runner = WorkflowRunner(self.kb, self.settings.crash)
        self.todos = TodoRunner(
            self.me,
            kb=self.kb,
            runner=self.runner,
            roles=self.members.roles,
            spawn=self.tasks.spawn,
            tell=self.events.tell,
        )
        around = Surroundings(
            hub=self.hub,
            kb=self.kb,
            waiting=self.waiting,
            discovery=self.discovery,
            unreached=self.unreached,
        )
        self.daemon = self._make_daemon()
        contracts = Contracts(self._ask_node)
        self.dispatch = Dispatch(
            self.hub,
            kb=self.kb,
            members=self.members,
            joined=self.discovery.joined,
            changes=Changes(
                self.me,
                kb=self.kb,
                runner=self.runner,
                todos=self.todos,
                fetcher=self.fetcher,
                store=self.store,
                begin_declaring=partial(DeclareNodeCall, around),
                ask_node=self._ask_node,
                contracts=contracts,
                local_actors=self.reconciler,
                policy=self.settings.payload,
            ),
            desired=DesiredState(self.kb, self._ask_node, contracts),
            contracts=contracts,
            ways_out=WaysOut(self.me.name, self.kb, lambda: tuple(self.hub.peers)),
            reports=self._make_reports(),
            actors=self.runtime,
            journal=self.journal,
            store=self.store,
            fetcher=self.fetcher,
            installs=self.environments,
            calls=self.calls,
            daemon=self.daemon,
            watching=self._make_watching(),
        )
        self.client_sessions = ClientSessions(self.groups, self.hub, self.tasks.spawn)
        self.requests = RequestServer(
            self.hub,
            runner=self.dispatch,
            sessions=self.client_sessions,
            waiting=self.waiting,
            spawn=self.tasks.make,
        )

    def _make_daemon(self) -> Daemon:
        return Daemon(
            self.settings.spread,
            groups=self.groups,
            cables=self.hub,
            spawn=self.tasks.spawn,
            join=self.discovery.tell,
            stop=self.stop,
        )

    async def _ask_node(self, node: str, operation: Operation) -> object:
        return await self.dispatch.ask_node(node, operation)

    def _make_watching(self) -> Watching:
        return Watching(
            self.me.name,
            metrics=Metrics(
                self.me.name,
                self.me.incarnation,
                actors=self.runtime,
                journal=self.journal,
                late_ms=lambda: self.members.lag_ms,
                spawn=self.tasks.spawn,
            ),
            panels=Panels(self.runtime, self.tasks.spawn),
            output=self.output,
            members=self.members,
            calls=self.calls,
            ask_node=self._ask_node,
        )

    def _make_reports(self) -> Reports:
        return Reports(
            self.hub,
            groups=self.groups,
            kb=self.kb,
            members=self.members,
            unreached=self.unreached,
            waiting=self.waiting,
            calls=self.calls,
            journal=self.journal,
            tell=self.events.tell,
            bundles=self.store,
            runtime=self.runtime,
            parked=lambda: self.reconciler.parked,
        )

    def _make_knowledge_base(self) -> KnowledgeBase:
        return KnowledgeBase(
            self.me,
            self.settings.role,
            self.kb_store,
            send=self._send_kb,
            all_in=self.members.all_in,
            is_eager=self.settings.role == "master" or is_loopback(self.settings.address.host),
            home=HomeFounding(self.settings.home),
            on_change=self._on_change,
            on_reset=self._on_reset,
            on_primary=self.on_members,
            on_broken=self.fail,
            tell=self.events.tell,
        )

    def _make_hub(self, keys: ClusterKeys, node_key: KeyPair) -> Hub:
        return Hub(
            name=self.me.name,
            incarnation=self.me.incarnation,
            role=self.settings.role,
            python=sys.version_info[:2],
            keys=keys,
            node_key=node_key,
            user=self,
            coalesce=self.runtime.shared.at_slice_end,
            short=self.baton,
        )

    # -- life --------------------------------------------------------------------------------
    def open(self) -> str:
        """Bind the sockets, start the runtime, and return the door's endpoint."""
        endpoint = self.hub.open(self.settings.address)
        self.groups.open()
        self.session_queue = open_session_queue(
            self.runtime, self.groups, self.hub, self.tasks.spawn
        )
        self.output.attach(self._loop)
        speakers.attach(self.output)
        self.runtime.start()
        self.runtime.outcomes.explain = other_versions
        bundles.attach(self.store)  # what a message holds may be of any bundle that is here
        if forks.is_nodes_own():
            be_main(self.store.folder)
        return endpoint

    async def run(self) -> str:
        """Live until told to stop; return why it ended: "stop" or "buried: …".

        Raises:
            NotReachable, Refused: it was to join others, and can't.
        """
        await self.daemon.open()
        await self.kb.open(self.groups)
        for work in (
            self._keep(),
            self.registry.run(),
            self.todos.run(),
            self.sweeper.run(),
            self._discover(),
        ):
            self.tasks.spawn(work, VITAL)
        address = self.hub.endpoint.removeprefix("tcp://")
        log.info("node_started", node=str(self.me), name=self.me.name, endpoint=address)
        return await self.ended

    def stop(self) -> None:
        """End this life in good order; kernel's loop."""
        if not self.ended.done():
            self.ended.set_result("stop")

    async def close(self) -> None:
        """Say goodbye, end the actors, close everything."""
        await asyncio.to_thread(self.runtime.close, limits.RUNTIME_CLOSE_S)
        await self.kb.retire(RETIRE_S)
        bundles.detach(self.store)
        self.client_sessions.close()
        self.daemon.close()
        self.groups.close()
        for peer in self.hub.peers.values():
            self.hub.send(peer, Request(0, Leave(*self.me)))
        await self._acknowledged()
        await self.tasks.end()
        self.hub.close()
        await asyncio.to_thread(self.kb.close)
        self.kb_store.close()
        speakers.detach(self.output)
        self.output.close()
        if self._trace is not None:
            self._trace.close()

    async def _acknowledged(self) -> None:
        """Wait a little until every peer has what is on its way to it, the goodbye above all."""
        until = self.hub.now_ms() + GOODBYE_MS
        while any(peer.outbox or peer.link.queued for peer in self.members.peers()):
            if self.hub.now_ms() > until:
                return
            await asyncio.sleep(GOODBYE_POLL_S)

    def fail(self, why: str) -> None:
        """End this life, since it can't keep its word any more; the process ends with it."""
        if not self.ended.done():
            log.error("node_failed", node=str(self.me), why=why)
            self.ended.set_result(f"failed: {why}")

    async def _discover(self) -> None:
        try:
            await self.discovery.run()
        except ZactorError as error:
            if not self.ended.done():
                self.ended.set_exception(error)

    async def _keep(self) -> None:
        while True:
            self.hub.clock = self.kb.clock
            self.members.keep()
            self.unreached.keep()
            self.kb.tick(self.hub.now_ms())
            self.reconciler.keep()
            self.runtime.held.keep(self._loop.time())
            self.change_watch.keep()
            self.hub.keep()
            self.session_queue.turn()
            await asyncio.sleep(limits.HOUSEKEEPING_MS / 1000)

    # -- who is there ------------------------------------------------------------------------
    def on_members(self) -> None:
        """The membership changed, or what it can decide."""
        self.registry.nudge()
        self.todos.nudge()

    def _citizens(self) -> dict[str, tuple[int, str]]:
        """The members whose cluster is ours."""
        live = self.members.live()
        return {name: live[name] for name in live if name not in self.kb.strangers}

    def on_node(self, name: str) -> None:
        """A node came into the view, or is out of it: its actors are reached another way."""
        self.reconciler.on_node(name)

    def on_out_of_view(self, peer: Peer) -> None:
        """Nothing goes on waiting for a peer that is no member."""
        self.calls.give_up(peer)
        self.runtime.remoting.peer_out_of_view(peer, ())

    # -- from the hub ------------------------------------------------------------------------
    def on_peer_up(self, peer: Peer) -> None:
        """A link works both ways."""
        self.members.on_peer_up(peer)

    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        """A node is dead for certain: nothing may go on waiting for it."""
        log.debug("peer_dropped", peer=str(peer.node), why=peer.dead, lost=len(lost))
        self.calls.give_up(peer)
        self.requests.peer_dead(peer)
        self.runtime.remoting.peer_dead(
            peer, [(i, sent) for i, sent in lost if type(i) in ACTOR_ITEMS]
        )
        self.members.on_peer_dead(peer)

    def on_disconnected(self, peer: Peer) -> None:
        """A broken connection is a hint."""
        self.members.on_disconnected(peer)

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        """A node's loop is alive."""
        self.members.on_heartbeat(heartbeat)
        self.discovery.hear(heartbeat)

    def on_unreached(self, peer: Peer, whom: str, why: str) -> None:
        """A peer says whom it doesn't reach."""
        self.unreached.hear(peer, whom, why)

    # -- from the group engine ---------------------------------------------------------------
    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        """A view was agreed."""
        self.members.on_view(old, view, together)

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        """News of the engine."""
        self.members.on_group_trace(event, fields)

    def on_buried(self, reason: str) -> None:
        """We count as dead somewhere: come back as a new incarnation."""
        if not self.ended.done():
            log.warning("node_buried", node=str(self.me), why=reason)
            self.ended.set_result(f"buried: {reason}")

    def _make_owners(self) -> None:
        """Say whose the items of links are: actors get theirs first."""
        self._owners = ItemOwners(
            (ACTOR_ITEMS, self.runtime.remoting.deliver),
            (GROUP_ITEMS, self.groups.receive),
            (get_args(KbLinked), self._receive_knowledge),
            ((Answer, Problem), one_by_one(self.calls.take)),
            ((Request,), one_by_one(self.requests.peer)),
        )

    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        """Give what a link delivered to its owners."""
        self._owners.give(peer, items)

    def _receive_knowledge(self, peer: Peer, items: Sequence[KbLinked]) -> None:
        for item in items:
            self.kb.receive(peer.node, item)

    def on_request(self, client: Client, request: Request) -> None:
        """A client asks something at the door."""
        self.requests.client(client, request)

    # -- from the knowledge base -------------------------------------------------------------
    def _send_kb(self, to: NodeId, message: KbLinked) -> None:
        peer = self.hub.peers.get(to.name)
        if peer is not None and peer.node == to:
            self.hub.send(peer, message)

    def _on_change(self, changed: ChangedFacts) -> None:
        self.reconciler.on_change(changed)
        self.registry.on_change(changed)
        self.todos.on_change(changed)

    def _on_reset(self) -> None:
        self.reconciler.on_reset()
        self.registry.nudge()
        self.todos.nudge()

    # -- from anywhere -----------------------------------------------------------------------
    def on_late_item(self, peer: Peer, item: object) -> None:
        """Something was put for a node that is gone; any thread."""
        if type(item) in ACTOR_ITEMS:
            self.runtime.remoting.peer_out_of_view(peer, [(item, False)])

    def _on_actor_ended(self, blueprint: Blueprint, reason: str) -> None:
        """An actor stopped by itself: the knowledge base is to forget it; any thread."""
        self._loop.call_soon_threadsafe(self.reconciler.on_ended, blueprint.name, blueprint.uid)

    def _on_actor_crashed(self, blueprint: Blueprint, reason: str) -> None:
        """The process of an actor is gone; any thread."""
        self._loop.call_soon_threadsafe(
            self.reconciler.on_crashed, blueprint.name, blueprint.uid, reason
        )

    def _on_action_failed(self, actor: str, action: str, error: str, where: str) -> None:
        """An action raised; any thread."""
        self.journal.keep_failure(actor=actor, action=action, error=error, where=where)
        self.events.tell(ActionFailed(actor, action, error, where))
        why = f"{action} raised {error}"
        self._loop.call_soon_threadsafe(self.reconciler.on_failed, actor, why)

    def on_dead_letter(self, letter: DeadLetter) -> None:
        """The runtime gave a message up; any thread."""
        is_first = self.journal.keep_dead_letter(
            sender=letter.sender, target=letter.target, action=letter.action, reason=letter.reason
        )
        if is_first:
            self.events.tell(
                DeadLetters(letter.sender, letter.target, letter.action, letter.reason)
            )
