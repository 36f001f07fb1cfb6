"""A simulated disk of one node: what is synced survives, of the rest a torn beginning may.

Records are framed with their length and a checksum, as bytes, so that a write can be cut anywhere.
Whoever reads goes up to the last whole write and forgets the rest, as a journal does.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

import msgspec

from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.log import Kept

_HEAD_BYTES = 8
_ENCODER = msgspec.msgpack.Encoder()


class Put(msgspec.Struct, array_like=True, omit_defaults=True):
    """One record as bytes have it: which kind, and what of its fields there is."""

    kind: str
    entries: tuple[Entry, ...] = ()
    changes: tuple[Change, ...] = ()
    facts: tuple[tuple[str, int, int, str, str, float], ...] = ()
    ids: tuple[tuple[str, int, int], ...] = ()
    clock: tuple[int, int] = (0, 0)
    digest: bytes = b""
    number: int = 0
    chain: bytes = b""
    epoch: int = 0
    primary: Primary | None = None
    is_complete: bool = False
    founding: str = ""
    forgotten: tuple[tuple[str, int], ...] = ()


_DECODER = msgspec.msgpack.Decoder(list[Put])


def put_of(record: records.Record) -> Put:
    """Return a record as bytes would have it."""
    fields: dict[str, Any] = {
        name: getattr(record, name) for name in record.__struct_fields__ if name != "facts"
    }
    if isinstance(record, records.PutSnapshot):
        fields["facts"] = tuple(fact.row() for fact in record.facts)
    return Put(type(record).__name__, **fields)


class DiskFailed(Exception):
    """The write can't be done, now or ever."""


class Disk:
    """What one node's processes leave to each other."""

    def __init__(self) -> None:
        self.is_full = False
        self.is_failing = False
        self._has_failed = False  # this process has a gap in what it wrote: no more of it counts
        self._data = bytearray()  # synced
        self._state = State()  # of it
        self._waiting: list[tuple[int, bytes]] = []  # written, not synced: number and frame
        self.torn = 0  # writes of which a crash left a part

    @property
    def has_waiting(self) -> bool:
        """Whether something isn't synced."""
        return bool(self._waiting)

    @property
    def has_data(self) -> bool:
        """Whether anything was ever synced."""
        return bool(self._data)

    def write(self, number: int, put: tuple[records.Record, ...]) -> None:
        """Queue one write, for which there is room. Raises: DiskFailed."""
        if self.is_failing or self._has_failed:
            self._has_failed = True
            raise DiskFailed
        body = _ENCODER.encode([put_of(record) for record in put])
        head = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big")
        self._waiting.append((number, head + body))

    def sync(self, number: int) -> int:
        """All writes up to `number` are on the platter; return the last of them."""
        done = 0
        while self._waiting and self._waiting[0][0] <= number:
            done, frame = self._waiting.pop(0)
            self._data += frame
            for put in _DECODER.decode(frame[_HEAD_BYTES:]):
                self._state.apply(put)
        return done

    @property
    def last(self) -> int:
        """The number of the last write that waits."""
        return self._waiting[-1][0] if self._waiting else 0

    def crash(self, chance: random.Random) -> None:
        """The power goes: of what isn't synced some beginning is there, perhaps a torn one."""
        self._has_failed = False
        rest = b"".join(frame for _, frame in self._waiting)
        self._waiting.clear()
        self._data += rest[: chance.randint(0, len(rest))] if chance.random() < 0.7 else b""
        self._state = State()
        for put in self._whole():
            self._state.apply(put)

    def forget(self) -> None:
        """The power goes: nothing of what isn't synced is there."""
        self._waiting.clear()
        self._has_failed = False

    def lose(self) -> None:
        """A new disk is put in."""
        self._data.clear()
        self._waiting.clear()
        self._state = State()
        self.is_full = self.is_failing = False

    def older(self, share: float) -> Disk:
        """Return an older copy. Args: `share` of what is synced that it has."""
        copy = Disk()
        copy._data = self._data[: int(len(self._data) * share)]
        for put in copy._whole():
            copy._state.apply(put)
        copy.torn = self.torn
        return copy

    def _whole(self) -> list[Put]:
        found: list[Put] = []
        place = 0
        while place + _HEAD_BYTES <= len(self._data):
            size = int.from_bytes(self._data[place : place + 4], "big")
            check = int.from_bytes(self._data[place + 4 : place + 8], "big")
            body = bytes(self._data[place + _HEAD_BYTES : place + _HEAD_BYTES + size])
            if len(body) < size or zlib.crc32(body) != check:
                break
            found += _DECODER.decode(body)
            place += _HEAD_BYTES + size
        self.torn += place < len(self._data)
        del self._data[place:]  # torn: it never was
        return found

    def load(self) -> Kept:
        """Return what a new process finds."""
        return self._state.kept()

    def ids(self) -> set[str]:
        """Return the transactions that are on it: applied, or ordered only."""
        return self._state.seen | {entry.transaction.id for entry in self._state.tail}

    def holds(self, id_: str) -> bool:
        """Whether that transaction is on it."""
        tail = self._state.tail
        return id_ in self._state.seen or any(entry.transaction.id == id_ for entry in tail)

    @property
    def attempts(self) -> list[Primary]:
        """Primaries that may have been formed, as far as is on it."""
        return self._state.attempts


