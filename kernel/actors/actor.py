"""Actor and action: what a user derives from and decorates with.

An actor object is touched by its dispatcher only, one message at a time. What the runtime keeps of
it lies in its cell, so that nothing a user names can collide with it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Protocol,
    SupportsIndex,
    TypeVar,
    overload,
)

import structlog

from zactor.kernel.actors.actor_time import ActorTime, ActorTimer
from zactor.kernel.actors.options import (
    ActorOptions,
    Dispatcher,
    MailboxPolicy,
    ProcessOptions,
)
from zactor.kernel.actors.panel import check_panel
from zactor.kernel.actors.refs import Call, Ref
from zactor.kernel.actors.reply import Reply
from zactor.kernel.actors.shapes import misspelt
from zactor.kernel.errors import ActorError, NoSuchAction
from zactor.kernel.homes import at_home
from zactor.kernel.messages.service import Service

if TYPE_CHECKING:
    from zactor.kernel.actors.emitter import Emitter
    from zactor.kernel.actors.group_message import GroupMessage
    from zactor.kernel.messages.client_sessions import MembershipMessage


A = TypeVar("A", bound="Actor")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
A2 = TypeVar("A2", bound="Actor")
P2 = ParamSpec("P2")
R2 = TypeVar("R2")


@at_home
class action(Generic[A, P, R]):  # a decorator is spelt like a function
    """Make a method reachable from outside: by refs, by signals, by the console."""

    is_reentrant = False  # of those that a former version has pickled

    @overload
    def __init__(
        self: action[A, P, T], fn: Callable[Concatenate[A, P], Coroutine[Any, Any, T]]
    ) -> None: ...
    @overload
    def __init__(self: action[A, P, R], fn: Callable[Concatenate[A, P], R]) -> None: ...
    @overload
    def __init__(self: action[Any, ..., Any], fn: None = None, *, reentrant: bool) -> None: ...
    def __init__(self, fn: Any = None, *, reentrant: bool = False) -> None:
        """With `reentrant` an ask of it is let in while another action awaits an ask of its own.

        So it can't deadlock; what it changes the other one sees when it goes on.
        """
        self.fn = fn
        self.is_reentrant = reentrant
        if fn is not None:
            self.__doc__ = fn.__doc__
            self.__wrapped__ = fn

    @overload
    def __call__(
        self, fn: Callable[Concatenate[A2, P2], Coroutine[Any, Any, T]]
    ) -> action[A2, P2, T]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[A2, P2], R2]) -> action[A2, P2, R2]: ...
    def __call__(self, fn: Any) -> Any:
        """Decorate: what `@action(reentrant=True)` does."""
        if self.fn is not None:
            raise TypeError(f"{self.fn.__name__} is an action: call it on an actor or a ref")
        return action(fn, reentrant=self.is_reentrant)

    @overload
    def __get__(self, obj: None, owner: Any) -> Call[P, R]: ...
    @overload
    def __get__(self, obj: Actor, owner: Any) -> Callable[P, Any]: ...
    def __get__(self, obj: Any, owner: Any) -> Any:
        return self if obj is None else self.fn.__get__(obj, owner)


class GroupMember(Protocol):
    """An actor as a member of groups."""

    def join(self, group: str) -> Reply[None]:
        """See Actor.join."""
        ...

    def leave(self, group: str) -> Reply[None]:
        """See Actor.leave."""
        ...

    def multicast(
        self, groups: str | Iterable[str], value: Any, service: Service, discard: bool
    ) -> Reply[None]:
        """See Actor.multicast."""
        ...


class ActorCell(Protocol):
    """What an actor object needs of whatever runs it."""

    name: str
    node: str

    def route(self, signal: str) -> Emitter[...]:
        """The way of that signal of this actor to all that react to it."""
        ...

    def ref(self, name: str, of: type[Any] | None) -> Any:
        """A Ref whose calls come from this actor."""
        ...

    def in_groups(self) -> GroupMember:
        """This actor as a member of groups."""
        ...

    def in_time(self) -> ActorTime:
        """The timers and tasks of this actor."""
        ...

    def stop_itself(self) -> None:
        """End this actor after the message that it handles now."""
        ...


CELL = "__zactor_cell__"
"""The attribute of an actor object in which its cell is: no name of a user's class can be that."""

current_cell: ContextVar[ActorCell | None] = ContextVar("zactor_current_cell", default=None)
"""The cell whose actor is being made; the first actor object made takes it."""


class _FromCell:
    """An attribute that is the cell's until the actor sets one of its own."""

    def __init__(self, attribute: str, doc: str) -> None:
        self._attribute = attribute
        self.__doc__ = doc

    def __get__(self, obj: Actor | None, owner: type[Actor]) -> str:
        value = getattr(cell_of(obj), self._attribute) if obj is not None else ""
        return str(value)


