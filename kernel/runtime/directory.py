"""Directory: who is where and who reacts to whom, as the knowledge base says.

Threads: changes come from the kernel's loop, compiling happens in actors' threads; one lock
serves both, since both are rare. Between two changes an emission reads its route and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.envelope import PeerPort


class LocalActor(Protocol):
    """An actor of this node, as far as it is found here."""

    name: str
    uid: int
    type: str


class CompiledRoute(Protocol):
    """What is compiled from here: the way of a signal of one actor."""

    emitter: str
    signal: str
    reactors: tuple[str, ...]  # what it was compiled from; kept here

    def forget(self) -> None:
        """Something it depends on has changed."""
        ...


CellT = TypeVar("CellT", bound=LocalActor)
CellT_co = TypeVar("CellT_co", bound=LocalActor, covariant=True)

Targets = tuple[tuple[str, tuple[int, ...]], ...]
"""By name of their node: uids of actors."""

Reactors = Mapping[tuple[str, str], Service]
"""Who does which action on a signal, and what was promised about its order."""

_NAMES_FORGOTTEN_MAX = 10_000  # uids of actors that are gone, kept for late dead letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an actor is."""

    name: str
    uid: int
    type: str
    port: PeerPort | None  # None: here


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs(Generic[CellT_co]):
    """Where one emission goes, and what is done there: an action stands last in each."""

    cells: tuple[tuple[CellT_co, str], ...]
    # port, uids, names
    remotes: tuple[tuple[PeerPort, tuple[int, ...], tuple[str, ...], str], ...]
    # What goes in group order, with names; under None what wires hold, see HeldSignals.
    ordered: tuple[tuple[Service | None, Targets, tuple[str, ...], str], ...]
    missing: tuple[tuple[str, str, str], ...]  # name, why
    count: int  # of the wires that it goes along, but for those missing


