"""Cell: one actor and what the runtime keeps of it: mailbox, state, how it handles a message.

Any thread may put a message; only the actor's dispatcher takes them out. No lock guards the
mailbox. A producer appends and then looks at `idle`; the dispatcher sets `idle` and then looks at
the mailbox: whoever comes second sees the other, and being scheduled twice does no harm. The rule a
reader must not break: `idle` may become True only in `after`, followed by that second look.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any, Protocol

from zactor.kernel import limits
from zactor.kernel.actors.actor import Handler, actions_of, handler_of, reentrant_of
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.actors.refs import make_ref
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import ActorError, MailboxFull, NotDelivered
from zactor.kernel.runtime import exchange as exchanges
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.askers import AwaitedAsk
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.dispatcher import Dispatcher
from zactor.kernel.runtime.envelope import (
    AnyEnvelope,
    ArrivedSignal,
    Asker,
    Envelope,
    PeerPort,
    SharedPayload,
)
from zactor.kernel.runtime.full_mailbox import when_full
from zactor.kernel.runtime.group_member import Member
from zactor.kernel.runtime.lifecycle import Ending, LifeHost, Phase
from zactor.kernel.runtime.own_time import OwnTime
from zactor.kernel.runtime.reentrant_asks import ReentrantAsks
from zactor.kernel.runtime.route import Route, RouteHost

_UNUSED: deque[AnyEnvelope] = deque(maxlen=0)  # stands for the mailbox of who has had no message
_STRIDE_MAX = 32  # messages handled between two looks at the clock

_NO_TURNS = (Phase.STARTING, Phase.LEAVING)
_CLOSED = (Phase.STOPPING, Phase.LEAVING, Phase.DOWN)

Pending = tuple[Coroutine[Any, Any, Any], AnyEnvelope]


class CellHost(LifeHost, RouteHost, Protocol):
    """What all cells of a runtime share, and who does for them what needs all the others."""

    node_name: str

    def wait_begins(self, cell: Cell) -> None:
        """An action of it waits for an ask, and nobody looks who waits for whom."""
        ...

    @property
    def closed(self) -> bool:
        """Whether all actors end, and their tasks are cancelled."""
        ...

    def ask(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        sender: Sender | None,
    ) -> Reply[Any]:
        """Ask an actor, wherever it is."""
        ...

    def tell(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sender: Sender | None,
    ) -> None:
        """Send an actor a message that nobody answers."""
        ...

    def make_member(self, cell: Cell) -> Member:
        """Make it a member of groups.

        Raises:
            ConfigError: there are no groups here.
            ActorError: it has stopped.
        """
        ...

    def unmute(self) -> None:
        """Somebody's mailbox has room again: look at who waits for that."""
        ...

    def forget(self, cell: Cell, reason: str) -> None:
        """The cell is down."""
        ...


