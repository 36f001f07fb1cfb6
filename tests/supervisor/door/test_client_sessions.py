"""supervisor/door/client_sessions.py: sessions, the order of what they ask, and their words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from door_world import N1, DoorNode, ask, opened, payloads, until

from zactor import AlreadyExists, ConfigError, Service
from zactor.client.connection import Connection
from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, NoSuchThing
from zactor.kernel.groups import effects, events, membership_messages, parcels
from zactor.kernel.groups.membership_messages import News, SessionNames, regular_messages
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.client_sessions import (
    JoinGroup,
    MembershipCause,
    MembershipMessage,
    Multicast,
    OpenSession,
    Outgoing,
    Parcel,
    ReceiveGroup,
    RegularMessage,
)
from zactor.kernel.messages.groups import GroupData, Kind
from zactor.kernel.messages.views import GroupId, SessionId, ViewId


# -- sessions --------------------------------------------------------------------------------
def test_a_session_is_one_connections_and_ends_with_it(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients:
            line = Connection(clients.hub.endpoint, home=home)
            with pytest.raises(NoSuchThing, match="this connection has no session on n1"):
                await ask(line, JoinGroup("room"))
            opened_one = await ask(line, OpenSession("alice"))
            assert opened_one == {
                "name": "alice",
                "private_group": "#alice#n1",
                "node": "n1",
                "number": (3 << 20) + 1,
            }
            with pytest.raises(LocalProtocolError, match="this connection has a session"):
                await ask(line, OpenSession("other"))
            await ask(line, JoinGroup("room"))
            assert clients.host.members("room") == (SessionId(N1, "alice"),)
            line.close()
            await until(lambda: clients.host.members("room") == ())
            async with clients.box("alice") as again:  # as soon as the first is quite gone
                assert again.name == "alice"

    asyncio.run(story())


def test_names_are_unique_and_made_up_for_those_who_bring_none(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("client-2") as one, clients.box("") as two:
            assert (one.name, two.name) == ("client-2", "client-3")
            with pytest.raises(AlreadyExists, match="client-2 is open already on n1"):
                await clients.box("client-2").__aenter__()
            line = Connection(clients.hub.endpoint, home=home)
            with pytest.raises(ConfigError, match=r"begin with 'zactor.' are zactor's own"):
                await ask(line, OpenSession("zactor.x"))
            line.close()

    asyncio.run(story())


def test_the_node_checks_names_itself(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients:
            line = Connection(clients.hub.endpoint, home=home)
            await ask(line, OpenSession("alice"))
            for operation in (
                JoinGroup("zactor.kb"),
                Multicast((Outgoing(("zactor.kb",), b"", Service.FIFO, False, 0),)),
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
        async with opened(home) as clients, clients.box("a") as a, clients.box("b") as b:
            await b.join("room")
            clients.host.paused = True
            await a.multicast("room", b"1")
            flushed = asyncio.create_task(a.flush())
            left = asyncio.create_task(a.join("other"))
            await b.join("third")  # needs no room, and b has sent nothing before
            assert clients.host.members("other") == ()
            assert not flushed.done()
            clients.host.paused = False
            clients.host._changed.set()
            await flushed
            await left
            assert clients.host.members("other") == (SessionId(N1, "a"),)
            assert await payloads(b, 1) == [b"1"]

    asyncio.run(story())


def test_when_there_is_room_again_those_who_wait_go_on_in_turn(home: Path) -> None:
    async def story() -> list[bytes]:
        async with opened(home) as clients, clients.box("c") as c:
            await c.join("room")
            submit = clients.host.submit

            def submit_one(event: events.Submit) -> None:
                submit(event)
                clients.host.paused = True  # there is room for one message at a time

            clients.host.submit = submit_one  # type: ignore[method-assign]  # a narrower engine
            clients.host.paused = True
            lines, sent = [], []
            for name in ("a", "b"):
                line = Connection(clients.hub.endpoint, home=home)
                await ask(line, OpenSession(name))
                lot = [
                    Outgoing(("room",), b"%s%d" % (name.encode(), n), Service.FIFO, False, 0)
                    for n in range(3)
                ]
                sent.append(ask(line, Multicast(tuple(lot))))
                lines.append(line)
                await until(lambda: len(clients.clients._turns.stalled) == len(lines))
            making_room = asyncio.create_task(make_room(clients))
            bodies = await payloads(c, 6)
            for each in sent:
                assert await each == {}
            making_room.cancel()
            for line in lines:
                line.close()
            return bodies

    async def make_room(clients: DoorNode) -> None:
        while True:
            await asyncio.sleep(0)
            clients.host.paused = False
            clients.host._changed.set()

    assert asyncio.run(story()) == [b"a0", b"b0", b"a1", b"b1", b"a2", b"b2"]


def test_a_message_that_cannot_be_sent_is_told_at_the_next_call_and_the_rest_goes_on(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("a") as a:
            await a.join("room")
            assert a._client is not None
            wrong = Outgoing(("zactor.kb",), b"", Service.FIFO, False, 0)
            a._client.put(wrong, b"")  # a program that checks nothing
            with pytest.raises(ConfigError, match="zactor's own"):
                await a.flush()
            await a.multicast("room", b"fine")
            await a.flush()
            assert await payloads(a, 1) == [b"fine"]

    asyncio.run(story())


# -- parcels ---------------------------------------------------------------------------------
def test_a_parcel_that_is_none_is_an_error_of_its_client_alone(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("a") as a:
            await a.join("room")
            line = Connection(clients.hub.endpoint, home=home)
            await ask(line, OpenSession("liar"))
            good = Outgoing(("room",), parcels.pack([b"1", b"2"]), Service.FIFO, False, 0, 2)
            for wrong, words in (
                (msgspec.structs.replace(good, count=3), "a parcel of 2 messages that says 3"),
                (msgspec.structs.replace(good, count=0), "2 to 256 messages, not 0"),
                (msgspec.structs.replace(good, payload=b"12"), "a parcel that can't be read"),
                (msgspec.structs.replace(good, service=Service.UNRELIABLE), "no parcel"),
            ):
                with pytest.raises(LocalProtocolError, match=words):
                    await ask(line, Multicast((good, wrong, good)))
            await a.multicast("room", b"mine")
            assert await payloads(a, 9) == [b"1", b"2"] * 4 + [b"mine"]
            line.close()

    asyncio.run(story())


def test_who_asks_for_fewer_messages_than_a_parcel_has_gets_them_one_by_one(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients:
            line = Connection(clients.hub.endpoint, home=home)
            await ask(line, OpenSession("a"))
            bodies = [b"%d" % number for number in range(7)]
            sent = Outgoing(("#a#n1",), parcels.pack(bodies), Service.FIFO, False, 0, 7)
            await ask(line, Multicast((sent, sent)))
            (session,) = clients.clients._sessions.values()
            await until(lambda: session.owed == 14)
            found: list[RegularMessage] = []
            for room, count in ((3, 3), (5, 4), (9, 7)):
                batch = await ask(line, ReceiveGroup(0, room))
                news = msgspec.convert(batch, list[News])
                assert sum(one.count if isinstance(one, Parcel) else 1 for one in news) == count
                assert session.given == len(found) + count
                for one in news:
                    assert not isinstance(one, MembershipMessage)
                    found += regular_messages(one) if isinstance(one, Parcel) else [one]
            assert [message.payload for message in found] == bodies * 2
            assert [message.number for message in found] == list(range(1, 15))
            await ask(line, ReceiveGroup(10, 0))
            assert (session.owed, session.given) == (4, 4)
            assert session.session is not None
            assert session.session.owed == 4
            line.close()

    asyncio.run(story())


def test_a_program_that_sends_much_sends_parcels_and_reads_messages(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("a") as a:
            weights: list[int] = []
            submit = clients.host.submit

            def submit_noted(event: events.Submit) -> None:
                weights.append(event.count)
                submit(event)

            clients.host.submit = submit_noted  # type: ignore[method-assign]  # watched, not changed
            for number in range(2_000):
                service = Service.SAFE if number // 300 % 2 else Service.AGREED
                await a.multicast("#a#n1", b"%d" % number, service=service)
            assert await payloads(a, 2_000) == [b"%d" % number for number in range(2_000)]
            assert sum(weights) == 2_000
            assert max(weights) == limits.GROUP_PARCEL_MESSAGES
            await until(lambda: not clients.host._engine.credit.backlogs._all.count)
            assert clients.host._engine.credit.backlogs._all.size == 0

    asyncio.run(story())


# -- words -----------------------------------------------------------------------------------
def test_what_the_engine_says_comes_in_names() -> None:
    view = ViewId(7, N1)
    n2 = NodeId("n2", 1)
    a, b = SessionId(N1, "a"), SessionId(n2, "b")
    wording = SessionNames()
    data = GroupData(view, n2, 9, 44, Service.SAFE, Kind.DATA, "b", ("g", "#a#n1"), True, -5, b"hi")
    said = wording.regular(data, True)
    assert said == RegularMessage(
        "#b#n2", ("g", "#a#n1"), b"hi", Service.SAFE, True, -5, True, "n2@1", 44, "7.n1@3"
    )
    assert said.id == "n2@1#44"
    assert wording.regular(data, True) is said  # the next session of this node gets the same value
    packed = msgspec.structs.replace(
        data, mess_type=0x1FFFB, payload=parcels.pack([b"hi", b"ho"]), count=2
    )
    both = regular_messages(wording.parcel(packed, True))
    assert both == [said, msgspec.structs.replace(said, payload=b"ho", number=45)]
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
    signal = membership_messages.transitional(
        effects.GroupTransitional("g", GroupId(view, 3), ("a",))
    )
    assert (signal.transitional, signal.cause, signal.id) == (
        True,
        MembershipCause.NETWORK,
        "7.n1@3/3",
    )
    out = membership_messages.left("g", "#a#n1")
    assert (out.cause, out.changed, out.members) == (MembershipCause.SELF_LEAVE, "#a#n1", ())


def test_every_cause_of_the_engine_has_its_word() -> None:
    words = {cause.value for cause in MembershipCause}
    assert {cause.value for cause in effects.Cause} | {"self_leave"} == words
