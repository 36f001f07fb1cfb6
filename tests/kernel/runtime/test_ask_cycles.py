"""Actors that wait for each other's answers in a ring: found, named, and nobody else is told so."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, AskDeadlock, RemoteActionError, TimedOut, action
from zactor.kernel import limits
from zactor.kernel.messages.actors import AskProbe

FOUND_S = 0.1


class Asking(Actor):
    """Asks along a way of names, and says who was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.notes: list[str] = []
        self.kept: Any = None
        self.began = threading.Event()

    @action
    async def go(self, *way: str) -> list[str]:
        self.calls += 1
        self.began.set()
        if not way:
            return [self.name]
        return [self.name, *await self.ref(way[0]).go(*way[1:])]

    @action
    def block(self, *way: str) -> list[str]:
        if not way:
            return [self.name]
        return [self.name, *self.ref(way[0]).block(*way[1:]).result()]

    @action(reentrant=True)
    async def enter(self, *way: str) -> list[str]:
        if not way:
            return [self.name]
        return [self.name, *await self.ref(way[0]).enter(*way[1:])]

    @action
    async def waits_for(self, other: str) -> list[str]:
        found: list[str] = await self.ref(other).sends_to(self.name)
        return found

    @action
    async def sends_to(self, other: str) -> list[str]:
        self.ref(other).note.tell("told")
        self.kept = self.ref(other).note_alone("asked")
        await self.ref(other).note("in")
        found: list[str] = await self.ref(other).noted()
        return found

    @action
    async def kept_ask(self) -> None:
        await self.kept

    @action(reentrant=True)
    def note(self, what: str) -> None:
        self.notes.append(what)

    @action
    def note_alone(self, what: str) -> None:
        self.notes.append(what)

    @action(reentrant=True)
    def noted(self) -> list[str]:
        return list(self.notes)

    @action
    async def leads_in(self, *way: str) -> list[str]:
        return [self.name, *await self.ref(way[0]).enter(*way[1:])]

    @action
    async def blocks_first(self, other: str) -> list[str]:
        self.ref(other).go().result()
        return [self.name, *await self.ref(other).enter(self.name)]

    @action
    async def is_let_in_late(self, other: str) -> list[str]:
        reply = self.ref(other).enter(self.name)
        asyncio.get_running_loop().call_soon(time.sleep, 8 * limits.ASK_CYCLE_LOOK_S)
        return [self.name, *await reply]

    @action
    async def patient(self, other: str) -> str:
        try:
            await self.ref(other).go.opts(timeout=0.02)(self.name)
        except TimedOut:
            return "timed out"
        return "answered"

    @action
    async def beside(self, other: str) -> Any:
        """Doesn't wait itself: nothing is in a ring."""
        task = asyncio.create_task(self._go(other))
        done, _ = await asyncio.wait([task], timeout=0.2)
        return len(done)

    async def _go(self, other: str) -> list[str]:
        return await self.ref(other).go(self.name)

    @action
    async def sleep(self, seconds: float) -> None:
        self.began.set()
        await asyncio.sleep(seconds)

    @action
    async def cancels(self, other: str) -> str:
        task = asyncio.create_task(self._go(other))
        await asyncio.sleep(0.01)
        task.cancel()
        return "cancelled"

    @action
    def count(self) -> int:
        return self.calls

    @action
    async def paths(self, graph: dict[str, list[str]], slow: list[str], together: bool) -> int:
        """How many ways lead from here, of those who are asked in turn or together."""
        if self.name in slow:
            await asyncio.sleep(1.5 * limits.ASK_CYCLE_LOOK_S)
        asks = [self.ref(other).paths(graph, slow, together) for other in graph[self.name][:1]]
        if together:
            asks += [self.ref(other).paths(graph, slow, together) for other in graph[self.name][1:]]
            return max(1, sum(await asyncio.gather(*asks)))
        found = [await ask for ask in asks]
        for other in graph[self.name][1:]:
            found.append(await self.ref(other).paths(graph, slow, together))
        return max(1, sum(found))


class Apart(Asking, dispatcher="process"):
    pass


class Own(Asking, dispatcher="thread"):
    pass


KINDS = {"S": Asking, "T": Own, "P": Apart}


