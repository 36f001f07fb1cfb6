"""The store: what was appended is there again, whatever killed the process; damage is named."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zactor.kernel import config
from zactor.kernel.errors import Refused, ZactorError
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.copy import Copy
from zactor.kernel.knowledge.effects import Replaced
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.store import Store
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.messages import Change, Transaction

WRITER = """
import sys
from zactor.kernel.knowledge.copy import Copy
from zactor.kernel.knowledge.store import Store
from zactor.kernel.protocol.messages import Transaction
store = Store(sys.argv[1])
copy = Copy(store.load())
print(store.next_incarnation(), flush=True)
number = copy.clock.index
while True:
    number += 1
    facts = (f"last({number})", f"p({number})")
    wanted = Transaction(f"t{number}", "w", "x", (), ("last(_)",), facts)
    store.append([copy.order(wanted, 1, 0.0).change])
    print(number, flush=True)
"""


def changes(count: int, copy: Copy | None = None) -> list[Change]:
    copy = copy or Copy(Saved(theory=Theory()))
    made = []
    for number in range(copy.clock.index + 1, copy.clock.index + count + 1):
        wanted = Transaction(
            f"t{number}", "m1", "test", (), ("last(_)",), (f"last({number})", f"p({number})")
        )
        made.append(copy.order(wanted, 1, 0.5).change)
    return made


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    store = Store(tmp_path / "state" / "n1")
    saved = store.load()
    store.close()
    assert (saved.clock, saved.digest, saved.promised) == (ORIGIN, b"", 0)
    assert (len(saved.theory), saved.changes, saved.ids) == (0, (), ())
    assert (tmp_path / "state" / "n1").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "n1" / "kb.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_was_appended_is_loaded(tmp_path: Path) -> None:
    copy = Copy(Saved(theory=Theory()))
    made = changes(5, copy)
    store = Store(tmp_path)
    store.append(made[:2])
    store.append(made[2:])
    store.promise(7)
    store.cluster = "a cluster"
    store.close()
    store = Store(tmp_path)
    saved = store.load()
    assert saved.theory.rows() == copy.theory.rows()
    assert (saved.clock, saved.digest, saved.promised) == (Clock(1, 5), copy.digest, 7)
    assert saved.changes == tuple(made)
    assert saved.ids == tuple((f"t{number}", 1, number) for number in range(1, 6))
    assert store.cluster == "a cluster"
    store.close()


def test_a_promise_never_goes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.promise(9)
    store.promise(3)
    assert store.load().promised == 9
    store.close()


def test_a_snapshot_replaces_facts_and_log(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(changes(3))
    theory = Theory([("a(1)", 4, 2, "m2", "y", 1.5)])
    ids = (("t8", 4, 1), ("t9", 4, 2))
    store.replace(Replaced(facts=theory.snapshot(), clock=Clock(4, 2), digest=b"snap", ids=ids))
    saved = store.load()
    store.close()
    assert saved.theory.rows() == theory.rows()
    assert (saved.clock, saved.digest, saved.changes, saved.ids) == (Clock(4, 2), b"snap", (), ids)


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
    monkeypatch.setattr(config, "HISTORY_KEPT", 20)
    monkeypatch.setattr(config, "TRANSACTION_IDS_KEPT", 30)
    store = Store(tmp_path)
    made = changes(1_100)
    store.append(made[:1_050])
    store.append(made[1_050:])
    saved = store.load()
    store.close()
    assert saved.changes == tuple(made[-20:])
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
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        with child.stdout:
            assert int(child.stdout.readline()) == round_ + 1  # the incarnation
            told = 0
            for _ in range(40 + 37 * round_):
                told = int(child.stdout.readline())
            os.kill(child.pid, signal.SIGKILL)
            for line in child.stdout:
                told = int(line) if line.endswith("\n") else told
        assert child.wait() == -signal.SIGKILL
        store = Store(tmp_path)
        saved = store.load()
        store.close()
        assert saved.clock.index in (told, told + 1)  # it may have died before it could tell
        assert_whole(saved)


def assert_whole(saved: Saved) -> None:
    """Facts, log, ids and digest are those of one moment."""
    number = saved.clock.index
    expected = sorted([f"last({number})", *[f"p({one})" for one in range(1, number + 1)]])
    assert saved.theory.texts() == expected
    assert saved.changes[-1].digest == saved.digest
    again = Copy(Saved(theory=Theory()))
    for change in saved.changes:
        again.follow(change)
    assert again.digest == saved.digest
    assert again.theory.texts() == expected
    assert saved.ids[-1] == (f"t{number}", 1, number)


def filled(folder: Path) -> Path:
    store = Store(folder)
    store.append(changes(300))
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


def test_a_failed_append_leaves_what_was_there(tmp_path: Path) -> None:
    made = changes(3)
    store = Store(tmp_path)
    store.append(made[:1])
    broken = Change(1, 2, "t", "w", "y", 0.0, (), ("x",), "no bytes")  # type: ignore[arg-type]
    unsendable = [made[1], broken, object()]
    with pytest.raises((ZactorError, AttributeError)):
        store.append(unsendable)  # type: ignore[arg-type]
    saved = store.load()
    store.close()
    assert saved.changes == (made[0],)
    assert saved.theory.texts() == ["last(1)", "p(1)"]


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
    copy = Copy(Saved(theory=Theory()))
    store = Store(tmp_path)
    store.append(changes(3, copy))
    store.promise(4)
    more = changes(400, copy)
    theory = Theory([(f"a({n})", 4, 2, "m2", "y", 1.5) for n in range(2_000)])
    other = Replaced(facts=theory.snapshot(), clock=Clock(4, 2), digest=b"d", ids=())
    acts: list[Callable[[], object]] = [lambda: store.append(more), lambda: store.replace(other)]
    if not room:
        acts += [lambda: store.promise(9), store.next_incarnation]
    with full_disk((tmp_path / "kb.sqlite-wal").stat().st_size + room):
        for act in acts:
            with pytest.raises(ZactorError, match="is the disk full") as caught:
                act()
            assert str(store.file) in str(caught.value)
    saved = store.load()
    assert (saved.clock, saved.promised) == (Clock(1, 3), 4)
    assert saved.theory.texts() == ["last(3)", "p(1)", "p(2)", "p(3)"]
    store.append(more)  # there is room again
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
        store.promise(1 << 63)
    assert store.load().promised == 0
    store.close()
