"""The runtime of a node whose spans are wanted: traces follow signals and asks, here and elsewhere.

Only what is said within a span is marked, and only what is marked is more than a check: see
kernel/wire/traced.py. A node whose spans aren't wanted has none of these classes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractContextManager
from types import CoroutineType
from typing import Any, Protocol

from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import MailboxFull
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.envelope import ArrivedSignal, Envelope, SharedPayload
from zactor.kernel.runtime.route import Route
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.wire.payload import encode, encode_whole, parts_of
from zactor.kernel.wire.traced import context_of, traced


class Span(Protocol):
    """What one action does for who caused it."""

    def entered(self) -> AbstractContextManager[None]:
        """Be in it for the time of a block, in this thread or task."""
        ...

    def end(self, failed: str = "") -> None:
        """It is over; `failed` says what went wrong, if anything did."""
        ...


class Tracer(Protocol):
    """Who keeps the spans. Threads: any."""

    def current(self) -> bytes:
        """Return the context of the span that this thread or task is in; b"": none."""
        ...

    def begin(self, name: str, context: bytes) -> Span:
        """Begin a span that was caused by the one of `context`."""
        ...


def _carried(args: tuple[Any, ...], kwargs: dict[str, Any], context: bytes) -> SharedPayload:
    """What a message within this node carries: its arguments as they are, and the context."""
    return SharedPayload(traced(b"", context), (), None, 0, 0, None, (args, kwargs))


class TracedRoute(Route):
    """A way whose signals say which span they come from."""

    __slots__ = ("_tracer",)

    def __init__(self, host: Any, sender: Sender, action: str) -> None:
        super().__init__(host, sender, action)
        self._tracer: Tracer = host.tracer

    def emit(self, *args: Any) -> None:
        """See Emitter."""
        context = self._tracer.current()
        if not context:
            super().emit(*args)
            return
        legs = self._legs or self._compile()
        whole = b""
        if legs.remotes or legs.ordered:
            whole = traced(encode_whole(args, self._host.policy), context)
        shared = _carried(args, {}, context)
        shared.left = [None] * (len(legs.cells) - 1)
        self._send(legs, args, shared, whole, whole, self._sender)


class TracedCell(Cell):
    """An actor each of whose marked messages is handled in a span."""

    route_of = TracedRoute
    __slots__ = ("_traced",)

    def __init__(self, host: Any, blueprint: Blueprint, tracer: Tracer) -> None:
        super().__init__(host, blueprint)
        self._traced = tracer

    def start(self, message: Envelope | ArrivedSignal) -> Any:
        """See Cell."""
        shared = message if isinstance(message, ArrivedSignal) else message.shared_payload
        context = b"" if shared is None else context_of(shared.payload)
        if not context:
            return super().start(message)
        span = self._traced.begin(f"{self.name}.{message.action}", context)
        raised = self.raised
        with span.entered():
            result = super().start(message)
        if type(result) is CoroutineType:
            return _awaited(span, result)
        span.end("it raised" if self.raised != raised else "")
        return result


async def _awaited(span: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    failed = "it was cancelled"
    try:
        with span.entered():
            result = await coroutine
        failed = ""
        return result
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
        raise
    finally:
        span.end(failed)


class TracedRuntime(Runtime):
    """See the module."""

    def __init__(self, tracer: Tracer, **options: Any) -> None:
        """Args: tracer: who keeps the spans. options: as of Runtime."""
        super().__init__(**options)
        self.tracer = tracer

    def make_cell(self, blueprint: Blueprint) -> Cell:
        """See Runtime. What an actor in a process of its own does is in no span."""
        if blueprint.options.dispatcher == "process":
            return super().make_cell(blueprint)
        return TracedCell(self, blueprint, self.tracer)

    def ask(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        sender: Sender | None,
    ) -> Reply[Any]:
        """See Runtime."""
        context = self.tracer.current()
        place = self.directory.places.get(actor) if context else None
        if place is None or (sender is not None and place.uid == sender.uid):
            return super().ask(actor, action, args, kwargs, timeout, sender)
        watch = sender if isinstance(sender, Cell) else None
        reply: Reply[Any] = Reply(
            timeout=timeout, wait=self._wait, what=(actor, action), watch=watch
        )
        if place.port is None:
            name = "" if sender is None else sender.name
            carried = _carried(args, kwargs, context)
            message = Envelope(action, asker=reply, shared_payload=carried, sender=name)
            self._put_here(place, message, sender)
            return reply
        head, buffers = parts_of(encode(args, kwargs, self.policy))
        uid = 0 if sender is None else sender.uid
        payload = traced(head, context, buffers)
        try:
            self.remoting.ask(place, action, payload, buffers, uid, reply, None)
        except MailboxFull as error:
            reply.set_error(error)
        if sender is not None and place.port.congested:
            sender.mute_until(place.port)
        return reply

    def tell(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sender: Sender | None = None,
    ) -> None:
        """See Runtime."""
        context = self.tracer.current()
        place = self.directory.places.get(actor) if context else None
        if place is None:
            super().tell(actor, action, args, kwargs, sender)
        elif place.port is None:
            name = "" if sender is None else sender.name
            carried = _carried(args, kwargs, context)
            self._put_here(place, Envelope(action, shared_payload=carried, sender=name), sender)
        else:
            head, buffers = parts_of(encode(args, kwargs, self.policy))
            uid, name = (0, "") if sender is None else (sender.uid, sender.name)
            payload = traced(head, context, buffers)
            self.remoting.tell(place, action, payload, buffers, uid, name)
            if sender is not None and place.port.congested:
                sender.mute_until(place.port)
