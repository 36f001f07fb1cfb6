"""A power cut: several nodes die at the same moment."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from deadlines import DEADLINE_S

from zactor.lab.lab import Lab, until


def die_at_once(lab: Lab, *names: str) -> None:
    """kill -9, all at the same moment: a signal takes its time, in which others go on."""
    for name in names:
        lab.freeze(name)
    until("all stand still", lambda: all(_stands(lab.pid(name)) for name in names))
    for name in names:
        os.kill(lab.pid(name), signal.SIGKILL)
    for name in names:
        lab.wait(name, DEADLINE_S)


def _stands(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
