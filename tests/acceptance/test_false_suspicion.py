"""Nobody is suspected for being busy: cores taken, the interpreter held for 300 ms at a time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import BUSY, end

from zactor import connect
from zactor.lab.lab import Lab, until
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.history import read_logs

HOLD_S = 0.3
HOLDER = f"""
import ctypes
from zactor import Actor, action

usleep = ctypes.PyDLL(None).usleep  # of a PyDLL: it keeps the interpreter to itself meanwhile


class Holder(Actor):
    held = 0

    @action
    def hold(self) -> None:
        usleep({int(HOLD_S * 1e6)})
        self.held += 1
        self.ref("h1").hold.tell()

    @action
    def count(self) -> int:
        return self.held
"""


@contextlib.contextmanager
def hogs(count: int) -> Iterator[None]:
    """Processes that do nothing but compute."""
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            end(child)


def suspicions(lab: Lab, trace: Path, seconds: float) -> list[str]:
    """Whom three nodes suspected while everything was busy for so long."""
    for name in ("n1", "n2", "n3"):
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == {"n1", "n2", "n3"})
    with connect(lab.endpoint("n1"), home=lab.home) as m, hogs(2 * (os.cpu_count() or 1)):
        m.declare_factory("holder", lab.home / "holder.py")
        m.deploy_actor("holder", "h1", "n2")
        m.tell("h1", "hold")
        began = time.monotonic()
        time.sleep(seconds)  # what the test is about
        held = m.ask("h1", "count", timeout=60)
        assert held >= (time.monotonic() - began) / HOLD_S / 4, "the interpreter wasn't held"
    lines = read_logs(trace)
    views = [line for line in lines if line["k"] == "view" and len(line["members"]) == 3]
    assert len({str(line["v"]) for line in views}) == 1
    return [f"{line['p']} suspects {line['q']}" for line in lines if line["k"] == "suspect"]


@pytest.mark.slow
def test_a_few_busy_seconds_raise_no_suspicion(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "holder.py").write_text(HOLDER)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "trace"))
    assert suspicions(lab, tmp_path / "trace", 5) == []


@pytest.mark.soak
def test_five_busy_minutes_raise_no_suspicion(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "holder.py").write_text(HOLDER)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "trace"))
    assert suspicions(lab, tmp_path / "trace", 300) == []
