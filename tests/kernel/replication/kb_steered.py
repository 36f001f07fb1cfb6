"""A simulated cluster that a test steers by hand: slow disks, cuts, and moments within an attempt.

What it looks at inside of the machines stands at the end, in `AttemptView`, and nowhere else.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable

from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.knowledge import Transaction
from zactor.kernel.replication.effects import Decided
from zactor.testing.group_sim.faults import Faults
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.cluster import KbCluster, KbNode


class PromiseBroken(AssertionError):
    """What the protocol promises doesn't hold; not raised for what only prepares a test."""


def promised(holds: bool, otherwise: str) -> None:
    """Raise PromiseBroken, with what happens otherwise, unless it holds."""
    if not holds:
        raise PromiseBroken(otherwise)


class Steered(KbCluster):
    """Nodes whose disks take 1 ms for a sync, on links that all take the same time."""

    def __init__(self, *names: str, delay_ms: float = 1.0) -> None:
        faults = Faults(delay_ms_min=delay_ms, delay_ms_max=delay_ms)
        super().__init__(random.Random(1), faults, Settings(), dict.fromkeys(names, "node"))
        self.sync_ms = (1.0, 1.0)
        self.busy_ms: dict[str, float] = {}  # by how much a node's disk is slower
        self.decided: dict[str, Decided] = {}

    def _sync(self, one: KbNode, is_urgent: bool) -> None:
        usual = self.sync_ms
        ms = usual[0] + self.busy_ms.get(one.sim.id.name, 0.0)
        self.sync_ms = (ms, ms)
        super()._sync(one, is_urgent)
        self.sync_ms = usual

    # -- what a test does --------------------------------------------------------------------
    def found(self, *names: str) -> None:
        """Start these; the first founds the cluster, and all are its primary."""
        for name in names:
            self.start(name)
        self.run_ms(2_000)
        self.found_at(names[0], "us")
        self.until(lambda: all(self.members(name) == names for name in names))

    def found_at(self, name: str, founding: str) -> None:
        one = self.kbs[name]
        self.carry(one, one.replica.found(founding, 1.0))

    def retire(self, name: str) -> None:
        one = self.kbs[name]
        self.carry(one, one.replica.retire())

    def change(self, name: str, *ids: str) -> None:
        """Submit changes; each adds did(its id)."""
        for id_ in ids:
            transaction = Transaction(id_, "me", "why", (), (), (f"did({id_})",))
            self.submit_change(
                name, transaction, lambda how, id_=id_: self.decided.update({id_: how})
            )

    def part(self, some: Iterable[str], others: Iterable[str]) -> None:
        """Cut them off from each other, both ways."""
        for one, other in itertools.product(some, others):
            self.cut(one, other)
            self.cut(other, one)

    def join(self, some: Iterable[str], others: Iterable[str]) -> None:
        """Take such a cut back."""
        for one, other in itertools.product(some, others):
            self.heal(one, other)
            self.heal(other, one)

    def comes(self, condition: Callable[[], bool], within_ms: float = 20_000) -> bool:
        """Whether a condition comes true in time; time stands still as soon as it does."""
        end_ms = self.now_ms + within_ms
        while not condition():
            if self.now_ms >= end_ms:
                return False
            self.run_ms(0.1)
        return True

    def until(self, condition: Callable[[], bool], within_ms: float = 20_000) -> None:
        """As `comes`, where a test can't go on without."""
        assert self.comes(condition, within_ms), "a preparation failed"

    # -- what a test looks at ----------------------------------------------------------------
    def is_primary(self, name: str) -> bool:
        return self.kbs[name].replica.is_primary

    def members(self, name: str) -> tuple[str, ...]:
        """The primary that a node is in now, () if in none."""
        replica = self.kbs[name].replica
        primary = replica.primary if replica.is_primary else None
        return () if primary is None else primary.members

    def view(self, name: str) -> int:
        """How many a node's view has."""
        return len(self.nodes[name].engine.view.members)

    def facts(self, name: str) -> set[str]:
        return set(self.kbs[name].replica.theory.texts())

    def is_acknowledged(self, id_: str) -> bool:
        return id_ in self.decided and not self.decided[id_].kind

    def violations(self) -> list[str]:
        """What the checkers of the knowledge base's invariants find, at the end of a run."""
        for name in self.live:
            one = self.kbs[name].replica
            end = {"k": "kb_end", "clock": list(one.clock), "hash": one.digest.hex()}
            self.log(self.kbs[name].sim, {**end, "facts": one.theory.texts()})
        found = check_all(self.lines)
        return [f"{rule}: {lines[0]}" for rule, lines in found.items() if lines and rule[0] == "K"]


class AttemptView:
    """How far the attempt to form a primary is, as one member sees it."""

    def __init__(self, cluster: Steered, name: str) -> None:
        self._cluster = cluster
        self._name = name

    def lacks_one_word(self, members: int) -> bool:
        """Whether all of so many members but one have recorded it."""
        formation = self._cluster.kbs[self._name].replica._view_state.formation
        return formation.attempt is not None and len(formation._said) == members - 1

    def messages_sent(self) -> int:
        """How many messages the member has sent in its view."""
        node = self._cluster.nodes[self._name]
        return node.engine.multicast._order.streams[node.id].tip
