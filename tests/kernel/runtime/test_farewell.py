"""A stop has an end: whatever on_stop does, and whatever blocks when a drain is over."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest
from deadlines import DEADLINE_S, join
from slowness import Slowness

from zactor import Actor, action
from zactor.kernel import limits
from zactor.kernel.errors import NotDelivered, OutcomeUnknown, TimedOut
from zactor.kernel.runtime.kernel import Kernel


class Clinging(Actor):
    """Its on_stop ends only when it is cancelled, or not even then."""

    def __init__(self, entered: threading.Event, freed: threading.Event, *, deaf: bool) -> None:
        self.entered = entered
        self.freed = freed
        self.deaf = deaf

    async def on_stop(self, reason: str) -> None:
        self.entered.set()
        while not self.freed.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                if not self.deaf:
                    self.freed.set()
                    raise


class Blocking(Actor):
    """Its on_stop blocks; it may be async in name only."""

    def __init__(self, entered: threading.Event, freed: threading.Event, *, named: bool) -> None:
        self.entered = entered
        self.freed = freed
        self.named = named

    def on_stop(self, reason: str) -> Any:
        return self.later() if self.named else self.block()

    async def later(self) -> None:
        self.block()

    def block(self) -> None:
        self.entered.set()
        assert self.freed.wait(DEADLINE_S)

    @action
    def fine(self) -> str:
        return "fine"


@pytest.fixture
def events() -> Any:
    entered, freed = threading.Event(), threading.Event()
    yield entered, freed
    freed.set()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STOP_HOOK_S", 0.05)
    monkeypatch.setattr(limits, "STOP_CANCEL_S", 0.05)
    monkeypatch.setattr(limits, "WATCH_PERIOD_S", 0.01)


@pytest.fixture
def hasty(short: None, worlds: Any) -> Any:
    return worlds()


@pytest.mark.parametrize("drain_s", [None, 0, 0.01])
def test_an_async_on_stop_that_takes_too_long_is_cancelled(
    hasty: Any, make: Any, events: Any, drain_s: float | None
) -> None:
    hasty.spawn(make(Clinging), "c", *events, deaf=False)
    with pytest.raises(TimedOut, match=r"on_stop of c took over 0.05 s and was cancelled"):
        hasty.stop("c", drain_s).result(DEADLINE_S)
    assert events[1].is_set(), "it was cancelled"
    assert hasty.runtime.look() == []


def test_an_on_stop_that_takes_no_cancellation_goes_on_without_its_actor(
    hasty: Any, make: Any, events: Any
) -> None:
    entered, freed = events
    hasty.spawn(make(Clinging), "c", *events, deaf=True)
    with pytest.raises(TimedOut, match="can't be cancelled: the actor is gone"):
        hasty.stop("c").result(DEADLINE_S)
    assert not freed.is_set()
    assert hasty.runtime.look() == []
    assert hasty.stop("c").result(DEADLINE_S) is None
    hasty.spawn(make(Clinging), "c2", entered, freed, deaf=True)
    with pytest.raises(NotDelivered):
        hasty.runtime.ref("c").anything().result(DEADLINE_S)


@pytest.mark.parametrize("named", [False, True])
def test_a_stop_ends_though_on_stop_blocks(hasty: Any, make: Any, events: Any, named: bool) -> None:
    entered, freed = events
    hasty.spawn(make(Blocking), "b", *events, named=named)
    first = hasty.stop("b")
    assert entered.wait(DEADLINE_S)
    with pytest.raises(TimedOut, match="can't be cancelled: the actor is gone"):
        first.result(DEADLINE_S)
    assert hasty.runtime.look() == []
    freed.set()
    other = hasty.spawn(make(Blocking), "b2", *events, named=named)
    assert other.fine().result(DEADLINE_S) == "fine"


def test_a_second_stop_at_once_cuts_on_stop_off(world: Any, make: Any, events: Any) -> None:
    entered, freed = events
    world.spawn(make(Clinging), "c", *events, deaf=False)
    first = world.stop("c", 0)
    assert entered.wait(DEADLINE_S)
    second = world.stop("c", 0)
    with pytest.raises(OutcomeUnknown, match="another stop said at once"):
        first.result(DEADLINE_S)
    # For the second it may be over before it is asked for: then there is nothing to tell.
    assert isinstance(second.exception(5), OutcomeUnknown | None)
    assert freed.wait(DEADLINE_S)


def test_the_end_of_the_node_does_not_cut_a_farewell_short(
    worlds: Any, make: Any, events: Any
) -> None:
    entered, freed = events
    world = worlds()
    world.spawn(make(Clinging), "c", *events, deaf=False)
    stopped = world.stop("c")
    assert entered.wait(DEADLINE_S)
    closer = threading.Thread(target=world.close)
    closer.start()
    with pytest.raises(TimeoutError):
        stopped.result(0.05)
    freed.set()
    assert stopped.result(DEADLINE_S) is None
    join(closer)


def test_who_gives_up_waiting_for_a_stop_changes_nothing(world: Any, make: Any) -> None:
    entered, freed = threading.Event(), threading.Event()
    world.spawn(make(Clinging), "c", entered, freed, deaf=True)
    first, second = world.stop("c"), world.stop("c")
    assert entered.wait(DEADLINE_S)
    first.cancel()
    freed.set()
    assert second.result(DEADLINE_S) is None
    assert world.runtime.look() == []


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_has_an_end_where_the_loop_is_driven(make: Any, events: Any, deaf: bool) -> None:
    with Kernel() as k:
        k.spawn(make(Clinging), *events, deaf=deaf, name="c")
        with pytest.raises(TimedOut):
            k.stop("c")
        events[1].set()


@pytest.mark.usefixtures("short")
def test_closing_a_kernel_waits_for_no_deaf_task(slowness: Slowness) -> None:
    begun: list[asyncio.Task[None]] = []

    class Leaving(Actor):
        @action
        async def leave_a_task(self) -> None:
            begun.append(asyncio.create_task(self.deaf()))
            await asyncio.sleep(0)

        async def deaf(self) -> None:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)

    k = Kernel()
    k.spawn(Leaving, name="l").leave_a_task().result()
    begin = time.monotonic()
    k.close()
    assert slowness.quiet_s(time.monotonic() - begin) < 4
    begun[0].get_coro().close()  # type: ignore[union-attr]


@pytest.mark.parametrize("blocker", ["itself", "another"])
def test_a_drain_that_is_over_is_noticed_before_the_next_message(
    world: Any, make: Any, until: Any, blocker: str
) -> None:
    """Its timer is late: something blocks the loop that it runs on."""
    entered, opened = threading.Event(), threading.Event()
    done: list[int] = []

    class Blocked(Actor):
        @action
        def block(self) -> None:
            entered.set()
            opened.wait(DEADLINE_S)

        @action
        def count(self, number: int) -> None:
            done.append(number)

    ref = world.spawn(make(Blocked), "b")
    if blocker == "another":
        hog = world.spawn(Blocked, "hog")
        hog.block.tell()
        assert entered.wait(DEADLINE_S)
        entered.clear()
    ref.block.tell()
    later = [ref.count(number) for number in range(500)]
    if blocker == "itself":
        assert entered.wait(DEADLINE_S)
    stopped = world.stop("b", 0.02)
    over = time.monotonic() + 0.02
    until(lambda: time.monotonic() > over)
    opened.set()
    assert stopped.result(DEADLINE_S) is None
    assert done == []
    for reply in later:
        with pytest.raises(NotDelivered):
            reply.result(DEADLINE_S)


def test_a_drain_goes_on_while_there_is_time(world: Any, make: Any) -> None:
    entered, opened = threading.Event(), threading.Event()

    class Busy(Actor):
        @action
        def block(self) -> None:
            entered.set()
            opened.wait(DEADLINE_S)

        @action
        async def slow(self, number: int) -> int:
            await asyncio.sleep(0)
            return number

        @action
        def count(self, number: int) -> int:
            return number

    ref = world.spawn(make(Busy), "b")
    ref.block.tell()
    assert entered.wait(DEADLINE_S)
    replies = [ref.slow(n) if n % 3 else ref.count(n) for n in range(500)]
    stopped = world.stop("b", 30)
    opened.set()
    assert [reply.result(DEADLINE_S) for reply in replies] == list(range(500))
    stopped.result(DEADLINE_S)
