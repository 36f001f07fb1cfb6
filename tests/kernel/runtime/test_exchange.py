"""Exchange: other code for an actor that runs, over all dispatchers: what is kept, what fails."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action, signal
from zactor.kernel import limits
from zactor.kernel.errors import (
    ActorError,
    ConfigError,
    NoSuchAction,
    NoSuchActor,
    NotDelivered,
    RemoteActionError,
    TimedOut,
)
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.exchange import ExchangeOutcome
from zactor.kernel.runtime.posix_spawn import ChildProcess

EXCHANGES = 4


class Source(Actor):
    """Emits 200 or 1,000 numbers a second until it is told to end."""

    take = signal(str, int)

    def __init__(self) -> None:
        self.number = 0

    @action
    def begin(self, at_once: int) -> None:
        self.at_once = at_once
        self.timer = self.every(0.005, self.emit)

    def emit(self) -> None:
        for _ in range(self.at_once):
            self.take.emit(self.name, self.number)
            self.number += 1

    @action
    def end(self) -> int:
        self.timer.cancel()
        return self.number


def fail_where(fails: str, version: int, name: str) -> None:
    if name == fails:
        raise ValueError(f"{name} of {version}")


def counting(version: int, *, on: str, fails: str = "", hooks: bool = True) -> type[Actor]:
    """A class of that version; `fails` names what of it raises."""

    maybe = partial(fail_where, fails, version)

    class Base(Actor, dispatcher=on):  # type: ignore[call-arg]
        def __init__(self) -> None:
            maybe("__init__")
            self.seen: list[Any] = []
            self.version = version
            self.starts = 0
            self.ticks = 0

        def on_start(self) -> None:
            self.starts += 1
            self.every(0.002, self.tick)
            maybe("on_start")
            if self.starts > 1:
                maybe("on_start again")

        def on_stop(self, reason: str) -> None:
            maybe("on_stop")

        def tick(self) -> None:
            self.ticks += 1

        @action
        def take(self, sender: str, number: int) -> None:
            self.seen.append((sender, number))

        @action
        def told(self) -> tuple[int, int, list[Any]]:
            return self.version, self.starts, self.seen

        @action
        def counted(self) -> int:
            return len(self.seen)

        @action
        def ticked(self) -> tuple[int, int]:
            return self.version, self.ticks

        @action
        async def hold(self, s: float) -> int:
            await asyncio.sleep(s)
            return self.version

    if not hooks:
        return Base

    class Counting(Base):
        async def state(self) -> list[Any]:
            maybe("state")
            return self.seen

        async def restore(self, seen: list[Any]) -> None:
            maybe("restore")
            self.seen = seen

    return Counting


@pytest.fixture(params=["shared", "thread", "process"])
def on(request: pytest.FixtureRequest) -> str:
    """The dispatcher."""
    return str(request.param)


def exchange(world: Any, name: str, cls: type[Any]) -> Future[ExchangeOutcome]:
    blueprint = blueprint_of(cls, name=name, uid=world.uid(name))
    found: Future[ExchangeOutcome] = world.runtime.exchange(blueprint)
    return found


def exchanged(world: Any, name: str, cls: type[Any]) -> ExchangeOutcome:
    return exchange(world, name, cls).result(DEADLINE_S)


def holding(world: Any, ref: Any, until: Any, s: float) -> Any:
    """Have an action go on for so long, and return its reply when it has begun."""
    reply = ref.hold(s)
    until(lambda: world.row("c")["action"] == "hold")
    return reply


def counted(ref: Any) -> int:
    found: int = ref.counted().result(DEADLINE_S)
    return found


def told(ref: Any) -> Any:
    return ref.told().result(DEADLINE_S)


def test_under_load_no_signal_is_lost_or_comes_twice_or_out_of_order(
    worlds: Any, until: Any, on: str
) -> None:
    one, other = worlds.pair()
    ref = one.spawn(counting(0, on=on), "c")
    sources = [one.spawn(Source, "near"), other.spawn(Source, "far")]
    worlds.introduce(one, "c", other)
    one.runtime.connect("near", "take", ("c",))
    other.runtime.connect("far", "take", ("c",))
    for source in sources:  # a process takes one by one, also on a busy machine
        source.begin(1 if on == "process" else 5).result(DEADLINE_S)
    for version in range(1, EXCHANGES + 1):
        before = counted(ref)
        assert exchanged(one, "c", counting(version, on=on)).remark == ""
        until(lambda before=before: counted(ref) > before)
    assert told(ref)[:2] == (EXCHANGES, 1)
    counts = [source.end().result(DEADLINE_S) for source in sources]
    until(lambda: counted(ref) >= sum(counts))
    seen = told(ref)[2]
    for name, count in zip(("near", "far"), counts, strict=True):
        assert [number for sender, number in seen if sender == name] == list(range(count))
    assert (one.dead, other.dead, one.ended) == ([], [], [])


def test_what_is_in_progress_ends_first_and_asks_that_wait_are_answered_by_the_new_code(
    world: Any, make: Any, until: Any
) -> None:
    on = make(Actor).__zactor_options__.dispatcher
    ref = world.spawn(counting(0, on=on), "c")
    held = holding(world, ref, until, 0.2)
    done = exchange(world, "c", counting(1, on=on))
    waiting = [ref.told() for _ in range(3)]
    assert held.result(DEADLINE_S) == 0
    assert [reply.result(DEADLINE_S)[0] for reply in waiting] == [1, 1, 1]
    done.result(DEADLINE_S)


@pytest.mark.parametrize("fails", ["state", "__init__", "restore", "on_start"])
def test_where_the_new_code_fails_the_former_goes_on(
    world: Any, until: Any, on: str, fails: str
) -> None:
    ref = world.spawn(counting(0, on=on, fails=fails if fails == "state" else ""), "c")
    ref.take.tell("me", 1)
    with pytest.raises(RemoteActionError, match=f"{fails} of ") as caught:
        exchanged(world, "c", counting(1, on=on, fails=fails))
    assert (caught.value.remote_type, caught.value.action) == ("ValueError", fails)
    assert caught.value.actor in ("c", "")
    version, starts, seen = told(ref)
    assert (version, seen) == (0, [("me", 1)])
    # A process has no object that could begin again: there it is made anew.
    assert starts == (2 if fails == "on_start" and on != "process" else 1)
    before = ref.ticked().result(DEADLINE_S)[1]
    until(lambda: ref.ticked().result(DEADLINE_S) > (0, before))
    assert (world.ended, world.dead) == ([], [])
    if fails != "state":
        exchanged(world, "c", counting(2, on=on))
        assert told(ref)[::2] == (2, [("me", 1)])


def test_a_runtime_that_ends_waits_for_a_process_that_takes_its_time_to_die(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose code wasn't wanted: else its socket and its output stay open in a closed loop."""
    world.spawn(counting(0, on="process", fails="state"), "c")
    (former,) = world.runtime.orphans._leaders
    has_exited = ChildProcess.has_exited
    looks = 0

    def slowly(process: ChildProcess) -> bool:
        nonlocal looks
        looks += process.pid != former
        return (process.pid == former or looks > 60) and has_exited(process)

    monkeypatch.setattr(ChildProcess, "has_exited", slowly)
    with pytest.raises(RemoteActionError, match="state of "):
        exchanged(world, "c", counting(1, on="process"))
    leaders = list(world.runtime.orphans._leaders.values())
    assert len(leaders) == 2
    world.runtime.close()
    assert looks > 60
    assert None not in [each.returncode for each in leaders]


