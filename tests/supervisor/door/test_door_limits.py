"""What is asked at a door ends at its timeout, or with who asked, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from live_nodes import live_nodes, until

from zactor import connect
from zactor.client.gateway import encode_call
from zactor.kernel import limits
from zactor.kernel.errors import TimedOut
from zactor.kernel.messages.operations import (
    Answer,
    AskActor,
    DeployActor,
    Inspect,
    Operation,
    Problem,
    PutArguments,
    Request,
    Subject,
)
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.transport.sockets import connect_door
from zactor.kernel.wire import codec
from zactor.supervisor.kb import facts
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.node import Node

SOON_S = 0.05
PLACES = 4

CODE = """
import asyncio
from pathlib import Path
from zactor import Actor, action


class Holder(Actor):
    def __init__(self) -> None:
        self.opened = asyncio.Event()

    @action
    async def wait(self) -> str:
        await self.opened.wait()
        return "open"


class Opener(Actor):
    def __init__(self, flag: str) -> None:
        self.flag = Path(flag)

    async def on_start(self) -> None:
        while not self.flag.exists():
            await asyncio.sleep(0.002)
"""

WAIT = AskActor("h1", "wait", encode_call((), {}), False)
RUNTIME = Inspect(Subject.RUNTIME, "")


class Visitor:
    """A client that doesn't look after its own limits."""

    def __init__(self, context: zmq.Context[Any], node: Node, home: Path) -> None:
        keys = cluster_keys(home)
        self._dealer = connect_door(context, node.hub.endpoint, keys.door, keys.server.public)
        self._heard: dict[int, Answer | Problem] = {}

    def ask(self, number: int, operation: Operation, timeout_s: float = 0.0) -> None:
        request = Request(number, operation, timeout_s)
        self._dealer.send_multipart(codec.encode_request(request), zmq.NOBLOCK)

    def _hears(self, number: int) -> bool:
        with contextlib.suppress(zmq.Again):
            while True:
                outbound = codec.decode_outbound(self._dealer.recv_multipart(zmq.NOBLOCK))
                self._heard[outbound.number] = outbound
        return number in self._heard

    async def answer(self, number: int) -> Answer | Problem:
        await until(lambda: self._hears(number))
        return self._heard[number]

    async def problem(self, number: int) -> Problem:
        found = await self.answer(number)
        assert isinstance(found, Problem), found
        return found

    def close(self) -> None:
        self._dealer.close(linger=0)


@contextlib.asynccontextmanager
async def at_doors(home: Path, tmp_path: Path) -> AsyncIterator[tuple[Node, Node, Any]]:
    """A master, the node where h1 waits, and a context for visitors."""
    code = tmp_path / "holder.py"
    code.write_text(CODE)
    context = zmq.Context()
    async with live_nodes(home, "m1", "n1") as (one, other):
        async with connect(one.hub.endpoint.removeprefix("tcp://"), home=home) as m:
            await m.declare_factory("holder", code)
            await m.declare_factory("opener", code)
            await m.deploy_actor("holder", "h1", "n1")
        await until(lambda: not one.requests._under_way)
        try:
            yield one, other, context
        finally:
            context.destroy(linger=0)


def waiting(node: Node) -> int:
    """How many asks of others the node has in hand, at its doors and in its runtime."""
    tasks = ("_serve_client", "_serve_peer", "ask_actor")
    held = [task for task in node.tasks._tasks if any(name in repr(task) for name in tasks)]
    return len(held) + len(node.runtime.remoting._pending) + node.requests._under_way