class State:
    """Records, folded by plain arithmetic."""

    def __init__(self) -> None:
        self.facts: dict[str, tuple[str, int, int, str, str, float]] = {}
        self.clock = Clock(0, 0)
        self.digest = b""
        self.changes: list[Change] = []
        self.ids: list[tuple[str, int, int]] = []
        self.seen: set[str] = set()
        self.number = 0
        self.chain = b""
        self.epoch = 0
        self.tail: list[Entry] = []
        self.formed: Primary | None = None
        self.attempts: list[Primary] = []
        self.used = 0
        self.founding = ""
        self.forgotten: tuple[tuple[str, int], ...] = ()

    def apply(self, put: Put) -> None:
        """One more record is on it."""
        match put.kind:
            case "PutEntries":
                self.tail += put.entries
            case "PutApplied":
                self._change(put)
            case "CutTail":
                self.tail.clear()
            case "PutSnapshot":
                self.facts = {row[0]: row for row in put.facts}
                self.clock, self.digest = Clock(*put.clock), put.digest
                self.changes, self.ids, self.tail = [], list(put.ids), []
                self.seen = {id_ for id_, _, _ in put.ids}
                self.number, self.chain, self.epoch = put.number, put.chain, put.epoch
            case "PutFounding":
                self.founding = put.founding
            case "PutAttempt":
                assert put.primary is not None
                self.attempts.append(put.primary)
                self.used = max(self.used, put.primary.epoch)
                self.epoch = max(self.epoch, put.epoch)
            case "DropAttempt":
                self.attempts = [one for one in self.attempts if one.epoch != put.epoch]
            case "PutForgotten":
                self.forgotten = put.forgotten
            case "PutPrimary":
                assert put.primary is not None
                self.formed, self.attempts, self.forgotten = put.primary, [], ()
                if put.is_complete:
                    self.epoch = max(self.epoch, put.primary.epoch)

    def _change(self, put: Put) -> None:
        for change in put.changes:
            for text in change.retracted:
                del self.facts[text]
            origin = (change.epoch, change.index, change.who, change.why, change.at)
            for text in change.asserted:
                self.facts[text] = (text, *origin)
            self.clock, self.digest = Clock(change.epoch, change.index), change.digest
            self.changes.append(change)
            self.ids.append((change.id, change.epoch, change.index))
            self.seen.add(change.id)
        del self.tail[: put.number - self.number]
        self.number, self.chain, self.epoch = put.number, put.chain, put.epoch

    def kept(self) -> Kept:
        """Return what a process begins with that finds this."""
        return Kept(
            theory=Theory(self.facts.values()),
            clock=self.clock,
            digest=self.digest,
            changes=tuple(self.changes),
            ids=tuple(self.ids),
            number=self.number,
            chain=self.chain,
            epoch=self.epoch,
            tail=tuple(self.tail),
            formed=self.formed,
            attempts=tuple(self.attempts),
            used=self.used,
            founding=self.founding,
            forgotten=self.forgotten,
        )
