"""The event loop of Spread's C library, by its names there: descriptors, three priorities, timers.

One loop for the process, as in C. A function that waits for a descriptor is called as
`function(fd, code, data)`, one that waits for its time as `function(code, data)`. Threads: one.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from typing import NamedTuple

from zactor.spread.c_constants import (
    EXCEPT_FD,
    HIGH_PRIORITY,
    LOW_PRIORITY,
    READ_FD,
    WRITE_FD,
)

__all__ = [
    "E_activate_fd",
    "E_add_time",
    "E_attach_fd",
    "E_compare_time",
    "E_deactivate_fd",
    "E_delay",
    "E_dequeue",
    "E_detach_fd",
    "E_exit_events",
    "E_get_time",
    "E_handle_events",
    "E_init",
    "E_num_active",
    "E_queue",
    "E_set_active_threshold",
    "E_sub_time",
    "SpreadTime",
]

_USEC = 1_000_000
_EVENTS = {READ_FD: select.POLLIN, WRITE_FD: select.POLLOUT, EXCEPT_FD: select.POLLPRI}
_ENDED = select.POLLERR | select.POLLHUP | select.POLLNVAL  # told unasked: who waits finds out
_PRIORITIES = range(LOW_PRIORITY, HIGH_PRIORITY + 1)


class SpreadTime(NamedTuple):
    """A time or how long something lasts: seconds, and microseconds below a million."""

    sec: int
    usec: int


NOW = SpreadTime(0, 0)
FdFunction = Callable[[int, int, object], None]
TimeFunction = Callable[[int, object], None]


class _Descriptor:
    """A function that waits for a descriptor."""

    def __init__(self, function: FdFunction, code: int, data: object, priority: int) -> None:
        self.function = function
        self.code = code
        self.data = data
        self.priority = priority
        self.is_active = True


class _Loop:
    """The loop: what is waited for."""

    def __init__(self) -> None:
        self.watched: dict[tuple[int, int], _Descriptor] = {}  # by descriptor and kind
        self.timed: list[tuple[float, int, TimeFunction, int, object]] = []  # a heap
        self.numbers = itertools.count()
        self.threshold = LOW_PRIORITY
        self.is_over = False

    def run_timed(self) -> None:
        """Call all whose time has come; those that they queue wait for the next round."""
        now = time.monotonic()
        due = []
        while self.timed and self.timed[0][0] <= now:
            due.append(heapq.heappop(self.timed))
        for place, (_, _, function, code, data) in enumerate(due):
            if self.is_over:
                for each in due[place:]:
                    heapq.heappush(self.timed, each)
                return
            function(code, data)

    def wait(self) -> list[tuple[int, int]]:
        """Return which descriptors are ready, those of the highest priority only."""
        poll = select.poll()
        masks: dict[int, int] = {}
        for (fd, kind), watched in self.watched.items():
            if watched.is_active and watched.priority >= self.threshold:
                masks[fd] = masks.get(fd, 0) | _EVENTS[kind]
        for fd, mask in masks.items():
            poll.register(fd, mask)
        left = None
        if self.timed:
            left = max(0.0, self.timed[0][0] - time.monotonic()) * 1000
        ready = [
            (fd, kind)
            for fd, events in poll.poll(left)
            for kind, wanted in _EVENTS.items()
            if events & (wanted | _ENDED) and masks[fd] & wanted
        ]
        ready = [key for key in ready if self._is_on(key)]
        highest = max((self.watched[key].priority for key in ready), default=0)
        return [key for key in ready if self.watched[key].priority == highest]

    def _is_on(self, key: tuple[int, int]) -> bool:
        watched = self.watched.get(key)
        return watched is not None and watched.is_active and watched.priority >= self.threshold

    def run(self) -> None:
        self.is_over = False
        while not self.is_over:
            self.run_timed()
            if self.is_over:
                return
            for key in self.wait():
                if self._is_on(key) and not self.is_over:  # one before it may have taken it away
                    watched = self.watched[key]
                    watched.function(key[0], watched.code, watched.data)


_loop = _Loop()


def E_init() -> None:
    """Begin anew: nothing is waited for."""
    global _loop  # noqa: PLW0603 - one loop for the process, as in C
    _loop = _Loop()


# -- times -----------------------------------------------------------------------------------
def E_get_time() -> SpreadTime:
    """Return the time since 1970."""
    return SpreadTime(*divmod(time.time_ns() // 1_000, _USEC))


def E_add_time(time_: SpreadTime, more: SpreadTime) -> SpreadTime:
    """Return the sum."""
    return _normal(time_.sec + more.sec, time_.usec + more.usec)


def E_sub_time(time_: SpreadTime, less: SpreadTime) -> SpreadTime:
    """Return the difference; below zero, its seconds are."""
    return _normal(time_.sec - less.sec, time_.usec - less.usec)


def E_compare_time(one: SpreadTime, two: SpreadTime) -> int:
    """Return 1 where the first is later, -1 where the second is, 0 where they are equal."""
    return (one > two) - (one < two)


def _normal(sec: int, usec: int) -> SpreadTime:
    return SpreadTime(sec + usec // _USEC, usec % _USEC)


def E_delay(how_long: SpreadTime) -> None:
    """Sleep."""
    time.sleep(max(0.0, how_long.sec + how_long.usec / _USEC))


def E_queue(
    function: TimeFunction, code: int = 0, data: object = None, delta: SpreadTime = NOW
) -> None:
    """Call `function(code, data)` once, after `delta`; it takes the place of one that is alike."""
    E_dequeue(function, code, data)
    at = time.monotonic() + delta.sec + delta.usec / _USEC
    heapq.heappush(_loop.timed, (at, next(_loop.numbers), function, code, data))


def E_dequeue(function: TimeFunction, code: int = 0, data: object = None) -> bool:
    """Don't call it after all; return whether it was waiting."""
    kept = [
        each
        for each in _loop.timed
        if (each[2], each[3]) != (function, code) or each[4] is not data
    ]
    was_waiting = len(kept) < len(_loop.timed)
    heapq.heapify(kept)
    _loop.timed = kept
    return was_waiting


