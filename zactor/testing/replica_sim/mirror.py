"""What one node has, folded from the records that it writes: by name and number only."""

from __future__ import annotations

from typing import Any


class Mirror:
    """Ids of the transactions in a log: applied, or ordered only."""

    def __init__(self) -> None:
        self.applied: set[str] = set()
        self.tail: list[str] = []
        self.number = 0

    def copy(self) -> Mirror:
        """Return one that goes its own way."""
        other = Mirror()
        other.applied, other.tail = set(self.applied), list(self.tail)
        other.number = self.number
        return other

    def has(self, id_: str) -> bool:
        """Whether the transaction is there."""
        return id_ in self.applied or id_ in self.tail

    def fold(self, put: tuple[Any, ...]) -> None:
        """One more write."""
        for record in put:
            kind = type(record).__name__
            if kind == "PutEntries":
                self.tail += [entry.transaction.id for entry in record.entries]
            elif kind == "PutApplied":
                self.applied.update(change.id for change in record.changes)
                del self.tail[: record.number - self.number]
                self.number = record.number
            elif kind == "CutTail":
                self.tail.clear()
            elif kind == "PutSnapshot":
                self.applied = {id_ for id_, _, _ in record.ids}
                self.tail.clear()
                self.number = record.number
