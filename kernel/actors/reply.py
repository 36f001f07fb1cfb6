"""Reply: what an ask ends with, for whoever waits for it, in whatever thread or loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

import structlog

from zactor.kernel.errors import OutcomeUnknown, TimedOut
from zactor.kernel.homes import at_home
from zactor.kernel.loops import Waiter

R = TypeVar("R")

log = structlog.get_logger()

_End = tuple[Any, Callable[[Any], Any] | None, BaseException | None]
"""How a Reply ended: with a value, which may have to be converted first, or with an error."""


class WaitWatch(Protocol):
    """An actor that asks: it is told when it waits. Threads: that of who waits."""

    is_told: bool  # of a task that begins to wait; a thread that blocks always tells
    waits_for: Reply[Any] | None  # None again when that is over

    def waits(self, reply: Reply[Any], task: asyncio.Task[Any] | None, *, blocks: bool) -> None:
        """Somebody begins to wait for it, in this task or in none; its thread may block."""
        ...


@at_home
class Reply(Generic[R]):
    """What an ask ends with: await it in any event loop, or call `result` in any thread.

    Threads: all methods by any. The first of `set_result`, `set_error` and the timeout wins.
    """

    __slots__ = (
        "_deadline",
        "_ends",
        "_given_up",
        "_listeners",
        "_wait",
        "_watch",
        "_what",
        "request",
        "wait_number",
    )

    def __init__(
        self,
        *,
        timeout: float | None = None,
        wait: Callable[[Reply[Any], float | None], None] | None = None,
        what: tuple[str, str] = ("", ""),
        watch: WaitWatch | None = None,
    ) -> None:
        """Args:
        watch: told when its actor begins to wait for it, and when that is over.
        timeout: seconds from now until it ends with TimedOut; None: never by itself.
        wait: how to block until it is done or so many seconds passed; None: on an Event.
        what: actor and action, for messages.
        """
        # Neither list needs a lock, since append and pop are atomic. Whoever ends it appends a
        # whole end, and the first in the list counts: who was a moment later changes nothing.
        # Listeners are appended by who waits and popped by who ends it.
        self._ends: list[_End] = []
        self._listeners: list[Callable[[Reply[Any]], None]] = []
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._wait = wait
        self._what = what
        self._watch = watch
        self._given_up: Callable[[int], None] | None = None  # see `asks`
        self.request = 0  # its number at another node's link; 0: it has none
        self.wait_number = 0  # given by who looks who waits, see AskCycles

    # -- for who asked -----------------------------------------------------------------------
    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._ends)

    is_over = done  # as an Asker has it: nobody waits for an answer

    @property
    def what(self) -> tuple[str, str]:
        """The actor and the action that were asked."""
        return self._what

    @property
    def asker(self) -> Reply[R]:
        """What stands for it in the mailbox of the one asked, where that is on this node."""
        return self

    def has_timeout(self) -> bool:
        """Whether it ends by itself after some time."""
        return self._deadline is not None

    def __await__(self) -> Generator[Any, None, R]:
        if not self._ends:
            loop = asyncio.get_running_loop()
            timer = None
            if self._deadline is not None:
                delay = max(0.0, self._deadline - time.monotonic())
                timer = loop.call_later(delay, self._expire)
            watch = self._watch
            if watch is not None and watch.is_told:
                watch.waits(self, asyncio.current_task(loop), blocks=False)
            try:
                yield Waiter(loop, self.add_done_callback)
            except asyncio.CancelledError:
                if watch is not None and not self._ends:
                    actor, action = self._what
                    self.set_error(OutcomeUnknown(f"the ask of {actor}.{action} was cancelled"))
                raise
            finally:
                if timer is not None:
                    timer.cancel()
                if watch is not None and watch.waits_for is self:
                    watch.waits_for = None
        return self._outcome()

    def result(self, timeout: float | None = None) -> R:
        """Block until it ends and return the value.

        Raises:
            TimedOut: not within `timeout` seconds; it may be waited for again.
            ActorError: what the ask ended with, or this thread is the one that has to answer.
        """
        if not self._ends:
            limit = self._patience(timeout)
            watch = self._watch
            if watch is not None:
                watch.waits(self, _current_task(), blocks=True)
            try:
                (self._wait or block)(self, limit)
            finally:
                if watch is not None and watch.waits_for is self:
                    watch.waits_for = None
            if not self._ends:
                error = self._timed_out()
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self.set_error(error)
                else:
                    raise error
        return self._outcome()

    def add_done_callback(self, callback: Callable[[Reply[Any]], None]) -> None:
        """Have `callback(self)` called when it ends, in the thread that ends it; now if it has.

        What it raises is logged.
        """
        self._listeners.append(callback)
        if self._ends:
            self._notify()

    def wait_by(self, wait: Callable[[Reply[Any], float | None], None]) -> None:
        """Have `result` block by calling `wait(self, seconds)`."""
        self._wait = wait

    def asks(self, request: int, given_up: Callable[[int], None]) -> None:
        """Another node was asked: `given_up(request)` is called where it ends with an error."""
        self.request = request
        self._given_up = given_up

    # -- for who answers ---------------------------------------------------------------------
    def set_result(self, value: Any, convert: Callable[[Any], Any] | None = None) -> None:
        """End it with `value`, or with what `convert(value)` gives in the thread that asks."""
        if not self._ends:
            self._ends.append((value, convert, None))
            if self._listeners:
                self._notify()

    def set_error(self, error: BaseException) -> None:
        """End it with `error`."""
        if not self._ends:
            self._ends.append((None, None, error))
            if self._given_up is not None:
                self._given_up(self.request)
            if self._listeners:
                self._notify()

    # -- inside ------------------------------------------------------------------------------
    def _notify(self) -> None:
        listeners = self._listeners
        while listeners:
            try:
                listener = listeners.pop(0)
            except IndexError:  # the other side came first
                break
            try:
                listener(self)
            except Exception:  # of who listens, not of who ends it, nor of the next that listens
                log.exception("reply_callback_failed", ask=".".join(self._what))

    def _outcome(self) -> R:
        value, convert, error = self._ends[0]
        if error is not None:
            raise error
        if convert is not None:  # by each who looks meanwhile, all of the value as it came
            try:
                value = convert(value)
            except Exception as error:  # converting unpickles: anything may come out of it
                self._ends[0] = (None, None, error)
                raise
            self._ends[0] = (value, None, None)
        result: R = value
        return result

    def _expire(self) -> None:
        self.set_error(self._timed_out())

    def _timed_out(self) -> TimedOut:
        actor, action = self._what
        return TimedOut(f"no answer from {actor}.{action} in time: it may still be running")

    def _patience(self, timeout: float | None) -> float | None:
        if self._deadline is None:
            return timeout
        left = max(0.0, self._deadline - time.monotonic())
        return left if timeout is None else min(left, timeout)

    def __repr__(self) -> str:
        state = "done" if self._ends else "pending"
        return f"<Reply of {'.'.join(self._what)}, {state}>"


def block(reply: Reply[Any], timeout: float | None) -> None:
    """Block this thread until `reply` ends or `timeout` seconds have passed."""
    ended = threading.Event()
    reply.add_done_callback(lambda _: ended.set())
    ended.wait(timeout)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None
