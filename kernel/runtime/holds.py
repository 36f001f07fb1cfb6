"""Who waits for whom: back-pressure must not close into a ring, or nobody in it ever goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zactor.kernel.runtime.mailbox import Congestible

if TYPE_CHECKING:
    from zactor.kernel.runtime.cell import Cell


def is_ring(waiting: Cell, by: Congestible) -> bool:
    """Whether `by` waits for `waiting` in its turn, over however many others."""
    seen: set[int] = set()
    ahead: list[Congestible] = [by]
    while ahead:
        other = ahead.pop()
        if other is waiting:
            return True
        if id(other) not in seen:
            seen.add(id(other))
            ahead += other.waits_for()
    return False
