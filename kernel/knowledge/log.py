"""One node's copy of the history: what was applied, and behind it what is ordered only.

    applied                                   tail
    theory, changes, clock, digest | number   entries whose fate isn't known here yet

An entry is checked against the theory when it is applied, and everybody applies it after the same
ones: so all refuse alike. The rule a reader must not break: what is applied is never undone, so
nothing is applied before a majority has it on disk.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from zactor.kernel.errors import RemoteProtocolError, ZactorError, to_wire
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.history import NO_DIGEST, History, TransactionIds, next_digest
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.messages import Change, Entry, Primary

_DIGEST_BYTES = 16
_ENCODER = msgspec.msgpack.Encoder()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All that a node has on disk: what a Replica begins with."""

    theory: Theory
    clock: Clock = ORIGIN
    digest: bytes = NO_DIGEST
    changes: tuple[Change, ...] = ()  # the last ones, oldest first, each following the one before
    ids: TransactionIds = ()
    number: int = 0  # of the last entry that was applied
    chain: bytes = b""
    epoch: int = 0  # the log is complete for it
    tail: tuple[Entry, ...] = ()
    formed: Primary | None = None
    attempts: tuple[Primary, ...] = ()


class Outcome(NamedTuple):
    """What became of an entry."""

    id: str  # of its transaction
    change: Change | None  # None: refused, or it took place before
    clock: Clock  # ORIGIN where it was refused
    kind: str  # class of the error, "" where it took place
    message: str


def next_chain(chain: bytes, entry: Entry) -> bytes:
    """Return the digest of the log `chain` followed by `entry`."""
    return hashlib.blake2b(chain + _ENCODER.encode(entry), digest_size=_DIGEST_BYTES).digest()


class Log:
    """Theory, history and tail; they change together or not at all."""

    def __init__(self, kept: Kept) -> None:
        """Begin with what was kept."""
        self.theory = kept.theory
        self.history = History(kept)
        self.number = kept.number
        self.chain = kept.chain
        self.epoch = kept.epoch
        self._tail: deque[Entry] = deque()
        self._chains: deque[bytes] = deque()  # after each of them
        self.extend(kept.tail)

    @property
    def clock(self) -> Clock:
        """The place of the last change that was applied."""
        return self.history.clock

    @property
    def digest(self) -> bytes:
        """Of all changes that were applied."""
        return self.history.digest

    @property
    def end(self) -> int:
        """Number of the last entry, applied or not."""
        return self.number + len(self._tail)

    @property
    def end_chain(self) -> bytes:
        """Digest of all entries."""
        return self._chains[-1] if self._chains else self.chain

    @property
    def tail(self) -> tuple[Entry, ...]:
        """Ordered, not applied; oldest first."""
        return tuple(self._tail)

    # -- ordering ----------------------------------------------------------------------------
    def extend(self, entries: Iterable[Entry]) -> None:
        """These were ordered next."""
        for entry in entries:
            self._chains.append(next_chain(self.end_chain, entry))
            self._tail.append(entry)
            self.epoch = max(self.epoch, entry.epoch)

    def cut(self) -> None:
        """Others were ordered in the place of what isn't applied."""
        self._tail.clear()
        self._chains.clear()

    # -- applying ----------------------------------------------------------------------------
    def commit(self, number: int) -> list[Outcome]:
        """Apply what was ordered up to `number`, if it is here."""
        outcomes = []
        while self._tail and self.number < number:
            entry = self._tail.popleft()
            self.chain = self._chains.popleft()
            self.number += 1
            outcomes.append(self._apply(entry))
        return outcomes

    def _apply(self, entry: Entry) -> Outcome:
        transaction = entry.transaction
        before = self.history.took_place(transaction.id)
        if before is not None:
            return Outcome(transaction.id, None, before, "", "")
        try:
            prepared = self.theory.prepare(transaction)
        except ZactorError as error:
            kind, message, _ = to_wire(error)
            return Outcome(transaction.id, None, ORIGIN, kind, message)
        assert entry.epoch >= self.clock.epoch, (entry.epoch, self.clock)
        bare = Change(
            epoch=entry.epoch,
            index=self.clock.index + 1 if entry.epoch == self.clock.epoch else 1,
            id=transaction.id,
            who=transaction.who,
            why=transaction.why,
            at=float(entry.at),
            retracted=prepared.retracted,
            asserted=prepared.asserted,
            digest=b"",
            number=self.number,
            chain=self.chain,
        )
        change = msgspec.structs.replace(bare, digest=next_digest(self.digest, bare))
        self.theory.apply(change)
        self.history.append(change)
        return Outcome(transaction.id, change, self.clock, "", "")

    def follow(self, change: Change) -> None:
        """Apply what others have applied; the tail must be cut before.

        Raises:
            RemoteProtocolError: it doesn't follow what is here. Nothing changed.
        """
        assert not self._tail, "a tail would be of another history"
        clock = Clock(change.epoch, change.index)
        if clock <= self.clock or next_digest(self.digest, change) != change.digest:
            raise RemoteProtocolError(f"the change at {clock} doesn't follow {self.clock}")
        try:
            self.theory.apply(change)
        except ZactorError as error:
            raise RemoteProtocolError(str(error)) from error
        self.history.append(change)
        self.number, self.chain = change.number, change.chain

    def stand(self, number: int, chain: bytes, epoch: int) -> None:
        """What was applied reaches to `number` of the log: the rest up to there was refused."""
        assert not self._tail, "a tail would be of another history"
        self.number, self.chain = number, chain
        self.epoch = max(self.epoch, epoch)

    def replace(self, kept: Kept) -> None:
        """Be what was taken over."""
        self.theory = kept.theory
        self.history = History(kept)
        self.number, self.chain, self.epoch = kept.number, kept.chain, kept.epoch
        self.cut()
