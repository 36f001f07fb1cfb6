"""Who waits for whom: a sender that pauses between messages until what it sent to has room."""

from __future__ import annotations

from zactor.kernel.runtime.envelope import Congestible


class Holder:
    """The part of a cell that waits for others. Its own thread's, but where it says any."""

    __slots__ = ("_holds", "attention", "awaited")

    def __init__(self) -> None:
        self.attention = False  # True: look at holds and ending before the next message
        self.awaited = False  # True: somebody waits for room in the mailbox
        self._holds: list[Congestible] | None = None

    def hold(self, by: Congestible) -> None:
        """After this message wait until `by` is below its limit."""
        if self._holds is None:
            self._holds = []
        if by not in self._holds:
            self._holds.append(by)
            if isinstance(by, Holder):
                by.awaited = True
        self.attention = True

    def is_held(self) -> bool:
        """Whether something that this actor sent to is still congested."""
        if not self._holds:
            return False
        self._holds = [by for by in self._holds if by.congested and not self._is_ring(by)]
        for by in self._holds:
            if isinstance(by, Holder):
                by.awaited = True  # again: it takes this back each time it has room
        return bool(self._holds)

    def _is_ring(self, by: Congestible) -> bool:
        """Whether `by` waits for this cell in its turn: then waiting would never end."""
        seen: set[int] = set()
        ahead: list[Congestible] = [by]
        while ahead:
            other = ahead.pop()
            if not isinstance(other, Holder) or id(other) in seen:
                continue
            if other is self:
                return True
            seen.add(id(other))
            ahead += other._holds or ()
        return False