class Cell(Sender):
    """See the module. Public attributes are for runtime, routes and dispatchers only."""

    route_of: type[Route] = Route  # what its ways are
    waits_apart: AwaitedAsk | None = None  # for what its action waits in a process of its own
    reentrant_apart: frozenset[str] = frozenset()  # such actions of a class that is there only

    __slots__ = (
        "__weakref__",
        "_owed",
        "_routes",
        "action",
        "actor",
        "beside",
        "busy_since",
        "carried",
        "dispatcher",
        "door_bytes",
        "ending",
        "exchange",
        "handled",
        "handlers",
        "host",
        "idle",
        "is_told",
        "limit",
        "mailbox",
        "member",
        "node",
        "options",
        "own_time",
        "phase",
        "raised",
        "serving",
        "task",
        "type",
        "waits_for",
        "worked_s",
    )

    def __init__(self, host: CellHost, blueprint: Blueprint) -> None:
        super().__init__(blueprint.name, blueprint.uid)
        self.host = host
        self.type = blueprint.type
        self.node = host.node_name
        self.options = blueprint.options
        self.dispatcher: Dispatcher = host.shared
        self.actor: Any = None
        self.handlers: dict[str, Handler] = {}  # bound when they are first needed
        self.mailbox = _UNUSED
        self.limit = 0  # `limit <= len(mailbox)` sends a producer to `admit`
        self.idle = False  # True: a producer must ask for a turn
        self.carried = False  # True: an async action has the turn
        self.door_bytes = 0  # of clients' messages in the mailbox
        self.handled = 0  # messages, as of the last turn
        self.raised = 0  # actions that raised
        self.worked_s = 0.0  # in its turns; what it awaited is not in it
        self.busy_since = 0.0  # time.monotonic(); 0: not known to be busy
        self.action = ""  # what an async action or a thread is busy with
        self.phase = Phase.STARTING
        self.ending: Ending | None = None
        self.exchange: exchanges.Exchange | None = None  # that was asked for, or is under way
        self.task: asyncio.Task[Any] | None = None
        self._owed: dict[PeerPort, int] | None = None  # credits to give back
        self.member: Member | None = None  # its session, once it has one
        self.own_time: OwnTime | None = None  # its timers and tasks, once it has some
        self._routes: dict[str, Route] | None = None
        self.beside: ReentrantAsks | None = None  # once one was let in
        self.serving: Asker | None = None  # whose ask is being handled
        # That its action waits for, where a thread of it blocks, or where others may be let in.
        self.waits_for: Reply[Any] | None = None
        self.is_told = True  # of its waits; False while AskCycles looks by itself, see there

    # -- what the actor and its refs use -----------------------------------------------------
    def route(self, signal: str) -> Route:
        """The way of that signal to all that react to it.

        Raises:
            ActorError: it is one too many.
        """
        if self._routes is None:
            self._routes = {}
        route = self._routes.get(signal)
        if route is None:
            if len(self._routes) >= limits.OWN_SIGNALS_MAX:
                raise ActorError(f"{self.name} has sent {len(self._routes)} signals by other names")
            route = self._routes.setdefault(signal, self.route_of(self.host, self, signal))
            self.host.directory.register(route)
        return route

    def routes(self) -> list[Route]:
        """All ways out of it that were ever used."""
        return list(self._routes.values()) if self._routes is not None else []

    def ref(self, name: str, of: type[Any] | None) -> Any:
        """A Ref whose calls come from this actor."""
        return make_ref(name, self, of)

    def in_groups(self) -> Member:
        """This actor as a member of groups.

        Raises:
            ConfigError: there are no groups here.
            ActorError: it has stopped.
        """
        if self.member is None or self.phase is Phase.DOWN:
            return self.host.make_member(self)
        return self.member

    def in_time(self) -> OwnTime:
        """Its timers and tasks.

        Raises:
            ActorError: it has stopped.
        """
        if self.phase is Phase.DOWN:
            raise ActorError(f"{self.name} has ended: nothing of its own begins any more")
        if self.own_time is None:
            self.own_time = OwnTime(self)
        return self.own_time

    def task_failed(self, what: str, error: BaseException) -> None:
        """A task of its own raised: told as if an action had."""
        self.host.outcomes.failure(self, what, error)

    def stop_itself(self) -> None:
        """End after the present message."""
        lifecycle.request_end(self, "it stopped itself", at_once=True, by_itself=True)

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        """Gateway: an ask of this actor."""
        return self.host.ask(actor, action, args, kwargs, timeout, self)

    def tell(self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Gateway: a tell of this actor."""
        self.host.tell(actor, action, args, kwargs, self)

    # -- asks of its own, see WaitWatch ------------------------------------------------------
    def waits(self, reply: Reply[Any], task: asyncio.Task[Any] | None, *, blocks: bool) -> None:
        """Its action waits for it, unless it is some other task that does."""
        if self.waits_for is not None:
            return
        own_task = self.task
        if own_task is not None:
            if task is not own_task:
                return
        elif not (self.dispatcher.is_own_thread() and self.dispatcher.is_busy_with(self)):
            return
        lets_in = bool(reentrant_of(type(self.actor)))
        if blocks or lets_in:
            self.waits_for = reply
        self.is_told = lets_in  # before somebody looks, who may say otherwise
        self.host.wait_begins(self)
        if lets_in and not blocks:
            for message in list(self.mailbox):
                self.let_in(message)

    def let_in(self, message: AnyEnvelope) -> None:
        """Take an ask out of the mailbox and handle it beside the action that waits. Own thread."""
        if self.beside is None:
            self.beside = ReentrantAsks(self)
        self.beside.let_in(message)

    # -- messages coming in ------------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether its mailbox is full."""
        return len(self.mailbox) >= self.options.mailbox_max and self.phase is not Phase.DOWN

    def accept(self, message: AnyEnvelope, sender: Sender | None) -> None:
        """Take in a message from this node. Threads: any.

        Raises:
            MailboxFull: it is full and its policy is to refuse the sender.
        """
        if not isinstance(message, tuple):
            if message.sig:
                self.host.outcomes.trace_accept(message.sig, message.sender, self.name)
            if message.shared_payload is not None and not self._has_room(message.shared_payload):
                full = (
                    f"the mailbox of {self.name} is full:"
                    f" {limits.MAILBOX_DOOR_BYTES_MAX >> 20} MiB of clients' messages"
                )
                return self.host.outcomes.refuse(self, message, MailboxFull(full))
        self.put(message, sender)

    def put(self, message: AnyEnvelope, sender: Sender | None) -> None:
        """Take a message in. Threads: any. `sender` is muted where the mailbox is full.

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

    def _has_room(self, payload: SharedPayload) -> bool:
        """Count a message from the door; return whether there is room for it."""
        with self.host.lock:
            self.door_bytes += payload.door_bytes
            most = max(limits.MAILBOX_DOOR_BYTES_MAX, payload.door_bytes)  # one may be longer
            return self.door_bytes <= most

    def left(self, payload: SharedPayload) -> None:
        """A message from the door is in the mailbox no more. Threads: any."""
        with self.host.lock:
            self.door_bytes -= payload.door_bytes

    def admit(self, message: AnyEnvelope, sender: Sender | None) -> None:
        """Take in or refuse a message that found the mailbox full, closed or unused."""
        options = self.options
        refuse = self.host.outcomes.refuse
        if self.phase in _CLOSED:
            return refuse(self, message, NotDelivered(f"{self.name} is stopping"), away=True)
        if self.limit == 0:  # nothing was put yet, or what some nodes sent goes back to them
            if self.host.outcomes.goes_back(self, message):
                return refuse(self, message, NotDelivered(f"{self.name} was away"), away=True)
            with self.host.lock:
                if self.phase in (Phase.STARTING, Phase.RUNNING):
                    if self.mailbox is _UNUSED:
                        self.mailbox = deque()
                    if not self.host.outcomes.due_back.concerns(self.name):
                        self.limit = options.mailbox_max  # after the mailbox: see put
            if self.limit != 0:
                return self.put(message, sender)
        if (waiting := len(self.mailbox)) >= options.mailbox_max:
            found = when_full(self.name, options, waiting)
            if found.refused is not None:
                return refuse(self, message, found.refused)
            if found.drops:
                self._drop_oldest(found.drops)
            elif sender is not None and sender is not self:  # others are slowed by their credits
                sender.mute_until(self)
        self.mailbox.append(message)
        if self.idle:
            self.idle = False
            self.dispatcher.ready(self)

    def _drop_oldest(self, why: str) -> None:
        try:
            oldest = self.mailbox.popleft()
        except IndexError:  # its dispatcher took it meanwhile
            return
        self.host.outcomes.refuse(self, oldest, NotDelivered(why))

    # -- a turn ------------------------------------------------------------------------------
    def turn(self) -> None:
        """Handle what is in the mailbox now, up to the end of the time slice."""
        if self.carried or self.phase in _NO_TURNS:
            return
        pending = None if self.attention or self.phase is Phase.DOWN else self.step()
        if pending is None:
            self.after()
        else:
            self.carried = True
            self.dispatcher.carry(self, self._go_on(*pending))

    def step(self) -> Pending | None:
        """Handle messages until the turn is over, or until one has to be awaited: return that."""
        mailbox = self.mailbox
        handlers = self.handlers
        budget = min(len(mailbox), limits.TURN_MESSAGES_MAX)
        if self.ending is not None:  # a drain may be over after any message
            budget = 0 if self.ending.is_over() else min(budget, 1)
        stride = 1
        count = 0  # a local is counted faster than an attribute
        try:
            while budget > 0:
                for _ in range(min(stride, budget)):
                    try:
                        message = mailbox.popleft()
                    except IndexError:  # drop_oldest took it, or a stop
                        return None
                    count += 1
                    if isinstance(message, tuple):
                        try:
                            try:
                                handler = handlers[message[0]]
                            except KeyError:
                                handler = self._bind(message[0])
                            result = handler(*message[1])
                        except BaseException as error:
                            self.host.outcomes.fail(self, message, error)
                            result = None
                    else:
                        result = self.start(message)
                    if type(result) is CoroutineType:
                        return result, message
                    if self.attention:
                        return None
                budget -= stride
                if budget > 0 and time.perf_counter() >= self.dispatcher.slice_end:
                    return None
                stride = min(2 * stride, _STRIDE_MAX)
            return None
        finally:
            self.handled += count

    def after(self) -> None:
        """End the turn: be scheduled again, be muted, be stopped or be idle."""
        if self._owed:
            self.settle()
        if self.awaited and len(self.mailbox) < self.options.mailbox_max:
            self.awaited = False
            self.host.unmute()
        ending = self.ending
        if ending is not None and not ending.at_once and ending.is_over():
            # The timer of the drain is late: something blocks the loop that it runs on.
            lifecycle.request_end(self, ending.reason, at_once=True)
        if self.phase is Phase.DOWN:
            self.host.outcomes.sweep(self, "it is gone")
        elif ending is not None and (ending.at_once or not self.mailbox):
            if self.phase is Phase.STOPPING:
                lifecycle.end(self, ending)
            return
        elif self.attention:
            self.attention = False  # before it is looked why: who asks for it says why first
            if self.exchange is not None and exchanges.begin(self):
                return
            if self.is_muted():
                self.attention = True
                self.dispatcher.pause(self)
                return
        if self.mailbox:
            self.dispatcher.ready(self)
            return
        self.idle = True
        if (self.mailbox or self.ending is not ending) and self.idle:
            self.idle = False
            self.dispatcher.ready(self)

    async def _go_on(self, coroutine: Coroutine[Any, Any, Any], message: AnyEnvelope) -> None:
        """Await one action, then handle what follows: one task for a run of async actions."""
        pending: Pending | None = (coroutine, message)
        try:
            while pending is not None:
                await self._await(*pending)
                late = time.perf_counter() >= self.dispatcher.slice_end
                pending = None if late or self.attention else self.step()
        finally:
            self.carried = False
            self.after()

    async def _await(self, coroutine: Coroutine[Any, Any, Any], message: AnyEnvelope) -> None:
        if self._owed:
            self.settle()  # it may take long, and the peer could do with its credits
        action = message[0] if isinstance(message, tuple) else message.action
        if self.ending is not None and self.ending.at_once:  # the action hasn't begun: leave it
            coroutine.close()
            error = NotDelivered(self.ending.reason)
            self.host.outcomes.refuse(self, message, error, taken=True, away=True)
            return
        self.busy(action, asyncio.current_task())
        try:
            result = await coroutine
        except asyncio.CancelledError as error:
            if self.host.closed or (self.ending is not None and self.ending.at_once):
                self.host.outcomes.interrupt(self, message)
            else:  # of a task that it awaited, or by its own hand
                self.failed(message, error)
                task = asyncio.current_task()
                while task is not None and task.cancelling():
                    task.uncancel()  # it goes on with other messages
        except BaseException as error:
            self.failed(message, error)
        else:
            if not isinstance(message, tuple) and message.asker is not None:
                self.answer(message.asker, result)
        finally:
            self.serving = None
            self.busy("", None)

    def failed(self, message: AnyEnvelope, error: BaseException) -> None:
        """What was awaited raised."""
        self.host.outcomes.fail(self, message, error)

    def answer(self, asker: Asker, result: Any) -> None:
        """What was awaited has a result."""
        asker.set_result(result)

    def busy(self, action: str, task: asyncio.Task[Any] | None) -> None:
        """Note what is being awaited, for reports and for a stop at once; "" is nothing."""
        self.action = action
        self.busy_since = time.monotonic() if action else 0.0
        self.task = task

    def start(self, message: Envelope | ArrivedSignal) -> Any:
        """Start one message that isn't a plain local signal; returns what must be awaited."""
        args: Any = message.args
        kwargs = message.kwargs
        if message.sig:
            self.host.outcomes.trace_handle(message.sig, message.sender, self.name)
        shared = message if isinstance(message, ArrivedSignal) else message.shared_payload
        if shared is not None:
            self._taken(shared)
            try:
                args, kwargs = shared.value or shared.arguments(self.host.policy)
            except BaseException as error:
                self.host.outcomes.unreadable(self, message, error)
                return None
        asker = message.asker
        if asker is not None:
            if asker.is_over():  # who asked has given up, and it hasn't begun
                return None
            self.serving = asker
        try:
            if message.hook:
                handler = message.call or getattr(self.actor, message.action)
            else:
                handler = self.handlers.get(message.action) or self._bind(message.action)
            result = handler(*args, **kwargs) if kwargs else handler(*args)
        except BaseException as error:
            self.host.outcomes.fail(self, message, error)
            return None
        if type(result) is CoroutineType:
            return result
        if asker is not None:
            asker.set_result(result)
            self.serving = None
        return None

    def _bind(self, action: str) -> Handler:
        """What does that action; kept, unless anybody could fill the memory with names."""
        handler = handler_of(self.actor, action)
        if action in actions_of(type(self.actor)):
            self.handlers[action] = handler
        return handler

    def _taken(self, payload: SharedPayload) -> None:
        """Note the credit of a message from a link that left the mailbox, the bytes of others."""
        port = payload.port
        if port is None:
            self.left(payload)
        elif payload.left is None or payload.is_last_taken():
            owed = self._owed
            if owed is None:
                owed = self._owed = {}
            owed[port] = owed.get(port, 0) + 1

    def settle(self) -> None:
        """Give the credits of handled messages back to their links."""
        owed, self._owed = self._owed, None
        for port, count in (owed or {}).items():
            port.consumed(count)

    # -- other code, and its end -------------------------------------------------------------
    def renew(self, blueprint: Blueprint, exchange: exchanges.Exchange) -> None:
        """Let its object give way to one of that blueprint, see Exchange. Threads: any."""
        if exchange.fits(self):
            exchanges.request(self, exchange)

    def become(self, actor: Any, options: ActorOptions) -> None:
        """From now on that object handles its messages. Between two of them."""
        self.actor, self.handlers = actor, {}
        with self.host.lock:
            self.options = options
            if self.limit > 0:  # it is open, and was used
                self.limit = options.mailbox_max
        if self.member is not None:
            self.member.goes_over()

    def forget(self, reason: str) -> None:
        """It is down: nobody finds it any more."""
        exchanges.dropped(self, reason)
        self.host.forget(self, reason)

    @property
    def is_leaving(self) -> bool:
        """Whether it was asked to stop."""
        return self.ending is not None

    def is_called_off(self) -> bool:
        """Whether its end, or other code, comes before the next message."""
        return self.exchange is not None or (self.ending is not None and self.ending.is_over())

    def is_driven_out(self, error: BaseException) -> bool:
        """Whether the error is for who drives the loop: Ctrl-C came there."""
        return isinstance(error, KeyboardInterrupt) and self.dispatcher.driven
