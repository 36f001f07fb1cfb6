"""One actor and what the runtime keeps of it: mailbox, state, the way it handles a message.

Any thread may put a message; only the actor's dispatcher takes them out. No lock guards the
mailbox. A producer appends and then looks at `idle`; the dispatcher sets `idle` and then looks at
the mailbox: whoever comes second sees the other, and being scheduled twice does no harm. The rule a
reader must not break: `idle` may become True only in `after`, followed by that second look.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from zactor.kernel import config
from zactor.kernel.errors import MailboxFull, NotDelivered, OutcomeUnknown
from zactor.kernel.runtime import actor as actors
from zactor.kernel.runtime.mailbox import AnyMessage, Congestible, Message, Port
from zactor.kernel.runtime.refs import Reply, make_ref
from zactor.kernel.runtime.route import Route

if TYPE_CHECKING:
    from zactor.kernel.runtime.router import Blueprint
    from zactor.kernel.runtime.runtime import Runtime

_UNUSED: deque[AnyMessage] = deque(maxlen=0)  # stands for the mailbox of who has had no message
_STRIDE_MAX = 32  # messages handled between two looks at the clock

Pending = tuple[Coroutine[Any, Any, Any], AnyMessage]


class Dispatcher(Protocol):
    """What gives a cell its turns: the shared loop or a thread of its own."""

    slice_end: float  # time.perf_counter() when the present turn should end

    def ready(self, cell: Cell) -> None:
        """Give the cell a turn soon. Threads: called by any."""
        ...

    def carry(self, cell: Cell, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end; the cell has no turn meanwhile, the coroutine ends it."""
        ...

    def pause(self, cell: Cell) -> None:
        """Give the cell a turn when nothing holds it any more."""
        ...

    def nudge(self) -> None:
        """Look again at who is held. Threads: called by any."""
        ...

    def gone(self, cell: Cell) -> None:
        """The cell is down."""
        ...


