"""The way of one signal of one actor to all that react to it, compiled when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups.events import Submit
from zactor.kernel.messages.actors import Signal
from zactor.kernel.runtime.directory import Legs
from zactor.kernel.runtime.envelope import AnyEnvelope, Envelope, SharedPayload
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.payload import Outsize, encode, encode_whole, parts_of

if TYPE_CHECKING:
    from zactor.kernel.runtime.cell import Cell
    from zactor.kernel.runtime.runtime import Runtime


Ordered = tuple[Submit, tuple[str, ...]]

"""A signal as it goes in group order, and the names of those it is for."""


class Route:
    """Compiled for (cell, action); `forget` makes the next emission compile it again.

    Emitter.emit reads `cells` itself: None says that the way is not so simple, come to `send`.
    """

    __slots__ = (
        "__weakref__",
        "_legs",
        "_runtime",
        "action",
        "cell",
        "cells",
        "emitter",
        "reactors",
    )

    def __init__(self, runtime: Runtime, cell: Cell, action: str) -> None:
        self._runtime = runtime
        self.cell = cell
        self.emitter = cell.name
        self.action = action
        self.cells: tuple[Cell, ...] | None = None
        self.reactors: tuple[str, ...] = ()  # what it was compiled from
        self._legs: Legs | None = None

    def forget(self) -> None:
        """Something it depends on has changed."""
        self.cells = None
        self._legs = None

    def send(self, args: tuple[Any, ...]) -> int:
        """Send one signal with these objects; returns how many reactors it is on its way to.

        Raises:
            MailboxFull: some refused it; all others have it.
            ConfigError: the arguments can't travel; nobody has it.
        """
        legs = self._legs or self._compile()
        policy = self._runtime.policy
        body = encode(args, {}, policy) if legs.remotes else b""
        whole = encode_whole(args, policy) if legs.ordered else b""
        return self._send(legs, args, None, body, whole, self.cell)

    def relay(self, payload: bytes) -> int:
        """Send one signal as a client's door took it in, without unpickling it here."""
        legs = self._legs or self._compile()
        count = len(legs.cells)
        payload_shared = SharedPayload(payload, (), None, 0, 0, [None] * (count - 1))
        return self._send(legs, (), payload_shared, payload, payload, None)

    def _compile(self) -> Legs:
        # The lock is held while the result is stored, so no change can come between.
        self._runtime.directory.compile(self, self._take)
        legs = self._legs
        return legs if legs is not None else self._compile()

    def _take(self, legs: Legs) -> None:
        self._legs = legs
        is_local = not (legs.remotes or legs.ordered or legs.missing)
        if is_local and self._runtime.trace is None:
            self.cells = legs.cells

    def _send(
        self,
        legs: Legs,
        args: tuple[Any, ...],
        payload_shared: SharedPayload | None,
        body: bytes | Outsize,
        whole: bytes,
        sender: Cell | None,
    ) -> int:
        runtime = self._runtime
        refused: list[str] = []
        is_numbered = legs.remotes or legs.ordered or runtime.trace is not None
        number = next(runtime.numbers) if is_numbered else 0
        ordered = self._make_ordered(legs, number, whole) if legs.ordered else ()
        sig = runtime.sig(number)
        for cell in legs.cells:
            message: AnyEnvelope = (self.action, args, self.emitter)
            if sig or payload_shared is not None:
                message = Envelope(
                    self.action, args, payload_shared=payload_shared, sender=self.emitter, sig=sig
                )
            try:
                runtime.put(cell, message, sender)
            except MailboxFull as error:
                refused.append(str(error))
        for port, uids, names in legs.remotes:
            for name in names:
                runtime.note_accept(sig, self.emitter, name)
            payload, buffers = parts_of(body)
            item = Signal(uids, self.cell.uid, number, self.action, payload)
            try:
                port.put(Bulky(item, buffers) if buffers else item)
            except MailboxFull as error:
                refused.append(str(error))
                for name in names:
                    runtime.note_dead(sig, self.emitter, name, str(error))
            else:
                if sender is not None and port.congested:
                    sender.hold(port)
        for submit, names in ordered:
            try:
                self._put_ordered(submit, sig, names, sender)
            except MailboxFull as error:
                refused.append(str(error))
        for name, why in legs.missing:
            runtime.note_accept(sig, self.emitter, name)
            runtime.dead(self.emitter, name, self.action, why, number=number, sig=sig)
        if refused:
            raise MailboxFull("; ".join(refused))
        return legs.count

    def _make_ordered(self, legs: Legs, number: int, payload: bytes) -> list[Ordered]:
        """What goes in group order, one message for each service; raises before anybody has it."""
        wires = self._runtime.in_order()
        return [
            (wires.make(service, targets, self.cell.uid, number, self.action, payload), names)
            for service, targets, names in legs.ordered
        ]

    def _put_ordered(
        self, submit: Submit, sig: str, names: tuple[str, ...], sender: Cell | None
    ) -> None:
        runtime = self._runtime
        wires = runtime.in_order()
        for name in names:
            runtime.note_accept(sig, self.emitter, name)
        try:
            wires.queued.put(submit)
        except MailboxFull as error:
            for name in names:
                runtime.note_dead(sig, self.emitter, name, str(error))
            raise
        if sender is not None and wires.congested:
            sender.hold(wires)
