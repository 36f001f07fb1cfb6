"""supervisor/door/client_sessions.py: credit, and what becomes of clients that take nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from door_world import MANY, N1, UNDER_WAY_MAX, ask, opened, payloads, until

from zactor import Mailbox, MailboxFull, Service, ZactorError
from zactor.client.connection import Connection
from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.messages.client_sessions import MembershipMessage, OpenSession, ReceiveGroup
from zactor.kernel.messages.views import SessionId


# -- credit ----------------------------------------------------------------------------------
def test_what_a_program_has_not_taken_is_not_consumed_and_bounded_on_both_sides(
    home: Path,
) -> None:
    async def story() -> None:
        async with (
            opened(home) as clients,
            clients.box("reader") as reader,
            clients.box("sender") as sender,
        ):
            await reader.join("room")
            await reader.receive(10)
            sending = asyncio.create_task(send(sender))
            await until(
                lambda: clients.host.behind == {"reader"} and bool(clients.clients._turns.held)
            )
            (client_session,) = [s for s in clients.clients._sessions.values() if s.owed]
            assert client_session.owed <= limits.GROUP_BACKLOG_MESSAGES + UNDER_WAY_MAX
            assert reader._client is not None
            assert reader._client._inbox.unread <= limits.GROUP_UNREAD_MESSAGES
            assert not sending.done()
            found = await payloads(reader, MANY)
            await sending
            assert found == [b"%d" % number for number in range(MANY)]
            await until(lambda: client_session.owed == 0)
            assert not clients.host.behind

    async def send(box: Mailbox) -> None:
        for number in range(MANY):
            await box.multicast("room", b"%d" % number)

    asyncio.run(story())


def test_who_sends_to_another_group_is_not_held_with_who_waits_for_a_reader(home: Path) -> None:
    async def story() -> None:
        async with (
            opened(home) as clients,
            clients.box("reader") as reader,
            clients.box("other") as other,
            clients.box("sender") as sender,
        ):
            await reader.join("room")
            await reader.receive(10)
            await other.join("hall")
            await other.receive(10)
            sending = asyncio.create_task(send(sender))
            await until(lambda: bool(clients.clients._turns.held))
            joining = asyncio.create_task(sender.join("hall"))
            await other.multicast(("hall", "#other#n1"), b"mine")
            assert await payloads(other, 1) == [b"mine"]
            assert clients.host.members("hall") == (SessionId(N1, "other"),)
            assert not joining.done()
            assert len(await payloads(reader, MANY)) == MANY
            await sending
            await joining
            assert len(clients.host.members("hall")) == 2

    async def send(box: Mailbox) -> None:
        for number in range(MANY):
            await box.multicast("room", b"%d" % number)

    asyncio.run(story())


def test_a_client_that_says_it_has_taken_more_than_it_got_is_refused(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients:
            line = Connection(clients.hub.endpoint, home=home)
            await ask(line, OpenSession("liar"))
            with pytest.raises(LocalProtocolError, match="1 consumed, 0 are under way"):
                await ask(line, ReceiveGroup(1, 0))
            assert await ask(line, ReceiveGroup(0, 0)) == []
            polls = [ask(line, ReceiveGroup(0, 1)) for _ in range(2)]
            with pytest.raises(LocalProtocolError, match="2 requests to receive are under way"):
                await ask(line, ReceiveGroup(0, 1))
            line.close()
            for poll in polls:
                with pytest.raises(ZactorError):
                    await poll

    asyncio.run(story())


def test_a_client_that_takes_nothing_while_others_wait_is_closed_in_the_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_CLIENT_STALL_MS", 1_000)
    monkeypatch.setattr(limits, "GROUP_LOOK_MS", 20)

    async def story() -> None:
        async with opened(home) as clients, clients.box("b") as b, clients.box("stuck") as stuck:
            await stuck.join("room")
            await b.join("room")
            reading = asyncio.create_task(payloads(b, MANY))
            for number in range(MANY):
                await b.multicast("room", b"%d" % number)
            assert await reading == [b"%d" % number for number in range(MANY)]
            assert clients.host.members("room") == (SessionId(N1, "b"),)
            had = stuck._client._inbox.unread if stuck._client is not None else 0
            assert had > 0
            for _ in range(had):
                await stuck.receive(10)  # what had arrived is still read
            with pytest.raises(MailboxFull, match=r"took nothing for 1\.?0? s while others"):
                await stuck.receive(10)
            with pytest.raises(MailboxFull, match="session stuck was closed: its program"):
                await stuck.multicast("room", b"too late")

    asyncio.run(story())


@pytest.mark.slow
def test_a_slow_client_that_goes_on_is_never_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_CLIENT_STALL_MS", 1_000)
    monkeypatch.setattr(limits, "GROUP_TELL_MS", 30)
    monkeypatch.setattr(limits, "GROUP_LOOK_MS", 20)

    async def story() -> None:
        async with (
            opened(home) as clients,
            clients.box("slow") as slow,
            clients.box("fast") as fast,
        ):
            await slow.join("room")
            sending = asyncio.create_task(flood(fast))
            await until(lambda: bool(clients.host.behind))
            for _ in range(60):  # 20 a second, for three times as long as a stuck one has
                await slow.receive(10)
                await asyncio.sleep(0.05)
            assert clients.host.behind == {"slow"}
            assert clients.host.members("room") == (SessionId(N1, "slow"),)
            sending.cancel()

    async def flood(box: Mailbox) -> None:
        while True:
            await box.multicast("room", b"x")

    asyncio.run(story())


def test_unreliable_messages_have_no_credit_and_are_dropped_where_nobody_takes_them(
    home: Path,
) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("a") as a, clients.box("b") as b:
            await a.join("room")
            await a.receive(10)
            count = 2 * limits.GROUP_BACKLOG_MESSAGES
            for number in range(count):
                await b.multicast("room", b"%d" % number, service=Service.UNRELIABLE)
            await b.flush()
            (client_session,) = [s for s in clients.clients._sessions.values() if s.owed]
            assert client_session.owed == limits.GROUP_BACKLOG_MESSAGES
            first = await payloads(a, limits.GROUP_BACKLOG_MESSAGES)
            assert first == [b"%d" % number for number in range(limits.GROUP_BACKLOG_MESSAGES)]

    asyncio.run(story())


def test_a_client_that_does_not_take_its_memberships_is_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUP_CHANGES_MAX", 10)
    monkeypatch.setattr(limits, "GROUP_UNREAD_MESSAGES", 4)
    monkeypatch.setattr(limits, "GROUP_TELL_MESSAGES", 1)

    async def story() -> None:
        async with opened(home) as clients, clients.box("deaf") as deaf, clients.box("b") as b:
            await deaf.join("room")
            for _ in range(20):
                if not clients.host.members("room"):
                    break
                await b.join("room")
                await b.leave("room")
                await b.receive(10)
                await b.receive(10)
            await until(lambda: clients.host.members("room") == ())
            for _ in range(4):
                assert isinstance(await deaf.receive(10), MembershipMessage)
            with pytest.raises(MailboxFull, match="has not taken 10 changes of its groups"):
                await deaf.receive(10)

    asyncio.run(story())


def test_batches_are_cut_by_bytes_too(home: Path) -> None:
    async def story() -> None:
        async with opened(home) as clients, clients.box("sender") as sender:
            line = Connection(clients.hub.endpoint, home=home)
            await ask(line, OpenSession("reader"))
            body = b"x" * (limits.BATCH_BYTES_MAX // 2)
            for _ in range(5):
                await sender.multicast("#reader#n1", body)
            await sender.flush()
            await until(
                lambda: any(
                    client_session.owed == 5
                    for client_session in clients.clients._sessions.values()
                )
            )
            lengths = []
            for _ in range(3):
                batch = await ask(line, ReceiveGroup(0, 512))
                assert isinstance(batch, list)
                lengths.append(len(batch))
            assert lengths == [2, 2, 1]
            line.close()

    asyncio.run(story())
