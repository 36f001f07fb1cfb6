"""The slots that a node lends: how many, how long, and who closes them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from deadlines import DEADLINE_S, join
from held_slots import slots

from zactor.kernel import limits
from zactor.kernel.transport import memory_pool
from zactor.kernel.transport.memory_pool import MemoryPool

MIN = limits.SHARED_BYTES_MIN


def test_free_slots_make_room_for_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SHARED_BYTES_MAX", 4 * MIN)
    pool, me = MemoryPool(), object()
    for _ in range(3):
        kept = [pool.lend(me, [bytes(MIN)]) for _ in range(4)]
        assert pool.lend(me, [bytes(MIN)]) is None
        for lent in kept:
            assert lent is not None
            assert pool.returned(me, lent[0].fd, lent[1])
        whole = pool.lend(me, [bytes(4 * MIN)])
        assert whole is not None
        assert len(slots()) == 1
        assert pool.returned(me, whole[0].fd, whole[1])
    pool.close()
    assert slots() == []


def test_what_nobody_uses_for_a_while_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, me = MemoryPool(), object()
    lent = [pool.lend(me, [bytes(MIN)]) for _ in range(2)]
    assert lent[0] is not None
    pool.returned(me, lent[0][0].fd, 1)
    assert pool.sweep()
    assert len(slots()) == 2
    monkeypatch.setattr(limits, "SHARED_IDLE_S", 0.0)
    assert pool.sweep()  # the other is in use
    assert len(slots()) == 1
    pool.close()


def test_a_slot_of_who_goes_while_it_is_filled_is_closed_by_who_fills_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, me = MemoryPool(), object()
    begun, goes_on = threading.Event(), threading.Event()
    fill = memory_pool.Slot.fill

    def slowly(slot: Any, buffers: Any) -> None:
        begun.set()
        assert goes_on.wait(DEADLINE_S)
        fill(slot, buffers)

    monkeypatch.setattr(memory_pool.Slot, "fill", slowly)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(pool.lend(me, [bytes(MIN)])))
    thread.start()
    assert begun.wait(DEADLINE_S)
    pool.forget(me)
    assert len(slots()) == 1  # its number is nobody else's
    goes_on.set()
    join(thread)
    assert got == [None]
    assert slots() == []


def test_a_slot_that_is_being_filled_is_nobodys_to_give_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, me = MemoryPool(), object()
    fill, refused = memory_pool.Slot.fill, []

    def rudely(slot: Any, buffers: Any) -> None:
        refused.append(pool.returned(me, slot.fd, slot.lending))
        fill(slot, buffers)

    monkeypatch.setattr(memory_pool.Slot, "fill", rudely)
    assert pool.lend(me, [bytes(MIN)]) is not None
    assert refused == [False]
    pool.close()
