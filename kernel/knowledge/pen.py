"""What is on its way to the disk, and what is there: each write with what it means for the votes.

The shell writes in order and answers late, so a node says only what its disk has confirmed.
"""

from __future__ import annotations

from collections import deque

from zactor.kernel.knowledge.effects import Write
from zactor.kernel.knowledge.records import Record


class Pen:
    """Numbers the writes of one replica."""

    def __init__(self, end: int) -> None:
        """`end`: number of the last entry that is on disk already."""
        self.durable = end  # entries up to it are on disk
        self._number = 0
        self._ends: deque[tuple[int, int]] = deque()  # (number of the write, end of the log)

    def write(self, end: int, *records: Record, is_urgent: bool = True) -> Write:
        """Return the effect; the log reaches to `end` when it is done."""
        self._number += 1
        self._ends.append((self._number, end))
        return Write(number=self._number, records=records, is_urgent=is_urgent)

    def confirm(self, number: int) -> None:
        """All writes up to `number` are done."""
        while self._ends and self._ends[0][0] <= number:
            self.durable = self._ends.popleft()[1]
