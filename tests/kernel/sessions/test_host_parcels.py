"""GroupHost opens parcels where they are delivered: for sessions that want messages, listeners."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from host_nodes import Box, Node, running, until

from zactor.kernel.groups import parcels
from zactor.kernel.groups.sessions import Sessions
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.sessions.session import Listener, Session


class Whole(Box):
    """Takes parcels as they are."""

    takes_parcels = True

    def on_parcel(self, parcel: GroupData, transitional: bool) -> None:
        self.texts.append(f"parcel of {parcel.count}")


class Ear(Listener):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        self.heard.append(message.payload)


def left(node: Node) -> dict[str, tuple[int, int]]:
    """What the engine takes for unread: messages and bytes."""
    backlogs = node.groups._engine.credit.backlogs._of
    return {name: (each.count, each.size) for name, each in backlogs.items()}


def send(session: Session, *payloads: bytes) -> None:
    session.submit(
        Service.AGREED, ("room", "zactor.test"), parcels.pack(payloads), count=len(payloads)
    )


def test_each_gets_it_as_it_takes_it_and_counts_each_message(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as (one, two):
            single, whole, slow, ear = Box(), Whole(), Box(greedy=False), Ear()
            two.groups.listen("zactor.test", ear)
            sender = await Box().open(one, "sender")
            for name, box in (("single", single), ("slow", slow), ("whole", whole)):
                (await box.open(two, name)).join("room")
            await until(lambda: len(whole.members()) == 3)
            send(sender, b"1", b"22", b"3")
            send(sender, b"4", b"5")
            await until(lambda: whole.texts == ["parcel of 3", "parcel of 2"])
            assert single.texts == slow.texts == ["1", "22", "3", "4", "5"]
            assert ear.heard == [b"1", b"22", b"3", b"4", b"5"]
            first, second = len(parcels.pack([b"1", b"22", b"3"])), len(parcels.pack([b"4", b"5"]))
            all_of_it = (5, first + second)
            await until(
                lambda: left(two) == {"single": (0, 0), "slow": all_of_it, "whole": all_of_it}
            )
            assert slow.session is not None
            for count, size in ((2, all_of_it[1]), (1, second), (1, second), (1, 0)):
                before = left(two)["slow"][0]
                slow.session.consumed(count)
                await until(lambda b=before, c=count, s=size: left(two)["slow"] == (b - c, s))  # type: ignore[misc]
            assert slow.session.owed == 0
            assert whole.session is not None
            whole.session.consumed(99)
            await until(lambda: left(two)["whole"] == (0, 0))

    asyncio.run(story())


class Leaver(Box):
    """Closes its session at its first message."""

    def on_message(self, message: GroupData, transitional: bool) -> None:
        super().on_message(message, transitional)
        assert self.session is not None
        self.session.close()


def test_who_closes_within_a_parcel_gets_no_more_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, "n1") as (node,):
            leaver, other = Leaver(), Box()
            sender = await Box().open(node, "sender")
            for name, box in (("leaver", leaver), ("other", other)):
                (await box.open(node, name)).join("room")
            await until(lambda: len(other.members()) == 2)
            send(sender, b"1", b"2")
            await until(lambda: other.texts == ["1", "2"])
            assert leaver.texts == ["1"]

    asyncio.run(story())


def test_one_that_a_peer_packed_wrongly_is_given_to_nobody_and_owed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sessions, "_check_parcel", lambda self, event: None)  # the peer's bug

    async def story() -> None:
        async with running(tmp_path, "n1", "n2") as (one, two):
            box, ear = Box(), Ear()
            two.groups.listen("zactor.test", ear)
            sender = await Box().open(one, "sender")
            (await box.open(two, "box")).join("room")
            await until(lambda: len(box.members()) == 1)
            sender.submit(Service.AGREED, ("room", "zactor.test"), b"\xff\xff", count=7)
            send(sender, b"1", b"2")
            await until(lambda: box.texts == ["1", "2"])
            assert ear.heard == [b"1", b"2"]
            await until(lambda: left(two) == {"box": (0, 0)})

    asyncio.run(story())
