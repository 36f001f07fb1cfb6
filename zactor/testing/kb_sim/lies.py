"""Lies: a member names numbers that are out of reach, in each message that bears one."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupHeartbeat, Propose
from zactor.kernel.messages.knowledge import KbAttempt, KbOrdered, KbStanding
from zactor.kernel.messages.views import ViewId
from zactor.testing.group_sim.cluster import SimNode
from zactor.testing.kb_sim.cluster import KbCluster, KbNode
from zactor.testing.kb_sim.rare_faults import FaultCoverage
from zactor.testing.replica_coverage import attempt_of

FAR = (1 << 53) - 1  # the largest that a view's number can be
_KINDS = ("proposal", "promise", "standing", "attempt")
_REFUSED = {"Propose": "a ballot out of reach", "GroupHeartbeat": "a promise out of reach"}


class Liar:
    """One node at a time errs, and soon ends: what it said to its view holds as long as that."""

    def __init__(
        self,
        cluster: KbCluster,
        chance: random.Random,
        counts: FaultCoverage,
        end: Callable[[str], None],
    ) -> None:
        """Nobody lies yet. Args: `end` ends a process soon."""
        self._cluster = cluster
        self._chance = chance
        self._hit = counts.hit
        self._end = end
        self._next: dict[str, str] = {}  # who lies in its next message of that kind

    def begin(self, name: str) -> None:
        """A node errs from now on."""
        kind = self._chance.choice(_KINDS)
        if kind == "proposal":
            self._propose(self._cluster.nodes[name])
        else:
            self._next = {name: kind}

    def end(self) -> None:
        """Nobody does any more."""
        self._next.clear()

    def _propose(self, node: SimNode) -> None:
        others = [other.id for other in self._cluster.nodes.values() if other is not node]
        ballot = ViewId(FAR, node.id)
        for other in others:
            self._cluster.network.send(node.id, other, Propose(ballot, (node.id, other)))

    def _is_next(self, name: str, kind: str) -> bool:
        if self._next.get(name) != kind:
            return False
        self._next.clear()
        return True

    # -- what the node says ------------------------------------------------------------------
    def heartbeat(self, node: SimNode, heartbeat: GroupHeartbeat) -> GroupHeartbeat:
        """Return what it publishes instead."""
        if not self._is_next(node.id.name, "promise"):
            return heartbeat
        return msgspec.structs.replace(heartbeat, promised=ViewId(FAR, node.id))

    def said(self, one: KbNode, message: KbOrdered) -> KbOrdered:
        """Return what it says to all instead."""
        name = one.sim.id.name
        if isinstance(message, KbStanding) and self._is_harmless(one):
            if self._is_next(name, "standing"):
                self._end(name)
                return msgspec.structs.replace(message, used=FAR)
        elif isinstance(message, KbAttempt) and self._is_next(name, "attempt"):
            self._end(name)
            return msgspec.structs.replace(message, primary=message.primary._replace(epoch=FAR))
        return message

    def _is_harmless(self, one: KbNode) -> bool:
        """Whether it can do nothing alone: as a stranger to all it makes its own primary else."""
        last = one.replica.last_primary
        return last is None or len(last.members) > 2

    # -- what becomes of it ------------------------------------------------------------------
    def traced(self, trace: Trace) -> None:
        """An engine has something for the log."""
        if trace.event == "message_refused" and "out of reach" in str(trace.fields["why"]):
            self._hit(_REFUSED[str(trace.fields["message"])])

    def given(self, one: KbNode, message: KbOrdered) -> None:
        """A node was delivered something."""
        if isinstance(message, KbAttempt) and message.primary.epoch == FAR:
            attempt = attempt_of(one.replica)
            if attempt is None or attempt.primary.epoch != FAR:
                self._hit("an attempt's number out of reach")
        if isinstance(message, KbStanding) and one.replica.strangers:
            standings = one.replica._view_state.formation.standings
            if any(standings[name].used == FAR for name in one.replica.strangers):
                self._hit("an epoch out of reach")
