"""The store's writer: batches, order, what isn't urgent, and a disk that fails."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest

from zactor.kernel.errors import NoRoom, ZactorError
from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Write
from zactor.supervisor.kb import store_writer as store_writer_module
from zactor.supervisor.kb.store import Store
from zactor.supervisor.kb.store_writer import StoreWriter

DEADLINE_S = 5.0


def write(number: int, *, is_urgent: bool = True) -> Write:
    attempt = records.PutAttempt(Primary(number, ("n1",), "n1", "us"), 0)
    return Write(number=number, records=(attempt,), is_urgent=is_urgent)


class SlowStore:
    """Takes batches when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go_on = threading.Semaphore(0)
        self.has_begun = threading.Semaphore(0)
        self.error: Exception | None = None

    def write(self, writes: Iterable[Write]) -> None:
        self.batches.append([one.number for one in writes])
        self.has_begun.release()
        assert self.may_go_on.acquire(timeout=DEADLINE_S)
        if self.error is not None:
            raise self.error


class Told:
    """What the writer said."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.failed: list[str] = []
        self.room: list[str] = []
        self.news = threading.Semaphore(0)

    def on_written(self, number: int) -> None:
        self.written.append(number)
        self.news.release()

    def on_failed(self, why: str) -> None:
        self.failed.append(why)
        self.news.release()

    def on_run_out(self, why: str) -> None:
        self.room.append(why)
        self.news.release()

    def on_room(self) -> None:
        self.room.append("")
        self.news.release()

    def wait(self) -> None:
        assert self.news.acquire(timeout=DEADLINE_S)


def store_writer(store: SlowStore | Store, told: Told) -> StoreWriter:
    return StoreWriter(
        cast(Store, store),
        written=told.on_written,
        failed=told.on_failed,
        run_out=told.on_run_out,
        has_room=told.on_room,
    )


def test_what_comes_while_one_batch_is_written_is_the_next_one() -> None:
    store, told = SlowStore(), Told()
    writer = store_writer(store, told)
    writer.put(write(1))
    assert store.has_begun.acquire(timeout=DEADLINE_S)
    for number in (2, 3, 4):
        writer.put(write(number, is_urgent=number == 3))
    assert writer.waiting_s() > 0
    store.may_go_on.release(2)
    told.wait()
    told.wait()
    assert store.batches == [[1], [2, 3, 4]]
    assert told.written == [1, 4]
    assert writer.waiting_s() == 0.0
    writer.close()


def test_who_was_stopped_itself_does_not_blame_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(store_writer_module.time, "monotonic", lambda: clock[0])
    store, told = SlowStore(), Told()
    writer = store_writer(store, told)
    writer.put(write(1))
    for _ in range(4):
        clock[0] += 0.5
        waited_s = writer.waiting_s()
    assert waited_s == 2.0
    clock[0] += 300.0
    assert writer.waiting_s() == 2.0 + store_writer_module.ASLEEP_S
    store.may_go_on.release()
    told.wait()
    writer.close()


def test_what_nobody_waits_for_goes_along_with_what_somebody_does() -> None:
    store, told = SlowStore(), Told()
    store.may_go_on.release(2)
    writer = store_writer(store, told)
    for number in (1, 2):
        writer.put(write(number, is_urgent=False))
    writer.put(write(3))
    told.wait()
    assert store.batches == [[1, 2, 3]]
    writer.put(write(4, is_urgent=False))
    told.wait()  # by itself, after a while
    assert told.written == [3, 4]
    writer.close()


def test_a_disk_that_fails_is_told_once_and_nothing_follows() -> None:
    store, told = SlowStore(), Told()
    store.error = ZactorError("the disk is gone")
    store.may_go_on.release(5)
    writer = store_writer(store, told)
    writer.put(write(1))
    told.wait()
    writer.put(write(2))
    writer.close()
    assert (told.written, told.failed) == ([], ["the disk is gone"])
    assert store.batches == [[1]]


def test_what_finds_a_full_disk_is_kept_and_written_before_what_follows() -> None:
    store, told = SlowStore(), Told()
    store.error = NoRoom("kb.sqlite: no space left on device")
    writer = store_writer(store, told)
    writer.put(write(1))
    store.may_go_on.release()
    told.wait()
    assert (told.written, told.room) == ([], ["kb.sqlite: no space left on device"])
    writer.put(write(2))
    store.may_go_on.release()  # it is tried again, and says so no more
    for _ in range(3):
        assert store.has_begun.acquire(timeout=DEADLINE_S)
    assert (told.written, told.room) == ([], ["kb.sqlite: no space left on device"])
    assert writer.waiting_s() == 0.0, "a full disk isn't a stuck one"
    store.error = None
    store.may_go_on.release(3)
    for _ in range(3):
        told.wait()
    assert (told.written, told.room[1:], told.failed) == ([1, 2], [""], [])
    assert store.batches == [[1], [1], [1], [2]]
    writer.close()


def test_a_full_disk_keeps_nobody_from_closing() -> None:
    store, told = SlowStore(), Told()
    store.error = NoRoom("kb.sqlite: no space left on device")
    store.may_go_on.release(100)
    writer = store_writer(store, told)
    writer.put(write(1))
    told.wait()
    writer.close()
    assert told.written == []


def test_what_is_left_is_written_before_it_closes(tmp_path: Path) -> None:
    store, told = Store(tmp_path), Told()
    writer = store_writer(store, told)
    for number in range(1, 6):
        writer.put(write(number, is_urgent=False))
    writer.close()
    assert told.written[-1] == 5
    assert [attempt.epoch for attempt in store.load().attempts] == [1, 2, 3, 4, 5]
    store.close()


def test_one_that_never_wrote_closes_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store_writer(store, Told()).close()
    store.close()
