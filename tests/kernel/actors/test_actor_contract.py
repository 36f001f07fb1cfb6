"""The contract of an actor, once over both dispatchers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from zactor import Actor, action, signal
from zactor.kernel.actors.actor import CELL
from zactor.kernel.errors import ActorError, NoSuchAction, NotDelivered, RemoteActionError


class Counter(Actor):
    updateVal = signal(int)

    def __init__(self, start: int = 0) -> None:
        self.value = start
        self.thread = threading.get_ident()
        self.seen: list[Any] = []

    @action
    def inc(self, by: int = 1) -> int:
        self.value += by
        self.updateVal.emit(self.value)
        return self.value

    @action
    async def inc_slowly(self, by: int) -> int:
        before = self.value
        await asyncio.sleep(0.001)
        self.value = before + by
        return self.value

    @action
    def fail(self, text: str) -> None:
        raise ValueError(text)

    @action
    async def fail_slowly(self, text: str) -> None:
        await asyncio.sleep(0)
        raise KeyError(text)

    @action
    def same_thread(self) -> bool:
        return self.thread == threading.get_ident()

    @action
    def note(self, value: Any) -> None:
        self.seen.append(value)

    @action
    def notes(self) -> list[Any]:
        return self.seen

    def hidden(self) -> None:
        self.value = -1


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

    @action
    def press(self, times: int) -> None:
        for _ in range(times):
            self.inc.emit(1)


def test_an_ask_returns_what_the_action_returns(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1", 5)
    assert counter.inc(2).result() == 7
    assert counter.inc(by=3).result() == 10
    assert counter.inc().result() == 11


def test_constructor_and_actions_run_in_one_thread(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    assert counter.same_thread().result()


def test_async_actions_do_not_interleave(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    replies = [counter.inc_slowly(1) for _ in range(20)]
    assert [reply.result() for reply in replies] == list(range(1, 21))


def test_messages_of_one_sender_arrive_in_order(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    for number in range(1_000):
        counter.note.tell(number)
    assert counter.notes().result() == list(range(1_000))


def test_a_failed_action_tells_its_asker_all_and_the_actor_lives_on(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    with pytest.raises(RemoteActionError) as caught:
        counter.fail("oops").result()
    error = caught.value
    assert (error.remote_type, error.args[0]) == ("ValueError", "oops")
    assert (error.node, error.actor, error.action) == ("n1", "c1", "fail")
    assert "def fail" not in error.traceback
    assert "raise ValueError(text)" in error.traceback
    with pytest.raises(RemoteActionError, match="KeyError"):
        counter.fail_slowly("later").result()
    assert counter.inc().result() == 1


def test_only_actions_are_reachable(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    with pytest.raises(NoSuchAction, match="no action 'hidden'"):
        counter.hidden().result()
    with pytest.raises(NoSuchAction, match="no action '__init__'"):
        world.runtime.call("c1", "__init__", (), {}, None).result()
    assert counter.inc(0).result() == 0


def test_a_signal_reaches_all_that_react_to_it(world: Any, make: Any) -> None:
    counter = world.spawn(make(Counter), "c1")
    guis = [world.spawn(make(Gui), name) for name in ("g1", "g2")]
    world.runtime.connect("c1", "updateVal", ("g1", "g2"))
    counter.inc(4).result()
    counter.inc(4).result()
    assert [gui.all().result() for gui in guis] == [[4, 8], [4, 8]]


def test_an_interaction_ends_while_signals_flow(world: Any, make: Any) -> None:
    counter, gui = world.spawn(make(Counter), "c1"), world.spawn(make(Gui), "g1")
    world.runtime.connect("c1", "updateVal", ("g1",))
    counter.inc().result()
    world.runtime.connect("c1", "updateVal", ())
    counter.inc().result()
    world.runtime.connect("c1", "updateVal", ("g1",))
    counter.inc().result()
    assert gui.all().result() == [1, 3]


def test_signals_between_dispatchers_keep_their_order(world: Any, make: Any) -> None:
    gui = world.spawn(Gui, "g1")
    counter = world.spawn(make(Counter), "c1")
    world.runtime.connect("g1", "inc", ("c1",))
    world.runtime.connect("c1", "updateVal", ("g1",))
    gui.press(500).result()
    counter.inc(0).result()
    shown = gui.all().result()
    assert shown[:500] == list(range(1, 501))


def test_do_action_may_be_overridden_whole(world: Any, make: Any) -> None:
    class Whole(Counter):
        def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
            if name == "inc":
                return ("my inc", super().do_action(name, args))
            return (name, args)

    class Seed(Actor):
        def doAction(self, name: str, args: tuple[Any, ...]) -> Any:
            return f"{name}{args}"

    whole = world.spawn(make(Whole), "w")
    assert whole.inc(by=2).result() == ("my inc", 2)
    assert whole.anything(1, 2).result() == ("anything", (1, 2))
    assert world.spawn(make(Seed), "s").go(1).result() == "go(1,)"


def test_an_override_of_an_action_is_that_action(world: Any, make: Any) -> None:
    class Lazy(Counter):
        def inc(self, by: int = 1) -> int:
            return int(super().inc(by)) * 100

    assert world.spawn(make(Lazy), "c").inc(2).result() == 200


def test_the_seeds_spellings_work_inside_too(world: Any, make: Any) -> None:
    class Old(Actor):
        @action
        def go(self, value: int) -> None:
            self.sendSignal("updateVal", value)

    old, gui = world.spawn(make(Old), "o"), world.spawn(make(Gui), "g1")
    world.runtime.connect("o", "updateVal", ("g1",))
    old.go(3).result()
    assert gui.all().result() == [3]


def test_asks_between_actors_end_in_both(world: Any, make: Any) -> None:
    class Relay(Actor):
        @action
        async def ask(self, name: str, by: int) -> int:
            return int(await self.ref(name).inc(by)) + 1000

        @action
        async def who(self) -> tuple[str, str]:
            return self.name, self.node

    world.spawn(make(Counter), "c1")
    relay = world.spawn(make(Relay), "r")
    assert relay.ask("c1", 5).result() == 1005
    assert relay.who().result() == ("r", "n1")


def test_an_ask_of_nobody_is_not_delivered(world: Any) -> None:
    with pytest.raises(NotDelivered, match="no such actor: nobody"):
        world.runtime.ref("nobody").inc().result()
    world.runtime.ref("nobody").inc.tell()
    (letter,) = world.dead
    assert (letter.sender, letter.target, letter.action) == ("", "nobody", "inc")
    assert letter.node == "n1"


def test_result_on_the_shared_loop_is_refused(world: Any) -> None:
    class Blocker(Actor):
        @action
        def ask(self) -> Any:
            return self.ref("c1").inc(1).result()

    class Patient(Blocker, dispatcher="thread"):
        pass

    world.spawn(Counter, "c1")
    with pytest.raises(RemoteActionError, match="await the reply"):
        world.spawn(Blocker, "b").ask().result()
    assert world.spawn(Patient, "p").ask().result() == 2


def test_an_actor_made_by_hand_can_be_tested_alone() -> None:
    counter = Counter(3)
    assert counter.inc(2) == 5
    counter.send_signal("updateVal", 1)
    with pytest.raises(ActorError, match="made by hand"):
        counter.ref("other")


def test_an_actor_made_inside_another_is_not_that_one(world: Any, make: Any) -> None:
    class Parent(Actor):
        def __init__(self) -> None:
            self.child = Counter()
            self.name_of_child = "none" if self.child.__dict__[CELL] is None else "taken"

        @action
        def ask(self) -> tuple[str, str]:
            return self.name, self.name_of_child

    assert world.spawn(make(Parent), "p").ask().result() == ("p", "none")
