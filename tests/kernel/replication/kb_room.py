"""Replicas in one room: a perfect order that a test moves on by hand, and disks that wait for it.

room = Room("n1", "n2", "m1")
room.view("n1", "n2", "m1")       a view that these install, each from where it is
room.found("n1")
room.run()                        deliver and write until nothing moves
room.submit("n2", "t1", "p(1)")
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import KbLinked, KbOrdered, Transaction
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.replication import effects
from zactor.kernel.replication.log import Kept
from zactor.kernel.replication.replica import Replica
from zactor.testing.kb_sim.disk import Disk

E = TypeVar("E")

_STEPS_MAX = 10_000


def empty() -> Kept:
    return Kept(theory=Theory())


def wanted(id_: str, *asserts: str, **more: tuple[str, ...]) -> Transaction:
    return Transaction(id_, "me", "why not", (), more.get("retract", ()), asserts)


class Room:
    """Everything that happens is kept in `happened`: (name, effect)."""

    def __init__(self, *names: str) -> None:
        self.disks = {name: Disk() for name in names}
        self.lives = dict.fromkeys(names, 1)
        self.replicas: dict[str, Replica] = {}
        self.happened: list[tuple[str, effects.Effect]] = []
        self.order: dict[ViewId, list[tuple[str, KbOrdered]]] = {}  # all that was said in a view
        self.heard: dict[str, int] = {}  # how much of its view's order each has been given
        self.views: dict[str, View] = {}
        self.links: deque[tuple[NodeId, NodeId, KbLinked]] = deque()
        self.stuck_disks: set[str] = set()
        self.deaf: set[str] = set()  # are given nothing for now
        self.unlinked: set[str] = set()
        self._epoch = 0
        self._last_write: dict[str, int] = {}
        for name in names:
            self.replicas[name] = Replica(self.id(name), self.role(name), empty())

    @staticmethod
    def role(name: str) -> str:
        return "master" if name.startswith("m") else "node"

    def id(self, name: str) -> NodeId:
        return NodeId(name, self.lives[name])

    # -- what a test does --------------------------------------------------------------------
    def view(self, *names: str, flush: Iterable[str] = ()) -> None:
        """These install a view; who isn't deaf gets the rest of its old one first.

        Args:
            flush: who gets that rest after the transitional signal.
        """
        for name in names:
            if name in flush:
                self._do(name, self.replicas[name].on_transitional(self.views[name].id, ()))
            while self._deliver(name, transitional=name in flush):
                pass
        self._epoch += 1
        members = tuple(sorted(self.id(name) for name in names))
        view = View(id=ViewId(self._epoch, members[0]), members=members)
        self.order[view.id] = []
        for name in names:
            self.views[name], self.heard[name] = view, 0
        for name in names:
            self._do(name, self.replicas[name].on_view(view, ()))

    def run(self) -> None:
        """Deliver, write and link until nothing moves."""
        for _ in range(_STEPS_MAX):
            if not self.step():
                return
        raise AssertionError("it never comes to rest")

    def step(self) -> bool:
        """One thing moves; False if nothing can."""
        if self.links:
            source, target, message = self.links.popleft()
            if self.id(target.name) == target:
                self._do(target.name, self.replicas[target.name].on_link(source, message))
            return True
        if any(self._deliver(name) for name in sorted(self.views) if name not in self.deaf):
            return True
        return any(
            self.sync(name) for name in sorted(self.replicas) if name not in self.stuck_disks
        )

    def sync(self, name: str) -> bool:
        """The node's disk catches up."""
        disk = self.disks[name]
        if not disk.has_waiting:
            return False
        last = disk.sync(disk.last)
        self._do(name, self.replicas[name].written(last))
        return True

    def restart(self, name: str, *, is_held: bool = False) -> None:
        """The process is killed and begins anew with what is synced; its view is still to come."""
        disk = self.disks[name]
        disk.forget()
        self.lives[name] += 1
        self.views.pop(name, None)
        self.replicas[name] = Replica(self.id(name), self.role(name), disk.load(), is_held=is_held)

    def die(self, *names: str) -> None:
        """These stop without a word."""
        for name in names:
            self.views.pop(name, None)

    def found(self, name: str, founding: str = "us") -> None:
        self._do(name, self.replicas[name].found(founding, 1.0))

    def submit(self, name: str, id_: str, *asserts: str, **more: tuple[str, ...]) -> None:
        self._do(name, self.replicas[name].submit(wanted(id_, *asserts, **more), 2.0))

    def tick(self, now_ms: int) -> None:
        for name in sorted(self.views):
            self._do(name, self.replicas[name].tick(now_ms))

    def call(self, name: str, what: Callable[[Replica], list[effects.Effect]]) -> None:
        self._do(name, what(self.replicas[name]))

    # -- what a test looks at ----------------------------------------------------------------
    def all(self, kind: type[E], name: str | None = None) -> list[E]:
        return [
            effect
            for who, effect in self.happened
            if isinstance(effect, kind) and name in (None, who)
        ]

    def decided(self, id_: str) -> effects.Decided:
        (one,) = [each for each in self.all(effects.Decided) if each.id == id_]
        return one

    def undecided(self, id_: str) -> bool:
        return all(each.id != id_ for each in self.all(effects.Decided))

    def said(self, name: str) -> list[KbOrdered]:
        """All that was said in the node's view."""
        return [message for _, message in self.order[self.views[name].id]]

    def primaries(self) -> dict[str, tuple[str, ...]]:
        """Who takes changes now, and with whom."""
        found = {}
        for name in sorted(self.views):
            replica = self.replicas[name]
            if replica.is_primary and replica.primary is not None:
                found[name] = replica.primary.members
        return found

    def facts(self, name: str) -> list[str]:
        texts = self.replicas[name].theory.texts()
        return [text for text in texts if not text.startswith("founded(")]

    def clock(self, name: str) -> Clock:
        return self.replicas[name].clock

    # -- inside ------------------------------------------------------------------------------
    def _deliver(self, name: str, transitional: bool = False) -> bool:
        view = self.views.get(name)
        if view is None:
            return False
        order = self.order[view.id]
        if self.heard[name] >= len(order):
            return False
        sender, message = order[self.heard[name]]
        self.heard[name] += 1
        node = next(node for node in view.members if node.name == sender)
        self._do(name, self.replicas[name].on_delivery(node, message, transitional))
        return True

    def _do(self, name: str, done: list[effects.Effect]) -> None:
        for effect in done:
            self.happened.append((name, effect))
            match effect:
                case effects.Multicast(message=message):
                    self.order[self.views[name].id].append((name, message))
                case effects.SendTo(node=node, message=message):
                    if name not in self.unlinked:
                        self.links.append((self.id(name), node, message))
                case effects.Write(number=number, records=records):
                    self.disks[name].write(number, records)


def settled(*names: str, facts: Iterable[str] = ("p(1)",)) -> Room:
    """A room in which all are the primary, with a few facts."""
    room = Room(*names)
    room.view(*names)
    room.run()
    room.found(names[0])
    room.run()
    for number, fact in enumerate(facts, 1):
        room.submit(names[0], f"s{number}", fact)
    room.run()
    assert set(room.primaries()) == set(names)
    return room