@at_home
class Actor:
    """Something that handles one message at a time. Derive from it; see `action` and `signal`."""

    name = _FromCell("name", "This actor's name in the cluster.")
    node = _FromCell("node", "The name of the node where it runs.")

    if TYPE_CHECKING:
        __zactor_options__: ClassVar[ActorOptions]
        __zactor_actions__: ClassVar[Mapping[str, Callable[..., Any]]]
        __zactor_reentrant__: ClassVar[frozenset[str]]  # names of such actions
        __zactor_whole__: ClassVar[bool]  # do_action is overridden: it takes every message

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be sent or copied, by a TypeError that says what to send instead."""
        raise TypeError(f"an actor ({type(self).__name__}) can't be sent: send self.ref(self.name)")

    def __init_subclass__(
        cls,
        *,
        dispatcher: Dispatcher | None = None,
        mailbox_max: int | None = None,
        mailbox_policy: MailboxPolicy | None = None,
        process: ProcessOptions | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        old = cls.__zactor_options__
        cls.__zactor_options__ = ActorOptions(
            dispatcher=old.dispatcher if dispatcher is None else dispatcher,
            mailbox_max=old.mailbox_max if mailbox_max is None else mailbox_max,
            mailbox_policy=old.mailbox_policy if mailbox_policy is None else mailbox_policy,
            process=old.process if process is None else process,
        )
        if "doAction" in cls.__dict__ and "do_action" not in cls.__dict__:
            cls.do_action = cls.doAction  # type: ignore[method-assign]  # as below
        cls.__zactor_whole__ = cls.do_action is not Actor.do_action
        cls.__zactor_actions__ = _actions(cls)
        cls.__zactor_reentrant__ = _reentrant(cls)
        check_panel(cls, cls.__zactor_actions__)

    if not TYPE_CHECKING:  # a checker would take the arguments of __new__ for the constructor's

        def __new__(cls, *args, **kwargs):
            if (args or kwargs) and cls.__init__ is object.__init__:
                # object.__init__ leaves this to object.__new__, which doesn't see them here.
                raise TypeError(f"{cls.__name__}() takes no arguments")
            self = super().__new__(cls)
            # Past a __setattr__ of the user's, which may need what __init__ makes.
            object.__setattr__(self, CELL, current_cell.get())
            current_cell.set(None)
            return self

    # -- hooks -------------------------------------------------------------------------------
    def on_start(self) -> Any:
        """Called before the first message; may be async. An exception: the actor didn't start."""

    def on_stop(self, reason: str) -> Any:
        """Called after the last message; may be async."""

    def on_message(self, message: GroupMessage) -> Any:
        """Called for each message to a group of this actor, or to itself; may be async."""

    def on_view(self, view: MembershipMessage) -> Any:
        """Called when a group of this actor has a new membership, or is about to lose members.

        May be async. See MembershipMessage.
        """

    def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
        """Do the action `name`. May be overridden whole: then every message comes through here.

        Raises:
            NoSuchThing: there is no such action.
        """
        return find_action(type(self), name)(self, *args)

    # -- for use inside ----------------------------------------------------------------------
    def send_signal(self, name: str, *args: Any) -> None:
        """Emit the signal `name`: every actor that reacts to it does its action of that name."""
        cell: ActorCell | None = self.__dict__.get(CELL)
        if cell is not None:  # an actor made by hand has nobody who reacts
            cell.route(name).emit(*args)

    @overload
    def ref(self, name: str) -> Any: ...
    @overload
    def ref(self, name: str, of: type[A]) -> Ref[A]: ...
    def ref(self, name: str, of: type[Any] | None = None) -> Any:
        """Return a Ref of another actor by name; with its class `of` it is checked and typed."""
        return cell_of(self).ref(name, of)

    def stop(self) -> None:
        """End this actor after the message it is handling; what waits becomes dead letters."""
        cell_of(self).stop_itself()

    def every(self, seconds: float, call: Callable[..., Any], *args: Any) -> ActorTimer:
        """Have `call(*args)` done every so many seconds, first in that time; `.cancel()` ends it.

        It is a message of this actor: one at a time, between others, awaited if it is async; when
        it raises that is a failed action, and it goes on. What is late isn't made up for. All
        timers end with the actor. Threads: any of this actor's.

        Raises:
            ConfigError: that is no time (from 0.001 s), or can't be called.
            ActorError: this actor stops, or has too many.
        """
        return cell_of(self).in_time().start_timer(seconds, call, args, again=True)

    def after(self, seconds: float, call: Callable[..., Any], *args: Any) -> ActorTimer:
        """The same as `every`, once: `self.after(10, self.stop)`."""
        return cell_of(self).in_time().start_timer(seconds, call, args, again=False)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine beside this actor's messages: `self.spawn(self.watch())`.

        It goes on while the actor is idle, with a thread of its own too; it is cancelled when the
        actor has ended. What it raises is told as a failed action is.

        Raises:
            ConfigError: it is no coroutine.
            ActorError: this actor stops, has too many, or the caller isn't in its thread.
        """
        return cell_of(self).in_time().start_task(coroutine)

    def join(self, group: str) -> Reply[None]:
        """Enter a group: `on_message` and `on_view` are called from now on.

        Awaited, it ends when this actor is a member. A restarted actor is a new member.

        Raises:
            ConfigError: that is no name of a group, or there are no groups here.
            AlreadyExists: it is in that group already.
        """
        return cell_of(self).in_groups().join(group)

    def leave(self, group: str) -> Reply[None]:
        """Leave a group. Awaited, it ends when nothing more of it will come.

        Raises:
            NoSuchThing: this actor isn't in it.
        """
        return cell_of(self).in_groups().leave(group)

    def multicast(
        self,
        groups: str | Iterable[str],
        value: Any,
        *,
        service: Service | str = Service.AGREED,
        discard: bool = False,
    ) -> Reply[None]:
        """Send a value to one group or several, of which this actor need not be a member.

        Order is that of the calls, awaited or not. Awaited, it ends when there is room for more;
        without that the actor pauses after the message it is handling.

        Args:
            groups: names, or `#session#node` for one session only: the sender of a message.
            value: what an argument of a signal may be; up to 1 MiB.
            discard: no copy for this actor itself.

        Raises:
            ConfigError: a name is wrong, or a service, or the value can't travel.
            MailboxFull: too much waits to be sent already.
        """
        level = service if isinstance(service, Service) else Service.parse(service)
        return cell_of(self).in_groups().multicast(groups, value, level, discard)

    @cached_property
    def log(self) -> Any:
        """A structlog logger that knows this actor's name and node. Another may take its place."""
        return structlog.get_logger().bind(actor=self.name, node=self.node)

    # The same in camelCase.
    def sendSignal(self, name: str, *args: Any) -> None:
        """The same as `send_signal`."""
        self.send_signal(name, *args)

    def doAction(self, name: str, args: tuple[Any, ...]) -> Any:
        """The same as `do_action`."""
        return self.do_action(name, args)

    __zactor_options__ = ActorOptions()
    __zactor_actions__ = {}  # noqa: RUF012
    __zactor_reentrant__ = frozenset()
    __zactor_whole__ = False


