"""Gaps in streams: when a message that is missing is asked for, and of whom; and duplicates."""

from __future__ import annotations

from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.stability import Stability
from zactor.kernel.ids import NodeId

Ranges = tuple[tuple[NodeId, int, int], ...]


class Gaps:
    """The gaps of one view."""

    def __init__(self, order: Ordering, stability: Stability, settings: Settings) -> None:
        self._order = order
        self._stability = stability
        self._settings = settings
        self._seen: dict[NodeId, int] = {}  # sender -> its stream's prefix when we looked last
        self._asked: dict[NodeId, int] = {}  # sender -> how often in vain
        self.due_ms: int | None = None

    def check(self, sender: NodeId, now_ms: int) -> None:
        """Something of `sender`'s stream came or was heard of."""
        stream = self._order.streams[sender]
        if stream.tip > stream.prefix and sender not in self._seen:
            self._seen[sender] = stream.prefix
            if self.due_ms is None:
                self.due_ms = now_ms + self._settings.want_ms

    def questions(self, now_ms: int) -> list[tuple[NodeId, Ranges]]:
        """Whom to ask for what now: first the sender, then other holders in turn."""
        if self.due_ms is None or now_ms < self.due_ms:
            return []
        found: list[tuple[NodeId, Ranges]] = []
        self.due_ms = None
        for sender in sorted(self._seen):
            stream = self._order.streams[sender]
            if stream.prefix >= stream.tip:
                del self._seen[sender]
                self._asked.pop(sender, None)
                continue
            self.due_ms = now_ms + self._settings.want_ms
            if stream.prefix > self._seen[sender]:  # it moves: what is missing may be on its way
                self._seen[sender] = stream.prefix
                continue
            holders = self._stability.holders(sender, stream.prefix + 1)
            times = self._asked.get(sender, 0)
            self._asked[sender] = times + 1
            holder = holders[times % len(holders)]
            found.append((holder, self._order.missing(sender, self._settings.want_messages_max)))
        return found


class DuplicateFilter:
    """Numbers of one sender; what is older than the memory counts as seen."""

    __slots__ = ("_highest", "_kept", "_seen")

    def __init__(self, kept: int) -> None:
        """Args: `kept` numbers below the highest are remembered."""
        self._kept = kept
        self._highest = 0
        self._seen: set[int] = set()

    def is_new(self, number: int) -> bool:
        """True the first time; remembers."""
        if number in self._seen or number <= self._highest - self._kept:
            return False
        self._seen.add(number)
        if number > self._highest:
            self._highest = number
            if len(self._seen) > 2 * self._kept:
                self._seen = {kept for kept in self._seen if kept > number - self._kept}
        return True
