"""Nodes of which there is nothing but a hub and its groups, in one loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from deadlines import DEADLINE_S

from zactor.kernel.groups.effects import GroupTransitional, GroupView
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.operations import Request
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View
from zactor.kernel.sessions.host import GROUP_ITEMS, GroupHost
from zactor.kernel.sessions.session import Session, SessionUser
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.socket_context import Address


class Node:
    """A hub and its groups, with nothing above them."""

    def __init__(self, home: Path, name: str, incarnation: int) -> None:
        self.hub = Hub(
            name=name,
            incarnation=incarnation,
            role="node",
            python=(3, 11),
            keys=cluster_keys(home),
            node_key=node_keys(home / "state" / name),
            user=self,
        )
        self.lines: list[dict[str, Any]] = []
        self.views: list[tuple[View, tuple[NodeId, ...]]] = []
        self.groups = GroupHost(self.hub, self, self.trace)

    def trace(self, kind: str, fields: dict[str, Any]) -> None:
        self.lines.append({"k": kind, **fields})

    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        assert {type(item) for item in items} <= GROUP_ITEMS
        self.groups.receive(peer, items)

    def on_request(self, client: Client, request: Request) -> None:
        raise AssertionError("only Hello is asked here")

    def on_peer_up(self, peer: Peer) -> None:
        self.groups.linked(peer.node, True)

    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        self.groups.dead(peer.node)

    def on_disconnected(self, peer: Peer) -> None:
        self.groups.linked(peer.node, False)

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        self.groups.hear(heartbeat)

    def on_buried(self, reason: str) -> None:
        raise AssertionError(reason)

    def on_late_item(self, peer: Peer, item: object) -> None:
        raise AssertionError(item)

    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        self.views.append((view, together))

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        pass


class Box(SessionUser):
    """A session that keeps what it gets, and gets through it at once unless told otherwise."""

    def __init__(self, greedy: bool = True) -> None:
        self.texts: list[str] = []
        self.views: list[GroupView] = []
        self.signals: list[GroupTransitional] = []
        self.left: list[str] = []
        self.session: Session | None = None
        self.answer = ""  # what it says to everything but itself
        self._greedy = greedy

    async def open(self, node: Node, name: str) -> Session:
        self.session = await node.groups.open_session(name, self)
        return self.session

    def on_message(self, message: GroupData, transitional: bool) -> None:
        assert self.session is not None
        text = message.payload.decode()
        self.texts.append(text)
        if self.answer and self.answer not in text:
            self.session.submit(Service.AGREED, ("room",), f"{self.answer}{text}".encode())
        if self._greedy:
            self.session.consumed(1)

    def on_group_view(self, change: GroupView) -> None:
        self.views.append(change)

    def on_group_transitional(self, change: GroupTransitional) -> None:
        self.signals.append(change)

    def on_group_left(self, group: str) -> None:
        self.left.append(group)

    def members(self) -> list[str]:
        return [str(member) for member in self.views[-1].members] if self.views else []


@contextlib.asynccontextmanager
async def running(home: Path, *names: str) -> AsyncIterator[list[Node]]:
    """Nodes in one view."""
    nodes = [Node(home, name, 1) for name in names]
    try:
        for node in nodes:
            node.hub.open(Address())
            node.groups.open()
        for node in nodes[1:]:
            for there in nodes[: nodes.index(node)]:
                await node.hub.introduce(there.hub.endpoint)
        await until(lambda: all(len(node.groups.view.members) == len(nodes) for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.groups.close()
        for node in nodes:
            node.hub.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - of parts that tell nobody
            await asyncio.sleep(0.002)
