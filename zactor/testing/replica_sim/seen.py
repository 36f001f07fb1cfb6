"""What the judge of a run has seen: changes, clients, primaries and nodes, as values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from zactor.testing.replica_sim.mirror import Mirror

Place = tuple[int, int]  # a clock: epoch and index
NOTHING = b""  # the digest of no history


@dataclass(slots=True)
class Made:
    """A change that somebody applied."""

    id: str
    clock: Place
    digest: bytes
    parent: bytes
    epoch: int  # of the first primary that is known to have decided it; 0: not known
    who: str
    founding: str  # of the cluster whose history it belongs to; "": not known yet
    is_acknowledged: bool = False


@dataclass(slots=True)
class Asked:
    """A change or a read, as its client sees it."""

    id: str
    name: str
    is_read: bool
    floor: int  # how much of the history others had been told of when it began
    times: int = 1
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Formed:
    """A primary."""

    epoch: int
    members: tuple[str, ...]
    decider: str
    voices: tuple[str, ...]
    view: str

    def decided_by(self, present: Collection[str], forgotten: Collection[str] = ()) -> bool:
        """Whether these are more than half of it, or half with its decider.

        Args:
            forgotten: members that don't count; if all are, anybody may go on.
        """
        members = set(self.members) - set(forgotten)
        count = len(members & set(present))
        return 2 * count >= len(members) and (
            2 * count > len(members) or not members or self.decider in members & set(present)
        )


@dataclass(slots=True)
class Node:
    """One node, as far as it was seen from outside."""

    name: str
    digest: bytes = NOTHING  # of what it shows
    memory: Mirror = field(default_factory=Mirror)
    disk: Mirror = field(default_factory=Mirror)
    inside: int = 0  # the epoch of the primary it is in
    is_up: bool = False
    is_blank: bool = False  # its disk was lost, and it has agreed to nothing since
    has_failed: bool = False
