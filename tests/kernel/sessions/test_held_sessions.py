"""Actors that send to full groups: who is held, who isn't, and how much may wait."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from session_nodes import MANY, PATIENCE_S, Node, cell_of, is_muted, running, until, warm_up

from zactor import Actor, GroupMessage, action
from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups.events import Join, SessionClosed, SessionOpened, Submit
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import SessionId
from zactor.kernel.sessions.session_queue import QueuedSession, QueuedSessionUser

TO_ROOM = Submit("x", Service.FIFO, ("room",), b"")
LATE = Submit("x", Service.AGREED, ("hall",), b"late")


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


class Guest(Actor):
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.seen: list[Any] = []

    def on_message(self, message: GroupMessage) -> None:
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        self.seen.append(message.value)

    @action
    async def enter(self, group: str) -> None:
        await self.join(group)

    @action
    async def say(self, group: str, count: int) -> None:
        for number in range(count):
            await self.multicast(group, number)

    @action
    def shout(self, group: str, count: int) -> None:
        for number in range(count):
            self.multicast(group, number)


class Blocked(Guest, dispatcher="thread"):
    """May wait in a hook."""


async def slow_and_quick(here: Node, there: Node, gate: threading.Event) -> None:
    await (await there.spawn(Blocked, "slow", gate)).enter("room")
    await (await there.spawn(Guest, "quick")).enter("hall")
    for name in ("held", "free"):
        await here.spawn(Guest, name)


def test_who_sends_to_another_group_is_not_held_with_who_waits_for_a_reader(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            await slow_and_quick(here, there, gate)
            try:
                done = here.runtime.ref("held").say("room", MANY)
                await until(lambda: is_muted(here, "held"))
                assert not here.groups.paused
                await here.runtime.ref("free").say("hall", 3_000)
                await until(lambda: len(cell_of(there, "quick").actor.seen) == 3_000)
                assert not done.done()
                assert not here.session_queue.is_idle()
            finally:
                gate.set()
            await done
            await until(lambda: len(cell_of(there, "slow").actor.seen) == MANY)
            assert cell_of(there, "slow").actor.seen == list(range(MANY))
            await until(here.session_queue.is_idle)
            assert not here.dead

    asyncio.run(story())


class Silent(QueuedSessionUser):
    """A session's user that only sends."""

    __slots__ = ()


async def held(here: Node) -> QueuedSession:
    """A session whose next message waits for the room's reader."""
    session = QueuedSession(here.session_queue, "x", Silent())
    session.put(SessionOpened("x"))
    while not session.is_held:
        session.put(TO_ROOM)
        await asyncio.sleep(0)
    return session


def test_who_sends_on_while_it_is_held_is_refused_in_the_end_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_HELD_HARD", 2_000)

    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            await slow_and_quick(here, there, gate)
            try:
                session = await held(here)
                while len(session.waiting) < 2_000:
                    session.put(TO_ROOM)
                    await asyncio.sleep(0)
                with pytest.raises(MailboxFull, match="of x wait for a slow member of room"):
                    session.put(TO_ROOM)
                assert session.congested
                await here.runtime.ref("free").shout("hall", 5_000)
                await until(lambda: len(cell_of(there, "quick").actor.seen) == 5_000)
                assert not here.dead
            finally:
                gate.set()
            await until(here.session_queue.is_idle)
            assert not session.congested

    asyncio.run(story())


def test_what_a_session_asks_after_a_message_that_is_held_waits_behind_it(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            await slow_and_quick(here, there, gate)
            try:
                session = await held(here)
                session.put(Join("x", "other"))
                session.put(LATE)
                await until(lambda: session.waiting[-1] is LATE)
                assert here.groups.members("other") == ()
            finally:
                gate.set()
            await until(lambda: here.groups.members("other") == (SessionId(here.me, "x"),))
            await until(lambda: cell_of(there, "quick").actor.seen == [b"late"])
            session.put(SessionClosed("x"))
            await until(lambda: here.groups.members("other") == ())

    asyncio.run(story())
