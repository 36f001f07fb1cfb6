"""Askers elsewhere: to whom on another node, or at the door, an actor's answer goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zactor.kernel import errors, limits
from zactor.kernel.errors import RemoteActionError, ZactorError, text_of
from zactor.kernel.messages.actors import Failure
from zactor.kernel.messages.actors import Reply as ReplyItem
from zactor.kernel.runtime.envelope import Asker, PeerPort
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import Policy, encode_plain, encode_value, parts_of

Outcome = ReplyItem | Failure | Bulky
"""How an ask of a client's door ends; a Bulky holds a Reply."""


class RemoteAsker:
    """An actor of another node asked; the answer goes over its link."""

    __slots__ = ("_actor", "_node", "_policy", "_port", "_request", "_withdrawn", "action")

    def __init__(
        self, port: PeerPort, request: int, policy: Policy, *, node: str, actor: str, action: str
    ) -> None:
        self._port = port
        self._request = request
        self._policy = policy
        self._node = node
        self._actor = actor
        self.action = action
        self._withdrawn = False

    def is_of(self, port: PeerPort, request: int) -> bool:
        """Whether it stands for that ask of that node."""
        return self._request == request and self._port is port

    def withdraw(self) -> None:
        """Nobody waits for it any more, its node says."""
        self._withdrawn = True

    def is_over(self) -> bool:
        """See Asker."""
        return self._withdrawn

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
                    action=self.action,
                )
            )
            return
        reply = ReplyItem(self._request, payload)
        is_long = buffers or len(payload) >= limits.SHARED_BYTES_MIN
        self._port.put(Bulky(reply, buffers) if is_long else reply)

    def set_payload(self, payload: bytes) -> None:
        """Answer with a value that is encoded already."""
        self._port.put(ReplyItem(self._request, payload))

    def set_error(self, error: BaseException) -> None:
        """Answer with an error."""
        self._port.put(failure_of(self._request, error))


class DoorAsker:
    """A client asked at this node's door; `done` is called in the actor's thread."""

    __slots__ = ("_done", "_plain", "_policy", "_request", "_withdrawn")

    def __init__(
        self, done: Callable[[Outcome], None], request: int, policy: Policy, *, plain: bool
    ) -> None:
        self._done = done
        self._request = request
        self._policy = policy
        self._plain = plain
        self._withdrawn = False

    def withdraw(self) -> None:
        """Nobody waits for it any more. Threads: any."""
        self._withdrawn = True

    def is_over(self) -> bool:
        """See Asker."""
        return self._withdrawn

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
        reply = ReplyItem(self._request, payload)
        self._done(Bulky(reply, buffers) if buffers else reply)

    @property
    def is_plain(self) -> bool:
        """Whether the value is wanted as plain data."""
        return self._plain

    def set_payload(self, payload: bytes) -> None:
        """Hand over a value that is encoded already, as plain data where that is wanted."""
        self._done(ReplyItem(self._request, payload))

    def set_error(self, error: BaseException) -> None:
        """Hand over an error."""
        self._done(failure_of(self._request, error))


class UnderWay:
    """An ask that is under way; called, it is withdrawn."""

    __slots__ = ("_withdraw", "asker", "request")

    def __init__(
        self, withdraw: Callable[[], None], *, asker: DoorAsker | None = None, request: int = 0
    ) -> None:
        """Args: asker, request: what stands for it in a mailbox here, or at another node's link."""
        self._withdraw = withdraw
        self.asker = asker
        self.request = request

    def __call__(self) -> None:
        """Nobody waits for it any more. Threads: any."""
        self._withdraw()


class AwaitedAsk:
    """An ask that the action of an actor in a process of its own waits for, as Reply is elsewhere.

    Threads: any.
    """

    __slots__ = ("_end", "_under_way", "wait_number", "what")

    def __init__(
        self, what: tuple[str, str], under_way: UnderWay, end: Callable[[ZactorError], None]
    ) -> None:
        """Args: end: answers it in the place of whoever was asked, if it goes on."""
        self.what = what  # actor and action
        self._under_way = under_way
        self._end = end
        self.wait_number = 0  # see Reply

    @property
    def asker(self) -> Asker | None:
        """See Reply."""
        return self._under_way.asker

    @property
    def request(self) -> int:
        """See Reply."""
        return self._under_way.request

    def set_error(self, error: ZactorError) -> None:
        """End the wait."""
        self._end(error)


def failure_of(request: int, error: BaseException) -> Failure:
    """The answer that says `error`."""
    kind, message, fields = errors.to_wire(error)
    return Failure(request, kind, message, fields)
