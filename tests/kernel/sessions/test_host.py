"""The group engine over real hubs in one loop: views, sessions, order, and the bookkeeping."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from host_nodes import Box, running, until

from zactor.kernel.errors import AlreadyExists, LocalProtocolError
from zactor.kernel.groups.effects import Cause, GroupTransitional, GroupView
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.groups import GroupData, GroupHeartbeat
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.sessions.session import Listener


def test_a_link_carries_no_heartbeat_in_the_name_of_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2", "n3") as nodes:
            one, two, three = nodes
            liar, victim = two.hub.me, three.hub.me
            far = ViewId(99, victim)
            lie = GroupHeartbeat(
                victim, 1 << 40, far, far, victim, (), (), 0, 0, (0,)
            )  # n3 hears nobody, and leads: n1 would put it out
            two.hub.send(two.hub.peers["n1"], lie)
            await until(lambda: one.hub.refusals()["heartbeats_refused"] == 1)
            knows = one.groups._engine.detector.peer(victim)
            assert knows is not None
            assert knows.number < 1 << 40
            assert liar in one.groups.view.members
            assert victim in one.groups.view.members

    asyncio.run(story())


def test_what_is_heard_of_a_peer_without_a_link_leads_to_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as (one, two):
            peer, sender = one.hub.peers["n2"], two.hub.me
            known = one.groups._engine.detector.peer(sender)
            assert known is not None
            said = GroupHeartbeat(
                sender, 1 << 40, one.groups.view.id, one.groups.view.id, sender, (), (), 0, 0, ()
            )
            for connected in (False, True):
                peer.connected = connected
                one.groups.hear(Heartbeat((0, 0), (), (), said))
                assert (known.number == 1 << 40) is connected

    asyncio.run(story())


def test_who_meets_works_in_one_view_and_all_hear_one_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2", "n3") as nodes:
            assert len({node.groups.view for node in nodes}) == 1
            boxes = [Box() for _ in nodes]
            for number, (box, node) in enumerate(zip(boxes, nodes, strict=True)):
                (await box.open(node, f"s{number}")).join("room")
            await until(lambda: all(len(box.members()) == 3 for box in boxes))
            for number in range(100):
                for box in boxes:
                    assert box.session is not None
                    service = Service.SAFE if number % 10 == 0 else Service.AGREED
                    box.session.submit(service, ("room",), f"{box.session.name}.{number}".encode())
            await until(lambda: all(len(box.texts) == 300 for box in boxes))
            assert boxes[0].texts == boxes[1].texts == boxes[2].texts
            assert [t for t in boxes[0].texts if t.startswith("s1.")] == [
                f"s1.{number}" for number in range(100)
            ]

    asyncio.run(story())


def test_a_node_that_goes_is_missed_by_all_that_stay(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2", "n3") as nodes:
            boxes = [Box() for _ in nodes]
            for box, node in zip(boxes, nodes, strict=True):
                (await box.open(node, "s")).join("room")
            await until(lambda: all(len(box.members()) == 3 for box in boxes))
            nodes[2].groups.close()
            await until(lambda: all(box.members() == ["#s#n1", "#s#n2"] for box in boxes[:2]))
            assert boxes[0].views[-1].cause is Cause.NETWORK
            assert [str(m) for m in boxes[0].views[-1].sets[0]] == ["#s#n1", "#s#n2"]
            assert len(boxes[0].signals) == len(boxes[1].signals) == 1
            view, together = nodes[0].views[-1]
            assert together == view.members == (NodeId("n1", 1), NodeId("n2", 1))

    asyncio.run(story())


def test_an_answer_from_within_a_delivery_keeps_the_log_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as nodes:
            asks, answers = Box(), Box()
            answers.answer = "re: "
            (await asks.open(nodes[0], "asks")).join("room")
            (await answers.open(nodes[1], "answers")).join("room")
            await until(lambda: len(asks.members()) == len(answers.members()) == 2)
            assert asks.session is not None
            for number in range(50):
                asks.session.submit(Service.AGREED, ("room",), b"%d" % number)
            await until(lambda: len(asks.texts) == len(answers.texts) == 100)
            assert asks.texts == answers.texts
            for node in nodes:
                known: set[str] = set()
                for line in node.lines:
                    if line["k"] == "send":
                        known.add(line["mid"])
                    elif line["k"] == "deliver" and line["mid"].startswith(str(node.groups.me)):
                        assert line["mid"] in known, "delivered before it was sent"

    asyncio.run(story())


def test_what_two_sessions_share_each_has_to_get_through_until_it_closes(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1") as nodes:
            quick, slow = Box(), Box(greedy=False)
            for name, box in (("quick", quick), ("slow", slow)):
                (await box.open(nodes[0], name)).join("room")
            assert quick.session is not None
            assert slow.session is not None
            for _ in range(3):
                quick.session.submit(Service.FIFO, ("room",), b"x")
            await until(lambda: len(slow.texts) == 3)
            backlogs = nodes[0].groups._engine.credit.backlogs._of
            await until(lambda: (backlogs["quick"].count, backlogs["slow"].count) == (0, 3))
            slow.session.consumed(1)
            await until(lambda: (backlogs["slow"].count, backlogs["slow"].size) == (2, 2))
            slow.session.consumed(1)
            slow.session.close()
            slow.session.close()
            slow.session.consumed(1)
            quick.session.submit(Service.FIFO, ("room",), b"y")
            await until(lambda: quick.texts[-1:] == ["y"])
            await until(
                lambda: {name: each.count for name, each in backlogs.items()} == {"quick": 0}
            )

    asyncio.run(story())


def test_a_name_is_free_again_only_when_its_session_is_quite_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1") as nodes:
            first, other = Box(), Box()
            session = await first.open(nodes[0], "alice")
            session.join("room")
            with pytest.raises(AlreadyExists, match="alice"):
                await other.open(nodes[0], "alice")
            with pytest.raises(LocalProtocolError, match="another"):
                session.leave("another")
            session.close()
            again = await other.open(nodes[0], "alice")
            assert again is not session
            assert nodes[0].groups.members("room") == ()
            with pytest.raises(LocalProtocolError, match="is closed"):
                session.join("x")

    asyncio.run(story())


class Sick(Box):
    """A session whose program fails at everything it hears."""

    def on_message(self, message: GroupData, transitional: bool) -> None:
        super().on_message(message, transitional)
        raise RuntimeError("sick")

    def on_group_view(self, change: GroupView) -> None:
        raise RuntimeError("sick")

    def on_group_transitional(self, change: GroupTransitional) -> None:
        raise RuntimeError("sick")


def test_a_session_that_fails_takes_nothing_away_from_those_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as nodes:
            # Sessions are told in the order of their names.
            boxes = {"a": Sick(), "b": Box(), "c": Sick(), "d": Box()}
            for name, box in boxes.items():
                (await box.open(nodes[0], name)).join("room")
            far = Box()
            (await far.open(nodes[1], "far")).join("room")
            await until(lambda: len(boxes["d"].members()) == 5)
            assert boxes["b"].session is not None
            boxes["b"].session.submit(Service.FIFO, ("room",), b"x")
            await until(lambda: far.texts == ["x"])
            await until(lambda: all(box.texts == ["x"] for box in boxes.values()))
            await until(lambda: nodes[0].groups.consumed == 4)
            nodes[1].groups.close()
            await until(lambda: len(boxes["d"].members()) == 4)
            assert len(boxes["b"].members()) == 4
            assert boxes["b"].signals
            assert boxes["d"].signals

    asyncio.run(story())


class Ear(Listener):
    """Listens to a system group."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        self.heard.append(message.payload)

    def on_transitional(self, view: ViewId, members: tuple[NodeId, ...]) -> None:
        self.heard.append(("apart", [str(member) for member in members]))

    def on_view(self, view: View, together: tuple[NodeId, ...]) -> None:
        self.heard.append(("view", [str(member) for member in view.members]))


