"""Messages that exist and aren't here: when to ask for them, and whom.

Links lose nothing while both ends live, so this is for what came too early to be kept, and for a
link that is broken while another holder is near.
"""

from __future__ import annotations

from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.group_settings import Settings
from zactor.kernel.protocol.ordering import Ordering
from zactor.kernel.protocol.stability import Stability

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

    def look(self, sender: NodeId, now_ms: int) -> None:
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
