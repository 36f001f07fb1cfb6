"""Progress over links: what went to each node, came from it, and has arrived there as it says.

A deadline that counts time alone accuses whoever has a thin line. Messages are counted at both
ends, and heartbeats tell the counts; so who waits sees whether what it waits for comes nearer
(V7, V9, O6). The numbers decide nothing but whom to wait for: one that is wrong costs time only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from zactor.kernel import limits
from zactor.kernel.groups.effects import Send
from zactor.kernel.groups.pieces import cut
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import (
    EngineMessage,
    GroupHeartbeat,
    GroupPacket,
    Install,
    Propose,
    Sync,
)
from zactor.kernel.messages.views import ViewId

_STEPS = frozenset((Propose, Sync, Install))  # what a proposer tells its members


class LinkProgress:
    """The counts of one life of one node; they never begin anew."""

    def __init__(self, me: NodeId) -> None:
        self.me = me
        self._sent: defaultdict[NodeId, int] = defaultdict(int)
        self._came: defaultdict[NodeId, int] = defaultdict(int)
        self._told: dict[NodeId, dict[NodeId, int]] = {}  # by a heartbeat: from whom so many came
        self._marks: dict[NodeId, int] = {}  # sent, when the last step of an attempt had left
        self._asked: dict[NodeId, tuple[int, int, int]] = {}  # see `may_answer`
        self._helped: dict[NodeId, tuple[ViewId, int]] = {}  # in the last attempt, so often

    # -- counting ----------------------------------------------------------------------------
    def leave(self, send: Send) -> Sequence[Send]:
        """Count a message that leaves for others; return what carries it."""
        message, to, sent = send.message, send.to, self._sent
        parts = cut(message)
        for node in to:
            sent[node] += len(parts)
        if type(message) in _STEPS:
            for node in to:
                self._marks[node] = sent[node]
        return (send,) if len(parts) == 1 else [Send(to, part) for part in parts]

    def arrived(self, peer: NodeId, message: EngineMessage) -> None:
        """A message came over a link, or beside it."""
        if not (
            isinstance(message, GroupPacket) and not message.sequence
        ):  # UNRELIABLE may be lost
            self._came[peer] += 1

    def heard(self, heartbeat: GroupHeartbeat) -> None:
        """A node tells what has come there."""
        self._told[heartbeat.sender] = dict(zip(heartbeat.hears, heartbeat.arrived, strict=False))

    def gone(self, node: NodeId) -> None:
        """That life has ended."""
        self._sent.pop(node, None)
        self._came.pop(node, None)
        self._told.pop(node, None)
        self._marks.pop(node, None)
        self._asked.pop(node, None)
        self._helped.pop(node, None)

    # -- asking ------------------------------------------------------------------------------
    def counts(self, nodes: Sequence[NodeId]) -> tuple[int, ...]:
        """How much has come from each of them: for the heartbeat."""
        return tuple([self._came.get(node, 0) for node in nodes])

    def came(self, peer: NodeId) -> int:
        """How many messages of `peer` have come here."""
        return self._came.get(peer, 0)

    def reached(self, peer: NodeId) -> int:
        """How many of ours have come to `peer`, as far as it told."""
        return self._told.get(peer, {}).get(self.me, 0)

    def gathered(self, node: NodeId, members: Iterable[NodeId]) -> int:
        """How many messages of `members` have come to `node`, as far as it told."""
        if node == self.me:
            return sum(self.counts(tuple(members)))
        told = self._told.get(node, {})
        return sum(told.get(member, 0) for member in members)

    def is_on_way(self, peer: NodeId) -> bool:
        """True if the last step that left for `peer` isn't there yet, as far as it told."""
        return self.reached(peer) < self._marks.get(peer, 0)

    def may_answer(self, peer: NodeId, attempt: ViewId | None = None) -> bool:
        """O6: whether to send what `peer` lacks: not while it may still be on its way.

        So not before all has arrived that had left when it began to ask; or it asks again and
        again, and nothing arrives at all.

        Args:
            attempt: at a view, which waits for it: then at once, but for who asks for ever.
        """
        if attempt is not None:
            helped, times = self._helped.get(peer, (attempt, 0))
            times = times + 1 if helped == attempt else 1
            self._helped[peer] = attempt, times
            if times <= limits.GROUP_WANT_FLUSH_MAX:
                return True
        reached = self.reached(peer)
        if peer not in self._asked:
            self._asked[peer] = self._sent[peer], reached, 0
            return False
        mark, before, times = self._asked[peer]
        if reached < mark and times < limits.GROUP_WANT_VAIN_MAX:
            self._asked[peer] = mark, reached, times + 1 if reached == before else 0
            return False
        del self._asked[peer]
        return True


class ProgressWatch:
    """Since when each node has made no progress, which is a number that grows."""

    def __init__(self, now_ms: int) -> None:
        self.begin(now_ms)

    def begin(self, now_ms: int) -> None:
        """From now on everybody is waited for."""
        self._begun_ms = now_ms
        self._seen: dict[NodeId, tuple[int, int]] = {}  # the number, and since when

    def shift(self, late_ms: int) -> None:
        """This node slept (F5)."""
        self._begun_ms += late_ms
        seen = self._seen.items()
        self._seen = {node: (number, since_ms + late_ms) for node, (number, since_ms) in seen}

    def since_ms(self, node: NodeId, number: int, now_ms: int) -> int:
        """Take note of where `node` stands; return since when it has stood there."""
        before = self._seen.get(node)
        if before is None:
            self._seen[node] = number, self._begun_ms
        elif number > before[0]:
            self._seen[node] = number, now_ms
        return self._seen[node][1]
