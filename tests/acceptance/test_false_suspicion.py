"""Nobody is suspected for being busy: cores taken, the interpreter held for 300 ms at a time, and
actions that block for seconds."""

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


BLOCK_S = 5
BLOCKER = f"""
import time
from zactor import Actor, action, signal


class Blocker(Actor, dispatcher="DISPATCHER"):
    begun = signal(float)
    ended_at = 0.0

    @action
    def block(self) -> None:
        self.begun.emit(time.monotonic())
        time.sleep({BLOCK_S})
        self.ended_at = time.monotonic()

    @action
    def ended(self) -> float:
        return self.ended_at


class Hearer(Actor):
    heard_at = 0.0

    @action
    def begun(self, at: float) -> None:
        self.heard_at = time.monotonic()

    @action
    def heard(self) -> float:
        return self.heard_at
"""


@pytest.mark.slow
@pytest.mark.parametrize("dispatcher", ["shared", "thread"])
def test_an_action_that_blocks_delays_neither_its_node_nor_what_it_said(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dispatcher: str
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "trace"))
    for file in ("blocker", "hearer"):
        (lab.home / f"{file}.py").write_text(BLOCKER.replace("DISPATCHER", dispatcher))
    for name in ("n1", "n2"):
        lab.start(name)
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("Blocker", lab.home / "blocker.py")
        m.declare_factory("Hearer", lab.home / "hearer.py")
        m.deploy_actor("Blocker", "b1", "n2")
        m.deploy_actor("Hearer", "h1", "n1")
        m.react_interaction("h1", "b1", "begun")
        m.tell("b1", "block")
        until("it is heard", lambda: m.ask("h1", "heard"))
        # Its node answers meanwhile, and takes part in a change.
        with connect(lab.endpoint("n2"), home=lab.home) as there:
            there.deploy_actor("Hearer", "h2", "n1")
        asked = time.monotonic()
        assert m.ask("b1", "ended", timeout=60) > max(asked, m.ask("h1", "heard"))
    lines = read_logs(tmp_path / "trace")
    assert [line for line in lines if line["k"] == "suspect"] == []
    views = {str(line["v"]) for line in lines if line["k"] == "view" and len(line["members"]) == 2}
    assert len(views) == 1
