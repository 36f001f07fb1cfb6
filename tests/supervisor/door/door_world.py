"""A node of which there is nothing but the door, the groups and their clients: all of it real."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S

from zactor import Mailbox
from zactor.client.connection import Connection
from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.client_sessions import RegularMessage
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.operations import Operation, Request
from zactor.kernel.messages.views import View
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.socket_context import Address
from zactor.kernel.wire import results
from zactor.supervisor.door.client_sessions import SESSION_OPERATIONS, ClientSessions

N1 = NodeId("n1", 3)
UNDER_WAY_MAX = limits.GROUP_WINDOW_MESSAGES + limits.GROUP_QUEUE_SOFT + limits.BATCH_ITEMS_MAX
MANY = limits.GROUP_BACKLOG_MESSAGES + UNDER_WAY_MAX + limits.GROUP_OUTGOING_MESSAGES + 3_000
"""More than all the queues between two clients hold."""


class DoorNode:
    """A node of which there is nothing but the door, the groups and the clients' sessions."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tasks: set[asyncio.Task[object]] = set()
        self.hub = Hub(
            name=N1.name,
            incarnation=N1.incarnation,
            role="node",
            python=(3, 11),
            keys=cluster_keys(home),
            node_key=node_keys(home / "state" / "n1"),
            user=self,
        )
        self.hub.open(Address())
        self.host = GroupHost(self.hub, self, None)
        self.host.open()
        self.clients = ClientSessions(self.host, self.hub, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        self.clients.close()
        self.host.close()
        for task in self.tasks:
            task.cancel()
        self.hub.close()

    def box(self, name: str) -> Mailbox:
        return Mailbox(name, self.hub.endpoint, home=self.home, timeout=DEADLINE_S)

    # what a node does with what arrives
    def on_request(self, client: Client, request: Request) -> None:
        if type(request.operation) in SESSION_OPERATIONS:
            self.clients.take(client, request)
        else:  # a client's probe
            for answer in results.answers(request.number, []):
                self.hub.answer(client, answer)

    def on_items(self, peer: Peer, items: Sequence[object]) -> None: ...
    def on_peer_up(self, peer: Peer) -> None: ...
    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None: ...
    def on_disconnected(self, peer: Peer) -> None: ...
    def on_heartbeat(self, heartbeat: Heartbeat) -> None: ...
    def on_buried(self, reason: str) -> None: ...
    def on_late_item(self, peer: Peer, item: object) -> None: ...
    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None: ...
    def on_group_trace(self, event: str, fields: dict[str, object]) -> None: ...


@contextlib.asynccontextmanager
async def opened(home: Path) -> AsyncIterator[DoorNode]:
    clients = DoorNode(home)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield clients
    finally:
        clients.close()


async def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.005)


async def payloads(box: Mailbox, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        message = await box.receive(10)
        if isinstance(message, RegularMessage):
            found.append(message.payload)
    return found


def ask(line: Connection, operation: Operation) -> asyncio.Future[object]:
    return asyncio.wrap_future(line.request(operation, 10))
