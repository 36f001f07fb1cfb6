"""S20: a process that has the keys leaves no core file, whatever its shell allows."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running

from zactor.lab.lab import Lab, until

UNLIMITED = 'ulimit -S -c $(ulimit -H -c); exec "$@"'


def core_limit(pid: int) -> str:
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4]
    raise AssertionError("no such limit")


@pytest.fixture(autouse=True)
def shells_allow_cores() -> None:
    """So that the test could fail."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("this machine allows no core files at all")


def test_a_node_that_crashes_leaves_no_core(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "zactor.supervisor", "--name", "n1", "--home", "home"]
    with running(
        ["/bin/sh", "-c", UNLIMITED, "sh", *command],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as node:
        until("its keys are made", (tmp_path / "home" / "keys" / "cluster.key").exists)
        assert core_limit(node.pid) == "0"
        os.kill(node.pid, signal.SIGSEGV)
        node.wait(DEADLINE_S)
    assert not list(tmp_path.rglob("core*"))


@pytest.mark.parametrize("role", ["node", "master"])
def test_nodes_and_their_children_write_no_core(lab: Lab, role: str) -> None:
    lab.start("n1", role=role)
    assert core_limit(lab.pid("n1")) == "0"


def test_a_command_writes_no_core(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zactor", "--home", tmp_path / "home", "node", "--name", "n1"]
    with running(
        ["/bin/sh", "-c", UNLIMITED, "sh", *command],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as node:
        until("it runs", (tmp_path / "home" / "run").exists)
        assert core_limit(node.pid) == "0"
