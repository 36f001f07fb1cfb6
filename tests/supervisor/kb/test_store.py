"""The store: what was appended is there again, whatever killed the process; damage is named."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running
from kb_writes import applied, blank, changes, put, transaction, writes

from zactor.kernel import limits
from zactor.kernel.errors import Refused, ZactorError
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.log import Kept, Log
from zactor.supervisor.kb.store import Store

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from kb_writes import applied, writes
from zactor.kernel.replication.log import Log
from zactor.supervisor.kb.store import Store
store = Store(sys.argv[1])
log = Log(store.load())
print(store.next_incarnation(), flush=True)
left = [outcome.change for outcome in log.commit(log.end)]  # ordered when it was killed
if left:
    store.write([applied(log, left)])
while True:
    for write in writes(log, 1):
        store.write([write])
    print(log.number, flush=True)
"""
HERE = Path(__file__).parents[2] / "kernel" / "replication"  # kb_writes.py is there


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    store = Store(tmp_path / "state" / "n1")
    kept = store.load()
    store.close()
    assert (kept.clock, kept.digest, kept.number, kept.chain) == (ORIGIN, b"", 0, b"")
    assert (len(kept.theory), kept.changes, kept.ids, kept.tail) == (0, (), (), ())
    assert (kept.formed, kept.attempts, kept.epoch) == (None, (), 0)
    assert (tmp_path / "state" / "n1").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "n1" / "kb.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    log = Log(blank())
    made = [*writes(log, 5)]
    store = Store(tmp_path)
    store.write(made[:3])
    store.write(made[3:])
    store.close()
    store = Store(tmp_path)
    kept = store.load()
    store.close()
    assert kept.theory.rows() == log.theory.rows()
    assert (kept.clock, kept.digest) == (Clock(1, 5), log.digest)
    assert (kept.number, kept.chain, kept.epoch) == (5, log.chain, 1)
    assert kept.changes == log.history.changes()
    assert kept.ids == tuple((f"t{number}", 1, number) for number in range(1, 6))
    assert kept.tail == ()


def test_what_is_ordered_only_is_loaded_behind_the_rest(tmp_path: Path) -> None:
    log = Log(blank())
    store = Store(tmp_path)
    store.write([applied(log, changes(log, 2))])
    entries = tuple(Entry(7, 0.5, transaction(number)) for number in (3, 4, 5))
    store.write([put(records.PutEntries(entries[:1])), put(records.PutEntries(entries[1:]))])
    assert store.load().tail == entries
    assert store.load().epoch == 7
    log.extend(entries)
    done = [outcome.change for outcome in log.commit(4) if outcome.change is not None]
    store.write([applied(log, done)])
    assert store.load().tail == entries[2:]
    assert store.load().number == 4
    store.write([put(records.CutTail())])
    assert store.load().tail == ()
    store.close()


def test_one_that_was_refused_is_gone_without_a_change(tmp_path: Path) -> None:
    log = Log(blank())
    store = Store(tmp_path)
    store.write([put(records.PutEntries((Entry(1, 0.5, transaction(1)),)))])
    store.write([put(records.PutApplied((), 1, b"chain", 1))])
    kept = store.load()
    store.close()
    assert (kept.number, kept.chain, kept.tail, kept.clock) == (1, b"chain", (), ORIGIN)
    assert log.number == 0


def test_primaries_and_attempts_are_loaded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second, third = (Primary(epoch, ("a", "b"), "a", "us") for epoch in (1, 2, 3))
    store.write([put(records.PutAttempt(first, 0))])
    assert (store.load().formed, store.load().attempts) == (None, (first,))
    store.write([put(records.PutPrimary(first, True)), put(records.PutAttempt(second, 0))])
    store.write([put(records.PutAttempt(third, 0))])
    kept = store.load()
    assert (kept.formed, kept.attempts, kept.epoch) == (first, (second, third), 1)
    store.write([put(records.DropAttempt(2))])
    assert store.load().attempts == (third,)
    store.write([put(records.PutPrimary(third, False))])
    kept = store.load()
    store.close()
    assert (kept.formed, kept.attempts) == (third, ())
    assert kept.epoch == 1, "a voice that is no member has no more of the log for it"
    assert kept.used == 3, "of all attempts, also of those that failed"


def test_the_number_of_the_highest_attempt_outlives_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write([put(records.PutAttempt(Primary(7, ("a",), "a", "us"), 5))])
    store.write([put(records.DropAttempt(7)), put(records.PutFounding("us"))])
    kept = store.load()
    store.close()
    assert (kept.attempts, kept.used, kept.epoch, kept.founding) == ((), 7, 5, "us")


