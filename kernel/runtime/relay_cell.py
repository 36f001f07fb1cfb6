"""Relay cell: the cell of an actor that lives in a process of its own. See actor_process.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

import structlog

from zactor.kernel.actors.actor import Actor, Handler
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    ActorDied,
    ConfigError,
    OutcomeUnknown,
    RemoteActionError,
    ZactorError,
    text_of,
)
from zactor.kernel.messages.actor_process import GroupFrom
from zactor.kernel.messages.client_sessions import MembershipMessage
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.actor_process import ActorProcess
from zactor.kernel.runtime.askers import DoorAsker, Outcome, RemoteAsker
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell, CellHost
from zactor.kernel.runtime.envelope import AnyEnvelope, ArrivedSignal, Asker, Envelope
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
    ) -> Callable[[], None]:
        """Ask an actor, wherever it is, or tell it where `done` is None."""
        ...


class StandIn(Actor):
    """Stands in the node for an actor that lives elsewhere: it begins and ends with it."""

    def __init__(self, process: ActorProcess) -> None:
        self.process = process

    async def on_start(self) -> None:
        """Start the process."""
        await self.process.start()

    async def on_stop(self, reason: str) -> None:
        """End it."""
        await self.process.end(reason)

    def on_view(self, view: MembershipMessage) -> None:
        """Never called, as below: the actor's own may want to see it."""

    def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
        """Never called: messages go by the cell. That it is here says: any action may exist."""
        raise NotImplementedError


class RelayCell(Cell):
    """A cell whose messages are handled in a process of their actor's own."""

    __slots__ = ("_blueprint", "_policy", "_relay_host", "process")

    def __init__(self, host: RelayHost, blueprint: Blueprint) -> None:
        super().__init__(host, blueprint)
        self._blueprint = blueprint
        self._relay_host = host
        self._policy = host.policy

    def build(self) -> StandIn:
        """Make what stands for the actor here. Threads: that of its turns."""
        blueprint, host = self._blueprint, self._relay_host
        recipe = blueprint.recipe
        if recipe is None:
            raise ConfigError(f"{self.name} can't have a process of its own here")
        self.process = ActorProcess(
            self,
            recipe,
            blueprint.options.process,
            host.policy,
            self.dispatcher.own_loop(),
            host.process_module,
        )
        return StandIn(self.process)

    # -- messages to it ----------------------------------------------------------------------
    def _handle(self, message: Envelope | ArrivedSignal) -> Any:
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
            self.route(action).relay(payload)
        except ZactorError as error:  # MailboxFull, say: its process has gone on
            self.task_failed(action, error)

    def ask_for(
        self, actor: str, action: str, payload: bytes, done: Callable[[Outcome], None] | None
    ) -> None:
        """Ask another actor in the name of this one, or tell it."""
        self._relay_host.request(actor, action, payload, done, self.uid)

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
