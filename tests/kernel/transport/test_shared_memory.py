"""Memory that nodes of one machine share: who reads it, when it is filled again, what is left."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from held_slots import slots
from msgspec import structs

from zactor.kernel import limits
from zactor.kernel.messages.actors import (
    Ask,
    InMemory,
    MemoryFreed,
    MemoryRead,
    Reply,
    ShareMemory,
    Signal,
    Undelivered,
)
from zactor.kernel.transport import memory_pool, shared_memory
from zactor.kernel.transport.memory_pool import MemoryPool
from zactor.kernel.transport.shared_memory import SharedMemory
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.undecodable import Undecodable

MIN = limits.SHARED_BYTES_MIN
ASK = Ask(1, 2, 3, "take", b"head")


class Pair:
    """A sender and a receiver that hear of each other at once, as by a link."""

    def __init__(self) -> None:
        self.pool = MemoryPool()
        self.said: list[object] = []
        self.ours = SharedMemory(self.pool, lambda item: self._take(self.theirs, item))
        self.theirs = SharedMemory(MemoryPool(), lambda item: self._take(self.ours, item))

    def _take(self, side: SharedMemory, item: object) -> None:
        self.said.append(item)
        assert side.sift([item]) == []

    def send(self, bulky: Bulky) -> Any:
        """Return what arrives of an item."""
        lent = self.ours.lend(bulky)
        assert isinstance(lent, InMemory)
        return self.theirs.sift([lent])[0]

    def close(self) -> None:
        for side in (self.ours, self.theirs):
            side.close()
        self.pool.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    first = Bulky(ASK, [bytes(MIN)])
    assert pair.ours.lend(first) is first  # with it the other is asked
    yield pair
    pair.close()
    gc.collect()


def test_who_can_read_our_memory_is_lent_some_and_nobody_else(pair: Pair) -> None:
    assert pair.ours.may_lend
    assert not pair.theirs.may_lend  # we have shown nothing
    other = Pair()
    other.theirs.sift([MemoryRead(b"")])
    other.ours.sift([MemoryRead(b"")])
    assert not other.ours.may_lend
    other.close()


def test_a_proof_that_is_wrong_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    wrong = MemoryRead(b"x" * 16)
    monkeypatch.setattr(pair.theirs, "_shared", lambda item: pair.ours.sift([wrong]))
    bulky = Bulky(ASK, [bytes(MIN)])
    for _ in range(3):
        assert pair.ours.lend(bulky) is bulky
    assert not pair.ours.may_lend
    pair.close()


@pytest.mark.parametrize("sizes", [(MIN,), (MIN, 1, 100_001), (5 * MIN + 3, 0, 7)])
def test_what_is_lent_arrives_as_it_was(pair: Pair, sizes: tuple[int, ...]) -> None:
    given = [bytes([place + 1]) * size for place, size in enumerate(sizes)]
    got = pair.send(Bulky(ASK, given))
    assert isinstance(got, Bulky)
    assert got.item == ASK
    assert [bytes(buffer) for buffer in got.buffers] == given


def test_a_long_payload_is_lent_too(pair: Pair) -> None:
    reply = Reply(7, os.urandom(MIN))
    got = pair.send(Bulky(reply, ()))
    assert got.item == reply
    assert got.buffers == ()
    assert pair.said[-1] == MemoryFreed(
        pair.said[0].fd, 2, True
    )  # it was copied: nothing is in use


def test_what_the_receiver_writes_is_its_own_and_what_is_sent_next_changes_nothing(
    pair: Pair,
) -> None:
    first = pair.send(Bulky(ASK, [b"1" * MIN]))
    first.buffers[0][0] = ord("x")
    second = pair.send(Bulky(ASK, [b"2" * MIN]))
    assert bytes(first.buffers[0][:2]) == b"x1"
    assert bytes(second.buffers[0][:2]) == b"22"


def test_a_slot_is_filled_again_when_nothing_of_it_is_in_use_and_not_before(pair: Pair) -> None:
    got = pair.send(Bulky(ASK, [b"1" * MIN]))
    fd = pair.said[0].fd
    kept = memoryview(got.buffers[0])[5:6]
    del got
    gc.collect()
    assert isinstance(pair.said[-1], MemoryFreed)
    assert pair.said[-1].lending == 1  # of the proof
    lent = pair.ours.lend(Bulky(ASK, [b"2" * MIN]))
    assert isinstance(lent, InMemory)
    assert lent.fd != fd
    assert kept[0] == ord("1")
    kept.release()
    gc.collect()
    assert pair.said[-1] == MemoryFreed(fd, 2, True)
    again = pair.ours.lend(Bulky(ASK, [b"3" * MIN]))
    assert isinstance(again, InMemory)
    assert again.fd == fd


def test_only_who_has_it_gives_a_slot_back_and_only_once(pair: Pair) -> None:
    lent = pair.ours.lend(Bulky(ASK, [b"1" * MIN]))
    assert isinstance(lent, InMemory)
    assert not pair.pool.returned(pair.theirs, lent.fd, lent.lending)
    assert not pair.pool.returned(pair.ours, lent.fd, lent.lending - 1)
    assert not pair.pool.returned(pair.ours, lent.fd + 1_000, 1)
    assert pair.pool.returned(pair.ours, lent.fd, lent.lending)
    assert not pair.pool.returned(pair.ours, lent.fd, lent.lending)


def test_beyond_the_limits_it_is_sent_as_ever(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Bulky(ASK, [b"1" * (MIN - 1)])
    assert pair.ours.lend(short) is short
    monkeypatch.setattr(limits, "SHARED_SLOTS_MAX", 2)
    bulky = Bulky(ASK, [b"1" * MIN])
    assert isinstance(pair.ours.lend(bulky), InMemory)
    assert isinstance(pair.ours.lend(bulky), InMemory)
    assert pair.ours.lend(bulky) is bulky
    monkeypatch.setattr(limits, "SHARED_SLOTS_MAX", 10)
    monkeypatch.setattr(limits, "SHARED_BYTES_MAX", 3 * MIN)
    assert isinstance(pair.ours.lend(bulky), InMemory)
    assert pair.ours.lend(bulky) is bulky
    many = Bulky(ASK, [b"1" * MIN] * (limits.BUFFERS_MAX + 1))
    assert pair.ours.lend(many) is many


def test_of_who_is_gone_nothing_is_kept_but_what_others_still_use(pair: Pair) -> None:
    got = pair.send(Bulky(ASK, [b"1" * MIN]))
    pair.ours.close()
    pair.theirs.close()
    assert not pair.ours.may_lend
    assert slots() == [f"/memfd:{memory_pool.NAME} (deleted)"]  # of the mapping
    assert bytes(got.buffers[0]) == b"1" * MIN
    del got
    gc.collect()
    assert slots() == []


def refused(pair: Pair, item: InMemory) -> str:
    """Why that item can't be read."""
    (got,) = pair.theirs.sift([item])
    assert isinstance(got, Undecodable)
    assert got.is_credited
    assert got.answer is not None  # who asked is told
    return got.why


