"""Relay cell: the cell of an actor that lives in a process of its own. See actor_process.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol, cast

import structlog

from zactor.kernel.actors.actor import Actor, Handler
from zactor.kernel.actors.reply import Reply
from zactor.kernel.actors.user_errors import harmless
from zactor.kernel.errors import (
    ActorDied,
    ConfigError,
    NoSuchActor,
    OutcomeUnknown,
    RemoteActionError,
    ZactorError,
    text_of,
)
from zactor.kernel.messages.actor_process import GroupFrom
from zactor.kernel.messages.client_sessions import MembershipMessage
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime import exchange as exchanges
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.actor_process import ActorProcess
from zactor.kernel.runtime.askers import (
    AwaitedAsk,
    DoorAsker,
    Outcome,
    RemoteAsker,
    UnderWay,
)
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell, CellHost
from zactor.kernel.runtime.envelope import AnyEnvelope, ArrivedSignal, Asker, Envelope
from zactor.kernel.runtime.exchange import Exchange, ExchangeOutcome
from zactor.kernel.runtime.orphans import Orphans
from zactor.kernel.wire.bulky import Buffer
from zactor.kernel.wire.payload import Policy, decode_value, encode, parts_of

log = structlog.get_logger()


class RelayHost(CellHost, Protocol):
    """What a relay cell needs of its runtime beside what all cells do."""

    @property
    def process_module(self) -> str:
        """What the processes of actors run as their main module."""
        ...

    @property
    def policy(self) -> Policy:
        """What arguments may be."""
        ...

    def request(
        self,
        actor: str,
        action: str,
        payload: bytes,
        done: Callable[[Outcome], None] | None,
        sender: int = 0,
        *,
        muted: Sender | None = None,
    ) -> UnderWay:
        """Ask an actor, wherever it is, or tell it where `done` is None."""
        ...

    @property
    def orphans(self) -> Orphans:
        """Who ends what actors' processes leave behind."""
        ...


class StandIn(Actor):
    """Stands in the node for an actor that lives elsewhere: it begins and ends with it."""

    def __init__(self, make: Callable[[], ActorProcess]) -> None:
        """Args: make: makes a process of this actor, which isn't started yet."""
        self._make = make
        self.process = make()
        self._is_loaded = False
        self._is_over = False
        self._kept: bytes | None = None

    async def load(self) -> None:
        """Have a process with the actor's code ready, before it is to take over."""
        await self.process.load()
        self._is_loaded = True

    async def on_start(self) -> None:
        """Start the process, or let the one that is ready go on."""
        if self._is_over:  # it has ended, and who was to follow couldn't begin
            self.process = self._make()
            await self.load()
            await self.process.take_over(self._kept)
        if self._is_loaded:
            await self.process.go_on()
        else:
            await self.process.start()

    async def state(self) -> bytes | None:
        """Return what the actor hands over."""
        self._kept = await self.process.state()
        return self._kept

    async def restore(self, state: bytes | None) -> None:
        """Make the actor in the process that is ready."""
        await self.process.take_over(state)

    async def on_stop(self, reason: str) -> None:
        """End it."""
        self._is_over = True
        await self.process.end(reason, until_gone=reason != exchanges.UPGRADED)

    def on_view(self, view: MembershipMessage) -> None:
        """Never called, as below: the actor's own may want to see it."""

    def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
        """Never called: messages go by the cell. That it is here says: any action may exist."""
        raise NotImplementedError


