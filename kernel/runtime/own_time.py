"""Own time: the timers and tasks of one actor. They belong to it, and end with it.

A timer puts a call into the actor's own mailbox when it is due, so it is handled between two
messages as any other; while one still waits there, the next is left out. A task runs beside the
messages, in the actor's own loop. Threads: that of the actor, but for `Timer.cancel`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Protocol

from zactor.kernel import limits
from zactor.kernel.actors.refs import GATEWAY, Gateway
from zactor.kernel.errors import ActorError, ConfigError
from zactor.kernel.runtime.dispatcher import Dispatcher
from zactor.kernel.runtime.envelope import Envelope


class TimeOwner(Gateway, Protocol):
    """An actor that has time of its own."""

    name: str
    dispatcher: Dispatcher

    def put(self, message: Envelope, sender: None) -> None:
        """Take a message into its mailbox."""
        ...

    def task_failed(self, what: str, error: BaseException) -> None:
        """A task of it raised."""
        ...


class Timer:
    """One call of an actor that is due once, or again and again."""

    def __init__(
        self,
        owner: OwnTime,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        period_s: float | None,
    ) -> None:
        self._owner = owner
        self._call = call
        self._arguments = arguments
        self._period_s = period_s  # None: once
        self._due_s = 0.0  # by the loop's clock
        self._handle: asyncio.TimerHandle | None = None
        self._waits = False  # in the mailbox
        self._is_over = False

    @property
    def name(self) -> str:
        """The name of what it calls: that stands in lists and errors."""
        return str(getattr(self._call, "__name__", "") or type(self._call).__name__)

    def begin(self, delay_s: float) -> None:
        """Be due in so long."""
        loop = self._owner.loop
        self._due_s = loop.time() + delay_s
        self._handle = loop.call_at(self._due_s, self._due)

    def cancel(self) -> None:
        """It is due no more. Again, or when it is over: nothing. Threads: any."""
        self._is_over = True
        handle, self._handle = self._handle, None
        if handle is not None:
            self._owner.on_loop(handle.cancel)
        self._owner.timers.pop(self, None)

    def leave_loop(self) -> None:
        """Be due in another loop: see `enter_loop`. The former loop's thread."""
        if self._handle is not None:
            self._handle.cancel()

    def enter_loop(self) -> None:
        """Be due when it would have been. The new loop's thread."""
        if not self._is_over:
            self._handle = self._owner.loop.call_at(self._due_s, self._due)

    def _due(self) -> None:
        if self._is_over:
            return
        period_s = self._period_s
        if period_s is None:
            self._handle = None
            self._owner.timers.pop(self, None)
        else:
            loop = self._owner.loop
            # What was missed while the actor blocked its thread isn't made up for.
            late = max(0, math.floor((loop.time() - self._due_s) / period_s))
            self._due_s += (late + 1) * period_s
            self._handle = loop.call_at(self._due_s, self._due)
        if not self._waits:
            self._waits = True
            self._owner.put(Envelope(self.name, hook=True, call=self))

    def __call__(self) -> Any:
        """Do the call, as a message of the actor."""
        self._waits = False
        return None if self._is_over else self._call(*self._arguments)

    def left_out(self) -> None:
        """The mailbox has no room for it, or the actor stops."""
        self._waits = False


class OwnTime:
    """See the module."""

    def __init__(self, owner: TimeOwner) -> None:
        self._owner = owner
        self._dispatcher = owner.dispatcher
        self.loop = owner.dispatcher.own_loop()
        self.timers: dict[Timer, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_over = False

    def has_tasks(self) -> bool:
        """Whether some run."""
        return bool(self._tasks)

    def leave_loop(self) -> None:
        """The actor gets another dispatcher. The former loop's thread."""
        for timer in list(self.timers):
            timer.leave_loop()

    def enter_loop(self) -> None:
        """It has it. The new loop's thread."""
        self._dispatcher = self._owner.dispatcher
        self.loop = self._dispatcher.own_loop()
        for timer in list(self.timers):
            timer.enter_loop()

    def put(self, message: Envelope) -> None:
        """Put a call into the actor's mailbox."""
        if not self._is_over:
            self._owner.put(message, None)

    def on_loop(self, call: Callable[[], object]) -> None:
        """Do `call()` in the loop's thread: at once if this is it."""
        if self._dispatcher.is_own_thread():
            call()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(call)

    def start_timer(
        self,
        delay_s: float,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        again: bool,
    ) -> Timer:
        """Have `call(*arguments)` done in `delay_s`, and then every `delay_s` if it is `again`.

        Raises:
            ConfigError: that is no time, or nothing that can be called.
            ActorError: it has too many, or it stops.
        """
        check_seconds(delay_s, again=again)
        if not callable(call):
            raise ConfigError(f"{call!r} can't be called: give a method, as self.read")
        self._check(len(self.timers), limits.OWN_TIMERS_MAX, "timers")
        timer = Timer(self, call, arguments, delay_s if again else None)
        self.timers[timer] = None
        self.on_loop(lambda: timer.begin(float(delay_s)))
        return timer

    def start_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it beside the messages.

        Raises:
            ConfigError: it is no coroutine.
            ActorError: it has too many, or it stops, or this isn't its thread.
        """
        if not asyncio.iscoroutine(coroutine):
            raise ConfigError(f"{coroutine!r} is no coroutine: give one, as self.watch()")
        try:
            self._check(len(self._tasks), limits.OWN_TASKS_MAX, "tasks")
            if not self._dispatcher.is_own_thread():
                raise ActorError(f"only code of {self._owner.name} in its own thread may spawn")
        except ActorError:
            coroutine.close()
            raise
        context = copy_context()
        context.run(GATEWAY.set, self._owner)
        name = getattr(coroutine, "__name__", "task")
        task = self.loop.create_task(coroutine, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _check(self, count: int, allowed: int, what: str) -> None:
        if self._is_over:
            raise ActorError(f"{self._owner.name} stops: nothing of its own begins any more")
        if count >= allowed:
            raise ActorError(f"{self._owner.name} has {allowed} {what} already")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._owner.task_failed(task.get_name(), error)

    def stop_timers(self) -> None:
        """The actor handles its last message: none is due any more."""
        self._is_over = True
        for timer in list(self.timers):
            timer.cancel()

    def close(self) -> None:
        """The actor is down: its tasks are cancelled. Threads: any."""
        self.stop_timers()
        for task in list(self._tasks):
            self.on_loop(task.cancel)


def check_seconds(seconds: float, *, again: bool) -> None:
    """Refuse what is no time to wait.

    Raises:
        ConfigError: says what is allowed.
    """
    given: object = seconds
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    least = limits.OWN_PERIOD_MIN_S if again else 0.0
    if not is_number or not least <= seconds <= limits.OWN_DELAY_MAX_S:
        allowed = f"{least:g} to {limits.OWN_DELAY_MAX_S:g} s"
        raise ConfigError(f"{seconds!r} is no time for a timer: {allowed}")
