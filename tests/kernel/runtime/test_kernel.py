"""Kernel: actors in one process, in one thread, without a cluster."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action, signal
from zactor.kernel import Kernel
from zactor.kernel.errors import (
    ActorError,
    AlreadyExists,
    ConfigError,
    MailboxFull,
    NoSuchActor,
    NoSuchThing,
    RemoteActionError,
    TimedOut,
)
from zactor.kernel.runtime.kernel import new


class Counter(Actor):
    updateVal = signal(int)

    def __init__(self, start: int = 0) -> None:
        self.value = start

    @action
    def inc(self, by: int = 1) -> int:
        self.value += by
        self.updateVal.emit(self.value)
        return self.value

    @action
    async def later(self, value: int) -> int:
        await asyncio.sleep(0.001)
        return value


class Gui(Actor):
    inc = signal(int)

    def __init__(self) -> None:
        self.shown: list[int] = []

    @action
    def updateVal(self, value: int) -> None:
        self.shown.append(value)

    @action
    def all(self) -> list[int]:
        return self.shown


def test_the_example_of_the_interface_works() -> None:
    k = Kernel()
    k.spawn(Counter, name="c1")
    gui = k.spawn(Gui, name="g1")
    k.react_interaction("c1", "g1", "inc")
    k.react_interaction("g1", "c1", "updateVal")
    k.send_signal("g1", "inc", 1)
    k.run_until_idle()
    assert k.ask("c1", "inc", 2) == 3
    k.run_until_idle()
    assert gui.all().result() == [1, 3]
    # Not closed on purpose: a short script doesn't, and nothing may complain.


def test_the_seeds_spellings_work() -> None:
    with Kernel() as k:
        k.spawn(Counter, name="c1")
        k.spawn(Gui, name="g1")
        k.reactInteraction("c1", "g1", "inc")
        assert k.sendSignal("g1", "inc", 4) == 1
        k.runUntilIdle()
        assert k.doAction("c1", "inc", 1).result() == 5
        k.removeInteraction("c1", "g1", "inc")
        assert k.sendSignal("g1", "inc", 4) == 0


def test_there_is_no_thread_and_nothing_happens_by_itself() -> None:
    before = threading.active_count()
    with Kernel() as k:
        ref = k.spawn(Counter, name="c1")
        ref.inc.tell(5)
        reply = ref.inc(1)
        assert threading.active_count() == before
        assert not reply.done()
        assert reply.result() == 6


def test_a_thread_for_a_blocking_actor_is_waited_for() -> None:
    entered = threading.Event()

    class Blocking(Actor, dispatcher="thread"):
        done = 0

        @action
        def block(self) -> None:
            entered.set()
            self.done += 1

        @action
        def get(self) -> int:
            return self.done

    with Kernel() as k:
        ref = k.spawn(Blocking, name="b1")
        for _ in range(5):
            ref.block.tell()
        k.run_until_idle()
        assert entered.is_set()
        assert ref.get().result() == 5


def test_async_actions_and_asks_between_actors_run() -> None:
    class Asker(Actor):
        @action
        async def ask(self, count: int) -> int:
            return sum([await self.ref("c1", Counter).later(n) for n in range(count)])

    with Kernel() as k:
        k.spawn(Counter, name="c1")
        asker = k.spawn(Asker, name="a")
        assert asker.ask(4).result() == 6
        k.ref("c1").later.tell(1)
        k.run_until_idle()


def test_it_works_inside_a_running_loop_too() -> None:
    async def main() -> int:
        with Kernel() as k:
            return int(k.spawn(Counter, name="c1").inc(3).result())

    assert asyncio.run(main()) == 3


def test_what_goes_wrong_says_so() -> None:
    class Broken(Actor):
        def __init__(self) -> None:
            raise OSError("no disk")

    with Kernel() as k:
        with pytest.raises(OSError, match="no disk"):
            k.spawn(Broken, name="b1")
        k.spawn(Counter, name="b1")
        with pytest.raises(AlreadyExists):
            k.spawn(Counter, name="b1")
        with pytest.raises(ConfigError):
            k.spawn(int, name="i")  # type: ignore[type-var]
        with pytest.raises(ConfigError):
            k.spawn(Counter, name="no name")
        with pytest.raises(NoSuchActor):
            k.send_signal("nobody", "inc")
        with pytest.raises(NoSuchActor):
            k.react_interaction("b1", "nobody", "inc")
        with pytest.raises(NoSuchThing, match="no action 'dec': it has inc, later"):
            k.react_interaction("b1", "b1", "dec")
        with pytest.raises(NoSuchThing):
            k.remove_interaction("b1", "b1", "inc")


def test_a_stopped_actor_is_gone() -> None:
    stopped: list[str] = []

    class Ending(Counter):
        async def on_stop(self, reason: str) -> None:
            await asyncio.sleep(0)
            stopped.append(reason)

    with Kernel() as k:
        ref = k.spawn(Ending, name="c1")
        reply = ref.inc(1)
        k.destroy(ref)
        assert (reply.result(), stopped) == (1, ["stopped"])
        with pytest.raises(NoSuchActor):
            k.ask("c1", "inc")
        k.spawn(Counter, name="c1")
        assert k.ask("c1", "inc", 1) == 1
    assert stopped == ["stopped"]


def test_signals_to_who_is_gone_become_dead_letters() -> None:
    with Kernel() as k:
        k.spawn(Counter, name="c1")
        k.spawn(Gui, name="g1")
        k.react_interaction("c1", "g1", "inc")
        k.stop("c1")
        k.send_signal("g1", "inc", 1)
        (letter,) = k.dead_letters
        assert (letter.sender, letter.target, letter.action) == ("g1", "c1", "inc")


def test_running_ends_in_time() -> None:
    class Restless(Actor):
        @action
        async def turn(self) -> None:
            self.ref("r").turn.tell()

        @action
        async def sleep(self) -> None:
            await asyncio.sleep(3600)

    with Kernel() as k:
        ref = k.spawn(Restless, name="r")
        ref.turn.tell()
        with pytest.raises(TimedOut, match="goes on"):
            k.run_until_idle(timeout=0.02)
        k.run(0.01)
        with pytest.raises(TimedOut):
            ref.sleep.opts(timeout=0.02)().result()


def test_the_kernel_cannot_be_run_from_inside() -> None:
    class Inner(Actor):
        @action
        def block(self, reply: Any) -> Any:
            return reply().result()

        @action
        def spawn(self, k: Any) -> Any:
            k.spawn(Counter, 7, name="late")

    with Kernel() as k:
        k.spawn(Counter, name="c1")
        ref = k.spawn(Inner, name="i")
        with pytest.raises(RemoteActionError, match="await"):
            ref.block(lambda: k.ref("c1").inc(1)).result()
        ref.spawn(k).result()
        assert k.ask("late", "inc", 1) == 8
    with pytest.raises(ActorError, match="closed"):
        k.run_until_idle()


def test_wires_are_checked_by_name_too() -> None:
    with Kernel() as k:
        counter = k.spawn(new(Counter, start=1), name="c1")
        gui = k.spawn(new(Gui), name="g1")
        k.wire(counter.updateVal, gui.updateVal)
        counter.inc(1).result()
        k.run_until_idle()
        assert gui.all().result() == [2]
        with pytest.raises(NoSuchThing, match="no signal 'updateVal': it has inc"):
            k.wire(gui.updateVal, gui.updateVal)  # type: ignore[call-overload]


def test_a_full_mailbox_is_felt_by_who_sends_from_outside() -> None:
    class Small(Counter, mailbox_max=2, mailbox_policy="reject"):
        pass

    with Kernel() as k:
        ref = k.spawn(Small, name="c1")
        ref.inc.tell(1)
        ref.inc.tell(1)
        with pytest.raises(MailboxFull):
            ref.inc.tell(1)
        k.run_until_idle()
        assert k.ask("c1", "inc", 0) == 2


def test_ctrl_c_in_an_action_reaches_who_runs_the_kernel() -> None:
    class Interrupted(Actor):
        @action
        def now(self) -> None:
            raise KeyboardInterrupt

        @action
        def fine(self) -> str:
            return "fine"

    with Kernel() as k:
        k.spawn(Interrupted, name="i")
        k.spawn(Counter, name="c1")
        k.ref("i").now.tell()
        with pytest.raises(KeyboardInterrupt):
            k.run_until_idle()
        assert k.ask("c1", "inc", 1) == 1
        assert k.ask("i", "fine", timeout=DEADLINE_S) == "fine"
