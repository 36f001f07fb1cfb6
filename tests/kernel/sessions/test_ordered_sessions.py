"""Signals in group order between nodes: one order, back-pressure, and what is lost."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from session_nodes import (
    BURST,
    HELD,
    MANY,
    PATIENCE_S,
    Node,
    cell_of,
    is_muted,
    running,
    until,
    warm_up,
)

from zactor import Actor, Service, action, signal


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


class Teller(Actor):
    said = signal(str, int)

    @action
    def burst(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.said.emit(self.name, number)


class Hearer(Actor):
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.heard: list[tuple[str, int]] = []

    @action
    def said(self, who: str, number: int) -> None:
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        self.heard.append((who, number))

    @action
    def all(self) -> list[tuple[str, int]]:
        return self.heard


class Shut(Hearer, dispatcher="thread"):
    """May wait in an action."""


async def wired(nodes: Sequence[Node], *gates: threading.Event | None) -> list[Any]:
    """A hearer on each node, and a teller on the first two, wired to all hearers. The hearers."""
    kinds = [Hearer if gate is None else Shut for gate in gates]
    names = [f"h{number}" for number in range(1, len(nodes) + 1)]
    for node, name, kind, gate in zip(nodes, names, kinds, gates, strict=True):
        await node.spawn(kind, name, gate)
    for number, node in enumerate(nodes[:2], 1):
        await node.spawn(Teller, f"t{number}")
        for other, name in zip(nodes, names, strict=True):
            if other is not node:
                node.introduce(other, name)
        reactors = {(name, "said"): Service.AGREED for name in names}
        node.runtime.connect(f"t{number}", "said", reactors)
    return [cell_of(node, name).actor for node, name in zip(nodes, names, strict=True)]


def test_every_reactor_hears_one_order_and_the_log_accounts_for_each(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 3) as nodes:
            hearers = await wired(nodes, None, None, None)
            tellers = [node.runtime.ref(f"t{n}") for n, node in enumerate(nodes[:2], 1)]
            for first in range(0, 1000, 50):
                for teller in tellers:
                    teller.burst.tell(first, 50)
            await until(lambda: all(len(h.heard) == 2000 for h in hearers))
            assert hearers[0].heard == hearers[1].heard == hearers[2].heard
            accepted = nodes[0].traced("accept") + nodes[1].traced("accept")
            handled = sum((node.traced("handle") for node in nodes), Counter())
            assert len(accepted) == 6000
            assert accepted == handled
            assert not any(node.dead for node in nodes)

    asyncio.run(story())


@pytest.mark.slow
def test_a_slow_reactor_slows_the_emitter(tmp_path: Path) -> None:
    async def story() -> None:
        gate = threading.Event()
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, gate)
            teller = nodes[0].runtime.ref("t1")
            try:
                for first in range(0, MANY, BURST):
                    teller.burst.tell(first, BURST)
                await until(lambda: is_muted(nodes[0], "zactor.wires"))
                assert len(cell_of(nodes[1], "h2").mailbox) <= HELD
            finally:
                gate.set()
            await until(lambda: all(len(h.heard) == MANY for h in hearers))
            assert hearers[0].heard == hearers[1].heard

    asyncio.run(story())


def test_a_signal_to_a_node_that_left_the_view_is_a_dead_letter(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            await first.runtime.ref("t1").burst(0, 10)
            await until(lambda: all(len(h.heard) == 10 for h in hearers))

            last, _ = first.runtime.in_order()._loose[-1]
            await until(lambda: first.groups.stable_line >= last)
            first.lose(second)
            await until(lambda: len(first.groups.view.members) == 1)
            assert not first.dead, "what had arrived for certain is no dead letter"
            # Nobody has told the router yet.
            await first.runtime.ref("t1").burst(10, 5)
            await until(lambda: len(first.dead) == 5)
            assert {(d.sender, d.target, d.action) for d in first.dead} == {("t1", "h2", "said")}
            assert all("node n2 left the view before" in d.reason for d in first.dead)
            await until(lambda: len(hearers[0].heard) == 15)
            accepted = first.traced("accept")
            assert accepted == first.traced("handle", "deadletter") + second.traced("handle")

    asyncio.run(story())


def test_what_was_on_its_way_to_a_node_that_is_lost_is_not_silent(tmp_path: Path) -> None:
    count = 2_000

    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            first.runtime.ref("t1").burst.tell(0, count)
            await until(lambda: hearers[0].heard)
            first.lose(second)
            await until(lambda: len(hearers[0].heard) == count)
            await until(lambda: not first.runtime.in_order().congested)
            there = Counter(number for _, number in hearers[1].heard)
            accepted = [sig for sig, to in first.traced("accept") if to == "h2"]
            dead = {sig for sig, to in first.traced("deadletter") if to == "h2"}
            got = {sig for sig, to in second.traced("handle") if to == "h2"}
            assert len(accepted) == count
            assert set(accepted) == dead | got
            assert max(there.values(), default=1) == 1

    asyncio.run(story())


def test_a_signal_for_an_actor_that_is_gone_comes_back_as_a_dead_letter(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, 2) as nodes:
            hearers = await wired(nodes, None, None)
            first, second = nodes
            await second.end("h2")
            await first.runtime.ref("t1").burst(0, 3)
            await until(lambda: len(first.dead) == 3)
            assert "no such actor on n2" in first.dead[0].reason
            # Here each is handled, of there each is a dead letter: one comes before the other.
            await until(lambda: first.traced("accept") == first.traced("handle", "deadletter"))
            await second.runtime.ref("t2").burst(0, 2)
            await until(lambda: len(hearers[0].heard) == 5)
            assert len(second.dead) == 2

    asyncio.run(story())