@pytest.mark.parametrize("at", ["m1", "n1"], ids=["elsewhere", "here"])
def test_asks_that_never_end_end_at_their_timeout_and_leave_their_places(
    at: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_REQUESTS_MAX", PLACES)

    async def story() -> None:
        async with at_doors(home, tmp_path) as (one, other, context):
            node = one if at == "m1" else other
            visitor = Visitor(context, node, home)
            for number in range(1, PLACES + 1):
                visitor.ask(number, WAIT, SOON_S)
            for number in range(1, PLACES + 1):
                problem = await visitor.problem(number)
                assert problem.kind == "TimedOut"
                assert f"{at} has not done AskActor within {SOON_S} s" in problem.message
            visitor.ask(PLACES + 1, RUNTIME)
            assert isinstance(await visitor.answer(PLACES + 1), Answer)
            await until(lambda: waiting(node) == 0)
            assert node.requests._busy == {}

    asyncio.run(story())


@pytest.mark.parametrize("at", ["m1", "n1"], ids=["elsewhere", "here"])
@pytest.mark.parametrize("limit_s", [0.0, math.inf])
def test_an_ask_without_a_limit_lasts_as_long_as_its_client(
    limit_s: float, at: str, home: Path, tmp_path: Path
) -> None:
    async def story() -> None:
        async with at_doors(home, tmp_path) as (one, other, context):
            node = one if at == "m1" else other
            goes, stays = (Visitor(context, node, home) for _ in range(2))
            for number in range(1, PLACES + 1):
                goes.ask(number, WAIT, limit_s)
            stays.ask(1, WAIT, limit_s)
            await until(lambda: node.requests._under_way == PLACES + 1)
            goes.close()
            await until(lambda: node.requests._under_way == 1)
            assert len(node.requests._busy) == 1
            stays.ask(2, WAIT, SOON_S)  # later than it came
            await stays.problem(2)
            await until(lambda: node.requests._under_way == 1)
            stays.close()
            await until(lambda: waiting(node) == 0)
            assert node.requests._busy == {}

    asyncio.run(story())


def test_a_change_at_its_timeout_is_answered_and_done_all_the_same(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_REQUESTS_MAX", 1)
    flag = tmp_path / "flag"

    async def story() -> None:
        async with at_doors(home, tmp_path) as (one, _, context):
            visitor = Visitor(context, one, home)
            deploy = DeployActor("opener", "o1", "n1", encode_call((), {"flag": str(flag)}))
            visitor.ask(1, deploy, SOON_S)
            assert (await visitor.problem(1)).kind == "TimedOut"
            assert one.requests._under_way == 1
            visitor.ask(2, RUNTIME)
            assert isinstance(await visitor.answer(2), Answer)
            visitor.close()  # nor does it end with who asked
            flag.touch()
            await until(lambda: not one.requests._under_way)
            row = facts.actor(one.kb.theory, "o1")
            assert row is not None
            assert row.state == "running"

    asyncio.run(story())


def test_what_a_node_passes_on_ends_there_when_it_has_given_up(home: Path, tmp_path: Path) -> None:
    async def story() -> None:
        async with at_doors(home, tmp_path) as (one, other, _):
            peer = one.members.peer("n1")
            assert peer is not None
            sent: list[Any] = []
            calls = PeerCalls(lambda _, item: sent.append(item))
            plain = AskActor("h1", "wait", encode_call((), {}), True)
            with pytest.raises(TimedOut, match=r"hasn't answered AskActor for 0\.05 s"):
                await calls.ask(peer, plain, SOON_S)
            (request,) = sent
            there = other.members.peer("m1")
            assert there is not None
            other.requests.peer(there, request)
            await until(lambda: waiting(other) == 1)
            await until(lambda: waiting(other) == 0)

    asyncio.run(story())


def test_pieces_that_stand_still_go_though_their_client_stays(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_ARGUMENTS_IDLE_MS", 20)

    async def story() -> None:
        async with at_doors(home, tmp_path) as (one, _, context):
            visitor = Visitor(context, one, home)
            visitor.ask(1, PutArguments("k", 0, limits.MESSAGE_BYTES_MAX, b"x"))
            assert isinstance(await visitor.answer(1), Answer)
            await until(lambda: one.requests._long._held == 0)
            visitor.ask(2, AskActor("h1", "wait", b"Pk", False))
            assert "didn't arrive whole" in (await visitor.problem(2)).message
            await until(lambda: one.requests._look is None)

    asyncio.run(story())
