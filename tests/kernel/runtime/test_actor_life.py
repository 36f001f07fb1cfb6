"""How actors begin and end, and what becomes of what waits for them; over both dispatchers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action
from zactor.kernel.errors import NotDelivered, OutcomeUnknown, TimedOut


class Gate(Actor):
    """Holds whoever calls it until it is opened from outside."""

    def __init__(self, entered: threading.Event, opened: threading.Event) -> None:
        self.entered = entered
        self.opened = opened
        self.done: list[int] = []

    @action
    async def wait(self, number: int) -> int:
        self.entered.set()
        while not self.opened.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.001)
        self.done.append(number)
        return number

    @action
    def number(self, number: int) -> int:
        self.done.append(number)
        return number


@pytest.fixture
def gate(world: Any, make: Any) -> Any:
    entered, opened = threading.Event(), threading.Event()
    ref = world.spawn(make(Gate), "gate", entered, opened)
    yield ref, entered, opened
    opened.set()


def test_hooks_run_sync_or_async_and_in_order(world: Any, make: Any) -> None:
    story: list[str] = []

    class Story(Actor):
        def __init__(self) -> None:
            story.append("init")

        async def on_start(self) -> None:
            await asyncio.sleep(0)
            story.append("start")

        async def on_stop(self, reason: str) -> None:
            await asyncio.sleep(0)
            story.append(f"stop: {reason}")

        @action
        def say(self) -> None:
            story.append("say")

    future = world.begin(make(Story), "s1")
    world.runtime.ref("s1").say.tell()  # waits in the mailbox until on_start is done
    future.result()
    world.stop("s1").result()
    assert story == ["init", "start", "say", "stop: destroyed"]


def test_what_construction_raises_is_what_spawn_ends_with(world: Any, make: Any) -> None:
    class Broken(Actor):
        def __init__(self, how: str) -> None:
            if how == "init":
                raise OSError("no such device")

        async def on_start(self) -> None:
            raise LookupError("no such table")

    with pytest.raises(OSError, match="no such device"):
        world.begin(make(Broken), "b1", "init").result()
    with pytest.raises(LookupError, match="no such table"):
        world.begin(make(Broken), "b2", "start").result()
    with pytest.raises(NotDelivered):
        world.runtime.ref("b2").anything().result()


def test_what_waits_for_an_actor_that_never_started_is_told(
    world: Any, make: Any, until: Any
) -> None:
    entered, opened = threading.Event(), threading.Event()

    class Late(Actor):
        async def on_start(self) -> None:
            entered.set()
            while not opened.is_set():  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.001)
            raise RuntimeError("late")

    future = world.begin(make(Late), "late")
    assert entered.wait(DEADLINE_S)
    reply = world.runtime.ref("late").anything()
    world.runtime.ref("late").something.tell()
    opened.set()
    with pytest.raises(RuntimeError, match="late"):
        future.result()
    with pytest.raises(NotDelivered, match="could not start"):
        reply.result(DEADLINE_S)
    until(lambda: [letter.action for letter in world.dead] == ["something"])


def test_a_stop_lets_the_actor_finish_its_work(world: Any, gate: Any) -> None:
    ref, entered, opened = gate
    replies = [ref.wait(1), ref.number(2), ref.number(3)]
    assert entered.wait(DEADLINE_S)
    stopped = world.stop("gate", None)
    with pytest.raises(NotDelivered, match="is stopping"):
        ref.number(4).result(DEADLINE_S)
    assert not stopped.done()
    opened.set()
    stopped.result(DEADLINE_S)
    assert [reply.result(DEADLINE_S) for reply in replies] == [1, 2, 3]


def test_a_stop_at_once_waits_in_no_mailbox(world: Any, gate: Any) -> None:
    ref, entered, _ = gate
    first, waiting = ref.wait(1), ref.number(2)
    ref.number.tell(3)
    assert entered.wait(DEADLINE_S)
    world.stop("gate", 0).result(DEADLINE_S)
    with pytest.raises(OutcomeUnknown, match="in the middle of wait"):
        first.result(DEADLINE_S)
    with pytest.raises(NotDelivered, match="destroyed"):
        waiting.result(DEADLINE_S)
    (letter,) = world.dead
    assert (letter.target, letter.action, letter.reason) == ("gate", "number", "destroyed")
    assert world.runtime.look() == []


def test_a_stop_at_once_does_not_wait_for_an_action_that_blocks(world: Any) -> None:
    entered, opened = threading.Event(), threading.Event()

    class Blocked(Actor, dispatcher="thread"):
        @action
        def block(self) -> str:
            entered.set()
            opened.wait(DEADLINE_S)
            return "done"

    ref = world.spawn(Blocked, "b")
    first, waiting = ref.block(), ref.block()
    assert entered.wait(DEADLINE_S)
    stopped = world.stop("b", 0)
    with pytest.raises(NotDelivered):
        waiting.result(DEADLINE_S)
    assert not stopped.done()
    opened.set()
    stopped.result(DEADLINE_S)
    assert first.result(DEADLINE_S) == "done"


def test_a_drain_ends_when_its_time_is_over(world: Any, gate: Any) -> None:
    ref, entered, _ = gate
    first, waiting = ref.wait(1), ref.number(2)
    assert entered.wait(DEADLINE_S)
    world.stop("gate", 0.02).result(DEADLINE_S)
    with pytest.raises(OutcomeUnknown):
        first.result(DEADLINE_S)
    with pytest.raises(NotDelivered):
        waiting.result(DEADLINE_S)


def test_an_actor_may_stop_itself(world: Any, make: Any, until: Any) -> None:
    class Quitter(Actor):
        @action
        def quit(self) -> str:
            self.stop()
            return "bye"

    ref = world.spawn(make(Quitter), "q")
    assert ref.quit().result() == "bye"
    until(lambda: world.ended == [("q", "it stopped itself")])
    with pytest.raises(NotDelivered):
        ref.quit().result()


def test_what_on_stop_raises_is_what_stop_ends_with(world: Any, make: Any) -> None:
    class Sore(Actor):
        def on_stop(self, reason: str) -> None:
            raise RuntimeError("not now")

    world.spawn(make(Sore), "s")
    with pytest.raises(RuntimeError, match="not now"):
        world.stop("s").result(DEADLINE_S)
    assert world.runtime.look() == []
    assert world.stop("s").result(DEADLINE_S) is None


def test_an_ask_ends_with_timed_out(world: Any, gate: Any) -> None:
    ref, entered, _ = gate
    with pytest.raises(TimedOut, match=r"gate\.wait"):
        ref.wait.opts(timeout=0.01)(1).result()
    assert entered.wait(DEADLINE_S)
    reply = ref.number(2)
    with pytest.raises(TimedOut):
        reply.result(0.01)
    world.stop("gate", 0).result(DEADLINE_S)
    with pytest.raises(NotDelivered):
        reply.result(DEADLINE_S)
