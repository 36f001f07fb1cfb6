"""A signal that comes while a finalizer runs: Python forgets its exception, and we don't."""

from __future__ import annotations

import os
import signal
import time

import pytest

from zactor.cli import common
from zactor.cli.common import Stopped, deadline
from zactor.cli.master import stop_signals
from zactor.kernel.errors import TimedOut


class Swallowing:
    """What runs in its finalizer can raise as it likes: nobody hears it."""

    def __init__(self, seconds: float, number: int | None = None) -> None:
        self.seconds, self.number = seconds, number

    def __del__(self) -> None:
        if self.number is not None:
            os.kill(os.getpid(), self.number)
        time.sleep(self.seconds)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_that_a_finalizer_swallowed_ends_the_wait(number: int) -> None:
    with stop_signals() as stop:
        swallowing = Swallowing(0, number)
        del swallowing  # Stopped is raised in there, and printed
        assert stop.came
        with pytest.raises(Stopped):
            stop.stay()


def test_a_wait_ends_where_its_condition_does() -> None:
    looks = iter([True, False])
    with stop_signals() as stop:
        stop.stay(lambda: next(looks))
    assert not stop.came


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_deadline_that_a_finalizer_swallowed_rings_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "LOST_RING_S", 0.05)

    def swallow_and_go_on() -> None:
        swallowing = Swallowing(0.04)
        del swallowing
        time.sleep(20)

    with pytest.raises(TimedOut), deadline(0.01):
        swallow_and_go_on()