def spread(worlds: Any, count: int, make: Any, kinds: str = "SSS") -> tuple[Any, list[Any]]:
    """Actors a, b, c … on so many nodes in turn, which all know each other."""
    made = [worlds(f"n{number}") for number in range(1, count + 1)]
    for one in made:
        for other in made:
            if made.index(one) < made.index(other):
                worlds.join(one, other)
    for number, name in enumerate("abc"):
        home = made[number % count]
        home.spawn(make(KINDS[kinds[number]]), name)
        worlds.introduce(home, name, *(world for world in made if world is not home))
    return made[0].runtime.ref, made


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize(
    ("way", "ring"),
    [("ba", "a b"), ("bca", "a b c"), ("bcb", "b c"), ("cabc", "a c")],
)
def test_a_ring_is_found_and_named(
    worlds: Any, make: Any, slowness: Any, nodes: int, way: str, ring: str
) -> None:
    ref, _ = spread(worlds, nodes, make)
    began = time.monotonic()
    with pytest.raises((AskDeadlock, RemoteActionError)) as caught:
        ref("a").go(*way).result(DEADLINE_S)
    assert slowness.quiet_s(time.monotonic() - began) < FOUND_S + nodes * limits.ASK_CYCLE_LOOK_S
    said = str(caught.value)
    assert "a cycle of asks, in which each waits for the next" in said
    for name in ring.split():
        assert f"{name}.go" in said
    for name in "abc":  # all go on
        assert ref(name).go().result(DEADLINE_S) == [name]


def test_threads_that_wait_in_a_ring_are_found_too(worlds: Any) -> None:
    ref, _ = spread(worlds, 1, lambda _: Own)
    with pytest.raises(RemoteActionError, match="a cycle of asks"):
        ref("a").block("b", "c", "a").result(DEADLINE_S)
    assert ref("b").block("c").result(DEADLINE_S) == ["b", "c"]


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_reentrant_action_is_let_in(worlds: Any, make: Any, nodes: int) -> None:
    ref, _ = spread(worlds, nodes, make)
    assert ref("a").leads_in("b", "a").result(DEADLINE_S) == ["a", "b", "a"]
    assert ref("a").enter("b", "c", "a").result(DEADLINE_S) == ["a", "b", "c", "a"]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("how", ["blocks_first", "is_let_in_late"])
def test_whoever_is_let_in_is_so_after_a_block_and_late(worlds: Any, nodes: int, how: str) -> None:
    ref, _ = spread(worlds, nodes, lambda _: Own)
    assert getattr(ref("a"), how)("b").result(DEADLINE_S) == ["a", "b", "a"]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("kinds", ["PSS", "SPS", "PPT", "PPP"])
def test_a_reentrant_action_of_a_process_is_let_in(worlds: Any, nodes: int, kinds: str) -> None:
    ref, _ = spread(worlds, nodes, lambda kind: kind, kinds)
    assert ref("a").leads_in("b", "a").result(DEADLINE_S) == ["a", "b", "a"]
    assert ref("a").enter("b", "c", "a").result(DEADLINE_S) == ["a", "b", "c", "a"]
    assert ref("a").is_let_in_late("b").result(DEADLINE_S) == ["a", "b", "a"]
    assert ref("b").enter(*"cabcab").result(DEADLINE_S) == [*"bcabcab"]
    for name in "abc":  # all go on, one message at a time
        assert ref(name).go().result(DEADLINE_S) == [name]


@pytest.mark.parametrize("kind", ["S", "P"])
def test_only_asks_of_reentrant_actions_are_let_in_and_only_meanwhile(
    worlds: Any, kind: str
) -> None:
    """What else comes waits, a tell of such an action too; in a process as in the node."""
    ref, _ = spread(worlds, 1, lambda _: KINDS[kind])
    assert ref("a").waits_for("b").result(DEADLINE_S) == ["in"]
    assert ref("b").kept_ask().result(DEADLINE_S) is None
    assert ref("a").noted().result(DEADLINE_S) == ["in", "told", "asked"]


def test_what_is_let_into_a_process_fails_by_itself(worlds: Any) -> None:
    ref, _ = spread(worlds, 1, lambda kind: kind, "PSS")
    with pytest.raises(RemoteActionError, match="nowhere"):
        ref("a").leads_in("b", "a", "nowhere").result(DEADLINE_S)
    assert ref("a").leads_in("b", "a").result(DEADLINE_S) == ["a", "b", "a"]


def test_who_waits_with_a_limit_or_beside_is_no_ring(worlds: Any, make: Any) -> None:
    ref, _ = spread(worlds, 1, make)
    assert ref("a").beside("b").result(DEADLINE_S) == 0
    assert ref("a").go("b", "c").result(DEADLINE_S) == ["a", "b", "c"]


