"""Nodes without a knowledge base: real engines, hubs and actors, all in one process and loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import zmq

from zactor import Actor
from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.operations import Request
from zactor.kernel.messages.views import View
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.directory import Place
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.sessions.host import GROUP_ITEMS, GroupHost
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.socket_context import Address
from zactor.supervisor.actors_queue import open_session_queue

PATIENCE_S = 30.0
HELD = (
    limits.GROUP_BACKLOG_MESSAGES
    + limits.GROUP_WINDOW_MESSAGES
    + 2 * limits.GROUP_QUEUE_SOFT
    + 2 * limits.GROUP_PACKET_MESSAGES
)
"""What a member that takes nothing lets come of one sender: its backlog, then what was in the
sender's queue, with a turn of it, and in its window."""
BURST = 100
MANY = 2 * (HELD + 2 * limits.GROUP_QUEUE_SOFT) // BURST * BURST
"""More than the member, the engine's queue and what waits before it hold."""


def is_muted(node: Node, name: str) -> bool:
    """Whether a session there is held for a reader, and who sends by it has to wait."""
    return any(each.name == name and each.congested for each in node.session_queue._held)


class Node:
    """A hub, its groups and its actors, without a knowledge base."""

    def __init__(self, home: Path, name: str) -> None:
        self.me = NodeId(name, 1)
        self.dead: list[DeadLetter] = []
        self.failed: list[tuple[str, ...]] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.runtime = Runtime(
            node=self.me,
            dead_letter=self.dead.append,
            trace=lambda kind, fields: self.lines.append((kind, fields)),
            failed=lambda *what: self.failed.append(what),
        )
        self.hub = Hub(
            name=name,
            incarnation=1,
            role="node",
            python=(3, 11),
            keys=cluster_keys(home),
            node_key=node_keys(home / "state" / name),
            user=self,
            coalesce=self.runtime.shared.at_slice_end,
        )
        self.groups = GroupHost(self.hub, self, None)
        self._uids = iter(range(1000 * int(name[1:]), 10**6))
        self._tasks: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        self.hub.open(Address())
        self.groups.open()
        self.session_queue = open_session_queue(
            self.runtime, self.groups, self.hub, self.spawn_task
        )
        self.runtime.start()

    def spawn_task(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await asyncio.to_thread(self.runtime.close)
        self.groups.close()
        for task in list(self._tasks):
            task.cancel()
        self.hub.close()

    async def spawn(self, cls: type[Actor], name: str, *args: Any) -> Any:
        blueprint = blueprint_of(cls, name=name, uid=next(self._uids), args=args)
        await asyncio.wrap_future(self.runtime.spawn(blueprint))
        return self.runtime.ref(name)

    async def end(self, name: str) -> None:
        uid = self.runtime.directory.places[name].uid
        await asyncio.wrap_future(self.runtime.stop(uid, "destroyed"))
        self.runtime.place(name, None)

    def introduce(self, other: Node, *names: str) -> None:
        """Let this node know actors of another."""
        for name in names:
            place = other.runtime.directory.places[name]
            port = self.hub.peers[other.me.name]
            self.runtime.place(name, Place(name=name, uid=place.uid, type="t", port=port))

    def lose(self, other: Node) -> None:
        """The other is dead, as this node sees it."""
        self.hub.drop_peer(other.me.name, f"the process of {other.me.name} is gone")

    def traced(self, *kinds: str) -> Counter[tuple[str, str]]:
        """How often each (signal, target) had an event of these kinds here; targets are h…"""
        return Counter(
            (line["sig"], line["to"])
            for kind, line in self.lines
            if kind in kinds and line["to"].startswith("h")
        )

    # -- what a hub and an engine need of a node ---------------------------------------------
    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        self.groups.receive(peer, [item for item in items if type(item) in GROUP_ITEMS])
        self.runtime.remoting.deliver(
            peer, [item for item in items if type(item) not in GROUP_ITEMS]
        )

    def on_request(self, client: Client, request: Request) -> None:
        raise AssertionError("only Hello is asked here")

    def on_peer_up(self, peer: Peer) -> None:
        self.groups.linked(peer.node, True)

    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        self.runtime.remoting.peer_dead(
            peer, [(i, sent) for i, sent in lost if type(i) not in GROUP_ITEMS]
        )
        self.groups.dead(peer.node)

    def on_disconnected(self, peer: Peer) -> None:
        self.groups.linked(peer.node, False)

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        self.groups.hear(heartbeat)

    def on_buried(self, reason: str) -> None:
        """Those who lost us say so: here it has no consequence."""

    def on_late_item(self, peer: Peer, item: object) -> None:
        self.runtime.remoting.peer_out_of_view(peer, [(item, False)])

    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        pass

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        pass


@contextlib.asynccontextmanager
async def running(home: Path, count: int) -> AsyncIterator[list[Node]]:
    """Nodes in one view."""
    nodes = [Node(home, f"n{number}") for number in range(1, count + 1)]
    try:
        for node in nodes:
            node.open()
        for node in nodes[1:]:
            for there in nodes[: nodes.index(node)]:
                await node.hub.introduce(there.hub.endpoint)
        await until(lambda: all(len(node.groups.view.members) == count for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            await node.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of parts that tell nobody
            await asyncio.sleep(0.002)


def cell_of(node: Node, name: str) -> Any:
    return node.runtime.directory.local(name)


def warm_up() -> None:
    """Let pyzmq start the thread that watches over long frames, which never ends, beforehand."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as two:
        one.bind("inproc://warm")
        two.connect("inproc://warm")
        one.send(bytes(1 << 20), copy=False)
        two.recv()
