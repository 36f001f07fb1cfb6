"""supervisor/groupdesk.py: a desk with a real hub and engine, and real mailboxes at its door."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from zactor import AlreadyExists, ConfigError, Mailbox, MailboxFull, Service, ZactorError
from zactor.client import Connection
from zactor.kernel import config
from zactor.kernel.errors import LocalProtocolError, NoSuchThing
from zactor.kernel.ids import NodeId
from zactor.kernel.protocol import effects, messages
from zactor.kernel.protocol.messages import MembershipCause, MembershipMessage, RegularMessage
from zactor.kernel.protocol.view import GroupId, SessionId, View, ViewId
from zactor.kernel.transport.ground import Address
from zactor.kernel.transport.grouphost import GroupHost
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.seam import Client
from zactor.kernel.wire import results
from zactor.supervisor import groupnews
from zactor.supervisor.groupdesk import SESSION_OPERATIONS, GroupDesk
from zactor.supervisor.groupnews import Wording

N1 = NodeId("n1", 3)
UNDER_WAY_MAX = config.GROUP_WINDOW_MESSAGES + config.GROUP_QUEUE_SOFT + config.BATCH_ITEMS_MAX
MANY = config.GROUP_BACKLOG_MESSAGES + UNDER_WAY_MAX + config.GROUP_OUTGOING_MESSAGES + 3_000
"""More than all the queues between two clients hold."""


class Desk:
    """A node of which there is nothing but the door, the groups and the desk."""

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
        self.desk = GroupDesk(self.host, self.hub, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        self.desk.close()
        self.host.close()
        for task in self.tasks:
            task.cancel()
        self.hub.close()

    def box(self, name: str) -> Mailbox:
        return Mailbox(name, self.hub.endpoint, home=self.home, timeout=10)

    # what a node does with what arrives
    def on_request(self, client: Client, request: messages.Request) -> None:
        if type(request.operation) in SESSION_OPERATIONS:
            self.desk.take(client, request)
        else:  # a client's knock
            for answer in results.answers(request.number, []):
                self.hub.answer(client, answer)

    def on_items(self, peer: Peer, items: Sequence[object]) -> None: ...
    def on_peer_up(self, peer: Peer) -> None: ...
    def on_peer_gone(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None: ...
    def on_disconnected(self, peer: Peer) -> None: ...
    def on_heartbeat(self, heartbeat: messages.Heartbeat) -> None: ...
    def on_buried(self, reason: str) -> None: ...
    def on_late_item(self, peer: Peer, item: object) -> None: ...
    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None: ...
    def on_group_trace(self, event: str, fields: dict[str, object]) -> None: ...


@contextlib.asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Desk]:
    desk = Desk(home)
    try:
        async with asyncio.timeout(30):
            yield desk
    finally:
        desk.close()


async def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
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


def ask(line: Connection, operation: messages.Operation) -> asyncio.Future[object]:
    return asyncio.wrap_future(line.request(operation, 10))


# -- sessions --------------------------------------------------------------------------------
def test_a_session_is_one_connections_and_ends_with_it(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as desk:
            line = Connection(desk.hub.endpoint, home=home)
            with pytest.raises(NoSuchThing, match="this connection has no session on n1"):
                await ask(line, messages.JoinGroup("room"))
            opened_one = await ask(line, messages.OpenSession("alice"))
            assert opened_one == {
                "name": "alice",
                "private_group": "#alice#n1",
                "node": "n1",
                "number": (3 << 20) + 1,
            }
            with pytest.raises(LocalProtocolError, match="this connection has a session"):
                await ask(line, messages.OpenSession("other"))
            await ask(line, messages.JoinGroup("room"))
            assert desk.host.members("room") == (SessionId(N1, "alice"),)
            line.close()
            await until(lambda: desk.host.members("room") == ())
            async with desk.box("alice") as again:  # as soon as the first is quite gone
                assert again.name == "alice"

    asyncio.run(story())


def test_names_are_unique_and_made_up_for_those_who_bring_none(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("client-2") as one, desk.box("") as two:
            assert (one.name, two.name) == ("client-2", "client-3")
            with pytest.raises(AlreadyExists, match="client-2 is open already on n1"):
                await desk.box("client-2").__aenter__()
            line = Connection(desk.hub.endpoint, home=home)
            with pytest.raises(ConfigError, match=r"begin with 'zactor.' are zactor's own"):
                await ask(line, messages.OpenSession("zactor.x"))
            line.close()

    asyncio.run(story())


def test_the_node_checks_names_itself(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as desk:
            line = Connection(desk.hub.endpoint, home=home)
            await ask(line, messages.OpenSession("alice"))
            for operation in (
                messages.JoinGroup("zactor.kb"),
                messages.Multicast(
                    (messages.Outgoing(("zactor.kb",), b"", Service.FIFO, False, 0),)
                ),
            ):
                with pytest.raises(ConfigError, match="zactor's own"):
                    await ask(line, operation)
            line.close()

    asyncio.run(story())


# -- order and room --------------------------------------------------------------------------
def test_while_there_is_no_room_what_a_client_asks_waits_in_order_and_nobody_elses(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("a") as a, desk.box("b") as b:
            await b.join("room")
            desk.host.paused = True
            await a.multicast("room", b"1")
            flushed = asyncio.create_task(a.flush())
            left = asyncio.create_task(a.join("other"))
            await b.join("third")  # needs no room, and b has sent nothing before
            assert desk.host.members("other") == ()
            assert not flushed.done()
            desk.host.paused = False
            desk.host._changed.set()
            await flushed
            await left
            assert desk.host.members("other") == (SessionId(N1, "a"),)
            assert await payloads(b, 1) == [b"1"]

    asyncio.run(story())


def test_when_there_is_room_again_those_who_wait_go_on_in_turn(home: Path) -> None:
    async def story() -> None:
        async with (
            opened(home) as desk,
            desk.box("greedy") as greedy,
            desk.box("modest") as modest,
            desk.box("reader") as reader,
        ):
            await reader.join("room")
            flood = asyncio.create_task(send(greedy, 2 * MANY))
            await until(lambda: desk.host.paused)
            await send(modest, 3)
            found = await payloads(reader, 2 * MANY + 3)
            await flood
            assert [body for body in found if body[:1] == b"m"] == [b"m0", b"m1", b"m2"]
            # What had been taken over before comes before; what was asked for later doesn't.
            assert found.index(b"m2") <= MANY + 3
            assert found[-1] == b"g%d" % (2 * MANY - 1)

    async def send(box: Mailbox, count: int) -> None:
        for number in range(count):
            await box.multicast("room", b"%c%d" % (box.name[0].encode(), number))

    asyncio.run(story())


def test_a_message_that_cannot_be_sent_is_told_at_the_next_call_and_the_rest_goes_on(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("a") as a:
            await a.join("room")
            assert a._line is not None
            wrong = messages.Outgoing(("zactor.kb",), b"", Service.FIFO, False, 0)
            a._line.put(wrong)  # a program that checks nothing
            with pytest.raises(ConfigError, match="zactor's own"):
                await a.flush()
            await a.multicast("room", b"fine")
            await a.flush()
            assert await payloads(a, 1) == [b"fine"]

    asyncio.run(story())


# -- credit ----------------------------------------------------------------------------------
def test_what_a_program_has_not_taken_is_not_consumed_and_bounded_on_both_sides(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("reader") as reader, desk.box("sender") as sender:
            await reader.join("room")
            await reader.receive(10)
            sending = asyncio.create_task(send(sender))
            await until(lambda: desk.host.is_behind and desk.host.paused)
            (seat,) = [s for s in desk.desk._seats.values() if s.owed]
            assert seat.owed <= config.GROUP_BACKLOG_MESSAGES + UNDER_WAY_MAX
            assert reader._line is not None
            assert reader._line._inbox.unread <= config.GROUP_UNREAD_MESSAGES
            assert not sending.done()
            found = await payloads(reader, MANY)
            await sending
            assert found == [b"%d" % number for number in range(MANY)]
            await until(lambda: seat.owed == 0)
            assert not desk.host.is_behind

    async def send(box: Mailbox) -> None:
        for number in range(MANY):
            await box.multicast("room", b"%d" % number)

    asyncio.run(story())


def test_a_client_that_says_it_has_taken_more_than_it_got_is_refused(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as desk:
            line = Connection(desk.hub.endpoint, home=home)
            await ask(line, messages.OpenSession("liar"))
            with pytest.raises(LocalProtocolError, match="1 consumed, 0 are under way"):
                await ask(line, messages.ReceiveGroup(1, 0))
            assert await ask(line, messages.ReceiveGroup(0, 0)) == []
            polls = [ask(line, messages.ReceiveGroup(0, 1)) for _ in range(2)]
            with pytest.raises(LocalProtocolError, match="2 requests to receive are under way"):
                await ask(line, messages.ReceiveGroup(0, 1))
            line.close()
            for poll in polls:
                with pytest.raises(ZactorError):
                    await poll

    asyncio.run(story())


def test_a_client_that_takes_nothing_while_others_wait_is_closed_in_the_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "GROUP_CLIENT_STALL_MS", 200)
    monkeypatch.setattr(config, "GROUP_LOOK_MS", 20)

    async def story() -> None:
        async with opened(home) as desk, desk.box("b") as b, desk.box("stuck") as stuck:
            await stuck.join("room")
            await b.join("room")
            reading = asyncio.create_task(payloads(b, MANY))
            for number in range(MANY):
                await b.multicast("room", b"%d" % number)
            assert await reading == [b"%d" % number for number in range(MANY)]
            assert desk.host.members("room") == (SessionId(N1, "b"),)
            had = stuck._line._inbox.unread if stuck._line is not None else 0
            assert had > 0
            for _ in range(had):
                await stuck.receive(10)  # what had arrived is still read
            with pytest.raises(MailboxFull, match=r"took nothing for 0\.2 s while others"):
                await stuck.receive(10)
            with pytest.raises(MailboxFull, match="session stuck was closed: its program"):
                await stuck.multicast("room", b"too late")

    asyncio.run(story())


def test_a_slow_client_that_goes_on_is_never_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "GROUP_CLIENT_STALL_MS", 300)
    monkeypatch.setattr(config, "GROUP_TELL_MS", 30)
    monkeypatch.setattr(config, "GROUP_LOOK_MS", 20)

    async def story() -> None:
        async with opened(home) as desk, desk.box("slow") as slow, desk.box("fast") as fast:
            await slow.join("room")
            sending = asyncio.create_task(flood(fast))
            await until(lambda: desk.host.is_behind)
            for _ in range(40):  # 25 a second, for five times as long as a stuck one has
                await slow.receive(10)
                await asyncio.sleep(0.04)
            assert desk.host.is_behind
            assert desk.host.members("room") == (SessionId(N1, "slow"),)
            sending.cancel()

    async def flood(box: Mailbox) -> None:
        while True:
            await box.multicast("room", b"x")

    asyncio.run(story())


def test_unreliable_messages_have_no_credit_and_are_dropped_where_nobody_takes_them(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("a") as a, desk.box("b") as b:
            await a.join("room")
            await a.receive(10)
            count = 2 * config.GROUP_BACKLOG_MESSAGES
            for number in range(count):
                await b.multicast("room", b"%d" % number, service=Service.UNRELIABLE)
            await b.flush()
            (seat,) = [s for s in desk.desk._seats.values() if s.owed]
            assert seat.owed == config.GROUP_BACKLOG_MESSAGES
            first = await payloads(a, config.GROUP_BACKLOG_MESSAGES)
            assert first == [b"%d" % number for number in range(config.GROUP_BACKLOG_MESSAGES)]

    asyncio.run(story())


def test_a_client_that_does_not_take_its_memberships_is_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "GROUP_CHANGES_MAX", 10)
    monkeypatch.setattr(config, "GROUP_UNREAD_MESSAGES", 4)
    monkeypatch.setattr(config, "GROUP_TELL_MESSAGES", 1)

    async def story() -> None:
        async with opened(home) as desk, desk.box("deaf") as deaf, desk.box("b") as b:
            await deaf.join("room")
            for _ in range(20):
                if not desk.host.members("room"):
                    break
                await b.join("room")
                await b.leave("room")
                await b.receive(10)
                await b.receive(10)
            await until(lambda: desk.host.members("room") == ())
            for _ in range(4):
                assert isinstance(await deaf.receive(10), MembershipMessage)
            with pytest.raises(MailboxFull, match="has not taken 10 changes of its groups"):
                await deaf.receive(10)

    asyncio.run(story())


def test_batches_are_cut_by_bytes_too(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as desk, desk.box("a") as a:
            await a.join("room")
            body = b"x" * (config.BATCH_BYTES_MAX // 2)
            assert a._line is not None
            desk.host.paused = True  # so that all are delivered at once
            for _ in range(8):
                await a.multicast("room", body)
            desk.host.paused = False
            desk.host._changed.set()
            assert await payloads(a, 8) == [body] * 8
            most = 2 * (config.BATCH_BYTES_MAX + len(body))
            assert a._line._inbox.unread_bytes <= most

    asyncio.run(story())


# -- words -----------------------------------------------------------------------------------
def test_what_the_engine_says_comes_in_names() -> None:
    view = ViewId(7, N1)
    n2 = NodeId("n2", 1)
    a, b = SessionId(N1, "a"), SessionId(n2, "b")
    wording = Wording()
    data = messages.GroupData(
        view, n2, 9, 44, Service.SAFE, messages.Kind.DATA, "b", ("g", "#a#n1"), True, -5, b"hi"
    )
    said = wording.regular(data, True)
    assert said == RegularMessage(
        "#b#n2", ("g", "#a#n1"), b"hi", Service.SAFE, True, -5, True, "n2@1", 44, "7.n1@3"
    )
    assert said.id == "n2@1#44"
    assert wording.regular(data, True) is said  # the next session of this node gets the same value
    change = effects.GroupView(
        group="g",
        id=GroupId(view, 0),
        members=(a, b),
        cause=effects.Cause.NETWORK,
        changed=None,
        sets=((a,), (b,)),
        own=1,
        sessions=("a",),
    )
    assert wording.view(change) == MembershipMessage(
        group="g",
        transitional=False,
        cause=MembershipCause.NETWORK,
        members=("#a#n1", "#b#n2"),
        changed=None,
        vs_sets=(("#a#n1",), ("#b#n2",)),
        own_set=1,
        id="7.n1@3/0",
    )
    signal = groupnews.transitional(effects.GroupTransitional("g", GroupId(view, 3), ("a",)))
    assert (signal.transitional, signal.cause, signal.id) == (
        True,
        MembershipCause.NETWORK,
        "7.n1@3/3",
    )
    out = groupnews.left("g", "#a#n1")
    assert (out.cause, out.changed, out.members) == (MembershipCause.SELF_LEAVE, "#a#n1", ())


def test_every_cause_of_the_engine_has_its_word() -> None:
    words = {cause.value for cause in MembershipCause}
    assert {cause.value for cause in effects.Cause} | {"self_leave"} == words
