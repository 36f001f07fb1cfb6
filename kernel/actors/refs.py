"""Refs: what stands for an actor elsewhere, by its name, and the Calls of its actions.

A Ref is a name and a gateway: whoever can carry calls to actors (an actor's cell, a Kernel, a
client of a cluster) is a gateway, so the same Ref serves them all. Refs travel by name and take the
gateway of the place where they are unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import ConfigError, NotReachable
from zactor.kernel.homes import at_home

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Gateway(Protocol):
    """Whoever carries calls to actors. Threads: both methods may be called by any thread."""

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        """Send an ask and return its Reply at once. Must not raise but for unfit arguments."""
        ...

    def tell(self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Send a message that nobody answers."""
        ...


GATEWAY: ContextVar[Gateway | None] = ContextVar("zactor_gateway", default=None)
"""The gateway that refs take when they are unpickled here; in an actor's code its own cell."""


@contextmanager
def gateway_here(gateway: Gateway) -> Iterator[None]:
    """Within the block refs that are unpickled take `gateway`."""
    token = GATEWAY.set(gateway)
    try:
        yield
    finally:
        GATEWAY.reset(token)


@at_home
class Call(Generic[P, R]):
    """One action of one actor, ready to be called: `ref.inc`."""

    __slots__ = ("_action", "_ref", "_timeout")

    def __init__(self, ref: _Ref, action: str, timeout: float | None = None) -> None:
        self._ref = ref
        self._action = action
        self._timeout = timeout

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Reply[R]:
        """Ask: returns at once with the Reply."""
        ref = self._ref
        return ref._gateway.call(ref.name, self._action, args, kwargs, self._timeout)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Send without waiting for an answer.

        Raises:
            MailboxFull: a queue on the way is full and its policy is to refuse.
        """
        ref = self._ref
        ref._gateway.tell(ref.name, self._action, args, kwargs)

    def opts(self, *, timeout: float | None = None) -> Call[P, R]:
        """The same call, but an ask ends with TimedOut after `timeout` seconds."""
        return Call(self._ref, self._action, timeout)

    def __repr__(self) -> str:
        return f"<Call {self._ref.name}.{self._action}>"


class _Ref:
    """An actor by name. Its actions are its attributes: `ref.inc(5)`, `ref.inc.tell(5)`."""

    __slots__ = ("_class", "_gateway", "name")

    def __init__(self, name: str, gateway: Gateway, of: type[Any] | None = None) -> None:
        """Args: `of` is the actor's class where known: attributes it lacks are then refused."""
        self.name = name
        self._gateway = gateway
        self._class = of

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
            raise AttributeError(f"{name!r} is no name of an action")  # no frame could hold it
        if self._class is not None and not hasattr(self._class, name):
            known = self._class.__name__
            raise AttributeError(f"{self.name} is a {known}, which has no action {name!r}")
        return Call(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle_ref, (self.name,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ref) and other.name == self.name

    def __hash__(self) -> int:
        return hash((_Ref, self.name))

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"


@at_home
class _Unbound:
    """The gateway of a ref that was unpickled outside of any."""

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        raise self._error(actor)

    def tell(self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise self._error(actor)

    @staticmethod
    def _error(actor: str) -> NotReachable:
        return NotReachable(f"the ref of {actor} was unpickled outside of any cluster: ask for one")


@at_home
def _unpickle_ref(name: str) -> _Ref:
    return _Ref(name, GATEWAY.get() or _Unbound())


def make_ref(name: str, gateway: Gateway, of: type[Any] | None = None) -> Any:
    """A Ref of the actor `name` whose calls go through `gateway`; `of` is its class if known."""
    return _Ref(name, gateway, of)


def target_of(call: Any) -> tuple[str, str]:
    """The actor and the action (or signal) that an attribute of a Ref stands for.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(call, Call):
        return call._ref.name, call._action
    raise ConfigError(f"{call!r} is no action and no signal of a ref")


if TYPE_CHECKING:
    # To a type checker a Ref of a class is that class itself: there its actions are Calls and its
    # signals Ports, since `action` and `signal` are descriptors. No plugin is needed for that.
    Ref = type[T]
else:
    Ref = at_home(_Ref, "Ref")
