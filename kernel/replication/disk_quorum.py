"""The quorum of disks: who has how much of the log on disk, and what a majority therefore has."""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication.voting import majority


class DiskQuorum:
    """What was said in one view.

    Who says something names the epoch in which it holds. What was said in an earlier view may still
    arrive, and means a log that may have been cut since: so only epochs of this view count.
    """

    def __init__(self) -> None:
        self._epochs: set[int] = set()  # of the primaries formed in this view
        self._on_disk: dict[str, dict[int, int]] = {}  # member -> epoch -> end of its log

    def hear(self, name: str, epoch: int, number: int) -> None:
        """Member `name` has the log up to `number` on disk. It may come before we know `epoch`."""
        numbers = self._on_disk.setdefault(name, {})
        numbers[epoch] = max(number, numbers.get(epoch, 0))

    def formed(self, epoch: int, members: Collection[str], number: int) -> None:
        """A primary was formed: all its members have the log up to `number` on disk."""
        self._epochs.add(epoch)
        for name in members:
            self.hear(name, epoch, number)

    def have_come(self, names: Collection[str]) -> bool:
        """Whether all of these have spoken as members of the last primary of this view."""
        last = max(self._epochs, default=0)
        return all(last in self._on_disk.get(name, {}) for name in names)

    def decided(self, primary: Primary) -> int:
        """Return up to where a majority of `primary` has the log on disk."""
        numbers = sorted(self._last_on_disk(name) for name in primary.members)
        return numbers[len(numbers) - majority(len(numbers))]

    def _last_on_disk(self, name: str) -> int:
        numbers = self._on_disk.get(name, {})
        return max((numbers[epoch] for epoch in numbers if epoch in self._epochs), default=0)


class DivergenceCheck:
    """Who was seen to have our history, and who another: one of them has a bug."""

    def __init__(self) -> None:
        self._agreeing: set[str] = set()
        self._contrary: set[str] = set()

    def see(self, name: str, *, agrees: bool) -> bool:
        """`name` has our clock, and our digest or another one; True if we must stop."""
        (self._contrary if agrees else self._agreeing).discard(name)
        (self._agreeing if agrees else self._contrary).add(name)
        # In doubt both stop; whoever has more on its side goes on.
        return not agrees and len(self._contrary) > len(self._agreeing)