def test_what_is_kept_aside_is_the_whole_store_and_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.kept_aside() == []
    store.write([put(records.PutPrimary(Primary(3, ("a",), "a", "us"), True))])
    file = store.keep_aside("3.1")
    store.write([put(records.PutPrimary(Primary(4, ("a",), "a", "us"), True))])
    assert store.keep_aside("3.1") == file
    assert store.kept_aside() == [file]
    store.close()
    (tmp_path / "copy").mkdir()
    shutil.copy(file, tmp_path / "copy" / "kb.sqlite")
    copy = Store(tmp_path / "copy")
    kept = copy.load()
    copy.close()
    assert kept.formed == Primary(3, ("a",), "a", "us")


def test_a_store_that_kept_no_numbers_begins_with_those_that_it_knows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    formed, attempt = (Primary(epoch, ("a",), "a", "us") for epoch in (3, 4))
    store.write([put(records.PutPrimary(formed, True)), put(records.PutAttempt(attempt, 3))])
    store.close()
    with sqlite3.connect(store.file) as db:
        db.execute("DELETE FROM meta WHERE key = 'used'")
        db.execute("PRAGMA user_version = 2")
    db.close()
    store = Store(tmp_path)
    kept = store.load()
    store.close()
    assert (kept.formed, kept.attempts, kept.used) == (formed, (attempt,), 4)


def test_a_snapshot_replaces_everything_but_primaries(tmp_path: Path) -> None:
    store = Store(tmp_path)
    log = Log(blank())
    store.write([*writes(log, 3), put(records.PutEntries((Entry(1, 0.5, transaction(9)),)))])
    primary = Primary(1, ("a",), "a", "us")
    theory = Theory([("a(1)", 4, 2, "m2", "y", 1.5)])
    ids = (("t8", 4, 1), ("t9", 4, 2))
    snapshot = records.PutSnapshot(theory.snapshot(), ids, Clock(4, 2), b"snap", 17, b"chain", 4)
    store.write([put(records.PutPrimary(primary, True)), put(snapshot)])
    kept = store.load()
    store.close()
    assert kept.theory.rows() == theory.rows()
    assert (kept.clock, kept.digest, kept.changes, kept.ids) == (Clock(4, 2), b"snap", (), ids)
    assert (kept.number, kept.chain, kept.epoch, kept.tail) == (17, b"chain", 4, ())
    assert kept.formed == primary


def test_incarnations_only_grow_even_when_the_file_was_moved_away(tmp_path: Path) -> None:
    found = []
    for _ in range(3):
        store = Store(tmp_path)
        found.append(store.next_incarnation())
        store.close()
    (tmp_path / "kb.sqlite").rename(tmp_path / "away")
    store = Store(tmp_path)
    found.append(store.next_incarnation())
    store.close()
    (tmp_path / "incarnation").unlink()
    store = Store(tmp_path)
    found.append(store.next_incarnation())
    store.close()
    assert found == [1, 2, 3, 4, 5]


def test_the_log_keeps_the_last_changes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", 20)
    monkeypatch.setattr(limits, "TRANSACTION_IDS_KEPT", 30)
    store = Store(tmp_path)
    log = Log(blank())
    store.write([applied(log, changes(log, 1_050))])
    store.write([applied(log, changes(log, 50))])
    saved = store.load()
    store.close()
    assert saved.changes == log.history.changes()
    assert [id_ for id_, *_ in saved.ids] == [f"t{number}" for number in range(1_071, 1_101)]
    with sqlite3.connect(tmp_path / "kb.sqlite") as db:
        assert db.execute("SELECT count(*) FROM changes").fetchone()[0] < 200
    db.close()


