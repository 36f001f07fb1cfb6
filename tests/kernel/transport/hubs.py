"""Hubs of two nodes in one process, and who writes down what they tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from deadlines import DEADLINE_S

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Signal, SignalParcel
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.operations import Request
from zactor.kernel.messages.views import ViewId
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.socket_context import Address
from zactor.kernel.wire.signal_parcels import signals_of


def first_heartbeat(me: NodeId) -> GroupHeartbeat:
    view = ViewId(0, me)
    return GroupHeartbeat(me, 1, view, view, me, (), (), 0, 0, (0,))


class Recorder:
    """A supervisor that only writes down what it is told."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self.up: list[str] = []
        self.gone: list[tuple[str, str, int]] = []
        self.buried: list[str] = []
        self.beats: list[str] = []
        self.late: list[object] = []
        self.unreached: list[tuple[str, str]] = []
        self.disconnected = 0
        self.news = asyncio.Event()

    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        for item in items:
            self.items += signals_of(item) if isinstance(item, SignalParcel) else [item]
        self.news.set()

    def on_request(self, client: Client, request: Request) -> None:
        raise AssertionError("only Hello is asked here")

    def on_peer_up(self, peer: Peer) -> None:
        self.up.append(str(peer.node))
        self.news.set()

    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        self.gone.append((str(peer.node), peer.dead, len(lost)))
        self.news.set()

    def on_disconnected(self, peer: Peer) -> None:
        self.disconnected += 1
        self.news.set()

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        self.beats.append(heartbeat.group.sender.name)
        self.news.set()

    def on_buried(self, reason: str) -> None:
        self.buried.append(reason)
        self.news.set()

    def on_unreached(self, peer: Peer, whom: str, why: str) -> None:
        self.unreached.append((whom, why))
        self.news.set()

    def on_late_item(self, peer: Peer, item: object) -> None:
        self.late.append(item)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.news.clear()
                await self.news.wait()


@contextlib.asynccontextmanager
async def hub(home: Path, name: str, incarnation: int = 1) -> AsyncIterator[tuple[Hub, Recorder]]:
    user = Recorder()
    made = Hub(
        name=name,
        incarnation=incarnation,
        role="node",
        python=(3, 11),
        keys=cluster_keys(home),
        node_key=node_keys(home / "state" / name),
        user=user,
    )
    made.open(Address())
    try:
        yield made, user
    finally:
        made.close()


def signal(number: int) -> Signal:
    return Signal((7,), 1, number, "inc", b"x")


@contextlib.asynccontextmanager
async def linked(
    home: Path,
) -> AsyncIterator[tuple[tuple[Hub, Recorder], tuple[Hub, Recorder]]]:
    async with hub(home, "n1") as one, hub(home, "n2") as two:
        await one[0].introduce(two[0].endpoint)
        await one[1].until(lambda: one[1].up == ["n2@1"])
        await two[1].until(lambda: two[1].up == ["n1@1"])
        yield one, two
