"""kernel/actors/emitted.py: what a class may emit is never refused; what it can't, is."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from zactor import Actor, action, signal
from zactor.kernel.actors.contract import contract_of
from zactor.kernel.errors import NoSuchThing


def boom_of(actor: Actor) -> None:
    actor.send_signal("boom")


def passed_on(actor: Actor) -> None:
    boom_of(actor)


def any_of(actor: Actor, name: str) -> None:
    actor.send_signal(name)


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(self: Any, *args: Any) -> Any:
        return function(self, "a session", *args)

    return inner


def bare(function: Callable[..., Any]) -> Callable[..., Any]:
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


def booms(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(self: Any) -> Any:
        self.send_signal("boom")
        return function(self)

    return inner


class Emits:
    def boom(self) -> None:
        self.send_signal("boom")  # type: ignore[attr-defined]  # of a mixin


class Descriptor:
    def __get__(self, obj: Actor | None, owner: type) -> None:
        if obj is not None:
            obj.send_signal("boom")


class Behind(Actor, Emits): ...


class Before(Emits, Actor): ...


class Heir(Behind):
    ready = signal()


class Property(Actor):
    @property
    def level(self) -> int:
        self.send_signal("boom")
        return 1


class Setter(Actor):
    @property
    def level(self) -> int:
        return 1

    @level.setter
    def level(self, level: int) -> None:
        self.send_signal("boom")


class Static(Actor):
    @staticmethod
    def send(actor: Actor) -> None:
        actor.send_signal("boom")


class OfClass(Actor):
    @classmethod
    def send(cls, actor: Actor) -> None:
        actor.sendSignal("boom")


class Partial(Actor):
    boom = functools.partialmethod(any_of, "boom")


class Cached(Actor):
    @functools.cached_property
    def level(self) -> int:
        self.send_signal("boom")
        return 1


class LruCached(Actor):
    @functools.lru_cache  # noqa: B019  # a shape like any other
    def level(self) -> int:
        self.send_signal("boom")
        return 1


class Single(Actor):
    @functools.singledispatchmethod
    def take(self, what: object) -> None:
        self.send_signal("boom")


class Described(Actor):
    level = Descriptor()


class Decorated(Actor):
    @action
    @timed
    def go(self, session: str) -> None:
        self.send_signal("boom")


class BarelyDecorated(Actor):
    @action
    @bare
    def go(self) -> None:
        self.send_signal("boom")


class ByDecorator(Actor):
    @action
    @booms
    def go(self) -> None: ...


class Managed(Actor):
    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        self.send_signal("boom")
        yield


class ByGetattr(Actor):
    @action
    def go(self) -> None:
        getattr(self, "send_signal", None)("boom")  # type: ignore[misc]


class ByAnyGetattr(Actor):
    @action
    def go(self, attribute: str) -> None:
        getattr(self, attribute)("boom")


class ByAlias(Actor):
    @action
    def go(self) -> None:
        send = self.send_signal
        send("boom")


class ByMethodOfText(Actor):
    @action
    def go(self) -> None:
        self.send_signal("boom{}".format(""))


class ByHelper(Actor):
    done = signal()

    @action
    def go(self) -> None:
        boom_of(self)


class ByHelpersHelper(Actor):
    @action
    def go(self) -> None:
        passed_on(self)


class ByHelperInLambda(Actor):
    @action
    def go(self) -> None:
        (lambda: boom_of(self))()


class ByNamingHelper(Actor):
    @action
    def go(self) -> None:
        any_of(self, "boom")


class ByThread(Actor):
    @action
    def go(self) -> None:
        threading.Thread(target=boom_of, args=(self,)).start()


class ByPartial(Actor):
    @action
    def go(self) -> None:
        functools.partial(any_of, self)("boom")


class ByTimer(Actor):
    def on_start(self) -> None:
        self.every(1.0, boom_of, self)


class ByAnotherName(Actor):
    @action
    def go(self) -> None:
        me = self
        me.others = [boom_of]  # type: ignore[attr-defined]
        for other in me.others:  # type: ignore[attr-defined]
            other(me)


class ByWhoKnowsIt(Actor):
    def __init__(self, known: list[Actor]) -> None:
        known.append(self)


@pytest.mark.parametrize(
    "cls",
    [
        *(Behind, Before, Heir, Property, Setter, Static, OfClass, Partial, Cached, LruCached),
        *(
            Single,
            Described,
            Managed,
            Decorated,
            BarelyDecorated,
            ByDecorator,
            ByGetattr,
            ByAnyGetattr,
        ),
        *(ByAlias, ByMethodOfText, ByHelper, ByHelpersHelper, ByHelperInLambda, ByNamingHelper),
        *(ByThread, ByPartial, ByTimer, ByAnotherName, ByWhoKnowsIt),
    ],
)
def test_what_a_class_may_emit_is_not_refused(cls: type[Actor]) -> None:
    contract_of(cls).check_signal("a1", "boom")


class Counts(Actor):
    """Hands itself to nobody who might send more."""

    counted = signal(int)

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.count = start

    @property
    def next(self) -> int:
        return self.count + 1

    @functools.cached_property
    def first(self) -> int:
        return self.count

    @staticmethod
    def twice(count: int) -> int:
        return 2 * count

    @classmethod
    def of_one(cls) -> Counts:
        return cls(1)

    @action
    def inc(self) -> None:
        self.count += 1
        self.counted.emit(self.count)
        self.every(1.0, self.inc)
        assert [self.count for _ in range(2)] == [(lambda: self.count)()] * 2
        print(id(self), isinstance(self, Counts), getattr(self, "count", None))


class Timed(Actor):
    @action
    @timed
    @bare
    def go(self, session: str) -> None: ...


class Helped(Actor):
    @action
    def go(self) -> None:
        boom_of(self)


@dataclass
class OfData(Actor):
    level: int = 0


@pytest.mark.parametrize("cls", [Counts, Timed, Helped, OfData])
def test_what_a_class_can_not_emit_is_refused(cls: type[Actor]) -> None:
    with pytest.raises(NoSuchThing, match="no signal 'bom'"):
        contract_of(cls).check_signal("a1", "bom")