def test_a_second_process_is_refused_and_told_why(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Refused, match="in use by another process"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


@pytest.mark.parametrize("kills", [4])
def test_a_writer_killed_at_any_moment_loses_nothing_it_had_told(
    tmp_path: Path, kills: int
) -> None:
    for round_ in range(kills):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(HERE)]
        with running(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert int(child.stdout.readline()) == round_ + 1  # the incarnation
            told = 0
            for _ in range(40 + 37 * round_):
                told = int(child.stdout.readline())
            os.kill(child.pid, signal.SIGKILL)
            for line in child.stdout:
                told = int(line) if line.endswith("\n") else told
            assert child.wait(DEADLINE_S) == -signal.SIGKILL
        store = Store(tmp_path)
        saved = store.load()
        store.close()
        assert saved.clock.index in (told, told + 1)  # it may have died before it could tell
        assert_whole(saved)


def assert_whole(saved: Kept) -> None:
    """Facts, log, ids and digest are those of one moment."""
    number = saved.clock.index
    expected = sorted([f"last({number})", *[f"p({one})" for one in range(1, number + 1)]])
    assert saved.theory.texts() == expected
    assert saved.changes[-1].digest == saved.digest
    again = Log(blank())
    for change in saved.changes:
        again.follow(change)
    assert again.digest == saved.digest
    assert again.theory.texts() == expected
    assert saved.ids[-1] == (f"t{number}", 1, number)


def filled(folder: Path) -> Path:
    store = Store(folder)
    log = Log(blank())
    store.write([applied(log, changes(log, 300))])
    store.close()
    return folder / "kb.sqlite"


def open_and_load(folder: Path) -> None:
    store = Store(folder)
    try:
        store.load()
    finally:
        store.close()


def _scribble(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    file.write_bytes(data)


def _cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2 + 100])


def _overwrite(file: Path) -> None:
    file.write_bytes(b"this is no database" * 500)


@pytest.mark.parametrize("harm", [_scribble, _cut, _overwrite])
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    file = filled(tmp_path)
    harm(file)
    with pytest.raises(ZactorError) as caught:
        open_and_load(tmp_path)
    assert str(file) in str(caught.value)
    assert "move it away and start the node again" in str(caught.value)
    file.rename(tmp_path / "away")
    Store(tmp_path).close()


def test_what_is_no_fact_or_no_change_inside_a_sound_file_is_damage_too(tmp_path: Path) -> None:
    for statement in (
        "UPDATE facts SET text = 'p(' WHERE text = 'p(7)'",
        "UPDATE changes SET body = x'00' WHERE number = 7",
        "UPDATE meta SET value = 'seven' WHERE key = 'epoch'",
    ):
        file = filled(tmp_path / str(hash(statement)))
        with sqlite3.connect(file) as db:
            db.execute(statement)
        db.close()
        store = Store(file.parent)
        with pytest.raises(ZactorError, match=r"kb\.sqlite is damaged"):
            store.load()
        store.close()


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ZactorError, match="is of version 99"):
        Store(tmp_path)


def test_of_a_batch_that_fails_nothing_is_there(tmp_path: Path) -> None:
    log = Log(blank())
    store = Store(tmp_path)
    store.write([*writes(log, 1)])
    before = store.load()
    good = [*writes(log, 1)]
    broken = Change(1, 3, "t", "w", "y", 0.0, (), ("x",), "no bytes")  # type: ignore[arg-type]
    with pytest.raises(ZactorError):
        store.write([*good, put(records.PutApplied((broken,), 3, b"", 1 << 70))])
    kept = store.load()
    store.close()
    assert (kept.number, kept.digest, kept.changes) == (1, before.digest, before.changes)
    assert kept.theory.texts() == ["last(1)", "p(1)"]


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 5_000, 9_000])
def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path, room: int) -> None:
    log = Log(blank())
    store = Store(tmp_path)
    store.write([applied(log, changes(log, 3))])
    more = applied(log, changes(log, 400))
    theory = Theory([(f"a({n})", 4, 2, "m2", "y", 1.5) for n in range(2_000)])
    other = put(records.PutSnapshot(theory.snapshot(), (), Clock(4, 2), b"d", 9, b"c", 4))
    acts: list[Callable[[], object]] = [lambda: store.write([more]), lambda: store.write([other])]
    if not room:
        attempt = put(records.PutAttempt(Primary(2, ("n1",), "n1", "us"), 0))
        acts += [lambda: store.write([attempt]), store.next_incarnation]
    with full_disk((tmp_path / "kb.sqlite-wal").stat().st_size + room):
        for act in acts:
            with pytest.raises(ZactorError, match="no space left on device") as caught:
                act()
            assert str(store.file) in str(caught.value)
    saved = store.load()
    assert (saved.clock, saved.attempts) == (Clock(1, 3), ())
    assert saved.theory.texts() == ["last(3)", "p(1)", "p(2)", "p(3)"]
    store.write([more])  # there is room again
    store.close()
    again = Store(tmp_path)
    assert_whole(again.load())
    again.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ZactorError, match=r"file/n1/kb\.sqlite can't be used"):
        Store(tmp_path / "file" / "n1")


def test_a_number_too_large_for_the_file_is_no_crash(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZactorError, match="too large"):
        store.write([put(records.PutPrimary(Primary(1 << 63, ("n1",), "n1", "us"), True))])
    assert store.load().formed is None
    store.close()
