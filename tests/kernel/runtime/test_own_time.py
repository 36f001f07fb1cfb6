"""Own time: timers and tasks of an actor, over both dispatchers; how they begin, fail and end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, ActorError, ConfigError, action


class Clock(Actor):
    """Counts what its own time does."""

    def __init__(self) -> None:
        self.ticks = 0
        self.order: list[str] = []
        self.cancelled = threading.Event()

    async def on_start(self) -> None:
        self.timer = self.every(0.002, self.tick)
        asyncio.get_running_loop().create_task(self.beside())
        self.spawn(self.lasting())

    async def beside(self) -> None:
        await asyncio.sleep(0.002)
        self.order.append("beside")

    async def lasting(self) -> None:
        try:
            await asyncio.sleep(DEADLINE_S)
        finally:
            self.cancelled.set()

    def tick(self, by: int = 1) -> None:
        self.ticks += by

    @action
    def seen(self) -> tuple[int, list[str]]:
        return self.ticks, self.order

    @action
    def still(self) -> int:
        self.timer.cancel()
        self.timer.cancel()
        return self.ticks

    @action
    def later(self, delay_s: float, by: int) -> None:
        self.after(delay_s, self.tick, by)

    @action
    async def busy(self) -> tuple[int, int]:
        before = self.ticks
        await asyncio.sleep(0.05)
        return before, self.ticks

    @action
    def me(self) -> Clock:
        return self

    @action
    def wrong(self, how: str) -> Any:
        if how == "no coroutine":
            return self.spawn(self.tick)  # type: ignore[arg-type]
        if how == "no call":
            return self.every(1, "tick")  # type: ignore[arg-type]
        return self.every(float(how), self.tick)


class Failing(Actor):
    def on_start(self) -> None:
        self.after(0, self.fail)
        self.spawn(self.fail_too())

    def fail(self) -> None:
        raise ValueError("a timer's")

    async def fail_too(self) -> None:
        raise ValueError("a task's")

    @action
    def fine(self) -> str:
        return "fine"


def test_timers_and_tasks_go_on_while_the_actor_is_idle(world: Any, make: Any, until: Any) -> None:
    ref = world.spawn(make(Clock), "c")
    until(lambda: ref.seen().result(DEADLINE_S)[0] > 3)
    until(lambda: ref.seen().result(DEADLINE_S)[1] == ["beside"])
    last = ref.still().result(DEADLINE_S)
    ref.later(0.01, 1_000).result(DEADLINE_S)
    until(lambda: ref.seen().result(DEADLINE_S)[0] == last + 1_000)


def test_a_timer_is_a_message_among_others(world: Any, make: Any) -> None:
    ref = world.spawn(make(Clock), "c")
    before, after = ref.busy().result(DEADLINE_S)
    assert before == after, "a timer's call came into an action that awaited"


def test_what_is_late_is_not_made_up_for(world: Any, make: Any) -> None:
    class Blocked(Clock):
        @action
        def block(self) -> int:
            time.sleep(0.1)  # what the test is about
            return self.ticks

    ref = world.spawn(make(Blocked), "c")
    before = ref.block().result(DEADLINE_S)
    assert ref.seen().result(DEADLINE_S)[0] <= before + 10


def test_they_end_with_their_actor(world: Any, make: Any, until: Any) -> None:
    ref = world.spawn(make(Clock), "c")
    actor = ref.me().result(DEADLINE_S)
    until(lambda: ref.seen().result(DEADLINE_S)[0] > 0)
    world.stop("c", 0).result(DEADLINE_S)
    assert actor.cancelled.wait(DEADLINE_S)
    ticks = actor.ticks
    time.sleep(0.02)  # ten periods
    assert actor.ticks == ticks
    assert world.dead == []
    with pytest.raises(ActorError, match="ended"):
        actor.every(1, actor.tick)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no coroutine", "is no coroutine"),
        ("no call", "can't be called"),
        ("0", "is no time for a timer"),
        ("-1", "is no time for a timer"),
        ("nan", "is no time for a timer"),
        ("inf", "is no time for a timer"),
    ],
)
def test_what_is_no_timer_is_refused(world: Any, make: Any, how: str, said: str) -> None:
    ref = world.spawn(make(Clock), "c")
    with pytest.raises(Exception, match=said):
        ref.wrong(how).result(DEADLINE_S)


def test_one_made_by_hand_has_no_time() -> None:
    with pytest.raises(ActorError, match="made by hand"):
        Clock().every(1, print)
    assert issubclass(ConfigError, Exception)


def test_what_they_raise_is_a_failed_action(worlds: Any, make: Any, until: Any) -> None:
    world = worlds()
    told: list[tuple[str, str, str]] = []
    world.runtime.outcomes._failed = lambda actor, what, error, _: told.append((actor, what, error))
    ref = world.spawn(make(Failing), "f")
    until(lambda: len(told) == 2)
    assert sorted(told) == [
        ("f", "fail", "ValueError: a timer's"),
        ("f", "fail_too", "ValueError: a task's"),
    ]
    assert ref.fine().result(DEADLINE_S) == "fine"
