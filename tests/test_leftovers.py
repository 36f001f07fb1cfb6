"""Nothing is left behind by a local cluster, however the program that has it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running

PROGRAM = """
import asyncio, json, sys, time
from zactor import local

def tell(cluster):
    pids = [cluster.pid(name) for name in cluster.processes.endpoints()]
    print(json.dumps([str(cluster.home), pids]), flush=True)

def blocking(ending):
    with local(nodes=1) as cluster:
        assert len(cluster.master.nodes()) == 2
        tell(cluster)
        if ending == "exception":
            raise RuntimeError("meant to be")
        if ending == "stay":
            time.sleep(60)

async def awaiting(ending):
    async with local(nodes=1) as cluster:
        assert len(await cluster.master.nodes()) == 2
        tell(cluster)
        if ending == "exception":
            raise RuntimeError("meant to be")
        if ending == "stay":
            await asyncio.sleep(60)

if sys.argv[1] == "blocking":
    blocking(sys.argv[2])
else:
    asyncio.run(awaiting(sys.argv[2]))
"""

GONE_S = 30.0


@dataclass
class Told:
    """What the program told of its cluster."""

    home: Path
    pids: list[int]


@contextlib.contextmanager
def program(mode: str, ending: str, temp: Path) -> Iterator[subprocess.Popen[str]]:
    with running(
        [sys.executable, "-c", PROGRAM, mode, ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temp)},
    ) as child:
        yield child


def told(child: subprocess.Popen[str]) -> Told:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.communicate(timeout=DEADLINE_S)[1]
    home, pids = json.loads(line)
    for pid in pids:
        os.kill(pid, 0)  # they run, and so can be seen to go
    assert Path(home).is_dir()
    return Told(Path(home), pids)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + GONE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def works_for(home: Path, temp: Path) -> list[int]:
    """Processes with that home in their command lines, or begun by the program: see `program`.

    Who holds a port of its nodes is among them. To bind that port proves nothing on a busy machine,
    where any other program may have it by now.
    """
    found = []
    variable = b"\0TMPDIR=" + os.fsencode(temp) + b"\0"
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words, env = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
            is_its_own = os.fsencode(home) in words or variable in b"\0" + env
            if is_its_own and int(folder.name) != os.getpid() and runs(int(folder.name)):
                found.append(int(folder.name))
    return found


def all_gone(cluster: Told, temp: Path) -> None:
    wait_until(lambda: not any(map(runs, cluster.pids)), "nodes still run")
    wait_until(lambda: not cluster.home.exists(), "the home is still there")
    wait_until(lambda: not works_for(cluster.home, temp), "a process still works for it")
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("mode", ["blocking", "awaiting"])
def test_nothing_is_left_when_the_block_ends(mode: str, tmp_path: Path) -> None:
    with program(mode, "end", tmp_path) as child:
        cluster = told(child)
        _, errors = child.communicate(timeout=DEADLINE_S)
        assert (child.returncode, errors) == (0, "")
        assert not any(map(runs, cluster.pids))  # gone already, not only soon
        assert not cluster.home.exists()
        all_gone(cluster, tmp_path)


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    with program("awaiting", "exception", tmp_path) as child:
        cluster = told(child)
        assert "meant to be" in child.communicate(timeout=DEADLINE_S)[1]
        all_gone(cluster, tmp_path)


@pytest.mark.parametrize("mode", ["blocking", "awaiting"])
def test_nothing_is_left_after_ctrl_c(mode: str, tmp_path: Path) -> None:
    with program(mode, "stay", tmp_path) as child:
        cluster = told(child)
        child.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in child.communicate(timeout=DEADLINE_S)[1]
        all_gone(cluster, tmp_path)


def test_nothing_is_left_after_kill_9(tmp_path: Path) -> None:
    with program("blocking", "stay", tmp_path) as child:
        cluster = told(child)
        child.kill()
        child.communicate(timeout=DEADLINE_S)
        all_gone(cluster, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_start_is_cut_off(number: int, tmp_path: Path) -> None:
    with program("awaiting", "stay", tmp_path) as child:
        wait_until(lambda: bool(list(tmp_path.glob("zactor-*/log/*"))), "no node was started")
        (home,) = tmp_path.glob("zactor-*")
        child.send_signal(number)
        child.communicate(timeout=DEADLINE_S)
        wait_until(lambda: not home.exists(), "the home is still there")
        wait_until(lambda: not works_for(home, tmp_path), "a process still works for it")
        assert list(tmp_path.iterdir()) == []
