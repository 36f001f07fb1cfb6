"""Groups and ordered signals of actors on several nodes: real engines, hubs and actors."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

from zactor import Actor, MembershipMessage, RoomMessage, Service, action, signal
from zactor.kernel import config
from zactor.kernel.errors import AlreadyExists
from zactor.kernel.ids import NodeId
from zactor.kernel.protocol import messages
from zactor.kernel.protocol.view import View
from zactor.kernel.runtime.mailbox import DeadLetter
from zactor.kernel.runtime.router import Place, blueprint_of
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.transport.ground import Address
from zactor.kernel.transport.grouphost import GROUP_ITEMS, GroupHost
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.seam import Client
from zactor.supervisor.rooms import open_rooms

PATIENCE_S = 15
HELD = (
    config.GROUP_BACKLOG_MESSAGES + config.GROUP_WINDOW_MESSAGES + 2 * config.GROUP_PACKET_MESSAGES
)
"""What a member that takes nothing lets come of one sender: limits, and a packet beyond each."""
BURST = 100
MANY = 2 * (HELD + 2 * config.GROUP_QUEUE_SOFT) // BURST * BURST
"""More than the member, the engine's queue and what waits before it hold."""


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Let pyzmq start the thread that watches over long frames, which never ends, beforehand."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as two:
        one.bind("inproc://warm")
        two.connect("inproc://warm")
        one.send(bytes(1 << 20), copy=False)
        two.recv()


