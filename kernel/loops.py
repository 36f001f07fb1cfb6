"""Event loops that share threads, and what a task can wait for, made of asyncio's private parts.

All that zactor uses of those is in this file. They are the same in Python 3.11 to 3.13;
`tests/kernel/test_loops.py` fails where one is gone. With public calls only, a round of the guest
would cost 2 µs more (`stop` and then `run_forever`).
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class _Loop(asyncio.SelectorEventLoop):
        _ready: deque[asyncio.Handle]
        _scheduled: list[asyncio.TimerHandle]
        _stopping: bool
        _thread_id: int | None
        _default_executor: Executor | None
        _executor_shutdown_called: bool

        def _run_once(self) -> None: ...

        def _write_to_self(self) -> None: ...
else:

    class _Loop(asyncio.SelectorEventLoop):
        time = staticmethod(time.monotonic)  # asyncio's own clock without a call between


class GuestLoop(_Loop):
    """A loop that no thread owns: whoever may run it runs one round after the other.

    Threads: one at a time; who that is, others see to (`kernel/runtime/baton.py`).
    """

    def __init__(self) -> None:
        self.poller = selectors.DefaultSelector()
        self._runner = 0  # ident of the thread that looks at its queue before it sleeps
        super().__init__(self.poller)

    def run_by(self, ident: int) -> None:
        """From now on the thread `ident` runs the rounds; 0: nobody does.

        Said before that thread looks at what is ready: so who posts is seen, or wakes it.
        """
        self._runner = ident
        self._thread_id = ident or None

    def run_round(self, *, wait: bool) -> None:
        """Do what is ready; with `wait` sleep until something is."""
        self._stopping = not wait
        try:
            self._run_once()
        finally:
            self._stopping = False

    def has_ready(self) -> bool:
        """Whether calls wait for the next round."""
        return bool(self._ready)

    def due_s(self) -> float | None:
        """When its next timer is due, by `time()`; None without any."""
        return self._scheduled[0].when() if self._scheduled else None

    def wake(self) -> None:
        """Wake whoever sleeps in it. Threads: any."""
        super()._write_to_self()

    def _write_to_self(self) -> None:
        if threading.get_ident() != self._runner:
            super()._write_to_self()


class HostLoop(_Loop):
    """The loop of one thread, which may sleep in its own way and have other loops as guests."""

    def __init__(self) -> None:
        self._selects = _HostSelector()
        self._owner = 0  # ident of the thread that alone runs it; 0: several do
        # Goes on with a task in this loop's thread; None: asyncio does it, by `call_soon`.
        self.resume: Resume | None = None
        super().__init__(self._selects)

    def belongs_to(self, ident: int) -> None:
        """Only the thread `ident` runs it: that one needn't be woken for what it posts itself."""
        self._owner = ident

    def drop_executor(self) -> None:
        """Wait for no thread of its default executor, and let none begin with what waits there."""
        self._executor_shutdown_called = True
        executor = self._default_executor
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def is_own_thread(self) -> bool:
        """Whether the caller is the thread that alone runs it."""
        return threading.get_ident() == self._owner

    def sleep_by(self, sleep: Sleep | None) -> None:
        """Sleep by calling `sleep`; None: as loops do."""
        self._selects.sleep = sleep

    def fileno(self) -> int:
        """A descriptor that is readable while one of its own descriptors has something."""
        return self._selects.fileno()

    def has_ready(self) -> bool:
        """Whether calls wait for the next round."""
        return bool(self._ready)

    def wake(self) -> None:
        """Wake it, if it sleeps. Threads: any."""
        super()._write_to_self()

    def _write_to_self(self) -> None:
        if threading.get_ident() != self._owner:
            super()._write_to_self()


Sleep = Callable[[float | None], bool]
"""Sleeps for so many seconds at most; whether descriptors of the loop's own have something."""


class _HostSelector(selectors.DefaultSelector):
    sleep: Sleep | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.sleep is None:
            return super().select(timeout)
        return super().select(0) if self.sleep(timeout) else []


Resumption = Callable[["Waiter"], object]
"""What a task goes on by; called in its context with what it waited for."""

Resume = Callable[[Context, Resumption, "Waiter"], None]


class Waiter:
    """What a task waits for: as much of a future as asyncio's tasks look at.

    Made and yielded by the `__await__` of what ends one day. Threads: that of the task's loop;
    `end` by any.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_listen", "_loop", "_state")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listen: Callable[[Callable[[object], None]], None],
    ) -> None:
        """`listen` takes what to call, in any thread, at the end of what is waited for."""
        self._asyncio_future_blocking = True
        self._loop = loop
        self._listen = listen
        self._state = _WAITS
        self._callback: Any = None
        self._context: Any = None

    @property
    def end_of(self) -> object:
        """Whose end is waited for: who made it with a method of its own."""
        return getattr(self._listen, "__self__", None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Context | None = None) -> None:
        """Called once, by the task: it waits."""
        self._callback = callback
        self._context = context
        self._listen(self.end)

    def end(self, _: object) -> None:
        """The task goes on, in its loop."""
        loop = self._loop
        is_within = asyncio._get_running_loop() is loop
        if isinstance(loop, HostLoop) and loop.resume and (is_within or loop.is_own_thread()):
            if self._state == _WAITS:
                self._state = _OVER
                loop.resume(self._context, self._callback, self)
        elif is_within:
            loop.call_soon(self._go_on)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits there any more
                loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if self._state == _WAITS:
            self._state = _OVER
            self._context.run(self._callback, self)

    def cancel(self, msg: object = None) -> bool:
        """The task is cancelled; False: it goes on already, and sees it then."""
        if self._state != _WAITS:
            return False
        self._state = _CANCELLED
        self._loop.call_soon(self._callback, self, context=self._context)
        return True

    def __repr__(self) -> str:
        return f"<Waiter, {('waits', 'over', 'cancelled')[self._state]}>"

    def result(self) -> None:
        """Called by the task when it goes on."""
        if self._state == _CANCELLED:
            raise asyncio.CancelledError


_WAITS, _OVER, _CANCELLED = range(3)


def awaited_by(task: asyncio.Task[Any]) -> object:
    """Return whose end a task waits for, by a Waiter; None where it doesn't. Threads: any."""
    waiter = getattr(task, "_fut_waiter", None)
    return waiter.end_of if type(waiter) is Waiter else None
