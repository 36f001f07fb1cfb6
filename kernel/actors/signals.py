"""Signals as a class shows them: `updateVal = signal(int)`, `self.updateVal.emit(3)`."""

from __future__ import annotations

from typing import Any, Generic, ParamSpec, TypeVar, overload

from zactor.kernel.actors.actor import CELL, Actor, ActorCell
from zactor.kernel.actors.emitter import Declared, Emitter
from zactor.kernel.homes import at_home

P = ParamSpec("P")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


@at_home
class SignalPort(Generic[P]):
    """A signal seen from outside, as a type checker sees `ref.updateVal`: an end of a wire."""


@at_home
class signal(Declared, Generic[P]):  # used like a function
    """Declare a signal by the types of its arguments: `updateVal = signal(int)`."""

    @overload
    def __init__(self: signal[[]]) -> None: ...
    @overload
    def __init__(self: signal[[T1]], a: type[T1], /) -> None: ...
    @overload
    def __init__(self: signal[[T1, T2]], a: type[T1], b: type[T2], /) -> None: ...
    @overload
    def __init__(self: signal[[T1, T2, T3]], a: type[T1], b: type[T2], c: type[T3], /) -> None: ...
    @overload
    def __init__(
        self: signal[[T1, T2, T3, T4]], a: type[T1], b: type[T2], c: type[T3], d: type[T4], /
    ) -> None: ...
    def __init__(self, *payload: Any) -> None:
        self.payload = payload
        self.name = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: None, owner: Any) -> SignalPort[P]: ...
    @overload
    def __get__(self, obj: Actor, owner: Any) -> Emitter[P]: ...
    def __get__(self, obj: Any, owner: Any) -> Any:
        if obj is None:
            return self
        cell: ActorCell | None = obj.__dict__.get(CELL)
        if cell is None:
            return Emitter()
        # No __set__: from now on the instance's own attribute is found first, at a dict's cost.
        emitter = cell.route(self.name)
        obj.__dict__[self.name] = emitter
        return emitter