def changed(item: InMemory, **fields: Any) -> InMemory:
    """The item with other fields."""
    names = item.__struct_fields__
    return InMemory(**{name: fields.get(name, getattr(item, name)) for name in names})


def test_what_is_no_slot_is_not_read(pair: Pair) -> None:
    lent = pair.ours.lend(Bulky(ASK, [b"1" * MIN]))
    assert isinstance(lent, InMemory)
    key = lent.key
    ends = os.pipe()
    bare = os.memfd_create(memory_pool.NAME)  # unsealed: it could be cut short
    os.pwrite(bare, key, 0)
    with tempfile.TemporaryFile() as file:
        file.write(key + bytes(MIN))
        file.flush()
        for fd in (*ends, bare, file.fileno(), 1_000_000, -1, 0):
            assert "can't be read" in refused(pair, changed(lent, fd=fd)), fd
    for fd in (*ends, bare):
        os.close(fd)
    assert "can't be read" in refused(pair, changed(lent, key=b"0" * 16))
    assert "can't be read" in refused(pair, changed(lent, key=b""))


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ((), "0 buffers"),
        ((0,), "0 bytes"),
        ((-1, 2), "buffers in memory"),
        ((2 * MIN,), "in a slot of fewer"),
        ((limits.MESSAGE_BYTES_MAX + 1,), "buffers in memory"),
        ((1,) * (limits.BUFFERS_MAX + 1), "buffers, 1 to"),
    ],
)
def test_sizes_that_are_none_are_refused(pair: Pair, sizes: tuple[int, ...], why: str) -> None:
    lent = pair.ours.lend(Bulky(ASK, [b"1" * MIN]))
    assert isinstance(lent, InMemory)
    assert why in refused(pair, changed(lent, sizes=sizes))


