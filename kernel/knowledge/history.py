"""What is kept of the past: the last changes, and the transactions that took place.

Each change carries a digest of everything up to it, so two nodes with the same digest have the same
past, and one that finds its peer's digest here knows exactly what the peer lacks.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from zactor.kernel import config
from zactor.kernel.ids import Clock
from zactor.kernel.protocol.messages import Change

if TYPE_CHECKING:
    from zactor.kernel.knowledge.log import Kept

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
        while len(self._ids) > config.TRANSACTION_IDS_KEPT:
            del self._ids[next(iter(self._ids))]

    def append(self, change: Change) -> None:
        """`change` follows: its digest has been checked."""
        self.clock = Clock(change.epoch, change.index)
        self.digest = change.digest
        self._changes.append(change)
        self._numbers[change.digest] = self._first + len(self._changes)
        self.remember(((change.id, change.epoch, change.index),))
        while len(self._changes) > config.HISTORY_KEPT:
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

    def after(self, digest: bytes) -> tuple[Change, ...] | None:
        """Return the changes that follow `digest`, or None if it is not in what is kept."""
        if digest == self.digest:
            return ()
        number = self._numbers.get(digest)
        if number is None:
            return None
        return tuple(islice(self._changes, number - self._first, None))
