"""Envelopes: what lies in a mailbox, and the dead letters of what nobody handled.

A signal between two actors of one node is a bare tuple (action, args, emitter), since nearly all
messages are that; everything else is an Envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.wire import payload as payloads
from zactor.kernel.wire.bulky import Buffer


class PeerPort(Protocol):
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
        """Send an item; a dead port makes dead letters.

        Raises:
            MailboxFull: at the hard limit, for signals and asks. What answers them always goes.
        """
        ...

    def consumed(self, count: int) -> None:
        """So many credited items of it left the mailboxes here."""
        ...


class Asker(Protocol):
    """Who gets the outcome of an ask: a Reply here, a node, a client. Threads: called by any."""

    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        ...

    def set_result(self, value: Any) -> None:
        """The action returned `value`."""
        ...

    def set_error(self, error: BaseException) -> None:
        """The ask ended with an error."""
        ...


class OwnCall(Protocol):
    """What an actor has put into its own mailbox: a timer of its that is due."""

    def __call__(self) -> Any:
        """Do it."""
        ...

    def left_out(self) -> None:
        """It won't be done: there was no room, or the actor stops."""
        ...


class SharedPayload(msgspec.Struct, eq=False, gc=False):
    """A payload from the wire, shared by the targets of one signal: decoded once, by the first.

    A struct, like Envelope, since one is made for every message of a link: a class costs 4 x more.
    Neither is tracked by the collector, which would walk long mailboxes again and again; nothing
    that they hold leads back to them.
    """

    payload: bytes
    buffers: Sequence[Buffer]
    port: Any  # PeerPort | None; None: it came from the door, not from a link
    sender_uid: int  # 0 for a client
    number: int
    # Popping is atomic, so targets in several threads can count down without a lock.
    left: list[None] | None = None  # one entry for each target after the first
    value: Any = None  # the decoded arguments

    def arguments(self, policy: payloads.Policy) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode. Only in an actor's thread: unpickling runs code."""
        if self.value is None:
            self.value = payloads.decode(self.payload, self.buffers, policy)
        value: tuple[tuple[Any, ...], dict[str, Any]] = self.value
        return value

    @property
    def door_bytes(self) -> int:
        """What it counts in the mailbox of each target, if it came from the door."""
        return len(self.payload) + limits.MAILBOX_DOOR_BYTES_EACH

    def is_last_taken(self) -> bool:
        """Note that one target's message left its mailbox; whether it was the last of them."""
        if self.left:
            try:
                self.left.pop()
            except IndexError:
                return True
            return False
        return True


class Envelope(msgspec.Struct, eq=False, frozen=True, gc=False):
    """One message to one actor that isn't a plain local signal."""

    action: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    asker: Asker | None = None  # None: a signal or a tell
    shared_payload: SharedPayload | None = None  # None: args and kwargs are the arguments
    sender: str = ""  # name, where it is an actor of this node
    sig: str = ""  # its id in traces, where there are any
    hook: bool = False  # `action` is a hook, on_message or on_view, which no one else can call
    call: Any = None  # OwnCall | None; with `hook`: this is called, `action` only names it


class ArrivedSignal(SharedPayload):
    """A signal from another node: envelope and payload in one, the same for all its targets.

    One struct for two saves a tenth of what a signal costs its receiver.
    """

    action: str = ""
    sender: str = ""  # as in Envelope
    sig: str = ""
    args: ClassVar[tuple[Any, ...]] = ()
    kwargs: ClassVar[None] = None
    asker: ClassVar[None] = None
    hook: ClassVar[bool] = False
    call: ClassVar[None] = None

    @property
    def shared_payload(self) -> SharedPayload:
        """As in Envelope."""
        return self


LocalSignal = tuple[str, tuple[Any, ...], str]
"""(action, arguments, name of the emitter)"""

AnyEnvelope = LocalSignal | Envelope | ArrivedSignal


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
