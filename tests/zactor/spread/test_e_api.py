"""The C library's event loop: descriptors by priority, timers, and a mailbox among them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from spread_world import solo_port

from zactor.spread import c_api as sp
from zactor.spread import c_constants as c
from zactor.spread import e_api as e
from zactor.spread.e_api import SpreadTime

BRIEF = SpreadTime(0, 10_000)


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    e.E_init()
    yield
    e.E_init()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_times_are_added_and_compared() -> None:
    assert e.E_add_time(SpreadTime(1, 700_000), SpreadTime(2, 600_000)) == SpreadTime(4, 300_000)
    assert e.E_sub_time(SpreadTime(4, 300_000), SpreadTime(1, 700_000)) == SpreadTime(2, 600_000)
    assert e.E_sub_time(SpreadTime(0, 0), SpreadTime(0, 1)) == SpreadTime(-1, 999_999)
    assert [
        e.E_compare_time(SpreadTime(1, 5), SpreadTime(*other)) for other in ((1, 4), (1, 5), (2, 0))
    ] == [
        1,
        0,
        -1,
    ]
    before = e.E_get_time()
    e.E_delay(BRIEF)
    assert e.E_compare_time(e.E_get_time(), e.E_add_time(before, SpreadTime(0, 9_000))) == 1
    assert abs(before.sec - time.time()) < 100


def test_what_is_queued_is_called_once_in_its_time() -> None:
    called: list[tuple[int, object]] = []

    def note(code: int, data: object) -> None:
        called.append((code, data))

    def end(code: int, data: object) -> None:
        e.E_exit_events()

    e.E_queue(note, 2, "later", BRIEF)
    e.E_queue(note, 1, "soon")
    e.E_queue(note, 3, "never")
    e.E_queue(note, 1, "soon")  # alike: it takes the other's place
    assert e.E_dequeue(note, 3, "never")
    assert not e.E_dequeue(note, 3, "never")
    e.E_queue(end, 0, None, SpreadTime(0, 20_000))
    e.E_handle_events()
    assert called == [(1, "soon"), (2, "later")]


def test_who_ends_the_loop_leaves_the_rest_for_the_next() -> None:
    called: list[int] = []

    def note(code: int, data: object) -> None:
        called.append(code)
        e.E_exit_events()

    e.E_queue(note, 1)
    e.E_queue(note, 2)
    e.E_handle_events()
    assert called == [1]
    e.E_handle_events()
    assert called == [1, 2]


def test_higher_priorities_come_first_and_a_threshold_leaves_the_lower_out(
    pipe: tuple[int, int],
) -> None:
    reads, writes = pipe
    called: list[str] = []

    def note(fd: int, code: int, data: object) -> None:
        called.append(str(data))
        if fd == reads:
            os.read(fd, 1)
        if len(called) == 3:
            e.E_exit_events()

    e.E_attach_fd(writes, c.WRITE_FD, note, 0, "low", c.LOW_PRIORITY)
    e.E_attach_fd(reads, c.READ_FD, note, 0, "high", c.HIGH_PRIORITY)
    os.write(writes, b"xy")
    e.E_handle_events()
    assert called == ["high", "high", "low"]
    assert (e.E_num_active(c.LOW_PRIORITY), e.E_num_active(c.HIGH_PRIORITY)) == (1, 1)
    assert e.E_set_active_threshold(c.MEDIUM_PRIORITY) == c.MEDIUM_PRIORITY
    os.write(writes, b"xyz")
    called.clear()
    e.E_handle_events()
    assert called == ["high"] * 3
    e.E_set_active_threshold(c.LOW_PRIORITY)
    assert e.E_deactivate_fd(reads, c.READ_FD)
    assert e.E_num_active(c.HIGH_PRIORITY) == 0
    os.write(writes, b"x")
    called.clear()
    e.E_handle_events()
    assert called == ["low"] * 3
    assert e.E_activate_fd(reads, c.READ_FD)
    assert e.E_detach_fd(writes, c.WRITE_FD)
    assert not e.E_detach_fd(writes, c.WRITE_FD)
    assert not e.E_activate_fd(writes, c.WRITE_FD)
    os.write(writes, b"xy")
    called.clear()
    e.E_handle_events()
    assert called == ["high"] * 3


def test_one_that_takes_another_away_isn_t_followed_by_it(pipe: tuple[int, int]) -> None:
    _, writes = pipe
    other = os.dup(writes)
    called: list[int] = []

    def first(fd: int, code: int, data: object) -> None:
        called.append(fd)
        e.E_detach_fd(writes if fd == other else other, c.WRITE_FD)
        e.E_exit_events()

    for fd in (writes, other):
        e.E_attach_fd(fd, c.WRITE_FD, first)
    e.E_handle_events()
    assert len(called) == 1
    os.close(other)


def test_a_descriptor_that_is_closed_is_told_to_who_waits_for_it(pipe: tuple[int, int]) -> None:
    gone = os.dup(pipe[0])
    os.close(gone)
    called: list[int] = []

    def note(fd: int, code: int, data: object) -> None:
        called.append(code)
        e.E_exit_events()

    e.E_attach_fd(gone, c.READ_FD, note, 7)
    e.E_handle_events()
    assert called == [7]


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (0, 3, 0), (0, 0, 3)])
def test_what_can_not_be_is_refused(wrong: tuple[int, int, int]) -> None:
    fd, kind, priority = wrong
    with pytest.raises(ValueError, match="E_attach_fd"):
        e.E_attach_fd(fd, kind, lambda *_: None, 0, None, priority)
    with pytest.raises(ValueError, match="threshold"):
        e.E_set_active_threshold(3)


def test_a_mailbox_is_ready_for_each_message_until_all_are_taken() -> None:
    """A burst is sent before one is read: each call of the function takes one, and none is left."""
    with solo_port("d1") as (_, port):
        mbox, own = sp.SP_connect(f"{port}", "a")
        for number in range(50):
            sp.SP_multicast(mbox, c.SAFE_MESS, own, 1, b"%d" % number)
        taken: list[bytes] = []

        def read(fd: int, code: int, data: object) -> None:
            taken.append(sp.SP_receive(fd).message)
            if len(taken) == 50:
                e.E_exit_events()

        e.E_attach_fd(mbox, c.READ_FD, read, 0, None, c.HIGH_PRIORITY)
        e.E_handle_events()
        assert taken == [b"%d" % number for number in range(50)]
        assert sp.SP_poll(mbox) == 0
        sp.SP_disconnect(mbox)
