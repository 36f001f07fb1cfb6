"""Samples: what was counted at some moment, kept so that any reader gets only what differs.

Readers share them: each says which sample it knows, so one more costs what it is sent. Numbers of
samples only grow, over a node's lives too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from zactor.kernel import limits
from zactor.kernel.runtime.cell_report import CellCounts


@dataclass(slots=True)
class _Seen:
    """The last counts of an actor, and the sample in which they were new."""

    counts: CellCounts
    number: int
    begun: int  # the first sample that has it
    routes: dict[str, tuple[int, int]] = field(default_factory=dict)  # signal -> sent, sample


@dataclass(frozen=True, slots=True)
class Difference:
    """What a reader lacks. `is_whole`: it knows nothing, or too little."""

    is_whole: bool
    actors: list[CellCounts]  # counts that differ; of their routes those that do
    begun: list[CellCounts]  # of these, those that it hears of for the first time
    gone: list[str]


class Samples:
    """The last sample, and what changed when. Not thread-safe."""

    def __init__(self, last: int) -> None:
        """`last` is the number before the first."""
        self._first = last
        self.number = last
        self._seen: dict[int, _Seen] = {}
        self._gone: deque[tuple[int, str]] = deque()
        self._forgotten = last  # who knows no later sample may have missed somebody's end

    def take(self, counted: Iterable[CellCounts]) -> None:
        """Take the next sample."""
        self.number += 1
        here = set()
        for counts in counted:
            here.add(counts.uid)
            seen = self._seen.get(counts.uid)
            if seen is None:
                seen = self._seen[counts.uid] = _Seen(counts, self.number, self.number)
            elif seen.counts != counts:
                seen.counts, seen.number = counts, self.number
            for signal, sent in counts.routes:
                if seen.routes.get(signal, (-1, 0))[0] != sent:
                    seen.routes[signal] = (sent, self.number)
        for uid in self._seen.keys() - here:
            self._gone.append((self.number, self._seen.pop(uid).counts.name))
        while len(self._gone) > limits.SAMPLE_GONE_KEPT:
            self._forgotten = self._gone.popleft()[0]

    def since(self, after: int) -> Difference:
        """Return what differs from sample `after`."""
        is_whole = not max(self._first, self._forgotten) < after <= self.number
        floor = 0 if is_whole else after
        actors = [
            seen.counts._replace(
                routes=tuple((name, sent) for name, (sent, at) in seen.routes.items() if at > floor)
            )
            for seen in self._seen.values()
            if seen.number > floor
        ]
        begun = [seen.counts for seen in self._seen.values() if seen.begun > floor]
        gone = [] if is_whole else [name for number, name in self._gone if number > after]
        return Difference(is_whole, actors, begun, gone)
