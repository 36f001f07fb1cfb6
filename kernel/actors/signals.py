"""Signals as a class shows them: `updateVal = signal(int)`, `self.updateVal.emit(3)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from zactor.kernel.actors.actor import Actor
from zactor.kernel.errors import MailboxFull
from zactor.kernel.homes import at_home

if TYPE_CHECKING:
    from zactor.kernel.runtime.route import Route

P = ParamSpec("P")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


@at_home
class SignalPort(Generic[P]):
    """A signal seen from outside, as a type checker sees `ref.updateVal`: an end of a wire."""


@at_home
class Emitter(Generic[P]):
    """A signal of one actor object."""

    __slots__ = ("_route",)

    def __init__(self, route: Route | None) -> None:
        self._route = route

    if TYPE_CHECKING:

        def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
            """Send the signal: every actor that reacts to it does its action of that name.

            Raises:
                MailboxFull: a queue on the way is full and its policy is to refuse; all others
                    have it.
                ConfigError: the arguments can't travel to another node; nobody has it.
            """

    else:

        def emit(self, *args):  # no **kwargs: that would cost a dict for every signal
            route = self._route
            if route is None:  # an actor made by hand has nobody who reacts
                return
            cells = route.cells
            if cells is None:
                route.send(args)
                return
            message = (route.action, args, route.emitter)
            refused = None
            for cell in cells:
                if cell.limit <= len(cell.mailbox):  # full, closed or never used
                    try:
                        cell.admit(message, route.cell)
                    except MailboxFull as error:  # the others must have theirs, as in Route.send
                        refused = str(error) if refused is None else f"{refused}; {error}"
                else:
                    cell.mailbox.append(message)
                    if cell.idle:
                        cell.idle = False
                        cell.dispatcher.ready(cell)
            if refused is not None:
                raise MailboxFull(refused)


@at_home
class signal(Generic[P]):  # used like a function
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
        cell = getattr(obj, "_Actor__cell", None)
        if cell is None:
            return Emitter(None)
        # No __set__: from now on the instance's own attribute is found first, at a dict's cost.
        emitter: Emitter[Any] = Emitter(cell.route(self.name))
        obj.__dict__[self.name] = emitter
        return emitter
