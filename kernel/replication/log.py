"""The log of one node: the past that is kept, what was applied, and what is ordered only."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError, ZactorError, to_wire
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Primary

NO_DIGEST = b""

"""The digest of no history at all."""


_DIGEST_BYTES = 16


TransactionIds = tuple[tuple[str, int, int], ...]

"""Transactions that took place, oldest first: id, epoch, index."""


_ENCODER = msgspec.msgpack.Encoder()


def next_digest(digest: bytes, change: Change) -> bytes:
    """Return the digest of the history `digest` followed by `change`, whose own isn't used."""
    bare = msgspec.structs.replace(change, digest=b"")
    return hashlib.blake2b(digest + _ENCODER.encode(bare), digest_size=_DIGEST_BYTES).digest()


class History:
    """The last HISTORY_KEPT changes by digest, and the last TRANSACTION_IDS_KEPT transactions."""

    def __init__(self, kept: Kept) -> None:
        """Begin with what was kept; changes that don't lead to its digest are left out."""
        self.clock = kept.clock
        self.digest = kept.digest
        whole = bool(kept.changes) and kept.changes[-1].digest == kept.digest
        self._changes: deque[Change] = deque(kept.changes if whole else ())
        self._first = 0  # number of _changes[0]
        self._numbers: dict[bytes, int] = {}  # digest to the number of the change after it
        self._ids: dict[str, Clock] = {}
        for number, change in enumerate(self._changes):
            self._numbers[change.digest] = number + 1
        self._base: bytes | None = None  # the digest before _changes[0], None if it isn't known
        first = self._changes[0] if self._changes else None
        if not kept.digest or (first and next_digest(NO_DIGEST, first) == first.digest):
            self._base = NO_DIGEST
            self._numbers[NO_DIGEST] = 0
        self.remember(kept.ids)

    def remember(self, ids: Iterable[tuple[str, int, int]]) -> None:
        """These transactions took place, oldest first."""
        for id_, epoch, index in ids:
            if id_:  # a change that begins an epoch has none
                self._ids[id_] = Clock(epoch, index)
        while len(self._ids) > limits.TRANSACTION_IDS_KEPT:
            del self._ids[next(iter(self._ids))]

    def append(self, change: Change) -> None:
        """`change` follows: its digest has been checked."""
        self.clock = Clock(change.epoch, change.index)
        self.digest = change.digest
        self._changes.append(change)
        self._numbers[change.digest] = self._first + len(self._changes)
        self.remember(((change.id, change.epoch, change.index),))
        while len(self._changes) > limits.HISTORY_KEPT:
            if self._base is not None:
                del self._numbers[self._base]
            self._base = self._changes.popleft().digest
            self._first += 1

    def took_place(self, id_: str) -> Clock | None:
        """Return where the transaction `id_` took place, if it is remembered."""
        return self._ids.get(id_)

    def ids(self) -> TransactionIds:
        """Return the transactions that are remembered, oldest first."""
        return tuple([(id_, *clock) for id_, clock in self._ids.items()])

    def changes(self) -> tuple[Change, ...]:
        """Return the changes that are kept, oldest first."""
        return tuple(self._changes)

    def agrees(self, clock: Clock, digest: bytes) -> bool | None:
        """Whether the history that ends so begins this one; None where that isn't known."""
        if digest in (NO_DIGEST, self.digest) or digest in self._numbers:
            return True
        if clock >= self.clock:
            return False if clock == self.clock else None
        first = self._changes[0] if self._changes else None
        is_kept = first is not None and clock >= (first.epoch, first.index)
        return False if is_kept or self._base == NO_DIGEST else None

    def after(self, digest: bytes) -> tuple[Change, ...] | None:
        """Return the changes that follow `digest`, or None if it is not in what is kept."""
        if digest == self.digest:
            return ()
        number = self._numbers.get(digest)
        if number is None:
            return None
        return tuple(islice(self._changes, number - self._first, None))


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
    used: int = 0  # the highest number of an attempt that was ever recorded
    founding: str = ""  # of the cluster whose log was taken over
    forgotten: tuple[tuple[str, int], ...] = ()  # who has no vote up to which number


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

    def holds(self, number: int, chain: bytes) -> bool:
        """Whether entry `number` is in the tail, and `chain` the digest of all up to it."""
        place = number - self.number - 1
        return 0 <= place < len(self._chains) and self._chains[place] == chain

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
        self.epoch = max(self.epoch, change.epoch)

    def stand(self, number: int, chain: bytes, epoch: int) -> None:
        """What was applied reaches to `number` of the log: the rest up to there was refused."""
        assert not self._tail, "a tail would be of another history"
        self.number, self.chain, self.epoch = number, chain, epoch

    def replace(self, kept: Kept) -> None:
        """Be what was taken over."""
        self.theory = kept.theory
        self.history = History(kept)
        self.number, self.chain, self.epoch = kept.number, kept.chain, kept.epoch
        self.cut()
