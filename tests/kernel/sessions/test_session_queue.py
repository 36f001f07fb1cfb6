"""Actors in groups on several nodes: slow ones, stuck ones, lost ones."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from session_nodes import (
    BURST,
    HELD,
    MANY,
    PATIENCE_S,
    cell_of,
    is_muted,
    running,
    until,
    warm_up,
)

from zactor import Actor, GroupMessage, MembershipMessage, action
from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists
from zactor.kernel.sessions.session import SessionUser


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


class Guest(Actor):
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.seen: list[Any] = []
        self.views: list[MembershipMessage] = []

    def on_message(self, message: GroupMessage) -> None:
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        self.seen.append(message.value)

    def on_view(self, view: MembershipMessage) -> None:
        self.views.append(view)

    @action
    async def enter(self) -> None:
        await self.join("room")

    @action
    async def say(self, count: int) -> None:
        for number in range(count):
            await self.multicast("room", number)

    @action
    def shout(self, *values: Any) -> None:
        for value in values:
            self.multicast("room", value)

    @action
    def all(self) -> list[Any]:
        return self.seen


class Blocked(Guest, dispatcher="thread"):
    """May wait in a hook."""


def test_a_slow_member_slows_its_sender_and_nobody_is_thrown_out(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            slow = await there.spawn(Blocked, "slow", gate)
            await slow.enter()
            sender = await here.spawn(Guest, "sender")
            try:
                done = sender.say(MANY)
                await until(lambda: is_muted(here, "sender"))
                assert there.groups.behind == {"slow"}
                assert len(cell_of(there, "slow").mailbox) <= HELD
                assert not done.done()
                assert len(here.groups.view.members) == 2
            finally:
                gate.set()
            await done
            await until(lambda: len(cell_of(there, "slow").actor.seen) == MANY)
            assert await slow.all() == list(range(MANY))
            assert not here.dead
            assert not there.dead

    asyncio.run(story())


def test_who_does_not_await_pauses_between_messages_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            slow = await there.spawn(Blocked, "slow", gate)
            await slow.enter()
            sender = await here.spawn(Guest, "sender")
            try:
                for first in range(0, MANY, BURST):
                    sender.shout.tell(*range(first, first + BURST))
                # It may be for a moment at first, while the rest is still on its way to it.
                await until(lambda: is_muted(here, "sender") and cell_of(here, "sender").mailbox)
            finally:
                gate.set()
            await until(lambda: len(cell_of(there, "slow").actor.seen) == MANY)
            assert await slow.all() == list(range(MANY))

    asyncio.run(story())


def test_an_actor_that_is_stuck_does_not_cost_its_node_the_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_ACTOR_STALL_MS", 100)

    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            stuck = await there.spawn(Blocked, "stuck", gate)
            await stuck.enter()
            sender = await here.spawn(Guest, "sender")
            try:
                done = sender.say(MANY)
                while not done.done():
                    there.session_queue.turn()  # as a node's housekeeping does
                    await asyncio.sleep(0.01)
            finally:
                gate.set()
            assert len(cell_of(there, "stuck").actor.seen) <= 1
            await until(lambda: len(cell_of(there, "stuck").actor.seen) == MANY)
            assert await stuck.all() == list(range(MANY))
            assert len(here.groups.view.members) == 2
            # From now on it counts again.
            await sender.shout(MANY)
            await until(lambda: cell_of(there, "stuck").actor.seen[-1:] == [MANY])
            await until(lambda: there.groups.consumed == MANY + 1)

    asyncio.run(story())


def test_members_that_answer_everything_do_not_block_each_other(tmp_path: Path) -> None:
    """Each is behind at times, so both are held; who is behind must go on reading then."""
    count = 3 * limits.GROUP_BACKLOG_MESSAGES

    class Echo(Guest):
        async def on_message(self, message: GroupMessage) -> None:
            self.seen.append(message.value)
            if message.value >= 0 and message.sender != f"#{self.name}#{self.node}":
                await self.multicast("room", -1 - message.value)

    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            echoes = [await node.spawn(Echo, f"e{node.me.name}") for node in nodes]
            for echo in echoes:
                await echo.enter()
            await asyncio.gather(*(echo.say(count) for echo in echoes))
            everything = 4 * count
            cells = [cell_of(node, f"e{node.me.name}") for node in nodes]
            await until(lambda: all(len(cell.actor.seen) == everything for cell in cells))
            assert cells[0].actor.seen == cells[1].actor.seen

    asyncio.run(story())


def test_a_name_that_a_client_has_is_refused_until_it_is_free(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 1) as (node,):
            taken = await node.groups.open_session("a", Nothing())
            actor = await node.spawn(Guest, "a")
            with pytest.raises(Exception, match="a session a is open already") as caught:
                await actor.enter()
            assert caught.value.fields()["remote_type"] == AlreadyExists.__name__
            assert ("a", "join") in [what[:2] for what in node.failed]
            await actor.shout(1)
            await until(lambda: node.dead)
            assert (node.dead[0].sender, node.dead[0].target) == ("a", "room")
            taken.close()
            await actor.enter()
            await actor.shout(2)
            await until(lambda: cell_of(node, "a").actor.seen == [2])

    asyncio.run(story())


class Nothing(SessionUser):
    """A session's user that doesn't care."""

    def on_message(self, message: Any, transitional: bool) -> None:
        raise AssertionError(message)


def test_members_that_stay_see_who_was_lost_and_what_came_before(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 3) as nodes:
            guests = [await node.spawn(Guest, f"g{node.me.name}") for node in nodes]
            for guest in guests:
                await guest.enter()
            await guests[2].shout("last words")
            cells = [cell_of(node, f"g{node.me.name}") for node in nodes]
            await until(lambda: all(cell.actor.seen for cell in cells[:2]))
            for node in nodes[:2]:
                node.lose(nodes[2])
            await until(lambda: all(len(c.actor.views[-1].members) == 2 for c in cells[:2]))
            for cell in cells[:2]:
                signal_, last = cell.actor.views[-2:]
                assert signal_.transitional
                assert not last.transitional
                assert last.cause.value == "network"
                assert last.members == ("#gn1#n1", "#gn2#n2")
                assert last.vs_sets == (last.members,)

    asyncio.run(story())
