"""The runtime of a node whose spans are wanted: traces follow what is said, here and elsewhere.

Only what is said within a span is marked, and only what is marked is more than a check: see
kernel/wire/traced.py. A node whose spans aren't wanted has none of these classes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from zactor.kernel import limits
from zactor.kernel.actors.reply import Reply
from zactor.kernel.messages.actor_process import GroupFrom
from zactor.kernel.runtime.askers import Outcome
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Place
from zactor.kernel.runtime.envelope import ArrivedSignal, Envelope, SharedPayload
from zactor.kernel.runtime.group_member import Member
from zactor.kernel.runtime.relay_cell import RelayCell
from zactor.kernel.runtime.remoting import Remoting
from zactor.kernel.runtime.route import Route
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.runtime.traced_cell import TracedCell, Tracer
from zactor.kernel.wire.bulky import Buffer
from zactor.kernel.wire.payload import VALUE_MARK, encode_whole
from zactor.kernel.wire.traced import context_of, current_context, marked, traced, untraced, within


def _carried(args: tuple[Any, ...], kwargs: dict[str, Any], context: bytes) -> SharedPayload:
    """What a message within this node carries: its arguments as they are, and the context."""
    return SharedPayload(traced(b"", context), (), None, 0, 0, None, (args, kwargs))


class TracedRoute(Route):
    """A way whose signals say which span they come from."""

    __slots__ = ()

    def emit(self, *args: Any) -> None:
        """See Emitter."""
        context = current_context()
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


def traced_message(payload: bytes, context: bytes) -> bytes:
    """Return a group message that comes from the span of this context; bytes stay as they are."""
    if not payload.startswith(VALUE_MARK):
        return payload
    found = VALUE_MARK + traced(payload[len(VALUE_MARK) :], context)
    return found if len(found) <= limits.GROUP_PAYLOAD_BYTES_MAX else payload


class TracedMember(Member):
    """A member of groups whose multicasts say which span they come from, but for bytes."""

    def encoded(self, value: Any) -> bytes:
        """See Member."""
        payload, context = super().encoded(value), current_context()
        return traced_message(payload, context) if context else payload


class TracedRemoting(Remoting):
    """Asks and tells of this node's actors say which span they come from."""

    def ask(
        self,
        place: Place,
        action: str,
        payload: bytes,
        buffers: Sequence[Buffer],
        sender: int,
        reply: Reply[Any] | None,
        done: Callable[[Outcome], None] | None,
    ) -> int:
        """See Remoting."""
        if reply is not None:  # what the door asks bears its mark
            payload = marked(payload, buffers)
        return super().ask(place, action, payload, buffers, sender, reply, done)

    def tell(
        self,
        place: Place,
        action: str,
        payload: bytes,
        buffers: Sequence[Buffer],
        sender: int,
        name: str,
    ) -> None:
        """See Remoting."""
        super().tell(place, action, marked(payload, buffers), buffers, sender, name)


class InSpans(TracedCell):
    """An actor of this node."""

    route_of = TracedRoute
    __slots__ = ()


class TracedRelayCell(TracedCell, RelayCell):
    """An actor in a process of its own, whose spans are kept here: also when the process dies."""

    __slots__ = ()

    def relay(
        self, message: Envelope | ArrivedSignal, payload: bytes, buffers: Sequence[Buffer]
    ) -> Coroutine[Any, Any, bytes]:
        """See RelayCell: the action is told of its own span."""
        context = current_context()
        if context:
            payload = traced(untraced(payload), context, buffers)
        return super().relay(message, payload, buffers)

    def group_for(self, request: GroupFrom, value: Callable[[], Any]) -> Reply[None]:
        """See RelayCell."""
        context = context_of(request.payload)
        if not context:
            return super().group_for(request, value)
        with within(context):
            return super().group_for(request, value)


class TracedRuntime(Runtime):
    """See the module."""

    member_of = TracedMember
    remoting_of = TracedRemoting

    def __init__(self, tracer: Tracer, **options: Any) -> None:
        """Args: tracer: who keeps the spans. options: as of Runtime."""
        super().__init__(**options)
        self.tracer = tracer

    def make_cell(self, blueprint: Blueprint) -> Cell:
        """See Runtime."""
        if blueprint.options.dispatcher == "process":
            return TracedRelayCell(self, blueprint)
        return InSpans(self, blueprint)

    def _put_here(self, place: Place, message: Envelope, sender: Sender | None) -> None:
        context = b"" if message.shared_payload is not None else current_context()
        if context:
            carried = _carried(message.args, message.kwargs or {}, context)
            message = Envelope(
                message.action,
                asker=message.asker,
                shared_payload=carried,
                sender=message.sender,
                sig=message.sig,
            )
        super()._put_here(place, message, sender)