def test_two_payloads_are_refused(pair: Pair) -> None:
    lent = pair.ours.lend(Bulky(ASK, [b"1" * MIN]))
    assert isinstance(lent, InMemory)
    assert "two payloads" in refused(pair, changed(lent, head_first=True))


def test_a_peer_that_opens_many_slots_costs_few_descriptors(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHARED_SLOTS_MAX", 3)
    pool = MemoryPool()
    for _ in range(3):
        lent = pool.lend(pair.ours, [bytes(MIN)])
        assert lent is not None
        slot, number = lent
        pair.theirs.sift([ShareMemory(os.getpid(), slot.fd, slot.key, number)])
    assert len(pair.theirs._mapped) == 3
    pool.close()


def test_what_a_forks_child_may_read_is_not_filled_again(pair: Pair) -> None:
    got = pair.send(Bulky(ASK, [b"1" * MIN]))
    goes_on, says = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.read(goes_on[0], 1)
        os.write(says[1], bytes(got.buffers[0][:3]))
        os._exit(0)
    del got
    gc.collect()
    assert pair.said[-1].again is False
    for _ in range(4):
        pair.ours.lend(Bulky(ASK, [b"2" * MIN]))
    os.write(goes_on[1], b"x")
    assert os.read(says[0], 3) == b"111"
    assert os.waitpid(child, 0) == (child, 0)
    for fd in (*goes_on, *says):
        os.close(fd)


def test_memory_that_was_swept_is_held_by_nobody(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.send(Bulky(ASK, [bytes(MIN)]))
    gc.collect()
    assert len(slots()) > 0
    monkeypatch.setattr(limits, "SHARED_IDLE_S", 0.0)
    pair.theirs.sweep()
    pair.pool.sweep()
    assert slots() == []
    got = pair.send(Bulky(ASK, [b"3" * MIN]))  # and it goes on
    assert bytes(got.buffers[0][:1]) == b"3"


def test_without_a_descriptor_for_a_mapping_it_is_copied(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.send(Bulky(ASK, [bytes(MIN)]))
    gc.collect()

    def none_left(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shared_memory.mmap, "mmap", none_left)
    got = pair.send(Bulky(ASK, [b"4" * MIN, b"5"]))
    assert [bytes(buffer) for buffer in got.buffers] == [b"4" * MIN, b"5"]
    assert pair.said[-1].again


def test_who_cannot_open_a_slot_is_lent_no_more(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = pair.ours.lend(Bulky(ASK, [bytes(MIN)]))
    assert isinstance(lent, InMemory)

    def none_left(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shared_memory.os, "open", none_left)
    pair.theirs._forget(lent.fd)
    assert "Too many open files" in refused(pair, lent)
    assert not pair.ours.may_lend
    bulky = Bulky(ASK, [bytes(MIN)])
    assert pair.ours.lend(bulky) is bulky


def test_a_signal_in_memory_that_cannot_be_read_is_a_dead_letter_at_its_sender(pair: Pair) -> None:
    lent = pair.ours.lend(Bulky(Signal((4, 5), 6, 7, "take", b"head"), [bytes(MIN)]))
    assert isinstance(lent, InMemory)
    (got,) = pair.theirs.sift([structs.replace(lent, key=b"x" * 16)])
    assert isinstance(got, Undecodable)
    assert got.answer == Undelivered((4, 5), 6, 7, "take", f"can't be read: {got.why}")


def test_nothing_is_lent_to_who_has_gone_meanwhile(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = pair.pool._take

    def late(holder: object, size: int) -> Any:
        pair.ours.close()
        return take(holder, size)

    monkeypatch.setattr(pair.pool, "_take", late)
    bulky = Bulky(ASK, [bytes(MIN)])
    assert pair.ours.lend(bulky) is bulky
    monkeypatch.setattr(limits, "SHARED_IDLE_S", 0.0)
    pair.theirs.sweep()
    assert not pair.pool.sweep()


def test_what_cannot_be_encoded_takes_no_slot(pair: Pair) -> None:
    bulky = Bulky(Ask(1, 2, 3, "\ud800", b""), [bytes(MIN)])
    assert pair.ours.lend(bulky) is bulky
