"""What actors may raise and do to their loop: it fails them, and nobody else."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action
from zactor.kernel import limits
from zactor.kernel.errors import (
    ActorError,
    NoSuchAction,
    OutcomeUnknown,
    RemoteActionError,
    to_wire,
)
from zactor.kernel.runtime import dispatcher, loop_end
from zactor.kernel.runtime.kernel import Kernel
from zactor.kernel.wire import payload


class Mute(Exception):
    """Can't be shown."""

    def __str__(self) -> str:
        raise self

    __repr__ = __str__

    @property
    def __notes__(self) -> list[str]:
        raise self


class MuteUnknown(NoSuchAction):
    __str__ = Mute.__str__


RAISED = {
    "Ctrl-C": KeyboardInterrupt,
    "exit": SystemExit,
    "mute": Mute,
    "group": lambda: BaseExceptionGroup("many", [KeyboardInterrupt(), Mute()]),
    "surrogate": lambda: ValueError("\udcff"),
    "stop": StopIteration,
}


def error_of(kind: str) -> BaseException:
    return RAISED[kind]()  # type: ignore[no-any-return,operator]


class Unpicklable:
    def __reduce__(self) -> Any:
        raise SystemExit


class Hostile(Actor):
    def __init__(self, at: str = "", kind: str = "") -> None:
        self.at = at
        self.kind = kind
        if at == "init":
            raise error_of(kind)

    def on_start(self) -> None:
        if self.at == "start":
            raise error_of(self.kind)

    def on_stop(self, reason: str) -> None:
        if self.at == "stop":
            raise error_of(self.kind)

    @action
    def now(self, kind: str) -> None:
        raise error_of(kind)

    @action
    async def later(self, kind: str) -> None:
        await asyncio.sleep(0)
        raise error_of(kind)

    @action
    def unknown(self) -> None:
        raise MuteUnknown

    @action
    def unpicklable(self) -> Any:
        return Unpicklable()

    @action
    async def exit_in_a_task(self) -> str:
        asyncio.get_running_loop().call_soon(sys.exit)
        task = asyncio.create_task(self._exit())
        await asyncio.wait({task})
        assert isinstance(task.exception(), SystemExit)
        return "still here"

    async def _exit(self) -> None:
        sys.exit()

    @action
    async def stop_the_loop(self) -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
        return "still here"

    @action
    def fine(self) -> str:
        return "fine"


class AsyncHostile(Hostile):
    async def on_start(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().on_start()

    async def on_stop(self, reason: str) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().on_stop(reason)


class Logged:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, event: str, **_: Any) -> None:
        self.lines.append(("error", event))

    critical = error


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    logged = Logged()
    monkeypatch.setattr(loop_end, "log", logged)
    monkeypatch.setattr(dispatcher, "log", logged)
    return logged


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("when", ["now", "later"])
def test_whatever_an_action_raises_only_that_action_failed(
    world: Any, make: Any, kind: str, when: str
) -> None:
    other = world.spawn(Hostile, "other")
    ref = world.spawn(make(Hostile), "h")
    with pytest.raises(RemoteActionError) as caught:
        getattr(ref, when)(kind).result(DEADLINE_S)
    for text in to_wire(caught.value)[2].values():
        text.encode()
    getattr(ref, when).tell(kind)
    assert ref.fine().result(DEADLINE_S) == "fine"
    assert other.fine().result(DEADLINE_S) == "fine"


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("at", ["init", "start", "stop"])
@pytest.mark.parametrize("cls", [Hostile, AsyncHostile])
def test_whatever_a_hook_raises_ends_only_its_actor_and_can_be_shown(
    world: Any, make: Any, kind: str, at: str, cls: type[Actor]
) -> None:
    other = world.spawn(Hostile, "other")
    future = world.begin(make(cls), "h", at, kind)
    if at == "stop":
        future.result(DEADLINE_S)
        future = world.stop("h")

    async def wait() -> None:
        await asyncio.wait_for(asyncio.wrap_future(future), 5)

    with pytest.raises(Exception) as caught:  # noqa: PT011  # each raises another
        asyncio.run(wait())
    assert not isinstance(caught.value, TimeoutError)
    f"{caught.value}{caught.value!r}".encode()
    assert [row["name"] for row in world.runtime.look()] == ["other"]
    assert other.fine().result(DEADLINE_S) == "fine"


def test_an_unknown_action_without_a_text_is_told_to_its_asker(world: Any, make: Any) -> None:
    ref = world.spawn(make(Hostile), "h")
    with pytest.raises(NoSuchAction, match="can't be had"):
        ref.unknown().result(DEADLINE_S)


