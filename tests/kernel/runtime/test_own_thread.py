"""dispatcher="auto": who has blocked the loop that it shares goes on in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import structlog
from deadlines import DEADLINE_S

from zactor import Actor, action, signal
from zactor.kernel.runtime import own_thread
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.watchdog import Blockage, Watchdog


class Auto(Actor, dispatcher="auto"):
    """Blocks when told, and says where it is."""

    done = signal(str)

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.ticks = threading.Event()
        self.stopped_in = ""

    @action
    def block(self, until: threading.Event) -> str:
        assert until.wait(DEADLINE_S)
        return threading.current_thread().name

    @action
    async def block_in_between(self, until: threading.Event) -> str:
        await asyncio.sleep(0)
        assert until.wait(DEADLINE_S)
        return threading.current_thread().name

    @action
    def where(self) -> str:
        return threading.current_thread().name

    @action
    async def where_later(self) -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    @action
    def note(self, what: Any) -> list[Any]:
        self.seen.append(what)
        return self.seen

    @action
    def begin_timer(self, seconds: float) -> None:
        self.timer = self.every(seconds, self._tick)

    @action
    def begin_task(self) -> None:
        self.task = self.spawn(asyncio.sleep(1_000))

    @action
    async def end_task(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    def _tick(self) -> None:
        self.seen.append(threading.current_thread().name)
        self.ticks.set()

    def on_stop(self, reason: str) -> None:
        STOPPED.append(threading.current_thread().name)


class Shared(Auto, dispatcher="shared"):
    """Isn't given one."""


STOPPED: list[str] = []
SHARED, OWN = "zactor-actors", "zactor-actor-a"


class Blocks:
    """Have an action block until a watchdog has seen that; returns in which thread it did."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.found = threading.Event()
        self.seen: list[Blockage] = []
        begun = partial(own_thread.blocked, world.runtime, self._begun)
        self.dog = Watchdog(world.runtime.shared, warning_s=0.02, begun=begun)
        self.dog.start()

    def _begun(self, blockage: Blockage) -> None:
        self.seen.append(blockage)
        self.found.set()

    def __call__(self, ref: Any, how: str = "block") -> str:
        self.found.clear()
        where: str = getattr(ref, how)(self.found).result(DEADLINE_S)
        assert self.seen[-1].actor == "a"
        assert self.seen[-1].moves is (self._world.row("a")["type"] != "Shared")
        return where


@pytest.fixture
def blocks(world: Any) -> Iterator[Blocks]:
    made = Blocks(world)
    yield made
    made.dog.close()


@pytest.mark.parametrize("how", ["block", "block_in_between"])
def test_it_goes_on_in_a_thread_of_its_own_and_others_stay(
    world: Any, blocks: Blocks, how: str
) -> None:
    ref, other = world.spawn(Auto, "a"), world.spawn(Auto, "b")
    assert ref.where().result(DEADLINE_S) == SHARED
    for number in range(100):
        ref.note.tell(number)
    assert blocks(ref, how) == SHARED
    for number in range(100, 200):
        ref.note.tell(number)
    assert ref.where().result(DEADLINE_S) == OWN
    assert ref.where_later().result(DEADLINE_S) == OWN
    assert ref.note("last").result(DEADLINE_S) == [*range(200), "last"]
    assert other.where().result(DEADLINE_S) == SHARED
    assert [world.row(name)["dispatcher"] for name in "ab"] == ["thread", "shared"]
    STOPPED.clear()
    assert world.stop("a").result(DEADLINE_S) is None
    assert STOPPED == [OWN]


def test_what_comes_while_it_blocks_is_handled_there_in_order(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    with ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(blocks, ref)
        for number in range(1_000):
            ref.note.tell(number)
        assert blocked.result(DEADLINE_S) == SHARED
    assert ref.note("last").result(DEADLINE_S) == [*range(1_000), "last"]
    assert ref.where().result(DEADLINE_S) == OWN


def test_its_timers_go_over(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    ref.begin_timer(0.01).result(DEADLINE_S)
    actor = world.runtime.directory.cells[world.uid("a")].actor
    assert actor.ticks.wait(DEADLINE_S)
    assert blocks(ref) == SHARED
    assert ref.where().result(DEADLINE_S) == OWN
    actor.seen.clear()
    for _ in range(3):
        actor.ticks.clear()
        assert actor.ticks.wait(DEADLINE_S)
    assert set(actor.seen) == {OWN}


def test_whose_tasks_run_in_the_loop_stays_and_that_is_said(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    ref.begin_task().result(DEADLINE_S)
    with structlog.testing.capture_logs() as lines:
        assert blocks(ref) == SHARED
        assert ref.where().result(DEADLINE_S) == SHARED
    assert [line["actor"] for line in lines if line["event"] == "thread_not_given"] == ["a"]
    ref.end_task().result(DEADLINE_S)
    assert blocks(ref) == SHARED
    assert ref.where().result(DEADLINE_S) == OWN


def test_who_does_not_say_so_stays_in_the_loop(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Shared, "a")
    assert blocks(ref) == SHARED
    assert ref.where().result(DEADLINE_S) == SHARED
    assert world.row("a")["dispatcher"] == "shared"


def test_one_that_ends_meanwhile_gets_none(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    goes_on = threading.Event()
    ref.block(goes_on)
    assert blocks.found.wait(DEADLINE_S)
    ended = world.stop("a", drain_s=0.0)
    goes_on.set()
    ended.result(DEADLINE_S)
    assert OWN not in {thread.name for thread in threading.enumerate()}


def test_other_code_comes_to_it_there(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    assert blocks(ref) == SHARED
    new = blueprint_of(Auto, name="a", uid=world.uid("a"))
    world.runtime.exchange(new).result(DEADLINE_S)
    assert ref.where().result(DEADLINE_S) == OWN
    assert ref.note(1).result(DEADLINE_S) == [1]


def test_a_turn_that_the_loop_still_owes_it_is_given_in_its_thread(
    world: Any, blocks: Blocks
) -> None:
    ref, other = world.spawn(Auto, "a"), world.spawn(Auto, "b")
    assert blocks(ref) == SHARED
    goes_on = threading.Event()
    blocked = ref.block(goes_on)
    ref.note.tell("later")
    cell = world.runtime.directory.cells[world.uid("a")]
    world.runtime.shared.ready(cell)  # as who saw its dispatcher just before it left
    assert other.where().result(DEADLINE_S) == SHARED  # that had its turn, or none will come
    assert cell.actor.seen == []
    goes_on.set()
    assert blocked.result(DEADLINE_S) == OWN
    assert ref.note("last").result(DEADLINE_S) == ["later", "last"]


def test_a_timer_is_due_in_one_loop_only(world: Any, blocks: Blocks) -> None:
    ref = world.spawn(Auto, "a")
    ref.begin_timer(1_000).result(DEADLINE_S)
    timer = world.runtime.directory.cells[world.uid("a")].actor.timer
    former, due_s = timer._handle, timer._due_s
    assert blocks(ref) == SHARED
    assert ref.where().result(DEADLINE_S) == OWN
    assert former.cancelled()
    assert timer._handle.when() == due_s
