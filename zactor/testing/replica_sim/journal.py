"""A node's disk as a list of writes: what is synced, what waits, and what an older copy had."""

from __future__ import annotations

from zactor.kernel.replication import records
from zactor.kernel.replication.log import Kept
from zactor.testing.kb_sim.disk import State, put_of

Records = tuple[records.Record, ...]


class Journal:
    """Writes in order; each is there whole or not at all."""

    def __init__(self) -> None:
        self.synced: list[Records] = []
        self.waiting: list[tuple[int, bool, Records]] = []  # number, is_urgent, records

    def write(self, number: int, is_urgent: bool, put: Records) -> None:
        """One more waits."""
        self.waiting.append((number, is_urgent, put))

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for what isn't synced."""
        return any(is_urgent for _, is_urgent, _ in self.waiting)

    @property
    def has_agreed(self) -> bool:
        """Whether it has ever heard of an attempt to make a primary."""
        waiting = [put for _, _, put in self.waiting]
        return any(
            isinstance(record, records.PutAttempt | records.PutPrimary)
            for put in (*self.synced, *waiting)
            for record in put
        )

    def sync(self, count: int) -> int:
        """The first `count` that wait are on disk; return the number of the last of them."""
        done, self.waiting = self.waiting[:count], self.waiting[count:]
        self.synced += [put for _, _, put in done]
        return done[-1][0] if done else 0

    def crash(self, count: int) -> None:
        """The process ends; the first `count` that wait get through."""
        self.sync(count)
        self.waiting.clear()

    def lose(self) -> None:
        """A new disk."""
        self.synced.clear()
        self.waiting.clear()

    def go_back(self, count: int) -> None:
        """The last `count` writes never were: an older copy is put in its place."""
        del self.synced[max(0, len(self.synced) - count) :]

    def load(self) -> Kept:
        """Return what a new process finds."""
        state = State()
        for put in self.synced:
            for record in put:
                state.apply(put_of(record))
        return state.kept()
