"""The group engine's shell on a network that is no hub: dictionaries and calls of one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.groups import GroupData, GroupHeartbeat
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View
from zactor.kernel.sessions.host import GroupHost, NetworkPeer
from zactor.kernel.sessions.session import Session, SessionUser

PATIENCE_S = 30.0


@dataclass
class Cable:
    """The way to another network."""

    to: MemoryNetwork
    connected: bool = True
    up: bool = True
    backlog: int = 0

    @property
    def node(self) -> NodeId:
        return self.to.me


class MemoryNetwork:
    """What one node sends is handed over in the next turn of the loop."""

    def __init__(self, name: str) -> None:
        self.me = NodeId(name, 1)
        self.cables: dict[str, Cable] = {}
        self.lies: list[tuple[str, str]] = []
        self.heartbeats = self
        self.views: list[View] = []
        self.host = GroupHost(self, self, None)

    @property
    def peers(self) -> dict[str, NetworkPeer]:
        return {**self.cables}

    def plug(self, other: MemoryNetwork) -> None:
        self.cables[other.me.name] = Cable(other)
        self.host.linked(other.me, True)

    def reaches(self, name: str) -> bool:
        return True

    def refuse(self, name: str, claimed: str) -> None:
        self.lies.append((name, claimed))

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def send_to(self, name: str, item: object) -> None:
        there = self.cables[name].to
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: there.host.receive(there.cables[self.me.name], [item]))

    def beat(self, group: GroupHeartbeat) -> None:
        for cable in self.cables.values():
            asyncio.get_running_loop().call_soon(cable.to.host.hear, Heartbeat(0, (), (), group))

    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        self.views.append(view)

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None: ...


class Box(SessionUser):
    """Keeps its messages; what becomes of groups it doesn't care for."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.session: Session | None = None

    def on_message(self, message: GroupData, transitional: bool) -> None:
        self.texts.append(message.payload)
        assert self.session is not None
        self.session.consumed(1)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of parts that tell nobody
            await asyncio.sleep(0.002)


def test_groups_need_a_network_and_no_hub() -> None:
    async def story() -> None:
        one, other = MemoryNetwork("n1"), MemoryNetwork("n2")
        for each in (one, other):
            each.host.open()
        one.plug(other)
        other.plug(one)
        await until(lambda: len(one.host.view.members) == len(other.host.view.members) == 2)
        boxes = Box(), Box()
        for box, each in zip(boxes, (one, other), strict=True):
            box.session = await each.host.open_session("s", box)
            box.session.join("room")
        await until(lambda: len(one.host.members("room")) == len(other.host.members("room")) == 2)
        for number in range(50):
            for box in boxes:
                assert box.session is not None
                box.session.submit(Service.AGREED, ("room",), b"%d" % number)
        await until(lambda: all(len(box.texts) == 100 for box in boxes))
        assert boxes[0].texts == boxes[1].texts
        assert one.views[-1] == other.views[-1]
        for each in (one, other):
            each.host.close()

    asyncio.run(story())


def test_a_heartbeat_in_the_name_of_another_is_refused() -> None:
    async def story() -> None:
        one, other = MemoryNetwork("n1"), MemoryNetwork("n2")
        for each in (one, other):
            each.host.open()
        one.plug(other)
        other.plug(one)
        await until(lambda: len(one.host.view.members) == 2)
        heard: list[GroupHeartbeat] = []
        other.beat = heard.append  # type: ignore[method-assign]
        await until(lambda: heard)
        one.host.receive(Cable(MemoryNetwork("n3")), [heard[0]])
        assert one.lies == [("n3", "n2")]
        for each in (one, other):
            each.host.close()

    asyncio.run(story())
