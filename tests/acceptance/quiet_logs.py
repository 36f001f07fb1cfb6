"""The event logs of nodes that run on: read when they have nothing more to write."""

from __future__ import annotations

import time
from pathlib import Path

from deadlines import DEADLINE_S

from zactor.testing.group_sim.history import Line, read_logs

QUIET_S = 0.3


def read_quiet_logs(folder: Path) -> list[Line]:
    """Return the lines of all logs, once they haven't grown for QUIET_S.

    Else a file that is read early lacks the sending of what a file that is read late has received.
    """
    until = time.monotonic() + DEADLINE_S
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        assert time.monotonic() < until, "the nodes write and write"
        now = sum(file.stat().st_size for file in folder.glob("*.jsonl"))
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.01)
    return read_logs(folder)
