"""What our loops use of asyncio's private parts is there, and does what we think."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from zactor.kernel.loops import GuestLoop, HostLoop

PARTS = ("_ready", "_scheduled", "_stopping", "_thread_id", "_run_once", "_write_to_self")


@pytest.mark.parametrize("part", PARTS)
def test_this_python_has_the_private_part(part: str) -> None:
    loop = asyncio.SelectorEventLoop()
    assert hasattr(loop, part)
    loop.close()


def test_a_round_does_what_is_ready_and_doesnt_wait() -> None:
    loop = GuestLoop()
    done: list[int] = []
    loop.call_soon(done.append, 1)
    loop.call_soon(lambda: loop.call_soon(done.append, 2))
    loop.call_later(60, done.append, 3)
    due_s = loop.due_s()
    assert loop.has_ready()
    assert due_s is not None
    assert due_s > time.monotonic() + 50
    loop.run_round(wait=False)
    assert done == [1]
    assert loop.has_ready()
    loop.run_round(wait=False)
    assert done == [1, 2]
    assert not loop.has_ready()
    loop.run_round(wait=False)  # sleeps for a minute, if it waits
    loop.close()


def test_only_who_doesnt_run_it_wakes_it() -> None:
    loop = GuestLoop()
    loop.run_by(threading.get_ident())
    loop.call_soon_threadsafe(int)
    assert not loop.poller.select(0)
    loop.run_by(0)
    loop.call_soon_threadsafe(int)
    assert loop.poller.select(0)
    loop.close()


def test_a_host_sleeps_as_it_is_told() -> None:
    loop = HostLoop()
    slept: list[float | None] = []

    def sleep(timeout: float | None) -> bool:
        slept.append(timeout)
        loop.call_soon(loop.stop)
        return False

    loop.sleep_by(sleep)
    loop.run_forever()
    assert slept == [None]
    loop.close()