class RelayCell(Cell):
    """A cell whose messages are handled in a process of their actor's own."""

    __slots__ = ("_blueprint", "_loading", "_policy", "_relay_host", "waits_apart")

    def __init__(self, host: RelayHost, blueprint: Blueprint) -> None:
        super().__init__(host, blueprint)
        self._blueprint = blueprint
        self._relay_host = host
        self._policy = host.policy
        self.waits_apart: AwaitedAsk | None = None
        self._loading: asyncio.Task[None] | None = None  # asyncio keeps only weak references

    def build(self) -> StandIn:
        """Make what stands for the actor here. Threads: that of its turns."""
        return self._stand_in(self._blueprint)

    def _stand_in(self, blueprint: Blueprint) -> StandIn:
        recipe = blueprint.recipe
        if recipe is None:
            raise ConfigError(f"{self.name} can't have a process of its own here")
        return StandIn(
            partial(
                ActorProcess,
                self,
                recipe,
                blueprint.options.process,
                self._policy,
                self.dispatcher.own_loop(),
                self._relay_host.process_module,
                self._relay_host.orphans,
                blueprint.environment,
            )
        )

    @property
    def reentrant_apart(self) -> frozenset[str]:  # type: ignore[override]  # only read
        """See Cell."""
        return self.process.begun.reentrant

    @property
    def process(self) -> ActorProcess:
        """That of its actor, as it is now."""
        found: ActorProcess = self.actor.process
        return found

    def renew(self, blueprint: Blueprint, exchange: Exchange) -> None:
        """See Cell: a process with the other code is ready before this one hands over."""
        if not exchange.fits(self):
            return
        loop = self.dispatcher.own_loop()

        def begin() -> None:
            self._loading = loop.create_task(self._load(blueprint, exchange))

        loop.call_soon_threadsafe(begin)

    async def _load(self, blueprint: Blueprint, exchange: Exchange) -> None:
        stand_in = self._stand_in(blueprint)

        def over(done: Future[ExchangeOutcome]) -> None:
            if done.exception() is not None:
                stand_in.process.kill("it isn't needed")

        exchange.done.add_done_callback(over)
        try:
            await stand_in.load()
        except BaseException as error:
            exchange.done.set_exception(harmless(error))
            return
        exchange.build = lambda: stand_in
        exchanges.request(self, exchange)

    # -- messages to it ----------------------------------------------------------------------
    def start(self, message: Envelope | ArrivedSignal) -> Any:
        """See Cell."""
        if message.sig:
            self.host.outcomes.trace_handle(message.sig, message.sender, self.name)
        shared = message if isinstance(message, ArrivedSignal) else message.shared_payload
        try:
            if shared is None or shared.value is not None:
                args, kwargs = (
                    (message.args, message.kwargs or {}) if shared is None else shared.value
                )
                payload, buffers = parts_of(encode(args, kwargs, self._policy))
            elif message.hook:  # of a group: what it holds is put together here
                args, kwargs = shared.arguments(self._policy)
                payload, buffers = parts_of(encode(args, kwargs, self._policy))
            else:
                payload, buffers = shared.payload, shared.buffers
            if shared is not None:
                self._taken(shared)
        except BaseException as error:
            self.host.outcomes.unreadable(self, message, error)
            return None
        asker = message.asker
        if asker is not None:
            if asker.is_over():  # who asked has given up, and it hasn't begun
                return None
            self.serving = asker
        return self.relay(message, payload, buffers)

    def relay(
        self, message: Envelope | ArrivedSignal, payload: bytes, buffers: Sequence[Buffer]
    ) -> Coroutine[Any, Any, bytes]:
        """Have its process handle a message with these arguments."""
        is_plain = isinstance(message.asker, DoorAsker) and message.asker.is_plain
        return self.process.handle(
            message.action,
            payload,
            tuple(map(bytes, buffers)),
            is_hook=message.hook,
            is_plain=is_plain,
        )

    def _bind(self, action: str) -> Handler:
        """What does that action for a signal of this node."""
        return partial(self._signalled, action)

    def _signalled(self, action: str, *args: Any) -> Any:
        payload, buffers = parts_of(encode(args, {}, self._policy))
        return self.process.handle(action, payload, tuple(map(bytes, buffers)))

    def answer(self, asker: Asker, result: Any) -> None:
        """See Cell: the result is encoded already."""
        if isinstance(asker, RemoteAsker | DoorAsker):
            asker.set_payload(result)
        else:
            policy = self._policy
            reply = cast("Reply[Any]", asker)
            reply.set_result(result, lambda payload: decode_value(payload, (), policy))

    def failed(self, message: AnyEnvelope, error: BaseException) -> None:
        """See Cell."""
        asker = None if isinstance(message, tuple) else message.asker
        action = message[0] if isinstance(message, tuple) else message.action
        if isinstance(error, ActorDied):
            if asker is not None:
                asker.set_error(OutcomeUnknown(text_of(error)))
        elif isinstance(error, RemoteActionError):
            self.host.outcomes.failed_elsewhere(self, action, error)
            if asker is not None:
                asker.set_error(error)
        else:
            super().failed(message, error)

    # -- what it asks for: see ProcessOwner --------------------------------------------------
    def emit_for(self, action: str, payload: bytes) -> None:
        """Send a signal of this actor; what becomes of it in vain is a failed action of it."""
        try:
            self.route(action).relay(payload, self)
        except ZactorError as error:  # MailboxFull, say: its process has gone on
            self.task_failed(action, error)

    def ask_for(
        self, actor: str, action: str, payload: bytes, done: Callable[[Outcome], None]
    ) -> UnderWay:
        """Ask another actor in the name of this one; returns what withdraws the ask.

        Raises:
            ZactorError: it can't be asked.
        """
        return self._relay_host.request(actor, action, payload, done, self.uid, muted=self)

    def waits_for_ask(self, ask: AwaitedAsk | None, *, lasts: bool) -> None:
        """Its action waits for that ask, for a while already where that lasts; None: no more."""
        self.waits_apart = ask if lasts else None
        lets_in = ask is not None and bool(self.reentrant_apart)
        # Whoever puts a message looks at this first; it is awaited in the other process.
        self.waits_for = cast("Reply[Any]", ask) if lets_in else None
        if lasts:
            self.host.wait_begins(self)
        if lets_in:
            for message in list(self.mailbox):
                self.let_in(message)

    def tell_for(self, actor: str, action: str, payload: bytes) -> None:
        """Tell another actor; what becomes of it in vain is a dead letter, or a failed action."""
        try:
            self._relay_host.request(actor, action, payload, None, self.uid, muted=self)
        except NoSuchActor as error:
            self.host.outcomes.dead(self.name, actor, action, text_of(error))
        except ZactorError as error:  # MailboxFull, say: its process has gone on
            self.task_failed(f"{actor}.{action}", error)

    def group_for(self, request: GroupFrom, value: Callable[[], Any]) -> Reply[None]:
        """Do what this actor wants of groups."""
        member = self.in_groups()
        if request.what == "join":
            return member.join(request.groups[0])
        if request.what == "leave":
            return member.leave(request.groups[0])
        service = Service.parse(request.service)
        return member.multicast(request.groups, value(), service, request.discard)

    def process_ended(self, why: ActorDied) -> None:
        """Its process is gone, and nobody had asked for that."""
        reason = text_of(why)
        lifecycle.request_end(self, reason, at_once=True, by_itself=True, crashed=True)
