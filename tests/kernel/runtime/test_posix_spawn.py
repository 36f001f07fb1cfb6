"""A program begins with the files, folder, signals and names that it was given, and no others."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor.kernel.runtime import posix_spawn
from zactor.kernel.runtime.posix_spawn import ChildProcess, spawn

TELLS = """
import json, os, signal, sys
told = {
    "files": sorted(map(int, os.listdir("/proc/self/fd"))),
    "folder": os.getcwd(),
    "env": dict(os.environ),
    "session": os.getsid(0) == os.getpid(),
    "words": sys.argv[1:],
    "ignored": next(l.split()[1] for l in open("/proc/self/status") if l.startswith("SigIgn")),
}
os.write(3, json.dumps(told).encode())
"""
BY_C = pytest.param(True, id="by the C library")
BY_SUBPROCESS = pytest.param(False, id="by subprocess")


@pytest.fixture(autouse=True, params=[BY_C, BY_SUBPROCESS])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(posix_spawn, "_library", lambda: None)
    elif posix_spawn._library() is None:
        pytest.skip("this C library can't")


def begun(script: str, *words: str, **kwargs: Any) -> tuple[ChildProcess, int]:
    """A Python that runs it, with a pipe as its descriptor 3; the reading end of that."""
    reading, writing = os.pipe()
    nowhere = os.open(os.devnull, os.O_RDWR)
    # The lowest number for what is to be the last: what would overwrite another is moved first.
    low = os.dup(nowhere)
    given = {"env": {"A": "ä=1"}, "folder": None, **kwargs}
    try:
        child = spawn(
            [sys.executable, "-I", "-S", "-c", script, *words],
            files=(nowhere, low, nowhere, writing),
            **given,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        for file in (nowhere, low, writing):
            os.close(file)
    return child, reading


def ended(child: ChildProcess) -> int:
    """How it ended."""
    end = time.monotonic() + DEADLINE_S
    while not child.has_exited():
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.001)
    return child.reap()


def told(reading: int) -> dict[str, Any]:
    with os.fdopen(reading) as file:
        found: dict[str, Any] = json.load(file)
    return found


def test_the_program_has_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    leaks, other = os.pipe()
    os.set_inheritable(leaks, True)
    try:
        child, reading = begun(TELLS, "a", "b c", folder=str(tmp_path))
        found = told(reading)
    finally:
        os.close(leaks)
        os.close(other)
    assert ended(child) == 0
    found["files"].remove(max(found["files"]))  # the folder that it lists
    assert found["files"] == [0, 1, 2, 3]
    assert found["folder"] == str(tmp_path)
    assert found["session"]
    assert found["words"] == ["a", "b c"]
    assert {name: found["env"].get(name) for name in ("A", "HOME")} == {"A": "ä=1", "HOME": None}


def test_a_program_that_needs_it_may_be_ended_by_a_broken_pipe() -> None:
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    child, reading = begun("import os; os.execv('/bin/sh', ['sh', '-c', 'kill -PIPE $$'])")
    os.close(reading)
    # Python itself ignores it, and what it executes inherits that.
    assert ended(child) == 0
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        child = spawn(["/bin/sh", "-c", "kill -PIPE $$"], {}, None, (nowhere,) * 3)
    finally:
        os.close(nowhere)
    assert ended(child) == -signal.SIGPIPE


@pytest.mark.parametrize(("script", "code"), [("raise SystemExit(3)", 3), ("os.abort()", -6)])
def test_how_it_ended_is_known_also_after_it_was_looked_at(script: str, code: int) -> None:
    child, reading = begun(f"import os; {script}")
    os.close(reading)
    assert ended(child) == code
    assert child.has_exited()
    assert child.reap() == code


def test_whoever_else_waited_for_it_has_its_code_and_it_has_ended() -> None:
    child, reading = begun("")
    os.close(reading)
    os.waitpid(child.pid, 0)
    assert child.has_exited()
    assert ended(child) == 0


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    gone = str(tmp_path / "gone")
    with pytest.raises(OSError, match="No such file") as caught:
        begun("", folder=gone)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, gone)
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        with pytest.raises((OSError, ValueError), match=r"zero byte|null byte"):
            spawn([sys.executable], {"A": "\0"}, None, (nowhere,) * 3)
    finally:
        os.close(nowhere)
    assert os.listdir("/proc/self/fd") == before


def test_subprocess_knows_nothing_of_the_child() -> None:
    child, reading = begun("")
    os.close(reading)
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=30)  # it reaps what it knows
    assert ended(child) == 0
    assert child.returncode == 0
