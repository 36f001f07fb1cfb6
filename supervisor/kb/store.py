"""The knowledge base on disk: facts, the log of changes, what is ordered only, and who was primary.

SQLite in WAL mode, synchronous=FULL: what `write` has returned for is on the disk itself. Each call
is one transaction, so a node that is killed, or loses its power, at any moment starts again from
the last whole one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar, assert_never

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import NoRoom, Refused, TermError, ZactorError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Write
from zactor.kernel.replication.log import NO_DIGEST, Kept
from zactor.kernel.room import is_full

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE facts (
    text TEXT PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE transactions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, epoch INTEGER NOT NULL, position INTEGER NOT NULL
);
CREATE TABLE tail (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE attempts (epoch INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""
_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)"
_TRANSACTION = "INSERT INTO transactions (id, epoch, position) VALUES (?, ?, ?)"
_ASIDE = "kb-fork-"  # begins the names of copies of stores whose history isn't the others'
_PROBE_BYTES = 64 << 10  # as much as a small batch takes
_PRUNE_EVERY = 1_000  # changes: the log may be longer than HISTORY_KEPT by as much

_ENCODER = msgspec.msgpack.Encoder()
_Value = TypeVar("_Value", int, str, bytes)

_CHANGE = msgspec.msgpack.Decoder(Change)
_ENTRY = msgspec.msgpack.Decoder(Entry)
_PRIMARY = msgspec.msgpack.Decoder(Primary)
_FORGOTTEN = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...])


class Store:
    """The file kb.sqlite of one node.

    Threads: one at a time; it may be opened by one and used by another.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the store in the folder `path`, or make it there.

        Raises:
            Refused: another process has it open.
            ZactorError: the file is damaged or of another version; says what to do.
        """
        folder = Path(path)
        self.file = folder / "kb.sqlite"
        self._incarnation_file = folder / "incarnation"
        self._appended = 0
        with self._careful():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(
                self.file, isolation_level=None, check_same_thread=False, timeout=0.5
            )
        try:
            with self._careful():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def load(self) -> Kept:
        """Return all that is here.

        Raises:
            ZactorError: what is here can't be read.
        """
        with self._careful(), self._whole():
            rows = self._db.execute("SELECT * FROM facts ORDER BY text").fetchall()
            bodies = self._db.execute(
                "SELECT body FROM changes ORDER BY number DESC LIMIT ?", (limits.HISTORY_KEPT,)
            ).fetchall()
            ids = self._db.execute(
                "SELECT id, epoch, position FROM transactions ORDER BY number DESC LIMIT ?",
                (limits.TRANSACTION_IDS_KEPT,),
            ).fetchall()
            formed = self._value("formed", b"")
            return Kept(
                theory=Theory(rows),
                clock=Clock(self._number("epoch"), self._number("index")),
                digest=self._value("digest", NO_DIGEST),
                changes=tuple(_CHANGE.decode(body) for (body,) in reversed(bodies)),
                ids=tuple(reversed(ids)),
                number=self._number("number"),
                chain=self._value("chain", b""),
                epoch=self._number("complete"),
                tail=tuple(_ENTRY.decode(body) for body in self._bodies("tail", "number")),
                formed=_PRIMARY.decode(formed) if formed else None,
                attempts=tuple(_PRIMARY.decode(body) for body in self._bodies("attempts", "epoch")),
                used=self._number("used"),
                founding=self._value("founding", ""),
                forgotten=self._forgotten(),
            )

    def write(self, writes: Iterable[Write]) -> None:
        """Put these on disk, in this order, all of them or none.

        Raises:
            NoRoom: the disk is full.
            ZactorError: they couldn't be kept: the disk is failing or gone, the file is damaged.
                What was there before is there still.
        """
        with self._careful(), self._whole():
            for write in writes:
                for record in write.records:
                    self._put(record)
            if self._appended >= _PRUNE_EVERY:
                self._prune()

    def next_incarnation(self) -> int:
        """Return a number above all that this returned before, however the node ended.

        Raises:
            ZactorError: it couldn't be kept, as for `write`.
        """
        with self._careful(), self._whole():
            incarnation = max(self._number("incarnation"), self._filed_incarnation()) + 1
            self._set("incarnation", incarnation)
        with self._careful():
            self._file_incarnation(incarnation)
        return incarnation

    def keep_aside(self, clock: str) -> Path:
        """Copy the whole store to a file that no node opens; return that file.

        Raises:
            ZactorError: it couldn't be written.
        """
        file = self.file.with_name(f"{_ASIDE}{clock}-{self._value('digest', b'').hex()}.sqlite")
        with self._careful():
            if not file.exists():
                draft = file.with_suffix(".new")
                draft.unlink(missing_ok=True)
                self._db.execute("VACUUM INTO ?", (str(draft),))
                draft.replace(file)
        return file

    def kept_aside(self) -> list[Path]:
        """Return the files that `keep_aside` has made here."""
        return sorted(self.file.parent.glob(f"{_ASIDE}*.sqlite"))

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    # -- records -----------------------------------------------------------------------------
    def _put(self, record: records.Record) -> None:
        match record:
            case records.PutEntries():
                self._put_entries(record)
            case records.PutApplied():
                self._put_applied(record)
            case records.CutTail():
                self._db.execute("DELETE FROM tail")
            case records.PutSnapshot():
                self._put_snapshot(record)
            case records.PutFounding(founding=founding):
                self._set("founding", founding)
            case records.PutAttempt(primary=primary, epoch=epoch):
                row = (primary.epoch, _ENCODER.encode(primary))
                self._db.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?)", row)
                self._set("used", max(primary.epoch, self._number("used")))
                self._complete(epoch)
            case records.DropAttempt(epoch=epoch):
                self._db.execute("DELETE FROM attempts WHERE epoch = ?", (epoch,))
            case records.PutForgotten(forgotten=forgotten):
                self._set("forgotten", _ENCODER.encode(forgotten))
            case records.PutPrimary():
                self._set("formed", _ENCODER.encode(record.primary))
                self._db.execute("DELETE FROM meta WHERE key = 'forgotten'")
                self._db.execute("DELETE FROM attempts")
                if record.is_complete:
                    self._complete(record.primary.epoch)
            case _:
                assert_never(record)

    def _put_entries(self, record: records.PutEntries) -> None:
        (last,) = self._db.execute("SELECT max(number) FROM tail").fetchone()
        first = (self._number("number") if last is None else last) + 1
        rows = [
            (number, _ENCODER.encode(entry)) for number, entry in enumerate(record.entries, first)
        ]
        self._db.executemany("INSERT INTO tail VALUES (?, ?)", rows)
        for epoch in {entry.epoch for entry in record.entries}:
            self._complete(epoch)

    def _put_applied(self, record: records.PutApplied) -> None:
        for change in record.changes:
            gone = [(fact,) for fact in change.retracted]
            self._db.executemany("DELETE FROM facts WHERE text = ?", gone)
            origin = (change.epoch, change.index, change.who, change.why, change.at)
            self._db.executemany(_FACT, [(fact, *origin) for fact in change.asserted])
            self._db.execute("INSERT INTO changes (body) VALUES (?)", (_ENCODER.encode(change),))
            self._db.execute(_TRANSACTION, (change.id, change.epoch, change.index))
            self._place(Clock(change.epoch, change.index), change.digest)
        self._appended += len(record.changes)
        self._db.execute("DELETE FROM tail WHERE number <= ?", (record.number,))
        self._reach(record)

    def _put_snapshot(self, record: records.PutSnapshot) -> None:
        for table in ("facts", "changes", "transactions", "tail"):
            self._db.execute(f"DELETE FROM {table}")
        self._db.executemany(_FACT, (fact.row() for fact in record.facts))
        self._db.executemany(_TRANSACTION, record.ids)
        self._place(record.clock, record.digest)
        self._reach(record)

    def _place(self, clock: Clock, digest: bytes) -> None:
        self._set("epoch", clock.epoch)
        self._set("index", clock.index)
        self._set("digest", digest)

    def _reach(self, record: records.PutApplied | records.PutSnapshot) -> None:
        self._set("number", record.number)
        self._set("chain", record.chain)
        self._set("complete", record.epoch)

    def _complete(self, epoch: int) -> None:
        self._set("complete", max(epoch, self._number("complete")))

    def _prune(self) -> None:
        for table, kept in (
            ("changes", limits.HISTORY_KEPT),
            ("transactions", limits.TRANSACTION_IDS_KEPT),
        ):
            self._db.execute(
                f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?",
                (kept,),
            )
        self._appended = 0

    # -- the file ----------------------------------------------------------------------------
    def _prepare(self) -> None:
        # Exclusive: two processes with one state folder would each answer for the same node.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._whole():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version == 2:
                self._begin_to_count()
            elif version != SCHEMA_VERSION:
                raise ZactorError(
                    f"{self.file} is of version {version}, this zactor reads {SCHEMA_VERSION}:"
                    " use the zactor that wrote it, or move it away"
                )
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            self._damaged(verdict)

    def _begin_to_count(self) -> None:
        """Go on from version 2, which didn't keep the highest number of an attempt."""
        bodies = [*self._bodies("attempts", "epoch"), self._value("formed", b"")]
        used = [_PRIMARY.decode(body).epoch for body in bodies if body]
        self._set("used", max(used, default=0))
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _filed_incarnation(self) -> int:
        try:
            return int(self._incarnation_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _file_incarnation(self, incarnation: int) -> None:
        # A second copy beside the file: whoever has to move that away must not start again from 1,
        # or the other nodes would take the node for one that is long dead.
        draft = self._incarnation_file.with_suffix(".new")
        draft.write_text(f"{incarnation}\n")
        draft.replace(self._incarnation_file)

    def _forgotten(self) -> tuple[tuple[str, int], ...]:
        body = self._value("forgotten", b"")
        return _FORGOTTEN.decode(body) if body else ()

    def _bodies(self, table: str, key: str) -> list[bytes]:
        rows = self._db.execute(f"SELECT body FROM {table} ORDER BY {key}").fetchall()
        return [body for (body,) in rows]

    def _set(self, key: str, value: int | bytes | str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _value(self, key: str, default: _Value) -> _Value:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        value = default if row is None else row[0]
        if not isinstance(value, type(default)):
            raise ValueError(f"{key} is {value!r}")
        return value

    def _number(self, key: str) -> int:
        return self._value(key, 0)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """One transaction: all of the block or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")  # where a full disk shows, too
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _careful(self) -> Iterator[None]:
        """Whatever the disk does becomes an error that names the file and what to do."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            if "locked" in str(error):
                raise Refused(
                    f"{self.file} is in use by another process: is this node already running?"
                ) from None
            if is_full(error) or _says_full(error) or (_may_be_full(error) and self._is_full()):
                raise NoRoom(f"{self.file}: no space left on device") from error
            raise ZactorError(
                f"{self.file} can't be used ({error}): is the disk full, is the folder writable?"
            ) from error
        except (sqlite3.Error, msgspec.MsgspecError, TermError, ValueError, OverflowError) as error:
            self._damaged(str(error))

    def _is_full(self) -> bool:
        """SQLite doesn't say that a quota is used up, or a file too long: ask the disk itself."""
        try:
            files = [file for file in self.file.parent.glob(f"{self.file.name}*") if file.exists()]
            with tempfile.TemporaryFile(dir=self.file.parent) as probe:
                probe.seek(max((file.stat().st_size for file in files), default=0))
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            return is_full(error)
        return False

    def _damaged(self, why: str) -> NoReturn:
        raise ZactorError(
            f"{self.file} is damaged ({why}): move it away and start the node again,"
            " it takes the knowledge base from the other nodes"
        )


def _says_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL


def _may_be_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
