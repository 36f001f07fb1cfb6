"""The durable state of a replica: its log, what it knows of primaries, and its writes to disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.knowledge import (
    Change,
    Entry,
    KbAttempt,
    KbPiece,
    KbStanding,
    Primary,
)
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Applied, Effect, Replaced, Write
from zactor.kernel.replication.log import Kept, Log, Outcome
from zactor.kernel.replication.records import Record
from zactor.kernel.replication.state_transfer import TransferTarget

_OF_LOG = (records.PutEntries, records.PutApplied, records.CutTail, records.PutSnapshot)


class PendingWrites:
    """Numbers the writes of one replica."""

    def __init__(self, end: int) -> None:
        """`end`: number of the last entry that is on disk already."""
        self.durable = end  # entries up to it are on disk
        self._number = 0
        self._ends: deque[tuple[int, int]] = deque()  # (number of the write, end of the log)

    @property
    def is_idle(self) -> bool:
        """Whether all writes are done."""
        return not self._ends

    def write(self, end: int, *records: Record, is_urgent: bool = True) -> Write:
        """Return the effect; the log reaches to `end` when it is done."""
        self._number += 1
        self._ends.append((self._number, end))
        return Write(number=self._number, records=records, is_urgent=is_urgent)

    def confirm(self, number: int) -> None:
        """All writes up to `number` are done."""
        while self._ends and self._ends[0][0] <= number:
            self.durable = self._ends.popleft()[1]


class DurableState:
    """The lasting part of a replica."""

    def __init__(self, kept: Kept, out: list[Effect]) -> None:
        """Begin with what is on disk; effects go to `out`."""
        self.log = Log(kept)
        self.writes = PendingWrites(self.log.end)
        self.formed = kept.formed  # the last primary known to have been formed
        self.attempts = kept.attempts  # later ones, that may have been formed
        self.used = kept.used  # the highest number of an attempt, also of one that failed
        self.forgotten = kept.forgotten  # by an operator's word: who has no vote up to which number
        self._founding = kept.founding  # of the log, where it was taken over
        self.forks: dict[str, str] = {}  # who was seen with another history, in words; not on disk
        self._out = out
        self.no_room = ""  # why the disk doesn't take what it must have, in words for people
        self._held: list[Record] | None = None  # while it has none: what it must have beside a log
        self._handed = self.log.digest  # of the changes that were handed to it
        self._returning = 0  # number of the write after which it has all again

    @property
    def founding(self) -> str:
        """Of the cluster this node belongs to, "" if it knows of none."""
        if self.formed is not None:
            return self.formed.founding
        return self._founding or (self.attempts[0].founding if self.attempts else "")

    @property
    def is_founded(self) -> bool:
        """Whether there is a cluster that this node belongs to, and not only an attempt."""
        return self.formed is not None or bool(self._founding)

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
            used=self.used,
            applied=log.number,
            applied_chain=log.chain,
            founding=self._founding,
            forgotten=self.forgotten,
            has_room=not self.no_room,
        )

    # -- the disk ----------------------------------------------------------------------------
    def _write(self, *put: records.Record, is_urgent: bool = True) -> int:
        write = self.writes.write(self.log.end, *put, is_urgent=is_urgent)
        if self._held is None:
            self._out.append(write)
            self._handed = self.log.digest
        else:
            self._hold(put)
        return write.number

    def _hold(self, put: Sequence[Record]) -> None:
        """Keep what can't be told from the log; so this stays short, however long it lasts."""
        assert self._held is not None, "the disk has no room"
        for record in put:
            if isinstance(record, records.PutPrimary):  # it settles what was before it
                self._held = [one for one in self._held if isinstance(one, records.PutFounding)]
            elif isinstance(record, records.PutFounding | records.PutForgotten):
                self._held = [one for one in self._held if type(one) is not type(record)]
            if not isinstance(record, _OF_LOG):
                self._held.append(record)

    def run_out(self, why: str) -> None:
        """The disk has no room. Nothing more is handed to it."""
        self.no_room = why
        if self._held is None:
            self._held, self._returning = [], 0

    def make_room(self) -> None:
        """The disk has taken all that was handed to it; it gets the rest.

        It is brought up like a member: by the changes that it lacks, if they are kept, else by
        the whole theory.
        """
        held, self._held = self._held, None
        if held is None:
            return
        log = self.log
        changes = log.history.after(self._handed)
        place = (log.number, log.chain, log.epoch)
        put: list[Record] = [*held, records.CutTail()]
        if changes is None:
            facts, ids = log.theory.snapshot(), log.history.ids()
            put.append(records.PutSnapshot(facts, ids, log.clock, log.digest, *place))
        else:
            put.append(records.PutApplied(changes, *place))
        put.append(records.PutEntries(log.tail))
        self._returning = self._write(*put)

    def confirm(self, number: int) -> None:
        """All writes up to `number` are done."""
        self.writes.confirm(number)
        if 0 < self._returning <= number:
            self._returning, self.no_room = 0, ""

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

    def follow(self, changes: Sequence[Change], founding: str) -> None:
        """Apply what another of the cluster `founding` has applied next.

        Raises:
            RemoteProtocolError: it doesn't follow what is here.
        """
        log = self.log
        for change in changes:
            log.follow(change)
            self._out.append(Applied(change=change))
        self._founding = founding
        put = records.PutApplied(tuple(changes), log.number, log.chain, log.epoch)
        self._write(records.PutFounding(founding), put, is_urgent=False)

    def take_over(
        self,
        target: TransferTarget,
        last: KbPiece,
        later: Sequence[Entry],
        line: int,
        founding: str,
        primary: Primary | None,
    ) -> int:
        """Be what another of the cluster `founding` was, followed by `later`, up to number `line`.

        `primary`, where it is formed already, is known from then on: who is let in has memory.

        Returns: the number of the write; until then the disk has what it had.

        Raises:
            RemoteProtocolError: it doesn't follow what is here, or can't be the primary's.
        """
        log = self.log
        log.cut()
        put: list[records.Record] = [records.PutFounding(founding), records.CutTail()]
        self._founding = founding
        if last.is_snapshot:
            log.replace(target.snapshot(last))
            facts, ids = log.theory.snapshot(), log.history.ids()
            place = (log.clock, log.digest, log.number, log.chain, log.epoch)
            put.append(records.PutSnapshot(facts, ids, *place))
            self._out.append(Replaced(clock=log.clock, digest=log.digest))
        else:
            for change in target.changes:
                log.follow(change)
                self._out.append(Applied(change=change))
            log.stand(last.number, last.chain, last.epoch)
            changes = tuple(target.changes)
            put.append(records.PutApplied(changes, log.number, log.chain, log.epoch))
        log.extend(target.entries)
        first = line - len(later) + 1
        if log.end < first - 1:
            raise RemoteProtocolError(f"it ends at {log.end}, before the primary: at {first - 1}")
        log.extend(later[log.end - first + 1 :])
        epochs = [log.clock.epoch, *(entry.epoch for entry in log.tail)]
        if epochs != sorted(epochs):
            raise RemoteProtocolError(f"what is ordered after {log.clock} is of an older epoch")
        put.append(records.PutEntries(log.tail))
        if primary is not None:
            put.append(self._know(primary, is_member=False))
        return self._write(*put)

    # -- primaries ---------------------------------------------------------------------------
    def _know(self, primary: Primary, *, is_member: bool) -> records.PutPrimary:
        self.formed, self.attempts, self.forgotten = primary, (), ()
        return records.PutPrimary(primary, is_member)

    def record(self, attempt: KbAttempt, me: str) -> int:
        """`attempt` may be formed from now on; return the number of the write."""
        primary, log = attempt.primary, self.log
        self.attempts = (*self.attempts, primary)
        self.used = max(self.used, primary.epoch)
        if me in primary.members:  # it has the log that counts, so that ranks here as it does there
            log.epoch = max(log.epoch, attempt.log_epoch)
        return self._write(records.PutAttempt(primary, log.epoch))

    def drop(self, attempt: Primary) -> None:
        """`attempt` certainly failed."""
        self.attempts = tuple(one for one in self.attempts if one != attempt)
        self._write(records.DropAttempt(attempt.epoch), is_urgent=False)

    def keep_attempts(self, attempts: Collection[Primary]) -> None:
        """All others certainly failed."""
        for attempt in self.attempts:
            if attempt not in attempts:
                self.drop(attempt)

    def forget(self, forgotten: tuple[tuple[str, int], ...]) -> None:
        """These have no vote in what has a number up to the one beside them."""
        self.forgotten = forgotten
        self._write(records.PutForgotten(forgotten))

    def form(self, attempt: KbAttempt, me: str) -> int:
        """It is a primary; return the number of the write, 0 if it is no voice's."""
        number = 0
        primary, is_member = attempt.primary, me in attempt.primary.members
        if me in attempt.voices:
            number = self._write(self._know(primary, is_member=is_member))
        if is_member:
            self.log.epoch = max(self.log.epoch, primary.epoch)
        return number