def test_a_result_that_cannot_be_pickled_ends_the_ask(worlds: Any, make: Any, until: Any) -> None:
    one, other = worlds.pair()
    ref = other.spawn(make(Hostile), "h")
    worlds.introduce(other, "h", one)
    with pytest.raises(RemoteActionError, match="SystemExit"):
        one.runtime.ref("h").unpicklable().result(DEADLINE_S)
    outcomes: list[Any] = []
    other.runtime.request("h", "unpicklable", payload.encode((), {}), outcomes.append)
    until(lambda: outcomes)
    assert "SystemExit" in outcomes[0].message
    assert ref.fine().result(DEADLINE_S) == "fine"


@pytest.mark.parametrize("what", ["exit_in_a_task", "stop_the_loop"])
def test_an_actor_cannot_end_the_loop(world: Any, make: Any, logged: Logged, what: str) -> None:
    other = world.spawn(Hostile, "other")
    ref = world.spawn(make(Hostile), "h")
    assert getattr(ref, what)().result(DEADLINE_S) == "still here"
    assert ref.fine().result(DEADLINE_S) == "fine"
    assert other.fine().result(DEADLINE_S) == "fine"
    if what == "exit_in_a_task":
        assert logged.lines.count(("error", "task_failed")) == 2


def test_a_loop_that_ended_early_is_logged(world: Any, logged: Logged) -> None:
    world.spawn(Hostile, "h").stop_the_loop().result(DEADLINE_S)
    assert logged.lines == [("error", "actors_loop_ended")]


def test_ctrl_c_where_the_loop_is_driven_ends_the_ask_and_reaches_who_drives() -> None:
    with Kernel() as k:
        ref = k.spawn(Hostile, name="h")
        for when in ("now", "later"):
            reply = getattr(ref, when)("Ctrl-C")
            with pytest.raises(KeyboardInterrupt):
                reply.result()
            with pytest.raises(OutcomeUnknown):
                reply.result()
        with pytest.raises(RemoteActionError):
            ref.now("exit").result()
        assert ref.fine().result() == "fine"


@pytest.mark.parametrize("cls", [Hostile, AsyncHostile])
def test_ctrl_c_in_a_hook_leaves_no_half_actor(cls: type[Actor]) -> None:
    with Kernel() as k:
        with pytest.raises(KeyboardInterrupt):
            k.spawn(cls, "start", "Ctrl-C", name="h")
        k.spawn(cls, "stop", "Ctrl-C", name="h")
        with pytest.raises(KeyboardInterrupt):
            k.stop("h")
        assert k.spawn(cls, name="h").fine().result() == "fine"


def test_ctrl_c_in_an_actor_of_its_own_thread_is_only_its_failure() -> None:
    class Own(Hostile, dispatcher="thread"):
        pass

    with Kernel() as k:
        ref = k.spawn(Own, name="h")
        with pytest.raises(RemoteActionError, match="KeyboardInterrupt"):
            ref.now("Ctrl-C").result()
        assert ref.fine().result() == "fine"


def test_arguments_for_a_constructor_that_takes_none_are_refused(world: Any, make: Any) -> None:
    class Bare(Actor):
        pass

    class Born(Actor):
        def __new__(cls, size: int) -> Any:
            self = super().__new__(cls)
            self.__dict__["size"] = size
            return self

        @action
        def grow(self) -> int:
            return int(self.__dict__["size"]) + 1

    for args, kwargs in (((1,), {}), ((), {"z": 1})):
        with pytest.raises(TypeError, match=r"Bare\(\) takes no arguments"):
            world.begin(make(Bare), "b", *args, **kwargs).result(DEADLINE_S)
    world.spawn(make(Bare), "b")
    assert world.spawn(make(Born), "c", 2).grow().result(DEADLINE_S) == 3


class Inventor(Actor):
    @action
    def emit_names(self, count: int) -> None:
        for number in range(count):
            self.send_signal(f"s{number}")


def test_an_actor_has_so_many_signals_by_name_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OWN_SIGNALS_MAX", 3)
    with Kernel() as k:
        inventor = k.spawn(Inventor, name="i1")
        inventor.emit_names(3).result()
        with pytest.raises(RemoteActionError, match="i1 has sent 3 signals by other names"):
            inventor.emit_names(4).result()
        with pytest.raises(ActorError, match="by other names"):
            k.send_signal("i1", "another")
        inventor.emit_names(3).result()