def options_of(cls: type[Actor]) -> ActorOptions:
    """How actors of this class are run."""
    return cls.__zactor_options__


def actions_of(cls: type[Actor]) -> Mapping[str, Callable[..., Any]]:
    """The actions of this class by name, as plain functions of an actor and its arguments."""
    return cls.__zactor_actions__


def reentrant_of(cls: type[Actor]) -> frozenset[str]:
    """The actions of this class that are let in while another awaits an ask."""
    return cls.__zactor_reentrant__


def takes_all(cls: type[Actor]) -> bool:
    """Whether the class overrides do_action, which then takes every message."""
    return cls.__zactor_whole__


def find_action(cls: type[Actor], name: str) -> Callable[..., Any]:
    """Return the action `name` of the class.

    Raises:
        NoSuchAction: it has none; says which it has.
    """
    try:
        return cls.__zactor_actions__[name]
    except KeyError:
        words = f"{cls.__name__} has no action {name!r}"
        raise NoSuchAction(misspelt(words, name, cls.__zactor_actions__)) from None


def positional(cls: type[Actor], name: str, args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return all arguments as positional ones, for an overridden do_action, which takes no others.

    Raises:
        TypeError: the action doesn't take them so.
    """
    if not kwargs:
        return tuple(args)
    bound = inspect.signature(find_action(cls, name)).bind(None, *args, **kwargs)
    if bound.kwargs:
        raise TypeError(f"{name}() takes {', '.join(bound.kwargs)} by keyword: do_action can't")
    return bound.args[1:]


def cell_of(actor: Actor) -> ActorCell:
    """What runs this actor object.

    Raises:
        ActorError: nothing does: it was made by hand.
    """
    cell: ActorCell | None = actor.__dict__.get(CELL)
    if cell is None:
        raise ActorError(
            f"this {type(actor).__name__} was made by hand: spawn it to give it a name"
        )
    return cell


def _actions(cls: type[Actor]) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, action):
                found[name] = value.fn
            elif name in found:  # an override is still the action, decorated again or not
                if callable(value):
                    found[name] = value
                else:
                    del found[name]
    return found


def _reentrant(cls: type[Actor]) -> frozenset[str]:
    """As the last decorator of each says."""
    found: dict[str, bool] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, action):
                found[name] = value.is_reentrant
    return frozenset(name for name, is_so in found.items() if is_so and name in actions_of(cls))


Handler = Callable[..., Any]


def handler_of(actor: Actor, name: str) -> Handler:
    """What does the action `name`; where there is none it raises NoSuchThing when called."""
    cls = type(actor)
    if takes_all(cls):

        def whole(*args: Any, **kwargs: Any) -> Any:
            return actor.do_action(name, positional(cls, name, args, kwargs))

        return whole
    function = actions_of(cls).get(name)
    if function is not None:
        bound: Handler = function.__get__(actor, cls)
        return bound

    def unknown(*_: Any, **__: Any) -> None:
        find_action(cls, name)

    return unknown
