"""Whole clusters of replicas in one thread from one seed: crashes, restarts, joins, late notices.

The checkers know the messages and what a workload's transactions mean, and nothing of the machine:
facts on a simulated disk are kept by plain set arithmetic, and histories are walked by digest.
test_replica_simulation.py runs it, test_replica_mutants.py shows that its checkers find faults.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from zactor.kernel import config
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge import replica
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.replica import Replica
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.messages import (
    Change,
    KbLog,
    KbMessage,
    KbSnapshot,
    Transaction,
)

CHAOS_STEPS = 160
DRAIN_STEPS = 20_000


class Violation(AssertionError):
    """A checker found what must not be."""


def check(condition: bool, words: str) -> None:
    if not condition:
        raise Violation(words)


@dataclass
class Disk:
    """What survives a crash."""

    facts: dict[str, tuple[str, int, int, str, str, float]] = field(default_factory=dict)
    clock: Clock = ORIGIN
    digest: bytes = b""
    promised: int = 0
    changes: list[Change] = field(default_factory=list)
    ids: list[tuple[str, int, int]] = field(default_factory=list)

    def apply(self, change: Change) -> None:
        for text in change.retracted:
            del self.facts[text]
        for text in change.asserted:
            origin = (change.epoch, change.index, change.who, change.why, change.at)
            self.facts[text] = (text, *origin)
        self.clock, self.digest = Clock(change.epoch, change.index), change.digest
        self.changes = [*self.changes, change][-config.HISTORY_KEPT :]
        if change.id:
            self.ids.append((change.id, change.epoch, change.index))

    def replace(self, other: replica.Replaced) -> None:
        self.facts = {fact.text: fact.row() for fact in other.facts}
        self.clock, self.digest = other.clock, other.digest
        self.changes, self.ids = [], list(other.ids)

    def saved(self) -> Saved:
        return Saved(
            theory=Theory(self.facts.values()),
            clock=self.clock,
            digest=self.digest,
            promised=self.promised,
            changes=tuple(self.changes),
            ids=tuple(self.ids),
        )


@dataclass
class Node:
    name: str
    role: str
    disk: Disk = field(default_factory=Disk)
    incarnation: int = 0
    alive: bool = False
    ready: bool = False
    machine: Replica | None = None
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)
    complete_at: Clock | None = None  # with this it has all that a leader had when it joined

    @property
    def replica(self) -> Replica:
        assert self.machine is not None
        return self.machine


class Simulation:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        roles = self.random.choice(["mm nn", "m nnn", "m nn", "nnn", "mm n", "mmm nn"])
        names = [f"{role}{number}" for number, role in enumerate(roles.replace(" ", ""))]
        self.nodes = {n: Node(n, "master" if n[0] == "m" else "node") for n in names}
        self.links: dict[tuple[str, int, str, int], deque[KbMessage]] = {}
        self.holds_early = self.random.random() < 0.5  # the shell keeps what comes too early
        self.faults = True
        self.forks = False  # two may lead at once, so one clock may be of two histories
        self.keys = self.random.choice([1, 2, 4])
        self.now_ms = 0
        self.numbers = 0
        self.changes: dict[bytes, tuple[bytes, Change]] = {}  # digest: (digest before, change)
        self.by_clock: dict[Clock, bytes] = {}
        self.outcomes: dict[str, tuple[str, Clock, str, int]] = {}  # id: kind, clock, who decided
        self.submitted: dict[str, Transaction] = {}

    # -- what may happen ---------------------------------------------------------------------
    def run(self) -> None:
        for name in sorted(self.nodes):
            if self.random.random() < 0.8:
                self.start(self.nodes[name])
        self.chaos(CHAOS_STEPS)
        self.drain()
        self.check_end()

    def chaos(self, steps: int) -> None:
        acts = [self.deliver, self.notice, self.submit, self.tick, self.crash, self.restart]
        weights = [60, 14, 14, 6, 1.6, 4]
        for _ in range(steps):
            self.random.choices(acts, weights)[0]()

    def live(self) -> list[Node]:
        return [node for _, node in sorted(self.nodes.items()) if node.alive]

    def start(self, node: Node) -> None:
        node.incarnation += 1
        node.alive, node.ready = True, False
        node.machine = Replica(node.name, node.disk.saved())
        node.known = {node.name: (node.role, node.incarnation)}
        node.undecided, node.complete_at = set(), None
        self.carry_out(node, node.replica.members(node.known, self.clock()))

    def restart(self) -> None:
        dead = [node for _, node in sorted(self.nodes.items()) if not node.alive]
        if dead:
            self.start(self.random.choice(dead))

    def crash(self) -> None:
        node = self.random.choice(self.live() or [None])
        if node is not None and self.may_crash(node):
            self.die(node)

    def may_crash(self, node: Node) -> bool:
        """Somebody must survive who was brought up by the last leader: else nothing is promised."""
        newest = max(self.by_clock, default=ORIGIN).epoch
        return any(
            one.complete_at is not None
            and one.disk.clock >= one.complete_at
            and one.disk.clock.epoch == newest
            for one in self.live()
            if one is not node
        )

    def die(self, node: Node) -> None:
        node.alive, node.machine = False, None
        for (source, life, target, target_life), queue in self.links.items():
            if (source, life) == (node.name, node.incarnation):
                for _ in range(self.random.randrange(len(queue) + 1)):
                    queue.pop()  # what hadn't left yet
            if (target, target_life) == (node.name, node.incarnation):
                queue.clear()

    def deliver(self) -> None:
        ready = [key for key, queue in sorted(self.links.items()) if queue]
        if not ready:
            return
        source, life, target, target_life = key = self.random.choice(ready)
        node = self.nodes[target]
        seen = node.known.get(source, ("", 0))[1]
        sender = self.nodes[source]
        lost = seen != life and not (sender.alive and sender.incarnation == life)
        if not node.alive or node.incarnation != target_life or lost:
            self.links[key].clear()
        elif seen == life or not self.holds_early:
            message = self.links[key].popleft()
            self.carry_out(node, node.replica.receive(source, message, self.clock()))

    def differences(self, node: Node) -> list[str]:
        real = {one.name: (one.role, one.incarnation) for one in self.live()}
        names = set(real) | set(node.known)
        return sorted(name for name in names if real.get(name) != node.known.get(name))

    def notice(self) -> None:
        """A live node learns that another came or went, or that its search for others is over."""
        node = self.random.choice(self.live() or [None])
        if node is None:
            return
        different = self.differences(node)
        if not different:
            if not node.ready:
                node.ready = True
                self.carry_out(node, node.replica.ready(self.clock()))
            return
        name = self.random.choice(different)
        real = self.nodes[name]
        known = node.known.pop(name, None)
        for key, queue in self.links.items():
            if known and key == (name, known[1], node.name, node.incarnation):
                queue.clear()
        if real.alive and (known is None or self.random.random() < 0.5):
            node.known[name] = (real.role, real.incarnation)
        self.carry_out(node, node.replica.members(node.known, self.clock()))

    def submit(self) -> None:
        node = self.random.choice(self.live() or [None])
        if node is not None:
            self.submit_at(node)

    def submit_at(self, node: Node) -> None:
        self.numbers += 1
        key = f"k{self.random.randrange(self.keys)}"
        kind = self.random.choice(["create", "destroy", "set"])
        fact = f"actor({key},{self.numbers})"
        transaction = Transaction(
            id=f"{kind}:{key}:{self.numbers}",
            who=node.name,
            why=kind,
            require={
                "create": ((f"\\+ actor({key},_)", "AlreadyExists", "there"),),
                "destroy": ((f"actor({key},_)", "NoSuchActor", "not there"),),
                "set": (),
            }[kind],
            retract=() if kind == "create" else (f"actor({key},_)",),
            assert_=() if kind == "destroy" else (fact,),
        )
        self.submitted[transaction.id] = transaction
        node.undecided.add(transaction.id)
        self.carry_out(node, node.replica.submit(transaction, self.clock()))

    def tick(self) -> None:
        self.now_ms += 150
        for node in self.live():
            if node.alive:
                self.carry_out(node, node.replica.tick(self.now_ms, self.clock()))

    def clock(self) -> float:
        return self.random.random()  # a wall clock that means nothing must change nothing

    # -- effects -----------------------------------------------------------------------------
    def carry_out(self, node: Node, effects: list[replica.Effect]) -> None:
        for effect in effects:
            if self.faults and self.random.random() < 0.002 and self.may_crash(node):
                self.die(node)
                return
            match effect:
                case replica.Send(to=to, message=message):
                    life = node.known[to][1]
                    key = (node.name, node.incarnation, to, life)
                    target = self.nodes[to]
                    if target.alive and target.incarnation == life:
                        if isinstance(message, KbLog | KbSnapshot) and node.complete_at:
                            target.complete_at = node.replica.clock
                        self.links.setdefault(key, deque()).append(message)
                case replica.Applied(change=change):
                    self.record(node.disk, change)
                    node.disk.apply(change)
                case replica.Replaced():
                    node.disk.replace(effect)
                case replica.Promised(epoch=epoch):
                    check(epoch > node.disk.promised, f"{node.name} promises {epoch} again")
                    node.disk.promised = epoch
                case replica.Led(leader=name):
                    if name == node.name:
                        node.complete_at = node.replica.clock
                case replica.Decided():
                    check(effect.id in node.undecided, f"{effect.id} was decided twice")
                    node.undecided.discard(effect.id)
                    place = (effect.kind, effect.clock, node.name, node.incarnation)
                    self.outcomes[effect.id] = place

    def record(self, disk: Disk, change: Change) -> None:
        clock = Clock(change.epoch, change.index)
        check(clock > disk.clock, f"{clock} was applied after {disk.clock}")
        check(change.epoch <= disk.promised, f"{clock} was applied without a promise")
        known = self.by_clock.setdefault(clock, change.digest)
        check(known == change.digest or self.forks, f"two histories at {clock}")
        before = self.changes.setdefault(change.digest, (disk.digest, change))
        check(before == (disk.digest, change), f"two pasts of {clock}")

    # -- the end -----------------------------------------------------------------------------
    def drain(self) -> None:
        """Nothing more goes wrong: everybody learns of everybody, every message arrives."""
        self.faults = False
        for _ in range(DRAIN_STEPS):
            behind = [node for node in self.live() if self.differences(node) or not node.ready]
            if behind:
                self.notice()
            elif any(self.links.values()):
                self.deliver()
            elif not self.is_still():
                self.tick()
            else:
                return
        check(False, "it never comes to rest")

    def is_still(self) -> bool:
        """Whether several ticks bring nothing more."""
        for _ in range(4):
            self.tick()
            if any(self.links.values()):
                return False
        return True

    def check_end(self) -> None:
        live = self.live()
        if not live:
            return
        first = live[0]
        for node in live:
            check(node.replica.leader != "", f"{node.name} has no leader")
            check(node.replica.digest == first.replica.digest, f"{node.name} has another history")
            check(node.disk.digest == node.replica.digest, f"{node.name}'s disk is behind")
            texts = node.replica.theory.texts()
            check(texts == sorted(node.disk.facts), f"{node.name}'s disk differs from its theory")
            check(texts == first.replica.theory.texts(), f"{node.name} has other facts")
            check(node.replica.theory.rows() == first.replica.theory.rows(), "other origins")
            check(not node.undecided, f"{sorted(node.undecided)} at {node.name} are undecided")
        past = self.walk(first.replica.digest)
        self.check_meaning(past, first)
        self.check_outcomes(past)

    def walk(self, digest: bytes) -> list[Change]:
        past: list[Change] = []
        while digest:
            digest, change = self.changes[digest]
            past.append(change)
        return past[::-1]

    def check_meaning(self, past: list[Change], node: Node) -> None:
        """Do the history again by hand: create wants nothing there, destroy wants something."""
        facts: dict[str, str] = {}
        root = ""
        for change in past:
            if not change.id:
                check(
                    bool(change.asserted) == (change is past[0]), "founded once, at the beginning"
                )
                root = "".join([root, *change.asserted])
                continue
            kind, key, number = change.id.split(":")
            check(kind != "create" or key not in facts, f"{change.id} found something there")
            check(kind != "destroy" or key in facts, f"{change.id} found nothing there")
            facts.pop(key, None)
            if kind != "destroy":
                facts[key] = f"actor({key},{number})"
        check(
            sorted([root, *facts.values()]) == node.replica.theory.texts(),
            "the facts aren't the history's",
        )

    def check_outcomes(self, past: list[Change]) -> None:
        ids = Counter(change.id for change in past if change.id)
        places = {change.id: Clock(change.epoch, change.index) for change in past}
        for id_, count in ids.items():
            check(count == 1, f"{id_} took place {count} times")
        for id_, (kind, clock, *_) in self.outcomes.items():
            if kind:
                check(id_ not in ids, f"{id_} was refused and took place")
            else:
                check(places.get(id_) == clock, f"{id_} was decided and is lost")
