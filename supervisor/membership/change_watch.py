"""Change watch: tells when no changes have been taken here for a while, and when they are again.

A view change interrupts them for some milliseconds, which is nobody's news.
"""

from __future__ import annotations

from zactor.supervisor.kb.knowledge_base import NO_PRIMARY_S, KnowledgeBase
from zactor.supervisor.observe.events import ChangesRefused, ChangesTaken, Tell


class ChangeWatch:
    """Looks at the knowledge base of one node. Kernel's loop only."""

    def __init__(self, node: str, kb: KnowledgeBase, tell: Tell) -> None:
        """`tell` brings what is found to whoever wants it."""
        self._node = node
        self._kb = kb
        self._tell = tell
        self._refused = False

    def keep(self) -> None:
        """Look; called again and again."""
        outside_s = self._kb.age_s()
        if self._refused and not outside_s:
            self._refused = False
            self._tell(ChangesTaken(self._kb.primary))
        elif not self._refused and outside_s >= NO_PRIMARY_S and self._kb.is_settled:
            self._refused = True
            self._tell(ChangesRefused(self._node, self._kb.why_not()))
