"""zactor/mailbox/mailbox.py at real nodes: what members of groups get, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mailbox_lab import WAIT_S, box, members, regular, start

from zactor import (
    AlreadyExists,
    ConfigError,
    Mailbox,
    MembershipCause,
    MembershipMessage,
    NotReachable,
    RegularMessage,
    Service,
    TimedOut,
)
from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.messages.client_sessions import CloseSession
from zactor.lab.lab import Lab, until


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes that nobody kills."""
    lab = start(tmp_path_factory.mktemp("calm"))
    yield lab
    lab.close()


# -- order -----------------------------------------------------------------------------------
def test_three_mailboxes_on_three_nodes_deliver_one_order_of_agreed_and_safe(calm: Lab) -> None:
    count = 400

    async def story() -> list[list[str]]:
        async with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b, box(calm, "c", "n3") as c:
            boxes = (a, b, c)
            for each in boxes:
                await each.join("room")
            for each in boxes:
                await members(each, "#a#n1", "#b#n2", "#c#n3")
            return [logs for logs, _ in await asyncio.gather(*(talk(each) for each in boxes))]

    async def talk(here: Mailbox) -> tuple[list[str], None]:
        return await asyncio.gather(hear(here), speak(here))

    async def speak(here: Mailbox) -> None:
        for number in range(count):
            service = Service.SAFE if number % 3 == 0 else Service.AGREED
            await here.multicast("room", b"%d" % number, service=service)

    async def hear(here: Mailbox) -> list[str]:
        return [
            f"{message.sender} {message.payload.decode()} {message.service.value}"
            for message in [await regular(here) for _ in range(3 * count)]
        ]

    first, second, third = asyncio.run(story())
    assert first == second == third
    for sender in ("#a#n1", "#b#n2", "#c#n3"):
        own = [line.split()[1] for line in first if line.startswith(sender)]
        assert own == [str(number) for number in range(count)]


