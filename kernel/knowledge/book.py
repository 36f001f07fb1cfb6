"""What one node has, in memory and on disk: its log, and what it knows of primaries.

Every change of it is one Write, in the order of the changes; the rest of the replica never makes
records itself. So the two can't come apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.knowledge import records
from zactor.kernel.knowledge.effects import Applied, Effect, Replaced
from zactor.kernel.knowledge.log import Kept, Log, Outcome
from zactor.kernel.knowledge.pen import Pen
from zactor.kernel.knowledge.transfer import Intake
from zactor.kernel.protocol.messages import (
    Entry,
    KbAttempt,
    KbPiece,
    KbStanding,
    Primary,
)
from zactor.kernel.protocol.view import ViewId


class Book:
    """The lasting part of a replica."""

    def __init__(self, kept: Kept, out: list[Effect]) -> None:
        """Begin with what is on disk; effects go to `out`."""
        self.log = Log(kept)
        self.pen = Pen(self.log.end)
        self.formed = kept.formed  # the last primary known to have been formed
        self.attempts = kept.attempts  # later ones, that may have been formed
        self._out = out

    @property
    def founding(self) -> str:
        """Of the cluster this node belongs to, "" if it knows of none."""
        known = self.formed or (self.attempts[-1] if self.attempts else None)
        return known.founding if known is not None else ""

    def standing(self, view: ViewId, role: str) -> KbStanding:
        """Return where this node stands."""
        log = self.log
        return KbStanding(
            view=view,
            role=role,
            formed=self.formed,
            attempts=self.attempts,
            epoch=log.epoch,
            number=log.end,
            chain=log.end_chain,
            clock=log.clock,
            digest=log.digest,
        )

    def _write(self, *put: records.Record, is_urgent: bool = True) -> int:
        write = self.pen.write(self.log.end, *put, is_urgent=is_urgent)
        self._out.append(write)
        return write.number

    # -- the log -----------------------------------------------------------------------------
    def order(self, entry: Entry) -> None:
        """`entry` is the next one."""
        self.log.extend((entry,))
        self._write(records.PutEntries((entry,)))

    def apply(self, number: int) -> list[Outcome]:
        """Apply the log up to `number`; return what became of each entry."""
        log = self.log
        outcomes = log.commit(number)
        if outcomes:
            changes = tuple(outcome.change for outcome in outcomes if outcome.change is not None)
            self._out += [Applied(change=change) for change in changes]
            put = records.PutApplied(changes, log.number, log.chain, log.epoch)
            self._write(put, is_urgent=False)
        return outcomes

    def take_over(self, intake: Intake, last: KbPiece, later: Sequence[Entry], line: int) -> int:
        """Be what another was, followed by `later`, the last of which has the number `line`.

        Returns: the number of the write; until then the disk has what it had.

        Raises:
            RemoteProtocolError: it doesn't follow what is here.
        """
        log = self.log
        log.cut()
        put: list[records.Record] = [records.CutTail()]
        if last.is_snapshot:
            log.replace(intake.snapshot(last))
            facts, ids = log.theory.snapshot(), log.history.ids()
            place = (log.clock, log.digest, log.number, log.chain, log.epoch)
            put.append(records.PutSnapshot(facts, ids, *place))
            self._out.append(Replaced(clock=log.clock, digest=log.digest))
        else:
            for change in intake.changes:
                log.follow(change)
                self._out.append(Applied(change=change))
            log.stand(last.number, last.chain, last.epoch)
            changes = tuple(intake.changes)
            put.append(records.PutApplied(changes, log.number, log.chain, log.epoch))
        log.extend(intake.entries)
        first = line - len(later) + 1
        assert log.end >= first - 1, "the other had all up to the forming of the primary"
        log.extend(later[log.end - first + 1 :])
        put.append(records.PutEntries(log.tail))
        return self._write(*put)

    # -- primaries ---------------------------------------------------------------------------
    def record(self, attempt: Primary) -> int:
        """`attempt` may be formed from now on; return the number of the write."""
        self.attempts = (*self.attempts, attempt)
        return self._write(records.PutAttempt(attempt))

    def drop(self, attempt: Primary) -> None:
        """`attempt` certainly failed."""
        self.attempts = tuple(one for one in self.attempts if one != attempt)
        self._write(records.DropAttempt(attempt.epoch), is_urgent=False)

    def form(self, attempt: KbAttempt, me: str) -> None:
        """It is a primary."""
        primary, is_member = attempt.primary, me in attempt.primary.members
        if me in attempt.voices:
            self.formed, self.attempts = primary, ()
            self._write(records.PutPrimary(primary, is_member), is_urgent=False)
        if is_member:
            self.log.epoch = max(self.log.epoch, primary.epoch)
