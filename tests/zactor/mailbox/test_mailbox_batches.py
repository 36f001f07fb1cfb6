"""Batch calls of a Mailbox at real nodes: many messages at once, and readers beside each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from mailbox_lab import WAIT_S, box, members, regular, start

from zactor import ConfigError, NotReachable, RegularMessage, Service, TimedOut
from zactor.kernel import limits
from zactor.lab.lab import Lab, until


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes that nobody kills."""
    lab = start(tmp_path_factory.mktemp("calm"))
    yield lab
    lab.close()


def test_batch_calls_are_as_many_single_ones_in_the_same_order(calm: Lab) -> None:
    bodies = [b"%d" % number for number in range(3_000)]

    async def story() -> None:
        async with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
            await b.join("room")
            await members(b, "#b#n2")
            await a.multicast("room", b"first", mess_type=7)
            sending = asyncio.create_task(
                a.multicast_many("room", bodies, service="safe", mess_type=7)
            )
            found: list[RegularMessage] = []
            while len(found) <= len(bodies):
                for message in await b.receive_many(WAIT_S):
                    assert isinstance(message, RegularMessage)
                    found.append(message)
                if len(found) < 2_000:
                    found.append(await regular(b))
            await sending
            assert [message.payload for message in found] == [b"first", *bodies]
            assert {(one.sender, one.mess_type) for one in found} == {("#a#n1", 7)}
            assert {one.service for one in found[1:]} == {Service.SAFE}
            assert len({one.id for one in found}) == len(found)
            with pytest.raises(TimedOut):
                await b.receive_many(0.05)
            await a.multicast_many("room", [])
            await a.multicast_many("room", (bytearray(b"1"), memoryview(b"2")))
            assert [(await regular(b)).payload for _ in range(2)] == [b"1", b"2"]

    asyncio.run(story())


def test_batches_end_when_the_mailbox_is_closed(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:

            async def read() -> int:
                return sum([len(batch) async for batch in a.batches()])

            await a.multicast_many(a.private_group, [b"x"] * 700)
            reading = asyncio.create_task(read())
            await asyncio.sleep(0)
            await a.flush()
            await a.close()
            assert 0 <= await reading <= 700
            with pytest.raises(NotReachable, match="this mailbox is closed"):
                await a.receive_many()
            with pytest.raises(NotReachable, match="this mailbox is closed"):
                await a.multicast_many("room", [b"x"])

    asyncio.run(story())


def test_what_cannot_be_sent_among_many_is_told_and_none_is_sent(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            own = a.private_group
            long = bytes(limits.GROUP_PAYLOAD_BYTES_MAX + 1)
            for payloads, words in (
                ([b"1", "2"], "a payload is bytes, not str"),
                ([b"1", long], "1048577 bytes, 1048576 allowed"),
                (b"12", "payloads are several, not one bytes"),
            ):
                with pytest.raises(ConfigError, match=words):
                    await a.multicast_many(own, payloads)  # type: ignore[arg-type]  # on purpose
            with pytest.raises(ConfigError, match="mess_type 32768"):
                await a.multicast_many(own, [b"1"], mess_type=1 << 15)
            with pytest.raises(ConfigError, match="to 1 to 100 groups"):
                await a.multicast_many([], [b"1"])
            await a.multicast(own, b"last")
            assert (await regular(a)).payload == b"last"

    asyncio.run(story())


def test_threads_that_read_one_mailbox_get_each_message_once_and_all_are_told(calm: Lab) -> None:
    count = 20_000
    with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
        found: list[list[bytes]] = [[], [], [], []]

        def read(mine: list[bytes], is_batch: bool) -> None:
            while True:
                for message in b.receive_many() if is_batch else [b.receive()]:
                    assert isinstance(message, RegularMessage)
                    if message.payload == b"end":
                        return
                    mine.append(message.payload)

        readers = [
            threading.Thread(target=read, args=(mine, place == 0))
            for place, mine in enumerate(found)
        ]
        for reader in readers:
            reader.start()
        a.multicast_many(b.private_group, [b"%d" % number for number in range(count)])
        a.flush()
        until("all is read", lambda: sum(map(len, found)) == count)
        for reader in readers:
            while reader.is_alive():
                a.multicast(b.private_group, b"end")
                reader.join(0.1)
        assert sorted(body for mine in found for body in mine) == sorted(
            b"%d" % number for number in range(count)
        )
        client = b.awaiting._client
        assert client is not None
        until("all is told", lambda: client._inbox._untold == 0)


def test_with_a_plain_with_batch_calls_block_too(calm: Lab) -> None:
    with box(calm, "a", "n1") as a, box(calm, "b", "n2") as b:
        bodies = [b"%d" % number for number in range(1_000)]
        a.multicast_many(b.private_group, bodies)
        found: list[bytes] = []
        for batch in b.batches():
            found += [message.payload for message in batch if isinstance(message, RegularMessage)]
            if len(found) == len(bodies):
                break
        assert found == bodies
        with pytest.raises(TimedOut, match=r"no message for 'b' in 0\.05 s"):
            b.receive_many(0.05)
        a.close()
        assert list(a.batches()) == []