def test_where_neither_code_can_begin_the_actor_ends_and_says_so(world: Any, make: Any) -> None:
    on = make(Actor).__zactor_options__.dispatcher
    crashed: list[str] = []
    world.runtime._crashed = lambda blueprint, reason: crashed.append(reason)
    world.spawn(counting(0, on=on, fails="on_start again"), "c")
    with pytest.raises(ActorError, match="c has ended: its new code didn't start"):
        exchanged(world, "c", counting(1, on=on, fails="on_start"))
    assert crashed
    assert "its former code not again (ValueError: on_start again of 0)" in crashed[0]


def test_a_farewell_that_raises_is_told_and_is_no_reason_to_stay(world: Any, on: str) -> None:
    ref = world.spawn(counting(0, on=on, fails="on_stop"), "c")
    remark = exchanged(world, "c", counting(1, on=on)).remark
    assert remark.startswith("on_stop of its former code: ")
    assert "on_stop of 0" in remark
    assert told(ref)[0] == 1


def test_timers_of_the_former_code_end_and_those_of_the_new_begin(
    world: Any, until: Any, make: Any
) -> None:
    on = make(Actor).__zactor_options__.dispatcher
    first: list[Any] = []

    class First(counting(0, on=on)):  # type: ignore[misc]
        def on_start(self) -> None:
            first.append(self)
            super().on_start()

    ref = world.spawn(First, "c")
    until(lambda: ref.ticked().result(DEADLINE_S)[1] > 2)
    exchanged(world, "c", counting(1, on=on))
    ticks = first[0].ticks
    until(lambda: ref.ticked().result(DEADLINE_S)[1] > 2)
    assert first[0].ticks == ticks


