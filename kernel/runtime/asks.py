"""Asks that cross a boundary: towards other nodes, from other nodes, and from clients' doors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zactor.kernel import errors
from zactor.kernel.errors import RemoteActionError, text_of
from zactor.kernel.protocol import messages
from zactor.kernel.runtime.mailbox import Port
from zactor.kernel.runtime.refs import Reply
from zactor.kernel.runtime.route import parts_of
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import Policy, encode_plain, encode_value

Outcome = messages.Reply | messages.Failure | Bulky
"""How an ask of a client's door ends; a Bulky holds a Reply."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An ask that another node has to answer."""

    port: Port
    actor: str
    action: str
    reply: Reply[Any] | None  # where an actor of this node asked
    done: Callable[[Outcome], None] | None  # where a client's door did


class RemoteAsker:
    """An actor of another node asked; the answer goes over its link."""

    __slots__ = ("_action", "_actor", "_node", "_policy", "_port", "_request")

    def __init__(
        self, port: Port, request: int, policy: Policy, *, node: str, actor: str, action: str
    ) -> None:
        self._port = port
        self._request = request
        self._policy = policy
        self._node = node
        self._actor = actor
        self._action = action

    def set_result(self, value: Any) -> None:
        """Answer with a value, or with why it can't travel."""
        try:
            payload, buffers = parts_of(encode_value(value, self._policy))
        except BaseException as error:  # pickling runs the value's own code
            self.set_error(
                RemoteActionError(
                    text_of(error),
                    remote_type=type(error).__name__,
                    node=self._node,
                    actor=self._actor,
                    action=self._action,
                )
            )
            return
        reply = messages.Reply(self._request, payload)
        self._port.put(Bulky(reply, buffers) if buffers else reply)

    def set_error(self, error: BaseException) -> None:
        """Answer with an error."""
        self._port.put(failure_of(self._request, error))


class DoorAsker:
    """A client asked at this node's door; `done` is called in the actor's thread."""

    __slots__ = ("_done", "_plain", "_policy", "_request")

    def __init__(
        self, done: Callable[[Outcome], None], request: int, policy: Policy, *, plain: bool
    ) -> None:
        self._done = done
        self._request = request
        self._policy = policy
        self._plain = plain

    def set_result(self, value: Any) -> None:
        """Hand over a value."""
        buffers: Sequence[Buffer] = ()
        try:
            if self._plain:
                payload = encode_plain(value)
            else:
                payload, buffers = parts_of(encode_value(value, self._policy))
        except BaseException as error:  # pickling runs the value's own code
            self.set_error(error)
            return
        reply = messages.Reply(self._request, payload)
        self._done(Bulky(reply, buffers) if buffers else reply)

    def set_error(self, error: BaseException) -> None:
        """Hand over an error."""
        self._done(failure_of(self._request, error))


def failure_of(request: int, error: BaseException) -> messages.Failure:
    """The answer that says `error`."""
    kind, message, fields = errors.to_wire(error)
    return messages.Failure(request, kind, message, fields)
