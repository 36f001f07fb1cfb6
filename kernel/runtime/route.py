"""Route: the way of one signal of one actor to all that react to it, compiled when first needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Raw

from zactor.kernel import limits
from zactor.kernel.actors.emitter import Emitter
from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups.events import Submit
from zactor.kernel.messages.actors import Signal
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.backpressure import Congestible, Sender
from zactor.kernel.runtime.directory import CompiledRoute, Legs, LocalActor, Targets
from zactor.kernel.runtime.dispatcher import Dispatcher, TurnTaker
from zactor.kernel.runtime.envelope import AnyEnvelope, Envelope, PeerPort, SharedPayload
from zactor.kernel.runtime.outcomes import Outcomes
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.payload import Outsize, Policy, encode_signal, encode_whole

Ordered = tuple[Submit | str, tuple[str, ...]]
"""A signal as it goes in group order, or what wires that hold do; the names of those it is for."""


class Reactor(LocalActor, TurnTaker, Protocol):
    """An actor of this node that signals are put to. See Cell for how that is done."""

    mailbox: deque[AnyEnvelope]
    limit: int
    idle: bool
    dispatcher: Dispatcher

    def accept(self, message: AnyEnvelope, sender: Sender | None) -> None:
        """Take in a message from this node."""
        ...

    def admit(self, message: AnyEnvelope, sender: Sender | None) -> None:
        """Take in or refuse a message that found `limit <= len(mailbox)`."""
        ...


class RouteTable(Protocol):
    """Who reacts to what, and where they are."""

    def register(self, route: CompiledRoute) -> None:
        """Have the route told when that changes."""
        ...

    def compile(self, route: CompiledRoute, take: Callable[[Legs[Reactor]], None]) -> None:
        """Call `take` with where an emission goes now."""
        ...


class OrderedWay(Congestible, Protocol):
    """What carries signals in group order."""

    def make(
        self,
        service: Service,
        targets: Targets,
        sender: int,
        number: int,
        action: str,
        payload: bytes,
    ) -> Submit:
        """Return what carries a signal to reactors on these nodes."""
        ...

    def put(self, submit: Submit) -> None:
        """Send what was made."""
        ...


class HeldWay(Protocol):
    """What carries the signals of wires that hold: see HeldSignals."""

    def put(
        self,
        name: str,
        wire: tuple[str, str],
        payload: bytes,
        number: int,
        sender_uid: int,
        sender: Sender | None,
    ) -> None:
        """Send a signal to a reactor, now or when it is back."""
        ...


class RouteHost(Protocol):
    """What all routes of a runtime share."""

    @property
    def policy(self) -> Policy:
        """What may travel between nodes."""
        ...

    @property
    def outcomes(self) -> Outcomes:
        """Who is told what becomes of signals."""
        ...

    @property
    def directory(self) -> RouteTable:
        """Where routes are compiled from."""
        ...

    @property
    def held(self) -> HeldWay:
        """What carries the signals of wires that hold."""
        ...

    def in_order(self) -> OrderedWay:
        """What carries signals in group order.

        Raises:
            ConfigError: there are no groups here.
        """
        ...


class Route(Emitter[...]):
    """Compiled for (emitter, signal); `forget` makes the next emission compile it again."""

    __slots__ = (
        "__weakref__",
        "_here",
        "_host",
        "_legs",
        "_sender",
        "emitter",
        "reactors",
        "sent",
        "signal",
    )

    def __init__(self, host: RouteHost, sender: Sender, signal: str) -> None:
        """Args: sender: who emits."""
        self._host = host
        self._sender = sender
        self.emitter = sender.name
        self.signal = signal
        self.sent = 0  # emissions, whoever reacted
        self.reactors: tuple[str, ...] = ()  # what it was compiled from
        # An action and who does it; None: the way is not that simple, `send`.
        self._here: tuple[str, tuple[Reactor, ...]] | None = None
        self._legs: Legs[Reactor] | None = None

    def forget(self) -> None:
        """Something it depends on has changed."""
        self._here = None
        self._legs = None

    def emit(self, *args: Any) -> None:  # no **kwargs: that would cost a dict for every signal
        """See Emitter. What nearly all signals do: from actor to actor of one node."""
        here = self._here
        if here is None:
            self.send(args)
            return
        self.sent += 1
        action, cells = here
        message = (action, args, self.emitter)
        refused = None
        for cell in cells:
            if cell.limit <= len(cell.mailbox):  # full, closed or never used
                try:
                    cell.admit(message, self._sender)
                except MailboxFull as error:  # the others must have theirs, as in `send`
                    refused = str(error) if refused is None else f"{refused}; {error}"
            else:
                cell.mailbox.append(message)
                if cell.idle:
                    cell.idle = False
                    cell.dispatcher.ready(cell)
        if refused is not None:
            raise MailboxFull(refused)

    def send(self, args: tuple[Any, ...]) -> int:
        """Send one signal with these objects; returns how many reactors it is on its way to.

        Raises:
            MailboxFull: some refused it; all others have it.
            ConfigError: the arguments can't travel; nobody has it.
        """
        legs = self._legs or self._compile()
        policy = self._host.policy
        body = encode_signal(args, policy) if legs.remotes else b""
        whole = encode_whole(args, policy) if legs.ordered else b""
        return self._send(legs, args, None, body, whole, self._sender)

    def relay(self, payload: bytes, sender: Sender | None = None) -> int:
        """Send one signal as a client's door took it in, without unpickling it here.

        Args: sender: is muted where a way is congested.
        """
        legs = self._legs or self._compile()
        count = len(legs.cells)
        shared_payload = SharedPayload(payload, (), None, 0, 0, [None] * (count - 1))
        return self._send(legs, (), shared_payload, payload, payload, sender)

    def _compile(self) -> Legs[Reactor]:
        # The lock is held while the result is stored, so no change can come between.
        self._host.directory.compile(self, self._take)
        legs = self._legs
        return legs if legs is not None else self._compile()

    def _take(self, legs: Legs[Reactor]) -> None:
        self._legs = legs
        is_local = not (legs.remotes or legs.ordered or legs.missing)
        actions = {action for _, action in legs.cells}
        if is_local and len(actions) <= 1 and self._host.outcomes.trace is None:
            action = next(iter(actions), self.signal)
            self._here = action, tuple(cell for cell, _ in legs.cells)

    def _send(
        self,
        legs: Legs[Reactor],
        args: tuple[Any, ...],
        shared_payload: SharedPayload | None,
        body: bytes | Outsize,
        whole: bytes,
        sender: Sender | None,
    ) -> int:
        self.sent += 1
        outcomes = self._host.outcomes
        number = next(outcomes.numbers)
        sig = "" if outcomes.trace is None else outcomes.sig(number)
        ordered = self._make_ordered(legs, number, whole) if legs.ordered else ()
        refused: list[str] = []
        for cell, action in legs.cells:
            message: AnyEnvelope = (action, args, self.emitter)
            if sig or shared_payload is not None:
                message = Envelope(
                    action, args, shared_payload=shared_payload, sender=self.emitter, sig=sig
                )
            try:
                cell.accept(message, sender)
            except MailboxFull as error:
                refused.append(str(error))
        for port, uids, names, action in legs.remotes:
            try:
                self._put(port, uids, number, action, body, sig, names)
            except MailboxFull as error:
                refused.append(str(error))
            else:
                if sender is not None and port.congested:
                    sender.mute_until(port)
        for submit, names in ordered:
            try:
                if isinstance(submit, str):
                    self._put_held(names, submit, number, whole, sender)
                else:
                    self._put_ordered(submit, sig, names, sender)
            except MailboxFull as error:
                refused.append(str(error))
        for name, why, action in legs.missing:
            outcomes.trace_accept(sig, self.emitter, name)
            outcomes.dead(self.emitter, name, action, why, number=number, sig=sig)
        if refused:
            raise MailboxFull("; ".join(refused))
        return legs.count

    def _put(
        self,
        port: PeerPort,
        uids: tuple[int, ...],
        number: int,
        action: str,
        body: bytes | Outsize,
        sig: str,
        names: tuple[str, ...],
    ) -> None:
        if sig:
            self._trace_accept(sig, names)
        item: Signal | Bulky
        if type(body) is Raw:  # short, as most are
            item = Signal(uids, self._sender.uid, number, action, body)
        elif isinstance(body, Outsize):
            head = Signal(uids, self._sender.uid, number, action, body.head)
            item = Bulky(head, body.buffers)
        else:
            item = Signal(uids, self._sender.uid, number, action, body)
            if len(body) >= limits.SHARED_BYTES_MIN:
                item = Bulky(item, ())
        try:
            port.put(item)
        except MailboxFull as error:
            self._trace_dead(sig, names, error)
            raise

    def _trace_accept(self, sig: str, names: tuple[str, ...]) -> None:
        for name in names:
            self._host.outcomes.trace_accept(sig, self.emitter, name)

    def _trace_dead(self, sig: str, names: tuple[str, ...], error: MailboxFull) -> None:
        for name in names:
            self._host.outcomes.trace_dead(sig, self.emitter, name, str(error))

    def _make_ordered(self, legs: Legs[Reactor], number: int, payload: bytes) -> list[Ordered]:
        """What goes in group order, one message for each service; raises before anybody has it."""
        uid = self._sender.uid
        return [
            (
                action
                if service is None
                else self._host.in_order().make(service, targets, uid, number, action, payload),
                names,
            )
            for service, targets, names, action in legs.ordered
        ]

    def _put_held(
        self,
        names: tuple[str, ...],
        action: str,
        number: int,
        payload: bytes,
        sender: Sender | None,
    ) -> None:
        wire, uid, held = (self.emitter, action), self._sender.uid, self._host.held
        refused: list[str] = []
        for name in names:
            try:
                held.put(name, wire, payload, number, uid, sender)
            except MailboxFull as error:
                refused.append(str(error))
        if refused:
            raise MailboxFull("; ".join(refused))

    def _put_ordered(
        self, submit: Submit, sig: str, names: tuple[str, ...], sender: Sender | None
    ) -> None:
        way = self._host.in_order()
        self._trace_accept(sig, names)
        try:
            way.put(submit)
        except MailboxFull as error:
            self._trace_dead(sig, names, error)
            raise
        if sender is not None and way.congested:
            sender.mute_until(way)
