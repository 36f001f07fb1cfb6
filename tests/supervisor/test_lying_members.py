"""A member that sends what can't be decoded costs its neighbours these items, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_nodes import live_nodes, until

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.actors import Ask, Signal
from zactor.kernel.messages.operations import Inspect, Subject
from zactor.supervisor.node import Node

WRONG: Any = "not what stands in the grammar"
DOCTOR = Inspect(Subject.DOCTOR, "")


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


BAD: list[object] = [
    raw([250, "of a version to come"]),
    raw([90, 2**64 - 1]),
    msgspec.Raw(b"\x91" * 20_000 + b"\xc0"),
    Signal(WRONG, 0, 1, "inc", b""),
    Ask(1, 0, 2**40, "inc", WRONG),
]


async def frames_check(asks: Node, of: str) -> dict[str, Any]:
    peer = asks.members.peer(of)
    assert peer is not None
    rows = await asks.calls.ask(peer, DOCTOR, 20.0)
    (found,) = [row for row in rows if row["check"] == "frames"]
    return dict(found)


def test_what_cant_be_decoded_is_told_of_and_the_link_goes_on(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, other):
            peer = one.hub.peers["n1"]
            life, view = other.me, other.groups.view.id
            assert (await frames_check(one, "n1"))["ok"]
            for item in BAD:
                one.hub.send(peer, item)
            found = await frames_check(one, "n1")
            assert not found["ok"]
            assert f"items_refused {len(BAD)}" in found["detail"]
            with pytest.raises(RemoteProtocolError, match="can't be read"):
                await one.calls.ask(peer, Inspect(WRONG, ""), 20.0)
            await until(lambda: peer.link.queued == 0)
            assert (one.hub.peers["n1"].node, other.groups.view.id) == (life, view)
            assert not one.hub.items_refused

    asyncio.run(story())


def test_who_sends_too_much_of_it_is_put_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LINK_REFUSED_MAX", 10)

    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, other):
            peer = one.hub.peers["n1"]
            for _ in range(limits.LINK_REFUSED_MAX):
                one.hub.send(peer, BAD[0])
            await until(lambda: other.hub.items_refused == limits.LINK_REFUSED_MAX)
            assert "m1" in other.hub.peers
            one.hub.send(peer, BAD[0])
            await until(lambda: "m1" not in other.hub.peers)
            ended = await one.ended
            assert ended.startswith("buried"), ended

    asyncio.run(story())