class Node:
    """A hub, its groups and its actors, without a knowledge base."""

    def __init__(self, home: Path, name: str) -> None:
        self.me = NodeId(name, 1)
        self.dead: list[DeadLetter] = []
        self.failed: list[tuple[str, str, str]] = []
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
        self.rooms = open_rooms(self.runtime, self.groups, self.hub, self.spawn_task)
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
        self.runtime.deliver(peer, [item for item in items if type(item) not in GROUP_ITEMS])

    def on_request(self, client: Client, request: messages.Request) -> None:
        raise AssertionError("only Hello is asked here")

    def on_peer_up(self, peer: Peer) -> None:
        self.groups.linked(peer.node, True)

    def on_peer_gone(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        self.runtime.peer_gone(peer, [(i, sent) for i, sent in lost if type(i) not in GROUP_ITEMS])
        self.groups.gone(peer.node)

    def on_disconnected(self, peer: Peer) -> None:
        self.groups.linked(peer.node, False)

    def on_heartbeat(self, heartbeat: messages.Heartbeat) -> None:
        self.groups.hear(heartbeat)

    def on_buried(self, reason: str) -> None:
        """Those who lost us say so: here it has no consequence."""

    def on_late_item(self, peer: Peer, item: object) -> None:
        self.runtime.peer_apart(peer, [(item, False)])

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


class Guest(Actor):
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.seen: list[Any] = []
        self.views: list[MembershipMessage] = []

    def on_message(self, message: RoomMessage) -> None:
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


class Teller(Actor):
    said = signal(str, int)

    @action
    def burst(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.said.emit(self.name, number)


class Hearer(Actor):
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.heard: list[tuple[str, int]] = []

    @action
    def said(self, who: str, number: int) -> None:
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        self.heard.append((who, number))

    @action
    def all(self) -> list[tuple[str, int]]:
        return self.heard


class Shut(Hearer, dispatcher="thread"):
    """May wait in an action."""


def cell_of(node: Node, name: str) -> Any:
    return node.runtime.directory.local(name)


# -- members ---------------------------------------------------------------------------------
def test_a_slow_member_slows_its_sender_and_nobody_is_thrown_out(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as (here, there):
            slow = await there.spawn(Blocked, "slow", gate)
            await slow.enter()
            sender = await here.spawn(Guest, "sender")
            try:
                done = sender.say(MANY)
                await until(lambda: here.groups.paused and here.rooms.congested)
                await until(lambda: there.groups.is_behind)
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
                await until(lambda: here.groups.paused and here.rooms.congested)
                assert len(cell_of(here, "sender").mailbox) > 0
            finally:
                gate.set()
            await until(lambda: len(cell_of(there, "slow").actor.seen) == MANY)
            assert await slow.all() == list(range(MANY))

    asyncio.run(story())


def test_members_that_answer_everything_do_not_block_each_other(tmp_path: Path) -> None:
    """Each node is behind at times and gives no credit; its own members must go on then."""
    count = 3 * config.GROUP_BACKLOG_MESSAGES

    class Echo(Guest):
        async def on_message(self, message: RoomMessage) -> None:
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


class Nothing:
    """A session's user that doesn't care."""

    def on_message(self, message: Any, transitional: bool) -> None:
        raise AssertionError(message)

    def on_group_view(self, change: Any) -> None: ...

    def on_group_transitional(self, change: Any) -> None: ...

    def on_group_left(self, group: str) -> None: ...


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


# -- signals in group order ------------------------------------------------------------------
async def wired(nodes: Sequence[Node], *gates: threading.Event | None) -> list[Any]:
    """A hearer on each node, and a teller on the first two, wired to all hearers. The hearers."""
    kinds = [Hearer if gate is None else Shut for gate in gates]
    names = [f"h{number}" for number in range(1, len(nodes) + 1)]
    for node, name, kind, gate in zip(nodes, names, kinds, gates, strict=True):
        await node.spawn(kind, name, gate)
    for number, node in enumerate(nodes[:2], 1):
        await node.spawn(Teller, f"t{number}")
        for other, name in zip(nodes, names, strict=True):
            if other is not node:
                node.introduce(other, name)
        node.runtime.connect(f"t{number}", "said", dict.fromkeys(names, Service.AGREED))
    return [cell_of(node, name).actor for node, name in zip(nodes, names, strict=True)]


def test_every_reactor_hears_one_order_and_the_log_accounts_for_each(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 3) as nodes:
            hearers = await wired(nodes, None, None, None)
            tellers = [node.runtime.ref(f"t{n}") for n, node in enumerate(nodes[:2], 1)]
            for first in range(0, 1000, 50):
                for teller in tellers:
                    teller.burst.tell(first, 50)
            await until(lambda: all(len(h.heard) == 2000 for h in hearers))
            assert hearers[0].heard == hearers[1].heard == hearers[2].heard
            accepted = nodes[0].traced("accept") + nodes[1].traced("accept")
            handled = sum((node.traced("handle") for node in nodes), Counter())
            assert len(accepted) == 6000
            assert accepted == handled
            assert not any(node.dead for node in nodes)

    asyncio.run(story())


def test_a_slow_reactor_slows_the_emitter(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, gate)
            teller = nodes[0].runtime.ref("t1")
            try:
                for first in range(0, MANY, BURST):
                    teller.burst.tell(first, BURST)
                await until(lambda: nodes[0].groups.paused and nodes[0].rooms.congested)
                assert len(cell_of(nodes[0], "t1").mailbox) > 0
                assert len(cell_of(nodes[1], "h2").mailbox) <= HELD
            finally:
                gate.set()
            await until(lambda: all(len(h.heard) == MANY for h in hearers))
            assert hearers[0].heard == hearers[1].heard

    asyncio.run(story())


def test_a_signal_to_a_node_that_left_the_view_is_a_dead_letter(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            await first.runtime.ref("t1").burst(0, 10)
            await until(lambda: all(len(h.heard) == 10 for h in hearers))

            last, _ = first.runtime.in_order()._loose[-1]
            await until(lambda: first.groups.stable_line >= last)
            first.lose(second)
            await until(lambda: len(first.groups.view.members) == 1)
            assert not first.dead, "what had arrived for certain is no dead letter"
            # Nobody has told the router yet.
            await first.runtime.ref("t1").burst(10, 5)
            await until(lambda: len(first.dead) == 5)
            assert {(d.sender, d.target, d.action) for d in first.dead} == {("t1", "h2", "said")}
            assert all("node n2 left the view before" in d.reason for d in first.dead)
            await until(lambda: len(hearers[0].heard) == 15)
            accepted = first.traced("accept")
            assert accepted == first.traced("handle", "deadletter") + second.traced("handle")

    asyncio.run(story())


def test_what_was_on_its_way_to_a_node_that_is_lost_is_not_silent(tmp_path: Path) -> None:
    count = 2_000

    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            first.runtime.ref("t1").burst.tell(0, count)
            await until(lambda: hearers[0].heard)
            first.lose(second)
            await until(lambda: len(hearers[0].heard) == count)
            await until(lambda: not first.rooms.congested)
            there = Counter(number for _, number in hearers[1].heard)
            accepted = [sig for sig, to in first.traced("accept") if to == "h2"]
            dead = {sig for sig, to in first.traced("deadletter") if to == "h2"}
            got = {sig for sig, to in second.traced("handle") if to == "h2"}
            assert len(accepted) == count
            assert set(accepted) == dead | got
            assert max(there.values(), default=1) == 1

    asyncio.run(story())


def test_a_signal_for_an_actor_that_is_gone_comes_back_as_a_dead_letter(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            await second.end("h2")
            await first.runtime.ref("t1").burst(0, 3)
            await until(lambda: len(first.dead) == 3)
            assert "no such actor on n2" in first.dead[0].reason
            assert first.traced("accept") == first.traced("handle", "deadletter")
            await second.runtime.ref("t2").burst(0, 2)
            await until(lambda: len(hearers[0].heard) == 5)
            assert len(second.dead) == 2

    asyncio.run(story())