def test_an_action_that_goes_on_keeps_its_code_and_says_so(
    world: Any, make: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = make(Actor).__zactor_options__.dispatcher
    monkeypatch.setattr(limits, "EXCHANGE_WAIT_S", 0.05)
    ref = world.spawn(counting(0, on=on), "c")
    held = holding(world, ref, until, 0.5)
    with pytest.raises(TimedOut, match="c has its former code still: its hold goes on"):
        exchanged(world, "c", counting(1, on=on))
    assert held.result(DEADLINE_S) == 0
    assert told(ref)[0] == 0
    exchanged(world, "c", counting(2, on=on))
    assert told(ref)[0] == 2


def test_a_hook_that_does_not_end_is_given_up(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXCHANGE_HOOK_S", 0.05)

    class Stuck(counting(1, on="shared")):  # type: ignore[misc]
        async def restore(self, seen: list[Any]) -> None:
            await asyncio.sleep(DEADLINE_S)

    ref = world.spawn(counting(0, on="shared"), "c")
    with pytest.raises(TimedOut, match=r"restore of c took over 0.05 s"):
        exchanged(world, "c", Stuck)
    assert told(ref)[0] == 0


def test_who_is_destroyed_meanwhile_has_no_other_code(world: Any, until: Any) -> None:
    begun = threading.Event()

    class Slow(counting(1, on="shared")):  # type: ignore[misc]
        async def restore(self, seen: list[Any]) -> None:
            begun.set()
            await asyncio.sleep(DEADLINE_S)

    world.spawn(counting(0, on="shared"), "c")
    done = exchange(world, "c", Slow)
    assert begun.wait(DEADLINE_S)
    world.stop("c", 0).result(DEADLINE_S)
    with pytest.raises(ActorError):
        done.result(DEADLINE_S)

    ref = world.spawn(counting(0, on="shared"), "d")
    held = ref.hold(DEADLINE_S)
    until(lambda: world.row("d")["action"] == "hold")
    done = exchange(world, "d", counting(1, on="shared"))
    world.stop("d", 0).result(DEADLINE_S)
    with pytest.raises(NotDelivered, match="d has ended"):
        done.result(DEADLINE_S)
    with pytest.raises(ActorError):
        held.result(DEADLINE_S)
    with pytest.raises(NoSuchActor):
        exchanged(world, "d", counting(2, on="shared"))


def test_what_can_not_go_over_is_refused(world: Any, on: str) -> None:
    ref = world.spawn(counting(0, on=on), "c")
    with pytest.raises(ActorError, match=r"c has state\(\) and restore\(\), and Base as it is now"):
        exchanged(world, "c", counting(1, on=on, hooks=False))
    other = "thread" if on != "thread" else "shared"
    with pytest.raises(ConfigError, match=f"dispatcher='{on}', and its new code wants '{other}'"):
        exchanged(world, "c", counting(1, on=other))
    assert told(ref)[0] == 0


def test_without_hooks_the_arguments_make_the_actor_and_unknown_messages_say_so(
    world: Any, make: Any
) -> None:
    class Bare(Actor):
        @action
        def only(self) -> str:
            return "new"

    ref = world.spawn(make(counting(0, on="shared", hooks=False)), "c")
    exchanged(world, "c", make(Bare))
    assert ref.only().result(DEADLINE_S) == "new"
    with pytest.raises(NoSuchAction, match="Bare has no action 'told'"):
        told(ref)


class Held(Actor, dispatcher="thread", mailbox_max=2):
    """Handles nothing until it is let."""

    def __init__(self, go: threading.Event, begun: threading.Event) -> None:
        self.go, self.begun = go, begun

    @action
    def out(self, number: int) -> None:
        self.begun.set()
        assert self.go.wait(DEADLINE_S)


def pushing(on: str) -> type[Actor]:
    class Pushing(Actor, dispatcher=on):  # type: ignore[call-arg]
        out = signal(int)

        @action
        def push(self) -> None:
            self.out.emit(1)

    return Pushing


def test_who_is_muted_gets_its_new_code_and_stays_muted(world: Any, make: Any, until: Any) -> None:
    on = make(Actor).__zactor_options__.dispatcher
    go, begun = threading.Event(), threading.Event()
    ref = world.spawn(pushing(on), "c")
    world.spawn(Held, "held", go, begun)
    world.runtime.connect("c", "out", ("held",))
    for _ in range(20):
        ref.push.tell()
    assert begun.wait(DEADLINE_S)
    until(lambda: world.row("held")["mailbox"] >= 2)
    full = world.row("held")["mailbox"]
    exchanged(world, "c", pushing(on))
    for _ in range(50):
        threading.Event().wait(0.002)  # in which it would handle all the others
        assert world.row("held")["mailbox"] == full
    go.set()
    until(lambda: world.row("held")["handled"] == 20)
