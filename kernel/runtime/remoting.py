"""Remoting: messages to and from other nodes and clients' doors, and the asks that wait there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol
from weakref import WeakSet

import msgspec
import structlog

from zactor.kernel import limits
from zactor.kernel.actors.refs import GATEWAY
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    MailboxFull,
    NotDelivered,
    OutcomeUnknown,
    ZactorError,
    from_wire,
)
from zactor.kernel.messages.actors import (
    Arguments,
    Ask,
    AskCycle,
    AskProbe,
    Failure,
    InMemory,
    Signal,
    SignalHeader,
    SignalParcel,
    Undelivered,
    Withdrawn,
)
from zactor.kernel.messages.actors import Reply as ReplyItem
from zactor.kernel.runtime.askers import Outcome, RemoteAsker, failure_of
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Directory, Place
from zactor.kernel.runtime.envelope import ArrivedSignal, Envelope, PeerPort, SharedPayload
from zactor.kernel.runtime.open_asks import may_let_in, remote_ask
from zactor.kernel.runtime.outcomes import Outcomes
from zactor.kernel.wire.bulky import Buffer, Bulky
from zactor.kernel.wire.payload import Policy, decode_value
from zactor.kernel.wire.signal_parcels import signals_of

log = structlog.get_logger()

_NO_KEYWORDS: dict[str, Any] = {}
FENCE = ""  # an action that nobody has


class RemoteAsk(msgspec.Struct, frozen=True, eq=False):
    """An ask that another node has to answer."""

    port: Any  # PeerPort
    actor: str
    action: str
    target: int  # uid
    reply: Any  # Reply | None: where an actor of this node asked
    done: Any  # Callable[[Outcome], None] | None: where a client's door did


CameBack = Callable[[PeerPort, Undelivered | Signal, str], bool]
"""Takes a signal that wasn't handled at a node, and why, where its wire holds."""


class AskWatcher(Protocol):
    """Who finds out that asks wait for each other: see AskCycles."""

    def probed(self, port: PeerPort, probe: AskProbe) -> None:
        """Another node asks how it goes on here."""
        ...

    def end(self, cycle: AskCycle) -> None:
        """End that wait, if it goes on."""
        ...


def let_in(cell: Cell, message: Envelope) -> None:
    """Have a message handled beside the action of its actor that waits. Threads: any."""
    context = Context()
    context.run(GATEWAY.set, cell)
    with suppress(RuntimeError):  # its loop is closed
        cell.dispatcher.own_loop().call_soon_threadsafe(cell.let_in, message, context=context)


