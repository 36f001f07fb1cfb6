"""A network on virtual time that is cut, freezes and dies, and keeps its actors as PROTOCOL.md K6
says: by the machines that nodes use, with the failure detector's delays drawn from a seed.
"""

from __future__ import annotations

import itertools
import random

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Transaction
from zactor.supervisor.deployment.yielding import must_end, next_words
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.membership.departures import Departure, next_sweep
from zactor.supervisor.membership.keeping import Contact, Silences, must_stop, next_restoration
from zactor.supervisor.membership.members import out_of_reach, process_gone

TICK_S = 0.25
DETECTED_S_MAX = 2.0  # from a cut until a node notices it
NODES = ("n1", "n2", "n3", "n4", "n5")
NAMES = tuple(f"a{number}" for number in range(6))


class SimulatedNode:
    """One process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.life = 1
        self.alive = True
        self.frozen_until = 0.0
        self.alone = False  # cut off from all others
        self.noticed_at = 0.0  # of the last cut or healing
        self.in_primary = True
        self.running: dict[str, int] = {}  # name -> uid
        self.ends: set[str] = set()  # of those, what it ends when cut off, by the facts it knows
        self.contact = Contact(0.0)


class KeepingWorld:
    """Five nodes, of which at most two are away at a time, so that three are the primary."""

    def __init__(self, seed: int, wishes_change: float = 0.02) -> None:
        self.chance = random.Random(seed)
        self.now_s = 0.0
        self.theory = Theory()
        self.nodes = {name: SimulatedNode(name) for name in NODES}
        self.seen: dict[str, bool] = dict.fromkeys(NODES, True)  # by the primary
        self.noticed_s: dict[str, float] = {}  # when the primary notices that one is away or back
        self.proved: set[str] = set()
        self.acting = ""
        self.silences = Silences()
        self.twice: list[str] = []
        self.restored = 0
        self.wishes_change = wishes_change  # how likely in each tick
        self._ids = itertools.count(1)
        for name in NAMES:
            on = self.chance.sample(NODES, 3)
            placed = policies.start_facts(name, "t", on[0], "b", "{}", f"first {name}")
            born = policies.born_fact(name, f"first {name}")
            policy = policies.Policy(on=tuple(on)).fact(name)
            self._do((), (), (*placed, born, policy))

    def _do(self, require: tuple, retract: tuple, assert_: tuple) -> None:  # type: ignore[type-arg]
        index = next(self._ids)
        prepared = self.theory.prepare(
            Transaction(f"t{index}", "n", "", tuple(require), tuple(retract), tuple(assert_))
        )
        self.theory.apply(
            Change(
                epoch=1,
                index=index,
                id=f"t{index}",
                who="n",
                why="",
                at=0.0,
                retracted=prepared.retracted,
                asserted=prepared.asserted,
                digest=b"",
            )
        )

    # -- what happens ------------------------------------------------------------------------
    def run(self, lasts_s: float) -> None:
        while self.now_s < lasts_s:
            self.now_s += TICK_S
            if self.chance.random() < 0.04:
                self._fault()
            if self.chance.random() < self.wishes_change:
                self._wish()
            self._detect()
            for node in self.nodes.values():
                if node.alive and self.now_s >= node.frozen_until:
                    self._turn(node)
            self._sweep()
            self._judge()

    def _fault(self) -> None:
        node = self.nodes[self.chance.choice(NODES)]
        away = [n for n in self.nodes.values() if n is not node and self._is_away(n)]
        if len(away) >= 2:
            return
        before = (node.alone, node.life)
        kind = self.chance.choice(["cut", "cut", "heal", "heal", "freeze", "kill", "start"])
        if kind == "cut" and node.alive:
            node.alone = True
        elif kind == "heal":
            node.alone = False
        elif kind == "freeze" and node.alive and self.now_s >= node.frozen_until:
            node.frozen_until = self.now_s + self.chance.choice([0.7, 3.0, 8.0, 11.0, 25.0])
            if self.chance.random() < 0.5:
                node.alone = True  # its cable is pulled meanwhile: it thaws into a cut
        elif kind == "kill":
            node.alive, node.running = False, {}
        elif kind == "start" and not node.alive:
            node.alive, node.life, node.in_primary = True, node.life + 1, False
            node.contact = Contact(self.now_s)
        if (node.alone, node.life) != before:  # or it would notice the first cut ever later
            thaws_at = max(self.now_s, node.frozen_until)
            node.noticed_at = thaws_at + self.chance.uniform(0.1, DETECTED_S_MAX)

    def _wish(self) -> None:
        """A file says otherwise where an actor may run, of one that runs or of one that is lost."""
        name = self.chance.choice(NAMES)
        row = facts.actor(self.theory, name) or orders.lost(self.theory, name)
        assert row is not None
        others = [node for node in NODES if node != row.node]
        on = self.chance.choice(
            [[row.node], [row.node, *self.chance.sample(others, 2)], self.chance.sample(others, 2)]
        )
        policy = policies.Policy(on=tuple(on)).fact(name)
        self._do((), (policies.policy_pattern(name),), (policy,))

    def _is_away(self, node: SimulatedNode) -> bool:
        return not node.alive or node.alone or self.now_s < node.frozen_until

    def _detect(self) -> None:
        """The primary notices who is away, and who is back."""
        for name, node in self.nodes.items():
            is_there = not self._is_away(node)
            if is_there == self.seen[name]:
                self.noticed_s.pop(name, None)
                continue
            delay = self.chance.uniform(0.1, DETECTED_S_MAX)
            if self.now_s >= self.noticed_s.setdefault(name, self.now_s + delay):
                self.seen[name] = is_there
                self.proved.discard(name)
                if not node.alive and self.chance.random() < 0.5:
                    self.proved.add(name)  # its door refuses

    def _turn(self, node: SimulatedNode) -> None:
        """A node's housekeeping, and what it makes of the facts."""
        if node.alone and self.now_s >= node.noticed_at:
            node.in_primary = False
        elif not node.alone and self.seen[node.name] and self.now_s >= node.noticed_at:
            node.in_primary = True
        if must_stop(node.contact.out_s(node.in_primary, self.now_s)):
            for name in node.ends & node.running.keys():
                del node.running[name]
        if node.alone or not self.seen[node.name] or not node.in_primary:
            return  # it hears of no fact
        wanted = {row.name: row for row in facts.actors(self.theory, node.name)}
        known = facts.nodes(self.theory).get(node.name)
        if known is None or known.incarnation != node.life:
            return
        lost = {row.name: row for row in orders.all_lost(self.theory, node.name)}
        for name in list(node.running):
            row = wanted.get(name) or lost.get(name)
            if row is None or row.uid != node.running[name]:
                del node.running[name]
        for name, row in wanted.items():
            if row.state == "starting" or name not in node.running:
                node.running[name] = row.uid
                state = f"state({name}, running, '')"
                self._do((), (f"state({name}, _, _)",), (state,))
        node.ends = {name for name in node.running if must_end(self.theory, name, node.name)}
        runs = lambda name, uid: node.running.get(name) == uid  # noqa: E731
        words = next_words(self.theory, node.name, node.running, runs)
        if words is not None and self.chance.random() < 0.5:
            self._do(words.require, words.retract, words.assert_)  # and hears of it later

    def _sweep(self) -> None:
        live = {name: (self.nodes[name].life, "a") for name, there in self.seen.items() if there}
        acting = min(
            (name for name in live if not self._is_away(self.nodes[name])), default=self.acting
        )
        if acting != self.acting:
            self.acting = acting
            self.silences.forget()
        while True:
            due = next_sweep(self.theory, live, self._departure)
            is_restoration = due is None
            if due is None:
                due = next_restoration(self.theory, live, self._is_safe(live))
            if due is None:
                self.silences.left_s(orders.all_lost(self.theory), self.now_s)
                return
            self.restored += is_restoration
            self._do(due.require, due.retract, due.assert_)

    def _departure(self, name: str) -> Departure:
        why = process_gone(name) if name in self.proved else out_of_reach(name)
        return Departure(why=why, is_missed=True)

    def _is_safe(self, live: dict[str, tuple[int, str]]):  # type: ignore[no-untyped-def]
        def is_safe(row: orders.LostRow) -> bool:
            why = self._departure(row.node).why
            return self.silences.is_safe(row, live, why, self.now_s)

        return is_safe

    def _judge(self) -> None:
        where: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.alive and self.now_s >= node.frozen_until:
                for name in node.running:
                    where.setdefault(name, []).append(node.name)
        self.twice += [
            f"{self.now_s:.2f} s: {name} runs on {', '.join(places)}"
            for name, places in where.items()
            if len(places) > 1
        ]
