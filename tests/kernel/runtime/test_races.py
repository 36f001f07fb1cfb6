"""The moments at which a producer and a dispatcher miss each other, each played out on purpose.

A producer appends and then looks at `idle`; the dispatcher sets `idle` and then looks at the
mailbox. Here a thread switch happens exactly between the two halves.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.dispatcher import SharedLoop
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.runtime.watchdog import Watchdog


class Noter(Actor):
    def __init__(self) -> None:
        self.seen: list[int] = []
        self.inside = 0

    @action
    def note(self, number: int) -> list[int]:
        assert not self.inside, "two messages at once"
        self.seen.append(number)
        return self.seen

    @action
    async def wait(self, entered: threading.Event, opened: threading.Event) -> None:
        self.inside += 1
        entered.set()
        while not opened.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.001)
        self.inside -= 1


def cell_of(world: Any, name: str) -> Cell:
    cell = world.runtime.directory.local(name)
    assert isinstance(cell, Cell)
    return cell


def test_who_appends_to_a_cell_that_just_went_down_is_told(world: Any, until: Any) -> None:
    ref = world.spawn(Noter, "n")
    ref.note(1).result()
    cell = cell_of(world, "n")
    world.stop("n").result()
    # The other half of a put that had looked at the limit before the stop.
    cell.mailbox.append(("note", (2,), "late"))
    assert cell.idle
    cell.idle = False
    cell.dispatcher.ready(cell)
    until(lambda: [(letter.sender, letter.target) for letter in world.dead] == [("late", "n")])


@pytest.mark.parametrize("times", [1, 2])
def test_a_cell_that_is_scheduled_twice_still_handles_one_message_at_a_time(
    world: Any, make: Any, until: Any, times: int
) -> None:
    entered, opened = threading.Event(), threading.Event()
    ref = world.spawn(make(Noter), "n")
    first = ref.wait(entered, opened)
    assert entered.wait(DEADLINE_S)
    reply = ref.note(1)
    cell = cell_of(world, "n")
    for _ in range(times):
        cell.dispatcher.ready(cell)
    shared_ran = threading.Event()
    world.runtime.shared.post(shared_ran.set)
    assert shared_ran.wait(DEADLINE_S)
    assert not reply.done()
    opened.set()
    first.result(DEADLINE_S)
    assert reply.result(DEADLINE_S) == [1]


def test_a_message_that_comes_while_a_cell_falls_idle_is_seen(world: Any, until: Any) -> None:
    ref = world.spawn(Noter, "n")
    ref.note(1).result()
    cell = cell_of(world, "n")
    until(lambda: cell.idle)

    class Racing(Cell):
        """Gets a message just before it says that it is idle, from one who saw it busy."""

        __slots__ = ()
        missed = False

        def __setattr__(self, attribute: str, value: Any) -> None:
            if attribute == "idle" and value and not Racing.missed:
                Racing.missed = True
                self.mailbox.append(("note", (3,), ""))
            super().__setattr__(attribute, value)

    cell.__class__ = Racing
    ref.note(2).result()
    until(lambda: Racing.missed and cell.handled == 3)


class RacingLoop(SharedLoop):
    """Gets a cell just before it says that it sleeps, from one who saw it awake."""

    late: Cell | None = None

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute == "_awake" and not value and self.late is not None:
            self._ready.append(self.late)
            self.late = None
        super().__setattr__(attribute, value)


def test_a_cell_that_comes_while_the_loop_falls_asleep_is_seen(until: Any) -> None:
    dead: list[DeadLetter] = []
    runtime = Runtime(dead_letter=dead.append)
    runtime.shared.close(0)
    runtime.shared = runtime.loops.first = loop = RacingLoop()
    runtime.loops._loops[0] = loop, Watchdog(loop)
    loop.start()
    try:
        runtime.spawn(blueprint_of(Noter, name="n", uid=1)).result(DEADLINE_S)
        ref = runtime.ref("n")
        ref.note(1).result(DEADLINE_S)
        runtime.spawn(blueprint_of(Noter, name="o", uid=2)).result(DEADLINE_S)
        other = runtime.directory.cells[2]
        runtime.ref("o").note(1).result(DEADLINE_S)
        until(lambda: other.idle and not loop._awake)
        other.idle = False
        other.mailbox.append(("note", (2,), ""))
        loop.late = other
        ref.note(2).result(DEADLINE_S)
        until(lambda: other.handled == 2)
    finally:
        runtime.close()


@pytest.mark.slow
def test_actors_that_never_rest_leave_the_loop_its_time(world: Any) -> None:
    class Restless(Actor):
        @action
        def again(self) -> None:
            self.ref("r").again.tell()

    class Sleeper(Actor):
        @action
        async def nap(self) -> str:
            await asyncio.sleep(0.001)
            return "rested"

    world.spawn(Restless, "r").again.tell()
    assert world.spawn(Sleeper, "s").nap().result(DEADLINE_S) == "rested"
