"""Losses of a view without a quorum: what it lacks, and may lose if it goes on all the same.

Nothing is decided here: an operator is told what the machines know, before he says what they can't.
"""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel.ids import Clock
from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication.voting import Forgotten, Standings, Verdict, decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Of one view, all its members of our cluster know the same."""

    founding: str  # of our cluster, "" where nobody here belongs to one
    here: tuple[str, ...]  # of our cluster
    voters: tuple[str, ...]  # of those, who has a vote
    blocking: tuple[Primary, ...]  # the last primary, and what may have been one, undecided here
    missing: tuple[str, ...]  # who would have to come back, or to be forgotten
    forgotten: Forgotten  # by an operator's word before
    last: Primary | None  # the last primary known here
    clock: Clock  # of the last change known here
    forked: str  # why those who are here can't go on together, "" if they can

    @classmethod
    def of(cls, verdict: Verdict, standings: Standings, clock: Clock, *, forked: str) -> Losses:
        """Return what the members of a view say, of whom one has applied all up to `clock`."""
        formed = [standings[name].formed for name in verdict.camp]
        return cls(
            founding=verdict.founding,
            here=tuple(sorted(verdict.camp)),
            voters=verdict.voters,
            blocking=verdict.blocking,
            missing=tuple(sorted(verdict.missing)),
            forgotten=verdict.forgotten,
            last=max((one for one in formed if one is not None), default=None),
            clock=max(clock, *(Clock(*standings[name].clock) for name in verdict.camp)),
            forked=forked,
        )

    @property
    def may_lose(self) -> bool:
        """Whether those who aren't here, forgotten or not, could have gone on by themselves."""
        return any(
            decides(primary, {*primary.members} - {*self.voters}) for primary in self.blocking
        )
