"""A test over its limit fails by its name, with the stacks of all threads; its children are killed.

Set-up, call and tear-down have that time each, more in a test marked as slow, and as much as it
says with `@pytest.mark.limit(300)`. A thread keeps the time: it can still act when the main thread
never returns from a wait.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Generator
from types import FrameType

import pytest
from family import descendants, kill, processes_of

LIMIT_S = 60.0
MARKED_S = {"slow": 300.0, "soak": 1_800.0}
# The main thread is thrown out of its wait this often, the clean-up of a test too, each after so
# many seconds. Then the whole run ends: later tests would only hang in the same place.
THROWS = 3
THROW_EVERY_S = 10.0
POLL_S = 0.2
ALARM = signal.SIGRTMIN + 3  # SIGALRM is the product's own


class TimeLimit:
    """The plugin. One phase of a test at a time is under watch."""

    def __init__(self, config: pytest.Config) -> None:
        # Output is captured while a test runs; what a run says when it is given up must be seen.
        self._screen = os.dup(2)
        self._config = config
        # Assigned by the main thread without a lock: an alarm may come anywhere in it.
        self._phase: _Phase | None = None
        self._ends = threading.Event()
        self._before = signal.signal(ALARM, self._ring)
        self._thread = threading.Thread(target=self._keep_time, name="time-limit", daemon=True)
        self._thread.start()

    def pytest_unconfigure(self) -> None:
        """Stop the clock."""
        self._ends.set()
        self._thread.join(THROW_EVERY_S)
        signal.signal(ALARM, self._before)
        os.close(self._screen)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch the fixtures being made."""
        return (yield from self._watch(item, "set-up"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch the test."""
        return (yield from self._watch(item, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch the fixtures being ended."""
        return (yield from self._watch(item, "tear-down"))

    def _watch(self, item: pytest.Item, what: str) -> Generator[None, object, object]:
        self._phase = _Phase(f"{item.nodeid} ({what})", limit_s(item))
        try:
            return (yield)
        finally:
            self._phase = None

    # -- in the thread -----------------------------------------------------------------------
    def _keep_time(self) -> None:
        while not self._ends.wait(POLL_S):
            phase = self._phase
            if phase is None or time.monotonic() < phase.until:
                continue
            if phase.throws == THROWS:
                self._give_up(phase)
            phase.stacks = phase.stacks or _stacks()
            phase.throws += 1
            phase.until = time.monotonic() + THROW_EVERY_S
            # Those of a fixture that other tests share stay.
            kill(descendants() - phase.processes_before)
            # Wakes the main thread from nearly every wait.
            signal.pthread_kill(threading.main_thread().ident or 0, ALARM)

    def _give_up(self, phase: _Phase) -> None:
        """Nobody can unwind the main thread: end the run, with words, and leave no process."""
        text = (
            f"\n\n{phase.name} is over its limit of {phase.limit_s:g} s and can't be ended: "
            f"so the run ends here\n{_stacks()}\n"
        )
        # Held here, or it starts others while we kill.
        phase.is_given_up = True
        signal.pthread_kill(threading.main_thread().ident or 0, ALARM)
        self._ends.wait(POLL_S)
        kill(descendants())
        kill(set(processes_of(self._config._tmp_path_factory.getbasetemp())))  # type: ignore[attr-defined]
        os.write(self._screen, text.encode())
        os._exit(1)

    # -- in the main thread ------------------------------------------------------------------
    def _ring(self, number: int, frame: FrameType | None) -> None:
        phase = self._phase
        while phase is not None and phase.is_given_up:
            time.sleep(POLL_S)
        if phase is not None and phase.stacks is not None:  # else it ended in the same moment
            pytest.fail(f"over its limit of {phase.limit_s:g} s: {phase.name}\n{phase.stacks}")


def limit_s(item: pytest.Item) -> float:
    """Return how long a phase of that test may take."""
    mark = item.get_closest_marker("limit")
    if mark is not None:
        return float(mark.args[0])
    return max([LIMIT_S, *(s for name, s in MARKED_S.items() if item.get_closest_marker(name))])


class _Phase:
    """A set-up, call or tear-down that is under way."""

    def __init__(self, name: str, limit_s: float) -> None:
        self.name = name
        self.limit_s = limit_s
        self.until = time.monotonic() + limit_s
        self.throws = 0
        self.is_given_up = False
        self.stacks: str | None = None  # what was found when it was over its limit
        self.processes_before = descendants()


def _stacks() -> str:
    with os.fdopen(os.memfd_create("stacks"), "w+b") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read().decode()
