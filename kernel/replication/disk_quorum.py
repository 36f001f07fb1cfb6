"""The quorum of disks: who has how much of the log on disk, and what a majority therefore has."""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication.voting import majority


class DiskQuorum:
    """What was said in one view.

    A claim bears the epoch in which it was made: that primary, and the log up to there, are on
    that disk. For each primary only claims made in it count, and of each member only its last one:
    whoever has gone on to the next primary is heard again by who does too.
    """

    def __init__(self) -> None:
        self._last = 0  # epoch of the last primary formed in this view
        self._on_disk: dict[str, tuple[int, int]] = {}  # by name: epoch, number

    def hear(self, name: str, epoch: int, number: int) -> None:
        """Member `name` has the log up to `number` on disk. It may come before we know `epoch`."""
        self._on_disk[name] = max((epoch, number), self._on_disk.get(name, (0, 0)))

    def formed(self, epoch: int) -> None:
        """A primary was formed; it has nothing to decide by before its members speak."""
        self._last = epoch

    def have_come(self, names: Collection[str]) -> bool:
        """Whether all of these have spoken as members of the last primary of this view."""
        return all(self._on_disk.get(name, (0, 0))[0] >= self._last for name in names)

    def decided(self, primary: Primary) -> int:
        """Return up to where a majority of `primary` has the log on disk."""
        numbers = sorted(self._claimed(name, primary.epoch) for name in primary.members)
        return numbers[len(numbers) - majority(len(numbers))]

    def _claimed(self, name: str, epoch: int) -> int:
        said, number = self._on_disk.get(name, (0, 0))
        return number if said == epoch else 0
