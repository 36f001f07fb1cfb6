"""Held signals: what the wires of this node do with signals while their reactor is away.

By default they are dead letters. A wire that holds keeps them here, at its emitter's node, and
sends them in order when the reactor is back; one that blocks mutes its emitter as well. What comes
back unhandled from where the reactor was is held again. All of it ends with this node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Signal, Undelivered
from zactor.kernel.messages.meanwhile import Holding, Meanwhile
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Directory, Place
from zactor.kernel.runtime.envelope import ArrivedSignal, PeerPort
from zactor.kernel.runtime.hold_queue import HeldSignal, HoldQueue, WireKey
from zactor.kernel.runtime.holding_port import HoldingPort
from zactor.kernel.runtime.outcomes import Outcomes
from zactor.kernel.runtime.remoting import Remoting


class _Here:
    """This node as a port, for signals to reactors here: what isn't handled comes back the same."""

    congested = False

    def __init__(self, node: str, returned: Callable[[PeerPort, Undelivered], None]) -> None:
        self.node = NodeId(node, 0)
        self._returned = returned

    def put(self, item: Undelivered) -> None:
        """Take a signal back."""
        self._returned(self, item)

    def consumed(self, count: int) -> None:
        """Nobody counts them."""


@dataclass(slots=True, eq=False)
class _Held:
    """The wires that hold to one reactor."""

    name: str
    queue: HoldQueue = field(default_factory=HoldQueue)
    # By emitter and what is done: the signals for which it is, mostly one.
    wires: dict[WireKey, dict[str, Meanwhile]] = field(default_factory=dict)

    def how(self, wire: WireKey) -> Meanwhile | None:
        """Return what a wire does; None: it holds nothing."""
        return max(self.wires.get(wire, {}).values(), key=lambda how: how.most, default=None)


@dataclass(slots=True, eq=False)
class _Closed:
    """What an emitter waits for whose wire blocks, or whose reactor moves."""

    held: _Held
    wire: WireKey
    blocks: bool
    moving: set[str]  # as of HeldSignals

    @property
    def congested(self) -> bool:
        """Whether its reactor is away still, or moves."""
        if self.held.queue.is_open or self.wire not in self.held.wires:
            return False
        return self.blocks or self.held.name in self.moving