def test_no_ring_is_seen_where_there_is_none(worlds: Any, make: Any, monkeypatch: Any) -> None:
    """Asks that only ever go from a lower name to a higher one, many at once, over two nodes."""
    monkeypatch.setattr(limits, "ASK_CYCLE_LOOK_S", 0.0005)
    chance = random.Random(7)
    one, other = worlds.pair()
    names = [f"x{number:02}" for number in range(12)]
    for name in names:
        home, guest = (one, other) if chance.random() < 0.5 else (other, one)
        home.spawn(make(Asking), name)
        worlds.introduce(home, name, guest)
    for _ in range(100):
        ways = [sorted(chance.sample(names, chance.randint(2, 6))) for _ in range(10)]
        replies = [one.runtime.ref(way[0]).go(*way[1:]) for way in ways]
        assert [reply.result(DEADLINE_S) for reply in replies] == ways


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize(("kinds", "way"), [("PSS", "ba"), ("SPS", "ba"), ("PPT", "bca")])
def test_a_ring_through_processes_is_found_and_named(
    worlds: Any, slowness: Any, nodes: int, kinds: str, way: str
) -> None:
    ref, _ = spread(worlds, nodes, lambda kind: kind, kinds)
    assert ref("a").go(*way[:-1]).result(DEADLINE_S) == ["a", *way[:-1]]
    began = time.monotonic()
    with pytest.raises(RemoteActionError, match="a cycle of asks, in which each") as caught:
        ref("a").go(*way).result(DEADLINE_S)
    assert slowness.quiet_s(time.monotonic() - began) < FOUND_S + nodes * limits.ASK_CYCLE_LOOK_S
    assert all(f"{name}.go" in str(caught.value) for name in way)
    for name in "abc":  # all go on
        assert ref(name).go().result(DEADLINE_S) == [name]


def test_who_waits_in_a_process_with_a_limit_or_beside_is_no_ring(worlds: Any) -> None:
    ref, _ = spread(worlds, 1, lambda kind: kind, "PSS")
    assert ref("a").beside("b").result(DEADLINE_S) == 0
    assert ref("a").patient("b").result(DEADLINE_S) == "timed out"
    assert ref("a").go("b", "c").result(DEADLINE_S) == ["a", "b", "c"]


GRAPHS = [40, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.limit(600)])]


@pytest.mark.parametrize("count", GRAPHS)
def test_no_ring_is_seen_in_graphs_without_one(worlds: Any, monkeypatch: Any, count: int) -> None:
    """Each in an order of its own, from several ends at once, over two nodes, all dispatchers."""
    monkeypatch.setattr(limits, "ASK_CYCLE_LOOK_S", 0.0005)
    chance = random.Random(count)
    one, other = worlds.pair()
    names = [f"x{number}" for number in range(8)]
    for name, kind in zip(names, "SSSSTTPP", strict=True):
        home, guest = (one, other) if chance.random() < 0.5 else (other, one)
        home.spawn(KINDS[kind], name)
        worlds.introduce(home, name, guest)
    for _ in range(count):
        order = chance.sample(names, chance.randint(2, len(names)))
        graph = {
            name: chance.sample(
                order[place + 1 :], min(chance.randint(0, 2), len(order) - place - 1)
            )
            for place, name in enumerate(order)
        }
        ways: dict[str, int] = {}
        for name in reversed(order):
            ways[name] = max(1, sum(ways[each] for each in graph[name]))
        slow = chance.sample(order, 1) if chance.random() < 0.1 else []
        asked = chance.sample(order, min(3, len(order)))
        replies = [
            one.runtime.ref(name).paths(graph, slow, chance.random() < 0.5) for name in asked
        ]
        assert [reply.result(DEADLINE_S) for reply in replies] == [ways[name] for name in asked]


def test_a_probe_about_what_was_answered_finds_nothing(worlds: Any, make: Any) -> None:
    one, other = worlds.pair()
    one.spawn(make(Asking), "a")
    worlds.introduce(one, "a", other)
    probe = AskProbe(one.uid("a"), 5, ())
    one.runtime.remoting.deliver(one.ports["n2"], [probe])
    assert one.runtime.ref("a").go().result(DEADLINE_S) == ["a"]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("kind", ["S", "P"])
def test_an_ask_that_nobody_waits_for_is_left_out(
    worlds: Any, make: Any, nodes: int, kind: str
) -> None:
    ref, _ = spread(worlds, nodes, make if kind == "S" else lambda kind: kind, f"S{kind}S")
    busy = ref("b").sleep(0.3)
    assert ref("a").cancels("b").result(DEADLINE_S) == "cancelled"
    with pytest.raises(TimedOut):
        ref("b").go.opts(timeout=0.02)().result(DEADLINE_S)
    busy.result(DEADLINE_S)
    assert ref("b").count().result(DEADLINE_S) == 0
    assert ref("b").go().result(DEADLINE_S) == ["b"]