def test_a_listener_hears_a_system_group_and_the_views_without_a_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as nodes:
            ear, box = Ear(), Box()
            nodes[1].groups.listen("zactor.test", ear)
            session = await box.open(nodes[0], "s")
            session.submit(Service.SAFE, ("zactor.test",), b"one")
            session.submit(Service.SAFE, ("other",), b"not for it")
            await until(lambda: ear.heard == [b"one"])
            nodes[0].groups.close()
            await until(lambda: ear.heard[1:] == [("apart", ["n2@1"]), ("view", ["n2@1"])])

    asyncio.run(story())


class SickEar(Ear):
    """Fails at everything it hears."""

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        raise RuntimeError("sick")

    def on_transitional(self, view: ViewId, members: tuple[NodeId, ...]) -> None:
        raise RuntimeError("sick")

    def on_view(self, view: View, together: tuple[NodeId, ...]) -> None:
        raise RuntimeError("sick")


def test_a_listener_that_fails_keeps_nothing_from_the_others_nor_from_the_node(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as nodes:
            ear = Ear()
            nodes[1].groups.listen("zactor.sick", SickEar())
            nodes[1].groups.listen("zactor.test", ear)
            session = await Box().open(nodes[0], "s")
            session.submit(Service.SAFE, ("zactor.sick", "zactor.test"), b"one")
            await until(lambda: ear.heard == [b"one"])
            nodes[0].groups.close()
            await until(lambda: ear.heard[1:] == [("apart", ["n2@1"]), ("view", ["n2@1"])])
            assert [str(member) for member in nodes[1].views[-1][0].members] == ["n2@1"]

    asyncio.run(story())
