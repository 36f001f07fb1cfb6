"""kernel/transport/door_clients.py: a real door, clients that come and go, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import zmq

from zactor.kernel.messages.frames import Inbound
from zactor.kernel.messages.operations import Answer, Inspect, Request, Subject
from zactor.kernel.transport import sockets
from zactor.kernel.transport.door import Door
from zactor.kernel.transport.door_call import call_door
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.keys import ClusterKeys, cluster_keys
from zactor.kernel.transport.socket_context import Address, SocketContext
from zactor.kernel.wire import codec

WITHIN_S = 30.0


class Visitors:
    """A door, and who came."""

    def __init__(self, keys: ClusterKeys) -> None:
        self.keys = keys
        self.bound = SocketContext()
        self.bound.authenticator.admit(keys.door.public, "door")
        self.came: asyncio.Queue[Client] = asyncio.Queue()
        self.door = Door(
            self.bound, Address(), server=keys.server, take=self._take, after=lambda: None
        )

    def _take(self, routing_id: bytes, key: str, inbound: Inbound, host: str) -> None:
        self.came.put_nowait(Client(routing_id))

    async def visit(self) -> tuple[sockets.Socket, Client]:
        """A client that has asked something, at both ends."""
        context = self.bound.context
        dealer = sockets.connect_door(
            context, self.door.endpoint, self.keys.door, self.keys.server.public
        )
        dealer.send_multipart(codec.encode_request(Request(1, Inspect(Subject.NODES, ""))))
        async with asyncio.timeout(WITHIN_S):
            return dealer, await self.came.get()

    def close(self) -> None:
        self.bound.still()
        self.door.close()
        self.bound.close()


@contextlib.asynccontextmanager
async def visitors(home: Path) -> AsyncIterator[Visitors]:
    made = Visitors(cluster_keys(home))
    try:
        yield made
    finally:
        made.close()


async def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.002)


def note(gone: asyncio.Queue[str], name: str) -> Callable[[], None]:
    return lambda: gone.put_nowait(name)


def test_whoever_depends_on_a_client_is_told_when_it_goes_and_only_then(home: Path) -> None:
    async def story() -> None:
        gone: asyncio.Queue[str] = asyncio.Queue()
        async with visitors(home) as here:
            pairs = {name: await here.visit() for name in ("a", "b", "c", "unwatched")}
            for name in ("a", "b"):
                here.door.clients.watch(pairs[name][1], note(gone, name))
            here.door.clients.watch(pairs["c"][1], note(gone, "c"))()
            for name in ("unwatched", "c", "b"):
                pairs[name][0].close()
            async with asyncio.timeout(WITHIN_S):
                assert await gone.get() == "b"
                pairs["a"][0].close()
                assert await gone.get() == "a"
            assert gone.empty()

    asyncio.run(story())


def test_several_may_depend_on_one_client_and_one_that_fails_keeps_it_from_no_other(
    home: Path,
) -> None:
    def fail() -> None:
        raise RuntimeError("sick")

    async def story() -> None:
        gone: asyncio.Queue[str] = asyncio.Queue()
        async with visitors(home) as here:
            dealer, client = await here.visit()
            watch = here.door.clients.watch
            watch(client, fail)
            ends = [watch(client, note(gone, name)) for name in ("a", "b", "c")]
            ends[1]()
            dealer.close()
            async with asyncio.timeout(WITHIN_S):
                assert [await gone.get(), await gone.get()] == ["a", "c"]
            ends[0]()  # late, and no harm
            assert gone.empty()
            assert here.door.clients._watched == {}

    asyncio.run(story())


def test_who_is_there_is_looked_at_with_an_answer_to_nothing(home: Path) -> None:
    async def story() -> None:
        gone: asyncio.Queue[str] = asyncio.Queue()
        async with visitors(home) as here:
            stays, client = await here.visit()
            goes, _ = await here.visit()
            here.door.clients.watch(client, note(gone, "stays"))
            goes.close()
            await until(lambda: bool(stays.poll(0, zmq.POLLIN)))
            assert codec.decode_outbound(stays.recv_multipart()) == Answer(0, False, b"\xc0")
            assert gone.empty()
            stays.close()

    asyncio.run(story())


def test_a_node_that_calls_at_a_door_takes_an_answer_to_nothing_for_none(home: Path) -> None:
    async def story() -> None:
        async with visitors(home) as here:
            calling = asyncio.ensure_future(
                call_door(
                    here.bound,
                    here.door.endpoint,
                    here.keys,
                    Inspect(Subject.NODES, ""),
                    int(WITHIN_S * 1000),
                )
            )
            client = await here.came.get()
            here.door.answer(client, Answer(0, False, b"\xc0"))
            here.door.answer(client, Answer(1, False, b"\x07"))
            assert await calling == b"\x07"

    asyncio.run(story())


def test_an_answer_that_finds_nobody_tells_as_well(home: Path) -> None:
    async def story() -> None:
        gone: asyncio.Queue[str] = asyncio.Queue()
        async with visitors(home) as here:
            dealer, client = await here.visit()
            dealer.close()
            await until(lambda: here.door.handshakes.disconnected == 1)
            await asyncio.sleep(0)  # the news of the disconnection has found nobody to watch
            here.door.clients.watch(client, note(gone, "late"))

            def answered_in_vain() -> bool:
                here.door.answer(client, Answer(1, False, b"\xc0"))
                return not gone.empty()

            await until(answered_in_vain)
            assert gone.get_nowait() == "late"

    asyncio.run(story())
