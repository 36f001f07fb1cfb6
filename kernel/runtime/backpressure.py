"""Backpressure: a sender is muted between two messages while what it sent to is congested."""

from __future__ import annotations

from typing import Protocol


class Congestible(Protocol):
    """What a sender may have to wait for: a port, or an actor with a full mailbox."""

    @property
    def congested(self) -> bool:
        """Whether it is full now."""
        ...


class Sender:
    """An actor as one who sends. Its own thread's, but where it says any."""

    __slots__ = ("_muted_by", "attention", "awaited", "name", "uid")

    def __init__(self, name: str, uid: int) -> None:
        self.name = name
        self.uid = uid
        self.attention = False  # True: look at what mutes it and at its ending before the next
        self.awaited = False  # True: somebody waits for room in its mailbox. Threads: any
        self._muted_by: list[Congestible] | None = None

    def mute_until(self, receiver: Congestible) -> None:
        """After this message handle no other until `receiver` is below its limit."""
        if self._muted_by is None:
            self._muted_by = []
        if receiver not in self._muted_by:
            self._muted_by.append(receiver)
            if isinstance(receiver, Sender):
                receiver.awaited = True
        self.attention = True

    def is_muted(self) -> bool:
        """Whether something that this actor sent to is still congested."""
        if not self._muted_by:
            return False
        self._muted_by = [
            each for each in self._muted_by if each.congested and not self._is_ring(each)
        ]
        for each in self._muted_by:
            if isinstance(each, Sender):
                each.awaited = True  # again: it takes this back each time it has room
        return bool(self._muted_by)

    def _is_ring(self, receiver: Congestible) -> bool:
        """Whether `receiver` waits for this actor in its turn: then waiting would never end."""
        seen: set[int] = set()
        ahead: list[Congestible] = [receiver]
        while ahead:
            other = ahead.pop()
            if not isinstance(other, Sender) or id(other) in seen:
                continue
            if other is self:
                return True
            seen.add(id(other))
            ahead += other._muted_by or ()
        return False