def test_memberships_come_with_their_causes_at_their_place_among_the_messages(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            await a.join("room")
            joined = await a.receive(WAIT_S)
            assert isinstance(joined, MembershipMessage)
            assert joined == MembershipMessage(
                group="room",
                transitional=False,
                cause=MembershipCause.JOIN,
                members=("#a#n1",),
                changed="#a#n1",
                vs_sets=(),
                own_set=-1,
                id=joined.id,
            )
            b = box(calm, "b", "n2")
            async with b:
                await b.join("room")
                await b.multicast("room", b"hi")
                seen = [await a.receive(WAIT_S) for _ in range(2)]
                assert [await b.receive(WAIT_S) for _ in range(2)] == seen
                assert isinstance(seen[0], MembershipMessage)
                assert (seen[0].cause, seen[0].changed) == (MembershipCause.JOIN, "#b#n2")
                assert seen[0].id != joined.id
                assert isinstance(seen[1], RegularMessage)
                await b.leave("room")
                left = await members(a, "#a#n1")
                assert (left.cause, left.changed) == (MembershipCause.LEAVE, "#b#n2")
                own = await b.receive(WAIT_S)
                assert isinstance(own, MembershipMessage)
                assert (own.cause, own.group, own.members) == (
                    MembershipCause.SELF_LEAVE,
                    "room",
                    (),
                )
                await b.join("room")
                await members(a, "#a#n1", "#b#n2")
            gone = await members(a, "#a#n1")
            assert (gone.cause, gone.changed) == (MembershipCause.DISCONNECT, "#b#n2")

    asyncio.run(story())


# -- who gets what ---------------------------------------------------------------------------
def test_groups_are_open_and_a_message_to_several_comes_once(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "in", "n1") as inside, box(calm, "out", "n2") as outside:
            for group in ("one", "two"):
                await inside.join(group)
                await inside.receive(WAIT_S)
            groups = ("one", "two", inside.private_group, "nobody is here")
            await outside.multicast(groups, b"once", service="fifo", mess_type=-7)
            await outside.multicast("two", bytearray(b"then"), service=Service.SAFE)
            got = await regular(inside)
            assert (got.sender, got.groups, got.payload) == ("#out#n2", groups, b"once")
            assert (got.service, got.mess_type, got.discard) == (Service.FIFO, -7, False)
            assert not got.transitional
            assert (await regular(inside)).payload == b"then"
            with pytest.raises(TimedOut):
                await inside.receive(0.05)
            with pytest.raises(TimedOut):
                await outside.receive(0.05)

    asyncio.run(story())


def test_a_private_group_reaches_one_mailbox_and_is_where_answers_go(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "asks", "n1") as asks, box(calm, "answers", "n3") as answers:
            assert asks.private_group == "#asks#n1"
            await asks.multicast(answers.private_group, b"how late is it?")
            question = await regular(answers)
            await answers.multicast(question.sender, b"late")
            assert (await regular(asks)).payload == b"late"

    asyncio.run(story())


def test_who_discards_gets_no_copy_and_the_others_do(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
            await a.join("room")
            await b.join("room")
            await members(a, "#a#n1", "#b#n2")
            await members(b, "#a#n1", "#b#n2")
            await a.multicast("room", b"1", discard=True)
            await a.multicast("room", b"2")
            assert (await regular(a)).payload == b"2"
            first = await regular(b)
            assert (first.payload, first.discard) == (b"1", True)

    asyncio.run(story())


def test_every_size_up_to_the_limit_arrives_as_it_was_sent(calm: Lab) -> None:
    sizes = (0, 1, limits.BATCH_BYTES_MAX, limits.GROUP_PAYLOAD_BYTES_MAX)

    async def story() -> None:
        async with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
            for size in sizes:
                await a.multicast(b.private_group, os.urandom(1) * size)
            for size in sizes:
                assert len((await regular(b)).payload) == size

    asyncio.run(story())


# -- wrong use -------------------------------------------------------------------------------
def test_a_name_is_taken_while_its_mailbox_is_open_and_on_its_node_only(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1"):
            with pytest.raises(AlreadyExists, match="a session a is open already on n1"):
                await box(calm, "a", "n1").__aenter__()
            async with box(calm, "a", "n2") as other:
                assert other.private_group == "#a#n2"
        for _ in range(5):
            async with box(calm, "a", "n1") as again:
                await again.join("room")

    asyncio.run(story())


def test_what_cannot_be_sent_or_joined_is_told_at_the_line_that_asks_it(calm: Lab) -> None:
    with pytest.raises(ConfigError, match="no name for a session"):
        Mailbox("a#b")

    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            with pytest.raises(ConfigError, match="to 1 to 100 groups"):
                await a.multicast([], b"")
            with pytest.raises(ConfigError, match="zactor's own"):
                await a.multicast("zactor.kb", b"")
            with pytest.raises(ConfigError, match="a payload is bytes, not str"):
                await a.multicast("room", "text")  # type: ignore[arg-type]  # that's the point
            with pytest.raises(ConfigError, match="1048577 bytes, 1048576 allowed"):
                await a.multicast("room", bytes(limits.GROUP_PAYLOAD_BYTES_MAX + 1))
            with pytest.raises(ConfigError, match="mess_type 32768 has more than 16 bits"):
                await a.multicast("room", b"", mess_type=1 << 15)
            with pytest.raises(ConfigError, match="a mess_type is an int, not float"):
                await a.multicast("room", b"", mess_type=0.0)  # type: ignore[arg-type]
            with pytest.raises(ConfigError, match="no service level"):
                await a.multicast("room", b"", service=None)  # type: ignore[arg-type]
            for wrong in ("\ud800", 5):  # the node could never read them: nobody would answer
                with pytest.raises(ConfigError):
                    await a.multicast(wrong, b"")  # type: ignore[arg-type]
                with pytest.raises(ConfigError):
                    await a.leave(wrong)  # type: ignore[arg-type]
            with pytest.raises(ConfigError, match="no service level"):
                await a.multicast("room", b"", service="good")
            with pytest.raises(LocalProtocolError, match="isn't in group 'room'"):
                await a.leave("room")
            await a.join("room")
            with pytest.raises(LocalProtocolError, match="is in group 'room' already"):
                await a.join("room")

    asyncio.run(story())


def test_a_mailbox_outside_its_block_says_what_is_the_matter(calm: Lab) -> None:
    async def story() -> None:
        outside = box(calm, "a", "n1")
        with pytest.raises(NotReachable, match="open within its"):
            await outside.join("room")
        async with outside:
            pass
        for call in (outside.receive(), outside.join("room"), outside.multicast("room", b"")):
            with pytest.raises(NotReachable, match="this mailbox is closed"):
                await call
        await outside.close()

    asyncio.run(story())


def test_without_a_node_there_is_no_mailbox(home: Path) -> None:
    home.mkdir()
    with pytest.raises(NotReachable, match="no node runs in"):
        Mailbox("a", home=home).__enter__()


# -- two ways to use it ----------------------------------------------------------------------
def test_with_a_plain_with_every_call_blocks(calm: Lab) -> None:
    with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
        assert (a.name, a.private_group) == ("a", "#a#n1")
        b.join("room")
        assert isinstance(b.receive(WAIT_S), MembershipMessage)
        for number in range(2_000):
            a.multicast("room", b"%d" % number)
        a.flush()
        found = []
        for message in b:
            assert isinstance(message, RegularMessage)
            found.append(int(message.payload))
            if len(found) == 2_000:
                break
        assert found == list(range(2_000))
        with pytest.raises(TimedOut, match=r"no message for 'b' in 0\.05 s"):
            b.receive(0.05)
        b.leave("room")
        a.close()
        with pytest.raises(NotReachable):
            a.join("room")


def test_what_was_sent_before_the_block_ended_arrives(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "b", "n2") as b:
            await b.join("room")
            await b.receive(WAIT_S)
            async with box(calm, "a", "n1") as a:
                for number in range(3_000):
                    await a.multicast("room", b"%d" % number)
            found = [(await regular(b)).payload for _ in range(3_000)]
            assert found == [b"%d" % number for number in range(3_000)]

    asyncio.run(story())


def test_who_has_not_read_its_own_messages_can_leave_and_the_others_get_them_all(
    calm: Lab,
) -> None:
    count = 20_000  # more than there is room for

    async def story() -> None:
        async with box(calm, "b", "n2") as b:
            await b.join("room")
            await b.receive(WAIT_S)
            reading = asyncio.create_task(read(b))
            async with box(calm, "a", "n1") as a:
                await a.join("room")
                await a.multicast("room", b"0")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        for number in range(1, count):
                            await a.multicast("room", b"%d" % number)
                left = time.monotonic()
            assert time.monotonic() - left < 10  # far below what a client that is stuck has
            bodies = await reading
            assert 1_000 < len(bodies) < count
            assert bodies == [b"%d" % number for number in range(len(bodies))]

    async def read(here: Mailbox) -> list[bytes]:
        bodies = []
        while True:
            message = await here.receive(WAIT_S)
            if isinstance(message, RegularMessage):
                bodies.append(message.payload)
            elif message.changed == "#a#n1" and message.cause is MembershipCause.DISCONNECT:
                return bodies

    asyncio.run(story())


def test_iterating_ends_when_another_task_closes_the_mailbox(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:

            async def read() -> list[bytes]:
                return [m.payload async for m in a if isinstance(m, RegularMessage)]

            async def wait() -> None:
                await a.receive()

            reading, waiting = asyncio.create_task(read()), asyncio.create_task(wait())
            await asyncio.sleep(0)
            await a.close()
            assert await reading == []
            with pytest.raises(NotReachable, match="this mailbox is closed"):
                await waiting

    asyncio.run(story())


def test_iterating_ends_when_another_thread_closes_the_mailbox(calm: Lab) -> None:
    with box(calm, "a", "n1") as a:
        found: list[object] = []
        reader = threading.Thread(target=lambda: found.extend(a))
        reader.start()
        a.join("room")
        until("the reader reads", lambda: bool(found))
        a.close()
        reader.join(WAIT_S)
        assert not reader.is_alive()
        assert len(found) == 1


def test_a_mailbox_whose_connection_the_node_gave_up_says_so(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            assert a._client is not None
            lost = a._client._connection.request(CloseSession(), WAIT_S)
            await asyncio.wrap_future(lost)  # as after a reconnection: no session, and no news
            with pytest.raises(NotReachable, match="mailbox 'a' with it: open another"):
                await a.receive(WAIT_S)
            with pytest.raises(NotReachable):
                await a.multicast("room", b"")

    asyncio.run(story())


def test_a_receive_that_is_cancelled_or_out_of_time_loses_nothing(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            for number in range(100):
                task = asyncio.create_task(a.receive())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                with pytest.raises(TimedOut):
                    await a.receive(0)
                await a.multicast(a.private_group, b"%d" % number)
                assert (await regular(a)).payload == b"%d" % number
            assert a._client is not None
            assert len(a._client._readers) <= 1  # nor does it keep what nobody waits for

    asyncio.run(story())