class Directory(Generic[CellT]):
    """Names to places, signals to reactors, and the routes that depend on them."""

    def __init__(self, node: str) -> None:
        """Args: node: the name of this one."""
        self._node = node
        self.places: dict[str, Place] = {}
        self.cells: dict[int, CellT] = {}  # actors of this node by uid
        self._reactors: dict[tuple[str, str], Reactors] = {}
        self._holding: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}  # of these some
        self._routes: dict[tuple[str, str], list[CompiledRoute]] = {}
        self._users: dict[str, set[CompiledRoute]] = {}  # routes by the reactors they lead to
        self._names: dict[int, str] = {}
        self._absent: dict[str, str] = {}  # name that leads nowhere -> why, where that is known
        self._lock = threading.Lock()
        self._nowhere = ""  # why no name leads anywhere

    def place(self, name: str, place: Place | None, absent: str = "") -> None:
        """From now on the actor is there; None: nowhere, and `absent` says why, if it is known."""
        with self._lock:
            self._absent.pop(name, None)
            if place is None:
                self.places.pop(name, None)
                if absent:
                    self._absent[name] = absent
            else:
                self.places[name] = place
                self._name(place.uid, name)
            self._touch(name)

    def absent(self, name: str) -> str:
        """Return why a name leads nowhere."""
        return self._nowhere or self._absent.get(name) or f"no such actor: {name}"

    def leads_nowhere(self, why: str) -> None:
        """From now on no name leads anywhere. Only where no other thread is left."""
        self._lock = threading.Lock()
        self._nowhere = why
        self.places.clear()
        self.cells.clear()
        for routes in self._routes.values():
            for route in routes:
                route.forget()

    def connect(
        self,
        emitter: str,
        signal: str,
        reactors: Reactors,
        holding: Collection[tuple[str, str]] = (),
    ) -> None:
        """From now on exactly these react to that signal, and the wires to some of them hold."""
        with self._lock:
            if holding:
                self._holding[emitter, signal] = frozenset(holding)
            else:
                self._holding.pop((emitter, signal), None)
            if reactors:
                self._reactors[emitter, signal] = reactors
            else:
                self._reactors.pop((emitter, signal), None)
            for route in self._routes.get((emitter, signal), ()):
                route.forget()

    def reactors(self, emitter: str, signal: str) -> Reactors:
        """Who reacts to that signal."""
        return self._reactors.get((emitter, signal), {})

    def enter(self, cell: CellT) -> None:
        """The cell takes messages from now on; its name leads to it unless it leads elsewhere."""
        with self._lock:
            self.cells[cell.uid] = cell
            self._name(cell.uid, cell.name)
            if cell.name not in self.places:
                self.places[cell.name] = Place(
                    name=cell.name, uid=cell.uid, type=cell.type, port=None
                )
            self._touch(cell.name)

    def leave(self, cell: CellT, routes: Iterable[CompiledRoute]) -> None:
        """The cell is no more; its name stays where the knowledge base put it."""
        with self._lock:
            self.cells.pop(cell.uid, None)
            for route in routes:
                self._routes[route.emitter, route.signal].remove(route)
                if not self._routes[route.emitter, route.signal]:
                    del self._routes[route.emitter, route.signal]
                self._unuse(route)
            self._touch(cell.name)

    def local(self, name: str) -> CellT | None:
        """The running actor of this node that the name leads to."""
        place = self.places.get(name)
        return None if place is None or place.port is not None else self.cells.get(place.uid)

    def name_of(self, uid: int) -> str:
        """The name of an actor by uid, also some time after it is gone; "" for a client."""
        if uid == 0:
            return ""
        return self._names.get(uid, f"#{uid}")

    def register(self, route: CompiledRoute) -> None:
        """Have the route told when who reacts or where one of its reactors changes."""
        with self._lock:
            self._routes.setdefault((route.emitter, route.signal), []).append(route)

    def compile(self, route: CompiledRoute, take: Callable[[Legs[CellT]], None]) -> None:
        """Call `take` with where an emission goes now; no change happens meanwhile."""
        with self._lock:
            reactors = self._reactors.get((route.emitter, route.signal), {})
            self._unuse(route)
            route.reactors = tuple({name: None for name, _ in reactors})
            for name in route.reactors:
                self._users.setdefault(name, set()).add(route)
            holding = self._holding.get((route.emitter, route.signal), frozenset())
            take(self._legs(reactors, holding))

    def _legs(self, reactors: Reactors, holding: Collection[tuple[str, str]]) -> Legs[CellT]:
        cells: list[tuple[CellT, str]] = []
        missing: list[tuple[str, str, str]] = []
        ports: dict[tuple[int, str], tuple[PeerPort, list[int], list[str]]] = {}
        ordered: dict[tuple[Service | None, str], tuple[dict[str, list[int]], list[str]]] = {}
        for (name, action), service in reactors.items():
            place = self.places.get(name)
            if (name, action) in holding:
                ordered.setdefault((None, action), ({}, []))[1].append(name)
            elif place is None:
                missing.append((name, self.absent(name), action))
            elif service > Service.FIFO and (place.port is not None or place.uid in self.cells):
                node = self._node if place.port is None else place.port.node.name
                targets, reached = ordered.setdefault((service, action), ({}, []))
                targets.setdefault(node, []).append(place.uid)
                reached.append(name)
            elif place.port is not None:
                port = place.port
                _, uids, there = ports.setdefault((id(port), action), (port, [], []))
                uids.append(place.uid)
                there.append(name)
            elif place.uid in self.cells:
                cells.append((self.cells[place.uid], action))
            else:
                missing.append((name, f"{name} isn't running", action))
        return Legs(
            cells=tuple(cells),
            remotes=tuple(
                (port, tuple(uids), tuple(there), action)
                for (_, action), (port, uids, there) in ports.items()
            ),
            ordered=tuple(
                (
                    service,
                    tuple((node, tuple(uids)) for node, uids in targets.items()),
                    tuple(names),
                    action,
                )
                for (service, action), (targets, names) in ordered.items()
            ),
            missing=tuple(missing),
            count=len(reactors) - len(missing),
        )

    def _unuse(self, route: CompiledRoute) -> None:
        for name in route.reactors:
            users = self._users.get(name)
            if users is not None:
                users.discard(route)
                if not users:
                    del self._users[name]

    def _touch(self, name: str) -> None:
        for route in self._users.get(name, ()):
            route.forget()

    def _name(self, uid: int, name: str) -> None:
        self._names[uid] = name
        if len(self._names) > 2 * len(self.places) + _NAMES_FORGOTTEN_MAX:
            alive = {place.uid for place in self.places.values()} | set(self.cells)
            self._names = {uid: name for uid, name in self._names.items() if uid in alive}