# -- descriptors -----------------------------------------------------------------------------
def E_attach_fd(
    fd: int,
    fd_type: int,
    function: FdFunction,
    code: int = 0,
    data: object = None,
    priority: int = LOW_PRIORITY,
) -> None:
    """Call `function(fd, code, data)` whenever `fd` is ready; a mailbox is a descriptor.

    Args:
        fd_type: READ_FD, WRITE_FD or EXCEPT_FD. priority: while one of a higher priority is ready,
            those of lower ones wait.

    Raises:
        ValueError: that is no descriptor, no type or no priority.
    """
    if fd < 0 or fd_type not in _EVENTS or priority not in _PRIORITIES:
        raise ValueError(f"E_attach_fd: descriptor {fd}, type {fd_type}, priority {priority}")
    _loop.watched[fd, fd_type] = _Descriptor(function, code, data, priority)


def E_detach_fd(fd: int, fd_type: int) -> bool:
    """Don't wait for it any more; return whether somebody did."""
    return _loop.watched.pop((fd, fd_type), None) is not None


def E_activate_fd(fd: int, fd_type: int) -> bool:
    """Go on waiting for it; return whether it is attached."""
    return _set_active(fd, fd_type, is_active=True)


def E_deactivate_fd(fd: int, fd_type: int) -> bool:
    """Don't wait for it until it is activated; return whether it is attached."""
    return _set_active(fd, fd_type, is_active=False)


def _set_active(fd: int, fd_type: int, *, is_active: bool) -> bool:
    watched = _loop.watched.get((fd, fd_type))
    if watched is None:
        return False
    watched.is_active = is_active
    return True


def E_set_active_threshold(priority: int) -> int:
    """Wait for descriptors of this priority and above only; return it.

    Raises:
        ValueError: that is no priority.
    """
    if priority not in _PRIORITIES:
        raise ValueError(f"E_set_active_threshold: priority {priority}")
    _loop.threshold = priority
    return priority


def E_num_active(priority: int) -> int:
    """Return how many descriptors of that priority are waited for."""
    return sum(each.is_active and each.priority == priority for each in _loop.watched.values())


# -- the loop --------------------------------------------------------------------------------
def E_handle_events() -> None:
    """Call what is due and what is ready, until E_exit_events."""
    _loop.run()


def E_exit_events() -> None:
    """End E_handle_events when the function that calls this returns."""
    _loop.is_over = True
