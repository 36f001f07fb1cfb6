"""Directory writer: where actors are and who reacts to whom, told to the runtime as the KB says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.meanwhile import Holding, Meanwhile
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.directory import Place, Reactors
from zactor.kernel.runtime.envelope import PeerPort
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.facts import ActorRow, WireRow


class DirectoryHost(Protocol):
    """What has the directory of this node."""

    def place(self, name: str, place: Place | None, absent: str = "", life: object = None) -> None:
        """From now on messages to `name` go there; None: nowhere, and why.

        Args: life: of it that runs there; None: none does.
        """
        ...

    def connect(self, emitter: str, signal: str, reactors: Reactors, meanwhile: Holding) -> None:
        """These react to that signal from now on, and nobody else; for some of them it waits."""
        ...


class HoldingPorts(Protocol):
    """Where messages to actors that move wait. See Moves."""

    def hold(self, name: str, node: NodeId) -> PeerPort:
        """Return where those to it wait."""
        ...

    def release(self, name: str, port: PeerPort | None, *, is_here: bool) -> None:
        """It is there, or here, or nowhere: what was held goes there first."""
        ...


class DirectoryWriter:
    """Tells the runtime of one node. Kernel's loop only."""

    def __init__(
        self,
        me: NodeId,
        runtime: DirectoryHost,
        port_of: Callable[[str], PeerPort | None],
        moves: HoldingPorts,
    ) -> None:
        """Args: port_of: gives the port of another node that is up."""
        self._me = me
        self._runtime = runtime
        self._port_of = port_of
        self._moves = moves
        self.placed: set[str] = set()  # names that lead somewhere, or it was said why not
        self.wired: set[tuple[str, str]] = set()

    def place(self, theory: Theory, name: str, row: ActorRow | None) -> None:
        """Say where an actor is."""
        if row is not None and facts.moving_to(theory, name):
            held = self._moves.hold(name, self._me)
            self._runtime.place(name, Place(name=name, uid=row.uid, type=row.type, port=held))
            self.placed.add(name)
            return
        port = None if row is None or row.node == self._me.name else self._port_of(row.node)
        absent, place = "", None
        if row is None:
            absent = orders.lost_words(theory, name)
        elif port is None and row.node != self._me.name:
            absent = f"{name} is on {row.node}, which is out of reach"
        else:
            place = Place(name=name, uid=row.uid, type=row.type, port=port)
        self._moves.release(name, port, is_here=place is not None and port is None)
        runs = row is not None and row.state == "running"
        self._runtime.place(name, place, absent, (row.uid, row.since) if row and runs else None)
        if place is not None or absent:
            self.placed.add(name)
        else:
            self.placed.discard(name)

    def wire(self, theory: Theory, emitter: str, signal: str) -> None:
        """Say who reacts to a signal."""
        # A wire that is down leads to nobody, whose signals are dead letters then, or wait; or its
        # ends are about to be taken back, and have heard each other all the while.
        wires = [wire for wire, _ in orders.down(theory, emitter=emitter)]
        wires += facts.wires(theory, emitter=emitter)
        wires = [wire for wire in wires if wire.signal == signal]
        reactors = {(wire.reactor, wire.does): wire.service for wire in wires}
        held = facts.meanwhile(theory, emitter=emitter)
        self._runtime.connect(emitter, signal, reactors, dict(_holding(held, wires)))
        if reactors:
            self.wired.add((emitter, signal))
        else:
            self.wired.discard((emitter, signal))


def _holding(
    held: Mapping[tuple[str, str, str], str], wires: Iterable[WireRow]
) -> Iterator[tuple[tuple[str, str], Meanwhile]]:
    for wire in wires if held else ():
        try:
            how = Meanwhile.parse(held.get((wire.reactor, wire.emitter, wire.action), ""))
        except ConfigError:  # a fact that nobody of ours wrote
            continue
        if how is not None and wire.service <= Service.FIFO:
            yield (wire.reactor, wire.does), how