class Phase(enum.Enum):
    """The life of a cell, in this order."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"  # takes no more messages, may still handle what it has
    DOWN = "down"


@dataclass(slots=True)
class Ending:
    """A stop that was asked for."""

    reason: str
    by_itself: bool = False
    at_once: bool = False  # don't handle what still waits
    futures: list[Future[None]] = field(default_factory=list)
    error: BaseException | None = None  # what on_stop raised


class Cell:
    """See the module. Public attributes are for runtime, routes and dispatchers only."""

    __slots__ = (
        "__weakref__",
        "_holds",
        "_options",
        "_owed",
        "_routes",
        "action",
        "actor",
        "attention",
        "awaited",
        "busy_since",
        "dispatcher",
        "ending",
        "handled",
        "handlers",
        "idle",
        "limit",
        "mailbox",
        "name",
        "node",
        "phase",
        "runtime",
        "task",
        "type",
        "uid",
    )

    def __init__(self, runtime: Runtime, blueprint: Blueprint) -> None:
        self.runtime = runtime
        self.name = blueprint.name
        self.uid = blueprint.uid
        self.type = blueprint.type
        self.node = runtime.node_name
        self._options = blueprint.options
        self.dispatcher: Dispatcher = runtime.shared
        self.actor: Any = None
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.mailbox = _UNUSED
        self.limit = 0  # `limit <= len(mailbox)` sends a producer to `admit`
        self.idle = False  # True: a producer must ask for a turn
        self.attention = False  # True: look at holds and ending before the next message
        self.awaited = False  # True: somebody waits for room in the mailbox
        self.handled = 0
        self.busy_since = 0.0  # time.monotonic(); 0: not known to be busy
        self.action = ""  # what an async action or a thread is busy with
        self.phase = Phase.STARTING
        self.ending: Ending | None = None
        self.task: asyncio.Task[Any] | None = None
        self._holds: list[Congestible] | None = None
        self._owed: dict[Port, int] | None = None  # credits to give back
        self._routes: dict[str, Route] | None = None

    # -- what the actor and its refs use -----------------------------------------------------
    def route(self, signal: str) -> Route:
        """Who reacts to that signal."""
        if self._routes is None:
            self._routes = {}
        route = self._routes.get(signal)
        if route is None:
            route = self._routes.setdefault(signal, Route(self.runtime, self, signal))
            self.runtime.directory.register(route)
        return route

    def ref(self, name: str, of: type[Any] | None) -> Any:
        """A Ref whose calls come from this actor."""
        return make_ref(name, self, of)

    def stop_itself(self) -> None:
        """End after the present message."""
        self.runtime.end(self, "it stopped itself", at_once=True, by_itself=True)

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        """Gateway: an ask of this actor."""
        return self.runtime.ask(actor, action, args, kwargs, timeout, self)

    def tell(
        self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Gateway: a tell of this actor."""
        self.runtime.tell(actor, action, args, kwargs, self)

    # -- messages coming in ------------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether its mailbox is full."""
        return len(self.mailbox) >= self._options.mailbox_max and self.phase is not Phase.DOWN

    def put(self, message: AnyMessage, sender: Cell | None) -> None:
        """Take a message in. Threads: any. `sender` is held where the mailbox is full.

        Raises:
            MailboxFull: it is full and its policy is to refuse the sender.
        """
        if self.limit <= len(self.mailbox):
            self.admit(message, sender)
            return
        self.mailbox.append(message)
        if self.idle:
            self.idle = False
            self.dispatcher.ready(self)

    def admit(self, message: AnyMessage, sender: Cell | None) -> None:
        """Take in or refuse a message that found the mailbox full, closed or unused."""
        options = self._options
        if self.phase in (Phase.STOPPING, Phase.DOWN):
            self.runtime.refuse(self, message, NotDelivered(f"{self.name} is stopping"))
            return
        if self.mailbox is _UNUSED:
            with self.runtime.lock:
                if self.mailbox is _UNUSED and self.phase in (Phase.STARTING, Phase.RUNNING):
                    self.mailbox = deque()
                    self.limit = options.mailbox_max  # after the mailbox: see put
            self.put(message, sender)
            return
        full = f"the mailbox of {self.name} is full: {options.mailbox_max} messages"
        if options.mailbox_policy == "reject":
            self.runtime.refuse(self, message, MailboxFull(full))
            return
        if options.mailbox_policy == "drop_newest":
            self.runtime.refuse(self, message, NotDelivered(f"{full}, the newest was dropped"))
            return
        if options.mailbox_policy == "drop_oldest":
            self._drop_oldest(f"{full}, the oldest was dropped")
        elif type(message) is tuple or message.parcel is None or message.parcel.port is None:
            # A link's messages are bounded by its credits; those from here are bounded here.
            if len(self.mailbox) >= max(options.mailbox_max, config.MAILBOX_MESSAGES_HARD):
                self.runtime.refuse(self, message, MailboxFull(full))
                return
            if sender is not None and sender is not self:
                sender.hold(self)
        self.mailbox.append(message)
        if self.idle:
            self.idle = False
            self.dispatcher.ready(self)

    def _drop_oldest(self, why: str) -> None:
        try:
            oldest = self.mailbox.popleft()
        except IndexError:  # its dispatcher took it meanwhile
            return
        self._taken(oldest)
        self.settle()
        self.runtime.refuse(self, oldest, NotDelivered(why))

    # -- a turn ------------------------------------------------------------------------------
    def turn(self) -> None:
        """Handle what is in the mailbox now, up to the end of the time slice."""
        if self.phase is Phase.STARTING:
            return
        pending = None if self.attention else self.step()
        if pending is None:
            self.after()
        else:
            self.dispatcher.carry(self, self._go_on(*pending))

    def step(self) -> Pending | None:
        """Handle messages until the turn is over, or until one has to be awaited: return that."""
        mailbox = self.mailbox
        handlers = self.handlers
        actor = self.actor
        budget = min(len(mailbox), config.TURN_MESSAGES_MAX)
        stride = 1
        while budget > 0:
            for _ in range(min(stride, budget)):
                try:
                    message = mailbox.popleft()
                except IndexError:  # drop_oldest took it, or a stop
                    return None
                self.handled += 1
                if type(message) is tuple:
                    try:
                        result = handlers[message[0]](actor, *message[1])
                    except KeyboardInterrupt:
                        raise
                    except BaseException as error:
                        self._failed(message, error)
                        result = None
                else:
                    result = self._handle(message)
                if type(result) is CoroutineType:
                    return result, message
                if self.attention:
                    return None
            budget -= stride
            if budget > 0 and time.perf_counter() >= self.dispatcher.slice_end:
                return None
            stride = min(2 * stride, _STRIDE_MAX)
        return None

    def after(self) -> None:
        """End the turn: be scheduled again, be held, be stopped or be idle."""
        if self._owed:
            self.settle()
        if self.awaited and len(self.mailbox) < self._options.mailbox_max:
            self.awaited = False
            self.runtime.nudge()
        ending = self.ending
        if self.phase is Phase.DOWN:
            self.runtime.sweep(self, "it is gone")
        elif ending is not None and (ending.at_once or not self.mailbox):
            if self.phase is Phase.STOPPING:
                self._end(ending)
            return
        elif self.attention and self.is_held():
            self.dispatcher.pause(self)
            return
        self.attention = False
        if self.mailbox:
            self.dispatcher.ready(self)
            return
        self.idle = True
        if (self.mailbox or self.ending is not ending) and self.idle:
            self.idle = False
            self.dispatcher.ready(self)

    async def _go_on(self, coroutine: Coroutine[Any, Any, Any], message: AnyMessage) -> None:
        """Await one action, then handle what follows: one task for a run of async actions."""
        self.task = asyncio.current_task()
        pending: Pending | None = (coroutine, message)
        try:
            while pending is not None:
                await self._await(*pending)
                late = time.perf_counter() >= self.dispatcher.slice_end
                pending = None if late or self.attention else self.step()
        finally:
            self.task = None
            self.after()

    async def _await(self, coroutine: Coroutine[Any, Any, Any], message: AnyMessage) -> None:
        if self._owed:
            self.settle()  # it may take long, and the peer could do with its credits
        self.action = message[0] if type(message) is tuple else message.action
        self.busy_since = time.monotonic()
        try:
            result = await coroutine
        except asyncio.CancelledError:
            # Ours, when it is stopped at once; or the action cancelled itself.
            self._interrupted(message)
        except BaseException as error:
            self._failed(message, error)
        else:
            if type(message) is not tuple and message.asker is not None:
                message.asker.set_result(result)
        finally:
            self.busy_since = 0.0

    def _handle(self, message: Message) -> Any:
        """Start one message that isn't a plain local signal; returns what must be awaited."""
        runtime = self.runtime
        args: Any = message.args
        kwargs = message.kwargs
        if message.sig:
            runtime.note_handle(message.sig, message.sender, self.name)
        if message.parcel is not None:
            self._taken(message)
            try:
                args, kwargs = message.parcel.arguments(runtime.policy)
            except BaseException as error:
                self._unreadable(message, error)
                return None
        try:
            if kwargs and self.handlers.__class__ is not dict:
                args, kwargs = actors.positional(type(self.actor), message.action, args, kwargs), {}
            result = self.handlers[message.action](self.actor, *args, **(kwargs or {}))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(message, error)
            return None
        if type(result) is CoroutineType:
            return result
        if message.asker is not None:
            message.asker.set_result(result)
        return None

    def _taken(self, message: AnyMessage) -> None:
        """Note the credit of a message from a link that left the mailbox."""
        if type(message) is not tuple and message.parcel is not None:
            port = message.parcel.port
            if port is not None and message.parcel.is_last_taken():
                if self._owed is None:
                    self._owed = {}
                self._owed[port] = self._owed.get(port, 0) + 1

    def settle(self) -> None:
        """Give the credits of handled messages back to their links."""
        owed, self._owed = self._owed, None
        for port, count in (owed or {}).items():
            port.consumed(count)

    # -- what goes wrong ---------------------------------------------------------------------
    def _failed(self, message: AnyMessage, error: BaseException) -> None:
        asker = None if type(message) is tuple else message.asker
        action = message[0] if type(message) is tuple else message.action
        failure = self.runtime.failure(self, action, error)
        if asker is not None:
            asker.set_error(failure)

    def _interrupted(self, message: AnyMessage) -> None:
        action = message[0] if type(message) is tuple else message.action
        error = OutcomeUnknown(f"{self.name} was stopped in the middle of {action}")
        if type(message) is not tuple and message.asker is not None:
            message.asker.set_error(error)

    def _unreadable(self, message: Message, error: BaseException) -> None:
        failure = self.runtime.failure(self, message.action, error)
        if message.asker is not None:
            message.asker.set_error(failure)
        else:
            self.runtime.refuse(self, message, NotDelivered(f"unreadable: {error}"), taken=True)

    # -- back-pressure -----------------------------------------------------------------------
    def hold(self, by: Congestible) -> None:
        """After this message wait until `by` is below its limit."""
        if self._holds is None:
            self._holds = []
        if by not in self._holds:
            self._holds.append(by)
            if isinstance(by, Cell):
                by.awaited = True
        self.attention = True

    def is_held(self) -> bool:
        """Whether something that this actor sent to is still congested."""
        if not self._holds:
            return False
        self._holds = [by for by in self._holds if by.congested and not self._is_ring(by)]
        for by in self._holds:
            if isinstance(by, Cell):
                by.awaited = True
        return bool(self._holds)

    def _is_ring(self, by: Congestible) -> bool:
        """Whether `by` waits for this cell in its turn: then waiting would never end."""
        seen: set[int] = set()
        ahead: list[Congestible] = [by]
        while ahead:
            other = ahead.pop()
            if other is self:
                return True
            if isinstance(other, Cell) and id(other) not in seen:
                seen.add(id(other))
                ahead += other._holds or ()
        return False

    # -- birth and end -----------------------------------------------------------------------
    def begin(self, build: Callable[[], Any], started: Future[None]) -> None:
        """Make the actor and run on_start. In the actor's own thread."""
        try:
            token = actors.BIRTH.set(self)
            try:
                actor = build()
            finally:
                actors.BIRTH.reset(token)
            if not isinstance(actor, actors.Actor):
                raise TypeError(f"{actor!r} is no Actor")
            actor.__dict__["_Actor__cell"] = self
            self.actor = actor
            self.handlers = handlers_of(type(actor))
            waiting = actor.on_start()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._stillborn(started, error)
            return
        if isinstance(waiting, Coroutine):
            self.dispatcher.carry(self, self._begin_later(waiting, started))
        else:
            self._begun(started)

    async def _begin_later(
        self, waiting: Coroutine[Any, Any, Any], started: Future[None]
    ) -> None:
        self.task = asyncio.current_task()
        self.action = "on_start"
        self.busy_since = time.monotonic()
        try:
            await waiting
        except BaseException as error:
            self._stillborn(started, error)
        else:
            self._begun(started)
        finally:
            self.task = None
            self.busy_since = 0.0

    def _begun(self, started: Future[None]) -> None:
        with self.runtime.lock:
            self.phase = Phase.RUNNING if self.ending is None else Phase.STOPPING
        self.runtime.note("actor_up", {"actor": self.name, "inc": self.uid})
        started.set_result(None)
        self.after()

    def _stillborn(self, started: Future[None], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = NotDelivered(f"{self.name} was stopped while it started")
        self._down(f"it could not start: {error}")
        started.set_exception(error)

    def _end(self, ending: Ending) -> None:
        """Run on_stop and go. In the actor's own thread, between two messages."""
        if ending.at_once:
            self.runtime.sweep(self, ending.reason)
        try:
            waiting = self.actor.on_stop(ending.reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._ended(ending, error)
            return
        if isinstance(waiting, Coroutine):
            self.dispatcher.carry(self, self._end_later(waiting, ending))
        else:
            self._ended(ending, None)

    async def _end_later(self, waiting: Coroutine[Any, Any, Any], ending: Ending) -> None:
        self.action = "on_stop"
        self.busy_since = time.monotonic()
        try:
            await waiting
        except BaseException as error:
            self._ended(ending, error)
        else:
            self._ended(ending, None)

    def _ended(self, ending: Ending, error: BaseException | None) -> None:
        ending.error = error
        if error is not None:
            self.runtime.failure(self, "on_stop", error)
        self.runtime.note("actor_down", {"actor": self.name, "inc": self.uid})
        self._down(ending.reason)

    def _down(self, reason: str) -> None:
        with self.runtime.lock:
            self.phase = Phase.DOWN
            self.limit = -1
            ending = self.ending
        self.runtime.forget(self, list((self._routes or {}).values()), reason)
        self.runtime.sweep(self, reason)
        self.dispatcher.gone(self)
        self.actor = None
        self.attention = False
        self.busy_since = 0.0
        # A producer that looked at the limit before it changed may still append: it sees that
        # the cell is idle and asks for a turn, in which the message is swept out.
        self.dispatcher = self.runtime.shared
        self.idle = True
        self.runtime.sweep(self, reason)
        for future in ending.futures if ending is not None else ():
            if ending is not None and ending.error is not None:
                future.set_exception(ending.error)
            else:
                future.set_result(None)


class _Whole(dict[str, Callable[..., Any]]):
    """The handlers of a class that overrides do_action: every name leads there."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        return lambda actor, *args: actor.do_action(name, args)


class _Handlers(dict[str, Callable[..., Any]]):
    """The handlers of a class by action; a name that isn't there says so when it is called."""

    def __init__(self, cls: type[actors.Actor]) -> None:
        super().__init__(actors.actions_of(cls))
        self._class = cls

    def __missing__(self, name: str) -> Callable[..., Any]:
        def unknown(*_: Any, **__: Any) -> None:
            actors.find_action(self._class, name)

        return unknown


def handlers_of(cls: type[actors.Actor]) -> dict[str, Callable[..., Any]]:
    """The class's actions; one mapping per class, made at its first actor."""
    found: dict[str, Callable[..., Any]] | None = cls.__dict__.get("__zactor_handlers__")
    if found is None:
        found = _Whole() if actors.takes_all(cls) else _Handlers(cls)
        cls.__zactor_handlers__ = found  # type: ignore[attr-defined]  # a cache, ours alone
    return found
