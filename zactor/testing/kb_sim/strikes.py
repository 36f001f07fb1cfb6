"""Strikes: view changes at a chosen step of an attempt to make a primary.

Chance alone hardly ever hits the few milliseconds between two KbAttempted.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from zactor.kernel.messages.knowledge import KbAttempt, KbAttempted, KbOrdered
from zactor.testing.kb_sim.cluster import KbCluster, KbNode
from zactor.testing.kb_sim.rare_faults import FaultCoverage
from zactor.testing.replica_coverage import attempt_of

Key = tuple[str, int]  # an attempt: founding and epoch


class _Aim:
    """The step of one attempt that is to be hit."""

    def __init__(self, voices: int, chance: random.Random) -> None:
        self.is_late = chance.random() < 0.5  # when some have been delivered all, else before
        self.count = chance.randint(1, max(1, voices - 1))  # so many have spoken, or have all
        self.names: set[str] = set()
        self.has_struck = False


class Strikes:
    """Watches attempts, and has the network cut at the chosen step."""

    def __init__(
        self,
        cluster: KbCluster,
        share: float,
        chance: random.Random,
        counts: FaultCoverage,
        cut: Callable[[set[str]], None],
    ) -> None:
        """Nothing is aimed at yet.

        Args:
            share: of attempts that are hit.
            cut: separates nodes; those named are to be told from the others.
        """
        self._cluster = cluster
        self._share = share
        self._chance = chance
        self._hit = counts.hit
        self._cut = cut
        self._aims: dict[Key, _Aim | None] = {}
        self.is_over = False

    def said(self, one: KbNode, message: KbOrdered) -> None:
        """A node says something to all."""
        attempt = attempt_of(one.replica)
        if isinstance(message, KbAttempted) and attempt is not None:
            aim = self._aim(attempt)
            if aim is not None and not aim.is_late:
                self._near(aim, one.sim.id.name)

    def given(self, one: KbNode, message: KbOrdered) -> None:
        """A node was delivered something."""
        primary = one.replica.primary
        if isinstance(message, KbAttempted) and primary is not None:
            aim = self._aims.get((primary.founding, primary.epoch))
            if aim is not None and aim.is_late and message.epoch == primary.epoch:
                self._near(aim, one.sim.id.name)

    def leaving(self, one: KbNode) -> None:
        """The view of a node ends."""
        attempt = attempt_of(one.replica)
        if attempt is None:
            return
        formation = one.replica._view_state.formation
        aim = self._aims.get((attempt.primary.founding, attempt.primary.epoch))
        if formation.is_undecided:
            self._hit("an attempt was left undecided")
        if aim is None or not aim.has_struck:
            self._hit("a view began during an attempt")
        elif aim.is_late:
            self._hit("a view ended when some had all KbAttempted")
        elif 0 < len(formation._said) < len(attempt.voices):
            self._hit("a view ended between two KbAttempted")

    def _aim(self, attempt: KbAttempt) -> _Aim | None:
        key = (attempt.primary.founding, attempt.primary.epoch)
        if key not in self._aims:
            is_meant = len(attempt.voices) > 1 and self._chance.random() < self._share
            self._aims[key] = _Aim(len(attempt.voices), self._chance) if is_meant else None
        return self._aims[key]

    def _near(self, aim: _Aim, name: str) -> None:
        aim.names.add(name)
        if len(aim.names) >= aim.count and not aim.has_struck and not self.is_over:
            aim.has_struck = True
            # Not within the node's step: what it has just sent is under way, perhaps a bit further.
            ms = self._chance.choice((0.0, 0.0, 1.0, 4.0))
            self._cluster.after(ms, lambda: self._cut(aim.names))
