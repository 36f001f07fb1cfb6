"""A test that hangs is ended by time_limit.py, whatever it hangs in, and the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from family import processes_of
from inner_run import run_inner

from zactor.lab.lab import until

HANGS = {
    "in a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "in a thread's end": """
    import threading
    stop = threading.Event()
    def beside(): stop.wait()
    thread = threading.Thread(target=beside)
    thread.start()
    try:
        thread.join()
    finally:
        stop.set()
""",
    "in Popen's exit": """
    import subprocess
    with subprocess.Popen(["sleep", "97"]):
        assert False
""",
    "in a pipe": """
    import subprocess
    child = subprocess.Popen(["sleep", "97"], stdout=subprocess.PIPE)
    with child:
        assert child.stdout.readline()
""",
    "in a socket": """
    import zmq
    with zmq.Context() as context, context.socket(zmq.PULL) as door:
        door.bind("tcp://127.0.0.1:*")
        door.recv()
""",
    "in a loop of events": "import asyncio; asyncio.run(asyncio.Event().wait())",
    "in a loop": """
    while True:
        pass
""",
}

AFTER = """
import threading
def test_after():
    assert "time-limit" in {thread.name for thread in threading.enumerate()}
"""


@pytest.mark.slow
def test_whatever_a_test_hangs_in_it_fails_by_its_name_and_the_next_one_runs(
    tmp_path: Path,
) -> None:
    bodies = [f"def test_{number}():\n    {HANGS[where].lstrip()}\n" for number, where in cases()]
    done = run_inner("".join([*bodies, AFTER]), tmp_path, LIMIT_S=1.0, THROW_EVERY_S=20.0)
    assert f"{len(HANGS)} failed, 1 passed" in done.stdout, done.stdout + done.stderr
    for number, where in cases():
        name = f"test_inner.py::test_{number}"
        assert f"FAILED {name}" in done.stdout, where
        assert f"over its limit of 1 s: {name} (call)" in done.stdout, where
        assert re.search(rf'File ".*test_inner.py", line \d+ in test_{number}\n', done.stdout)
    # The stacks of the other threads too.
    assert re.search(r'File ".*test_inner.py", line \d+ in beside\n', done.stdout)


def cases() -> list[tuple[int, str]]:
    return list(enumerate(HANGS))


@pytest.mark.slow
def test_a_fixture_that_hangs_fails_too(tmp_path: Path) -> None:
    text = """
import threading, pytest
@pytest.fixture
def never():
    threading.Event().wait()
@pytest.fixture
def late():
    yield
    threading.Event().wait()
def test_early(never): pass
def test_late(late): pass
"""
    done = run_inner(text, tmp_path, LIMIT_S=0.5)
    assert "1 passed, 2 errors" in done.stdout, done.stdout
    assert "test_early (set-up)" in done.stdout
    assert "test_late (tear-down)" in done.stdout


@pytest.mark.slow
def test_a_mark_gives_more_time(tmp_path: Path) -> None:
    text = """
import threading, pytest
pytestmark = pytest.mark.limit(50)
def test_it(): threading.Event().wait(1.5)
"""
    assert "1 passed" in run_inner(text, tmp_path, LIMIT_S=0.3).stdout


@pytest.mark.slow
def test_a_test_that_swallows_every_end_ends_the_run_with_the_stacks_and_no_process(
    tmp_path: Path,
) -> None:
    text = """
import pathlib, subprocess, threading
def test_it(home):
    home.mkdir()
    subprocess.run(["setsid", "-f", "sleep", "96"], check=True)
    while True:
        try:
            subprocess.run(["sleep", "95"])
        except BaseException:
            pass
def test_after(): pass
"""
    done = run_inner(text, tmp_path, LIMIT_S=0.5, THROW_EVERY_S=0.3)
    assert done.returncode == 1
    assert "test_inner.py::test_it (call) is over its limit of 0.5 s and can't be" in done.stderr
    assert "in test_it" in done.stderr
    # They are killed; how soon they are gone is the system's.
    until("none is left", lambda: not processes_of(tmp_path / "base"))
