"""What dies is told to the page at once, whoever dies, and nothing that is told later hides it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any, cast

import pytest
from deadlines import DEADLINE_S

pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")

from zactor import connect, local
from zactor.client.connection import Connection
from zactor.client.master import Master
from zactor.kernel.errors import NotReachable, ZactorError
from zactor.kernel.messages.operations import Inspect, Operation, Subject
from zactor.web import feed as feed_module
from zactor.web.feed import Feed
from zactor.web.picture import LOST_S, PARTS, Picture, Rows

State = dict[str, dict[str, Any]]


def answered(state: str, life: int = 1) -> dict[str, Rows]:
    nodes: Rows = {"n1": {"name": "n1", "state": state, "incarnation": life}}
    return {**{part: {} for part in PARTS}, "nodes": nodes}


def shown(picture: Picture) -> object:
    return picture.rows["nodes"]["n1"]["state"]


@pytest.mark.parametrize("before", ["up", "stuck", "disk full"])
def test_a_death_that_is_heard_of_is_shown_before_the_rows_say_so(before: str) -> None:
    picture = Picture()
    picture.take(answered(before), 0.0)
    told = picture.lose("n1", 1, 0.0)
    assert told["nodes"]["n1"] == {"name": "n1", "state": "unreachable", "incarnation": 1}
    assert picture.lose("n1", 1, 0.1) == {}, "each of the others says it"
    assert picture.take(answered("gone"), 0.2)["nodes"]
    assert shown(picture) == "gone"


def test_an_older_answer_doesnt_bring_a_dead_node_back() -> None:
    picture = Picture()
    picture.take(answered("up"), 0.0)
    picture.lose("n1", 1, 0.0)
    assert picture.take(answered("up"), LOST_S / 2) == {}
    assert shown(picture) == "unreachable"
    assert picture.take(answered("up", 2), LOST_S / 2)["nodes"], "its next life is another's"
    assert shown(picture) == "up"


def test_who_only_one_of_the_others_missed_is_back_after_a_while() -> None:
    picture = Picture()
    picture.take(answered("up"), 0.0)
    picture.lose("n1", 1, 0.0)
    assert picture.take(answered("up"), LOST_S)["nodes"]
    assert shown(picture) == "up"


def test_the_end_of_an_earlier_life_is_no_death() -> None:
    picture = Picture()
    picture.take(answered("up", 2), 0.0)
    assert picture.lose("n1", 1, 0.0) == {}
    assert picture.lose("n2", 1, 0.0) == {}, "nor of who isn't known"
    assert shown(picture) == "up"


class Cluster:
    """A connection to nodes that answer what the test says."""

    def __init__(self) -> None:
        self.nodes = answered("up")["nodes"]
        self.wires: list[dict[str, object]] = []
        self.letters: list[dict[str, object]] = []
        self.fails = 0  # so often letters can't be had

    def request(
        self, operation: Operation, timeout: float | None = None, read: object = None
    ) -> Future[object]:
        future: Future[object] = Future()
        if isinstance(operation, Inspect):
            try:
                future.set_result(self._look(operation.what))
            except ZactorError as error:
                future.set_exception(error)
        return future  # else there is no answer yet

    def _look(self, what: Subject) -> object:
        match what:
            case Subject.NODES:
                return list(self.nodes.values())
            case Subject.WIRES:
                return self.wires
            case Subject.STATUS:
                return {"clock": (1, 1), "dead_letters": 0}
            case Subject.DEADLETTERS:
                if self.fails:
                    self.fails -= 1
                    raise NotReachable("n1 went away before it answered: ask again")
                return self.letters
        return []


@contextlib.asynccontextmanager
async def followed(master: Master) -> AsyncIterator[Callable[[Callable[[State], object]], object]]:
    """Run a feed, and read its stream as the page does. Yields what waits for what is shown."""
    feed = Feed(master)
    state: State = {part: {} for part in (*PARTS, "lost")}
    work = asyncio.create_task(feed.run())
    stream = feed.events(-1)

    async def until(is_so: Callable[[State], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so(state):
                event = await anext(stream)
                data = json.loads(event.data) if event and event.kind in ("facts", "reset") else {}
                for part in data.keys() & state.keys():
                    state[part].update(data[part])

    try:
        with feed.reading(()):
            yield until
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await stream.aclose()


def test_what_the_rows_say_is_told_though_the_letters_cant_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "REFRESH_S", 0.05)

    async def run() -> None:
        cluster = Cluster()
        async with followed(Master(cast(Connection, cluster))) as until:
            await until(lambda state: state["nodes"].get("n1"))
            ends = {"emitter": "a", "action": "x", "reactor": "b"}
            cluster.fails = 1
            cluster.letters = [{"sender": "a", "action": "x", "target": "b", "at": 9.0}]
            cluster.wires = [{**ends, "state": "down", "since": 8.0}]
            cluster.nodes["n1"] = {**cluster.nodes["n1"], "state": "gone"}
            await until(lambda state: state["nodes"]["n1"]["state"] == "gone")
            await until(lambda state: "a.x>b" in state["wires"])
            await until(lambda state: state["lost"] == {"a.x>b": 1})
            assert cluster.fails == 0

    asyncio.run(run())


def test_whichever_node_is_killed_the_page_is_told_and_goes_on() -> None:
    """One of them is the node that the page asks."""

    async def run() -> None:
        async with (
            local(nodes=2) as cluster,
            connect(home=cluster.home) as master,
            followed(master) as until,
        ):
            for name in ("n1", "n2"):
                await until(lambda state, name=name: is_in(state, name, "up"))
                await asyncio.to_thread(cluster.processes.kill, name)
                await until(lambda state, name=name: is_in(state, name, "unreachable", "gone"))
                await cluster.start(name)

    asyncio.run(run())


def is_in(state: State, node: str, *states: str) -> bool:
    return state["nodes"].get(node, {}).get("state") in states