class HeldSignals:
    """The hold queues of one node. Threads: all by any."""

    def __init__(
        self,
        directory: Directory[Cell],
        outcomes: Outcomes,
        remoting: Remoting,
        unmute: Callable[[], None],
    ) -> None:
        """Args: unmute: has those looked at who wait for a reactor."""
        self._directory = directory
        self._outcomes = outcomes
        self._remoting = remoting
        self._unmute = unmute
        self._lock = threading.RLock()
        self._held: dict[str, _Held] = {}  # by reactor
        self._known: dict[str, tuple[Place, object]] = {}  # where reactors are; of all names
        self._moving: set[str] = set()  # names of those that move, until what waits has gone on
        self._look_at_s = 0.0
        self._here = _Here(outcomes.node_name, remoting.returned)
        outcomes.holds = self.holds
        remoting.came_back = self.came_back

    # -- what the knowledge base says --------------------------------------------------------
    def connect(self, emitter: str, signal: str, meanwhile: Holding) -> None:
        """From now on exactly these wires of that signal hold."""
        with self._lock:
            for name, held in list(self._held.items()):
                for wire, signals in list(held.wires.items()):
                    if (
                        wire[0] == emitter
                        and signal in signals
                        and (name, wire[1]) not in meanwhile
                    ):
                        del signals[signal]
                        self._drop_unheld(held, wire)
            for (name, does), how in meanwhile.items():
                holding = self._held.setdefault(name, _Held(name))
                holding.wires.setdefault((emitter, does), {})[signal] = how
                self._look(holding)
        self._unmute()

    def _drop_unheld(self, held: _Held, wire: WireKey) -> None:
        if held.wires[wire]:
            return
        del held.wires[wire]
        reason = f"{held.name} was away, and {wire[0]}.{wire[1]} holds nothing for it now"
        for each in held.queue.drop(wire):
            self._dead(held.name, each, reason)
        if not held.wires:
            del self._held[held.name]

    def place(self, name: str, place: Place | None, life: object) -> None:
        """That life of the actor is there now; None: it is away, or moves.

        While it moves signals wait here, as many as where no wire holds, and not in the port that
        holds all others: so that those that were sent to where it was can still come back.
        """
        with self._lock:
            if place is not None and isinstance(place.port, HoldingPort):
                self._moving.add(name)
            elif name in self._moving and (life is None or name not in self._held):
                self._moving.discard(name)
                self._unmute()
            if place is None or life is None:
                self._known.pop(name, None)
            else:
                self._known[name] = place, life
            held = self._held.get(name)
            if held is not None:
                self._look(held)

    def _look(self, held: _Held) -> None:
        """Let go what waits, if its reactor is there."""
        place, life = self._known.get(held.name, (None, None))
        queue = held.queue
        queue.lives(life, None if place is None else place.port or self._here)
        was_open = queue.is_open
        port = queue.fence()
        if port is self._here:
            self._outcomes.due_back.remove(self._here, held.name)
            queue.settled()
        elif port is not None:
            self._fence(held, port)
        while (waiting := queue.next()) is not None:
            self._send(held, waiting, None)
        if queue.is_open and not was_open:
            self._moving.discard(held.name)
            self._unmute()

    def _fence(self, held: _Held, port: Any) -> None:
        """Ask a node whether all has come back: what it answers comes after all that did."""
        try:
            self._remoting.fence(port, held.name, partial(self._settled, held))
        except MailboxFull:  # its line is full: with the next signal it is tried again
            held.queue.settled(is_asked=False)

    def _settled(self, held: _Held) -> None:
        with self._lock:
            held.queue.settled()
            self._look(held)

    # -- signals -----------------------------------------------------------------------------
    def holds(self, emitter: int, action: str, reactor: str) -> bool:
        """Whether that wire holds. Args: emitter: its uid."""
        held = self._held.get(reactor)
        return held is not None and (self._directory.name_of(emitter), action) in held.wires

    def put(
        self,
        name: str,
        wire: WireKey,
        payload: bytes,
        number: int,
        sender_uid: int,
        sender: Sender | None,
    ) -> None:
        """Send a signal to a reactor, now or when it is back.

        Raises:
            MailboxFull: the wire blocks, or the reactor moves, and as much waits as may.
        """
        sig = self._outcomes.sig(number)
        self._outcomes.trace_accept(sig, wire[0], name)
        signal = HeldSignal(wire, number, payload, sender_uid, sig)
        with self._lock:
            held = self._held.get(name)
            how = None if held is None else held.how(wire)
            if held is None or how is None:  # since just now
                self._dead(name, signal, f"{wire[0]}.{wire[1]} has just been changed")
                return
            if not held.queue.is_open:
                self._look(held)
            if held.queue.is_open:
                self._send(held, signal, sender)
                return
            is_moving = name in self._moving
            if why := self._no_room(held, signal, how):
                if how.blocks or is_moving:
                    self._outcomes.trace_dead(sig, wire[0], name, why)
                    raise MailboxFull(why)
                self._dead(name, signal, why)
                return
            held.queue.put(signal)
            if sender is not None and (how.blocks or is_moving):
                sender.mute_until(_Closed(held, wire, how.blocks, self._moving))

    def _no_room(self, held: _Held, signal: HeldSignal, how: Meanwhile) -> str:
        wire = f"{signal.wire[0]}.{signal.wire[1]}"
        most = limits.HELD_ITEMS_MAX if held.name in self._moving else how.most
        if held.queue.waiting(signal.wire) >= most:
            return f"{held.name} is away, and {wire} holds {most} signals for it already"
        size = held.queue.size + signal.size
        if size > limits.HOLD_BYTES_MAX:
            return f"{held.name} is away, and {limits.HOLD_BYTES_MAX >> 20} MiB wait for it already"
        if sum(each.queue.size for each in self._held.values()) > limits.HOLD_BYTES_ALL_MAX:
            all_mib = limits.HOLD_BYTES_ALL_MAX >> 20
            return f"{held.name} is away, and {all_mib} MiB wait at {self._outcomes.node_name}"
        return ""

    def _send(self, held: _Held, signal: HeldSignal, sender: Sender | None) -> None:
        """Send it to where its reactor is: whatever refuses it there gives it back."""
        place, _ = self._known[held.name]
        action, port = signal.wire[1], place.port
        if port is not None:
            item = Signal((place.uid,), signal.sender, signal.number, action, signal.payload)
            try:
                port.put(item)
            except MailboxFull as error:
                self._dead(held.name, signal, str(error))
            else:
                if sender is not None and port.congested:
                    sender.mute_until(port)
            return
        cell = self._directory.cells.get(place.uid)
        if cell is None:
            held.queue.came_back(signal, self._here)
            return
        emitter = signal.wire[0] if signal.sig else ""
        cell.put(
            ArrivedSignal(
                signal.payload,
                (),
                self._here,
                signal.sender,
                signal.number,
                action=action,
                sender=emitter,
                sig=signal.sig,
            ),
            sender,
        )

    def came_back(self, port: PeerPort, item: Undelivered | Signal, reason: str) -> bool:
        """Hold a signal again that wasn't handled there; False: nobody does, or may."""
        if not item.payload or not isinstance(item.payload, bytes) or len(item.targets) != 1:
            return False
        name = self._directory.name_of(item.targets[0])
        wire = (self._directory.name_of(item.sender), item.action)
        with self._lock:
            held = self._held.get(name)
            how = None if held is None else held.how(wire)
            if held is None or how is None:
                return False
            sig = self._outcomes.sig(item.number)
            signal = HeldSignal(wire, item.number, item.payload, item.sender, sig)
            if why := self._no_room(held, signal, how):
                self._dead(name, signal, f"{reason}; {why}")
                return True
            return held.queue.came_back(signal, port)

    def _dead(self, name: str, signal: HeldSignal, reason: str) -> None:
        emitter, action = signal.wire
        self._outcomes.dead(emitter, name, action, reason, number=signal.number, sig=signal.sig)

    def keep(self, now_s: float) -> None:
        """Look again at who seems to be away; called every HOUSEKEEPING_MS."""
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + limits.HOLD_LOOK_S
        with self._lock:
            for held in self._held.values():
                if not held.queue.is_open:
                    held.queue.look_again()
                    self._look(held)

    # -- for people, and the end -------------------------------------------------------------
    def count(self) -> Mapping[str, int]:
        """Return how many signals wait here, by reactor; those for whom some do."""
        with self._lock:
            return {name: len(held.queue) for name, held in self._held.items() if held.queue}

    def close(self, reason: str) -> None:
        """What waits is lost with this node: say so."""
        with self._lock:
            for name, held in self._held.items():
                for wire in held.wires:
                    for signal in held.queue.drop(wire):
                        self._dead(name, signal, reason)
