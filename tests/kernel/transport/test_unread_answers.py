"""What a client doesn't read is counted in bytes, here and in libzmq, and bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import zmq
from deadlines import DEADLINE_S

from zactor.kernel import limits
from zactor.kernel.messages.frames import Inbound
from zactor.kernel.messages.operations import Answer, Inspect, Request, Subject
from zactor.kernel.transport.door import Door
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.transport.socket_context import Address, SocketContext
from zactor.kernel.wire import codec

COUNT = 60
SIZE = 1 << 20
SMALL = 100


class Stubborn:
    """A door, and a client that reads when it is told to."""

    def __init__(self, home: Path) -> None:
        keys = cluster_keys(home)
        self._shared = SocketContext()
        self._shared.authenticator.admit(keys.door.public, "door")
        self._came: asyncio.Queue[Client] = asyncio.Queue()
        self.door = Door(
            self._shared, Address(), server=keys.server, take=self._take, after=lambda: None
        )
        self.client = self._shared.context.socket(zmq.DEALER)
        self.client.linger = 0
        self.client.set(zmq.RCVHWM, 1)
        self.client.set(zmq.RCVBUF, 4_096)
        self.client.curve_publickey, self.client.curve_secretkey = (
            keys.door.public,
            keys.door.secret,
        )
        self.client.curve_serverkey = keys.server.public
        self.client.connect(self.door.endpoint)

    def _take(self, routing_id: bytes, key: str, inbound: Inbound, host: str) -> None:
        self._came.put_nowait(Client(routing_id))

    async def come(self) -> Client:
        self.client.send_multipart(codec.encode_request(Request(1, Inspect(Subject.NODES, ""))))
        return await self._came.get()

    async def read(self) -> Answer:
        while True:
            try:
                found = codec.decode_outbound(self.client.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                await asyncio.sleep(0.001)
                continue
            assert isinstance(found, Answer)
            return found

    def waiting_bytes(self) -> int:
        return sum(unread.size for unread in self.door._unread.values())

    def close(self) -> None:
        self.client.close()
        self._shared.still()
        self.door.close()
        self._shared.close()


def test_long_answers_wait_here_and_come_in_order_once_they_are_read(home: Path) -> None:
    async def story() -> None:
        made = Stubborn(home)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await follow(made)
        finally:
            made.close()

    async def follow(made: Stubborn) -> None:
        client = await made.come()
        for number in range(COUNT):
            made.door.answer(client, Answer(number, False, bytes(SIZE)))
            made.door.answer(client, Answer(number, False, bytes(SMALL)))
        taken = COUNT * SIZE - made.waiting_bytes()
        assert taken <= (limits.DOOR_SEND_FRAMES + 2) * SIZE, "libzmq has more"
        dropped = made.door.answers_dropped
        assert made.door.drop_if_behind(client)
        assert made.door.answers_dropped == dropped + 1
        begun = asyncio.ensure_future(made.door.until_read(client))
        await asyncio.sleep(0)
        assert not begun.done()
        for number in range(COUNT):
            assert len((await made.read()).result) == SIZE
            answer = await made.read()
            assert (answer.number, len(answer.result)) == (number, SMALL)
        await begun
        await made.door.until_read(client)
        while made.door._unread:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.002)
        assert not made.door.drop_if_behind(client)
        assert made.door.answers_dropped == dropped + 1, "none of those that waited"

    asyncio.run(story())


def test_who_reads_nothing_for_long_loses_its_answers_and_keeps_nobody_waiting(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_BACKLOG_MS", 100)

    async def story() -> None:
        made = Stubborn(home)
        try:
            async with asyncio.timeout(DEADLINE_S):
                client = await made.come()
                for number in range(COUNT):
                    made.door.answer(client, Answer(number, False, bytes(SIZE)))
                await made.door.until_read(client)
                assert made.door.answers_dropped
                assert not made.waiting_bytes()
        finally:
            made.close()

    asyncio.run(story())


def test_of_all_clients_whoever_has_most_waiting_loses_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_BACKLOG_BYTES_MAX", 20 * SIZE)

    async def story() -> None:
        made = Stubborn(home)
        try:
            async with asyncio.timeout(DEADLINE_S):
                client = await made.come()
                for number in range(COUNT):
                    made.door.answer(client, Answer(number, False, bytes(SIZE)))
                    assert made.waiting_bytes() <= 20 * SIZE
                assert made.door.answers_dropped > 10
        finally:
            made.close()

    asyncio.run(story())
