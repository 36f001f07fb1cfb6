"""slowness.py notices a busy machine."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from deadlines import BUSY, DEADLINE_S, running
from slowness import Slowness


def test_a_machine_with_much_to_do_is_slower_than_a_quiet_one() -> None:
    busy = [sys.executable, "-c", BUSY]
    slowness = Slowness()
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(3 * (os.cpu_count() or 1)):
                stack.enter_context(running(busy))
            until = time.monotonic() + DEADLINE_S
            while slowness.worst < 2.0:
                assert time.monotonic() < until, slowness.worst
                time.sleep(0.01)
    finally:
        slowness.close()
    assert slowness.quiet_s(3.0) <= 1.5