class Remoting:
    """The messages between this node's actors and those of other nodes. Threads: all by any."""

    def __init__(self, directory: Directory[Cell], outcomes: Outcomes, policy: Policy) -> None:
        """Args: policy: what may travel."""
        self._directory = directory
        self._cells = directory.cells
        self._outcomes = outcomes
        self._policy = policy
        self._pending: dict[int, RemoteAsk] = {}
        self._requests = itertools.count(1)
        self.cycles: AskWatcher | None = None  # None: nobody looks for any
        self.came_back: CameBack = lambda port, item, reason: False  # see HeldSignals
        # Of lives that are over. An entry can matter only to who still holds the port, by a place
        # or a route that is about to be forgotten: so it goes with the port. A life that is met
        # again, since it was given up before it was a member, has another port.
        self._lost: WeakSet[PeerPort] = WeakSet()

    # -- out ---------------------------------------------------------------------------------
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
        """Ask an actor of another node, for an actor here (`reply`) or for the door (`done`).

        Returns its number, by which it can be forgotten.

        Raises:
            MailboxFull: the hard limit of its link is reached; the ask is forgotten.
        """
        port = place.port
        assert port is not None, place
        request = next(self._requests)
        ask = Ask(place.uid, sender, request, action, payload)
        self._pending[request] = RemoteAsk(port, place.name, action, place.uid, reply, done)
        if reply is not None:
            reply.asks(request, self.forget)
        try:
            is_long = buffers or len(payload) >= limits.SHARED_BYTES_MIN
            port.put(Bulky(ask, buffers) if is_long else ask)
        except MailboxFull:
            del self._pending[request]
            raise
        if port in self._lost:
            # Its end was told before this ask was pending, so nobody else will fail it.
            self._fail(request, NotDelivered(f"{port.node} is gone"))
        return request

    def tell(
        self,
        place: Place,
        action: str,
        payload: bytes,
        buffers: Sequence[Buffer],
        sender: int,
        name: str,
    ) -> None:
        """Tell an actor of another node.

        Raises:
            MailboxFull: the hard limit of its link is reached.
        """
        assert place.port is not None, place
        outcomes = self._outcomes
        number = next(outcomes.numbers)
        sig = ""
        if outcomes.trace is not None:
            sig = outcomes.sig(number)
            outcomes.trace_accept(sig, name, place.name)
        signal = Signal((place.uid,), sender, number, action, payload)
        try:
            is_long = buffers or len(payload) >= limits.SHARED_BYTES_MIN
            place.port.put(Bulky(signal, buffers) if is_long else signal)
        except MailboxFull as error:
            outcomes.trace_dead(sig, name, place.name, str(error))
            raise

    def fence(self, port: PeerPort, actor: str, done: Callable[[], None]) -> None:
        """Have `done` called when all signals to an actor that went to a node are settled there.

        They are in its mailbox, were handled, or came back; or the node is out of reach. It is an
        ask of nobody: answers come behind what comes back, asks behind signals.

        Args: actor: "": all that went there, to whomever; who is given back signals stays so.

        Raises:
            MailboxFull: the hard limit of the link is reached.
        """
        place = Place(name=actor, uid=0, type="", port=port)
        self.ask(place, FENCE, actor.encode(), (), 0, None, lambda outcome: done())

    def fail_pending(self, port: PeerPort | None, error_of: Callable[[str], ZactorError]) -> None:
        """End the asks that are pending at that port, or all; `error_of` gets actor.action."""
        for request, pending in list(self._pending.items()):
            if port is None or pending.port is port:
                self._fail(request, error_of(f"{pending.actor}.{pending.action}"))

    def _fail(self, request: int, error: ZactorError) -> None:
        pending = self._pending.pop(request, None)
        if pending is None:
            return
        if pending.reply is not None:
            pending.reply.set_error(error)
        if pending.done is not None:
            pending.done(failure_of(request, error))

    def redirect(self, item: object, port: PeerPort) -> None:
        """That item goes to another node than it seemed to: who is asked there owes the answer."""
        inner = item.item if isinstance(item, Bulky) else item
        if isinstance(inner, Ask):
            pending = self._pending.get(inner.request)
            if pending is not None:
                self._pending[inner.request] = msgspec.structs.replace(pending, port=port)

    def forget(self, request: int) -> None:
        """Nobody waits for the outcome of that ask any more: its actor may leave it out."""
        pending = self._pending.pop(request, None)
        if pending is not None and pending.port not in self._lost:
            pending.port.put(Withdrawn(pending.target, request))

    # -- in ----------------------------------------------------------------------------------
    def deliver(self, port: PeerPort, items: Sequence[object]) -> None:
        """Take in what arrived from a node, in its order."""
        woken: list[Cell] = []
        try:
            for item in items:
                buffers: Sequence[Buffer] = ()
                if type(item) is Bulky:
                    buffers = item.buffers
                    item = item.item
                if type(item) is SignalParcel:
                    self._open(port, item, woken)
                elif type(item) is Signal:
                    self.signalled(port, item, item.number, item.payload, buffers, woken)
                elif type(item) is Ask:
                    self._asked(port, item, buffers)
                elif type(item) is ReplyItem:
                    self._answered(item, buffers)
                elif type(item) is Failure:
                    self._failed(item)
                elif type(item) is Undelivered:
                    self.returned(port, item)
                elif type(item) is Withdrawn:
                    self._withdrawn(port, item)
                elif type(item) is AskProbe:
                    if self.cycles is not None:
                        self.cycles.probed(port, item)
                elif type(item) is AskCycle:
                    if self.cycles is not None:
                        self.cycles.end(item)
                else:
                    log.error("unexpected_item", node=str(port.node), kind=type(item).__name__)
        finally:
            for cell in woken:
                cell.dispatcher.ready(cell)

    def _open(self, port: PeerPort, parcel: SignalParcel, woken: list[Cell]) -> None:
        headers, signalled = parcel.headers, self.signalled
        for place, number, payload in zip(
            parcel.which, parcel.numbers, parcel.payloads, strict=True
        ):
            signalled(port, headers[place], number, payload, (), woken)

    def signalled(
        self,
        port: PeerPort,
        header: Signal | SignalHeader,
        number: int,
        payload: bytes | Arguments,
        buffers: Sequence[Buffer],
        woken: list[Cell],
    ) -> None:
        """Put a signal into its targets' mailboxes; the cells that slept are added to `woken`.

        They are woken when the whole batch is in: waking gives the interpreter lock away, and the
        two threads would then hand it to and fro for every few messages.
        """
        targets = header.targets
        left = None
        if len(targets) != 1:
            if not targets:
                port.consumed(1)
                return
            left = [None] * (len(targets) - 1)
        value = None
        if isinstance(payload, tuple):  # it was decoded with its frame
            payload, value = b"", (payload, _NO_KEYWORDS)
        sig = sender = ""
        if self._outcomes.trace is not None:
            sig = f"{port.node}#{number}"
            sender = self._directory.name_of(header.sender)
        message = ArrivedSignal(
            payload, buffers, port, header.sender, number, left, value, header.action, sender, sig
        )
        for uid in targets:
            cell = self._cells.get(uid)
            if cell is None:
                self._bounce(uid, message)
                continue
            if cell.limit <= len(cell.mailbox):
                cell.admit(message, None)
                continue
            cell.mailbox.append(message)
            if cell.idle:
                cell.idle = False
                woken.append(cell)

    def _bounce(self, uid: int, signal: ArrivedSignal) -> None:
        if signal.is_last_taken():
            signal.port.consumed(1)
        self._outcomes.bounced(signal.port, uid, self._directory.name_of(uid), signal)

    def _asked(self, port: PeerPort, item: Ask, buffers: Sequence[Buffer]) -> None:
        cell = self._cells.get(item.target)
        node = self._outcomes.node_name
        name = self._directory.name_of(item.target)
        asker = RemoteAsker(
            port, item.request, self._policy, node=node, actor=name, action=item.action
        )
        if cell is None:
            port.consumed(1)
            if item.action == FENCE and item.payload:
                self._outcomes.due_back.remove(port, item.payload.decode(errors="replace"))
            asker.set_error(NotDelivered(f"no such actor on {node}: {name}"))
            return
        payload = SharedPayload(item.payload, buffers, port, item.sender, item.request)
        message = Envelope(item.action, asker=asker, shared_payload=payload)
        cell.put(message, None)
        if cell.waits_for is not None and may_let_in(cell, item.action):
            let_in(cell, message)

    def _withdrawn(self, port: PeerPort, item: Withdrawn) -> None:
        cell = self._cells.get(item.target)
        asker = None if cell is None else remote_ask(cell, port, item.request)
        if asker is not None:
            asker.withdraw()

    def _answered(self, item: ReplyItem, buffers: Sequence[Buffer]) -> None:
        pending = self._pending.pop(item.request, None)
        if pending is None:  # it timed out meanwhile
            return
        if pending.reply is not None:
            # Unpickled by whoever waits for it, in that thread.
            pending.reply.set_result(
                item.payload, lambda payload: decode_value(payload, buffers, self._policy)
            )
        if pending.done is not None:
            pending.done(Bulky(item, buffers) if buffers else item)

    def _failed(self, item: Failure) -> None:
        pending = self._pending.pop(item.request, None)
        if pending is None:
            return
        if pending.reply is not None:
            pending.reply.set_error(from_wire(item.kind, item.message, item.fields))
        if pending.done is not None:
            pending.done(item)

    # -- the end of a node -------------------------------------------------------------------
    def peer_dead(self, port: PeerPort, lost: Sequence[tuple[object, bool]]) -> None:
        """That life of that node is over.

        Args: lost: what it hasn't acknowledged, and whether it was sent at all.
        """
        self._lost.add(port)
        self._outcomes.due_back.remove(port)
        self.peer_out_of_view(port, lost)

    def peer_out_of_view(self, port: PeerPort, lost: Sequence[tuple[object, bool]]) -> None:
        """That node is out of reach, perhaps not for ever: nothing here waits for it any more.

        Args: lost: what will never be handed to it, and whether it was sent at all.
        """
        for item, sent in lost:
            inner = item.item if isinstance(item, (Bulky, InMemory)) else item
            if isinstance(inner, Ask):
                what = f"{self._directory.name_of(inner.target)}.{inner.action}"
                if sent:
                    error: ZactorError = OutcomeUnknown(f"{what}: {port.node} is gone")
                else:
                    error = NotDelivered(f"{what}: {port.node} is gone, it was never sent")
                self._fail(inner.request, error)
            elif isinstance(inner, Signal | SignalParcel):
                fate = "it may have arrived" if sent else "never sent"
                for signal in (inner,) if isinstance(inner, Signal) else signals_of(inner):
                    reason = f"{port.node} is gone: {fate}"
                    if not sent and self.came_back(port, signal, reason):
                        continue
                    self._dead(signal.targets, signal.sender, signal.number, signal.action, reason)
        # What it acknowledged and didn't answer; its own signals and asks are still handled here.
        self.fail_pending(
            port, lambda what: OutcomeUnknown(f"{what}: {port.node} is gone before it answered")
        )

    def returned(self, port: PeerPort | None, item: Undelivered) -> None:
        """A signal of this node wasn't handled at another."""
        if item.payload and port is not None and self.came_back(port, item, item.reason):
            return
        self._dead(item.targets, item.sender, item.number, item.action, item.reason)

    def _dead(
        self, targets: Sequence[int], sender: int, number: int, action: str, reason: str
    ) -> None:
        outcomes = self._outcomes
        name_of = self._directory.name_of
        sig = outcomes.sig(number)
        for uid in targets:
            outcomes.dead(name_of(sender), name_of(uid), action, reason, number=number, sig=sig)
