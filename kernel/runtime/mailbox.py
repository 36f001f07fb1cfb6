"""What lies in a mailbox: messages, and what becomes of those that nobody handles.

A signal between two actors of one node is a bare tuple (action, args, emitter), since nearly all
messages are that; everything else is a Message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zactor.kernel.ids import NodeId
from zactor.kernel.wire import payload as payloads
from zactor.kernel.wire.bulky import Buffer


class Port(Protocol):
    """A remote node as the runtime sees it. Threads: `put` and `consumed` by any, and cheap."""

    @property
    def node(self) -> NodeId:
        """Which life of which node."""
        ...

    @property
    def congested(self) -> bool:
        """Whether so much waits that senders pause between messages."""
        ...

    def put(self, item: Any) -> None:
        """Send an item. Raises MailboxFull at the hard limit; a dead port makes dead letters."""
        ...

    def consumed(self, count: int) -> None:
        """So many credited items of it left the mailboxes here."""
        ...


class Congestible(Protocol):
    """What a sender may have to wait for: a port, or a cell with a full mailbox."""

    @property
    def congested(self) -> bool:
        """Whether it is full now."""
        ...


class Asker(Protocol):
    """Who gets the outcome of an ask: a Reply here, a node, a client. Threads: called by any."""

    def set_result(self, value: Any) -> None:
        """The action returned `value`."""
        ...

    def set_error(self, error: BaseException) -> None:
        """The ask ended with an error."""
        ...


class Parcel:
    """A payload from the wire, shared by the targets of one signal: decoded once, by the first."""

    __slots__ = ("_left", "_value", "buffers", "number", "payload", "port", "sender")

    def __init__(
        self,
        payload: bytes,
        buffers: Sequence[Buffer],
        *,
        port: Port | None,  # None: it came from the door, not from a link
        sender: int,  # uid; 0 for a client
        number: int,
        targets_count: int = 1,
    ) -> None:
        self.payload = payload
        self.buffers = buffers
        self.port = port
        self.sender = sender
        self.number = number
        # Popping is atomic, so targets in several threads can count down without a lock.
        self._left = [None] * (targets_count - 1) if targets_count > 1 else None
        self._value: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def arguments(self, policy: payloads.Policy) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode. Only in an actor's thread: unpickling runs code."""
        if self._value is None:
            self._value = payloads.decode(self.payload, self.buffers, policy)
        return self._value

    def is_last_taken(self) -> bool:
        """Note that one target's message left its mailbox; whether it was the last of them."""
        if self._left:
            try:
                self._left.pop()
            except IndexError:
                return True
            return False
        return True


class Message:
    """One message to one actor that isn't a plain local signal."""

    __slots__ = ("action", "args", "asker", "kwargs", "parcel", "sender", "sig")

    def __init__(
        self,
        action: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        asker: Asker | None = None,  # None: a signal or a tell
        parcel: Parcel | None = None,  # None: args and kwargs are the arguments
        sender: str = "",  # name, where it is an actor of this node
        sig: str = "",  # its id in traces, where there are any
    ) -> None:
        self.action = action
        self.args = args
        self.kwargs = kwargs
        self.asker = asker
        self.parcel = parcel
        self.sender = sender
        self.sig = sig


LocalSignal = tuple[str, tuple[Any, ...], str]
"""(action, arguments, name of the emitter)"""

AnyMessage = LocalSignal | Message


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A signal or tell that nobody handled, kept at its sender's node."""

    sender: str  # "" for a client
    target: str
    action: str
    reason: str
    node: str  # where it is kept
    number: int  # of the signal at its sender's node; 0 where it never left it
    at: float  # wall clock, s since 1970: for people only
