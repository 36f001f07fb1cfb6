"""The watch of tests/conftest.py finds what a test leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from inner_run import run_inner

LEAKS = {
    "threads lost": """
import threading
stop = threading.Event()
def test_it():
    threading.Thread(target=stop.wait, name="lost", daemon=True).start()
""",
    "(sleep 98)": """
import subprocess
def test_it():
    subprocess.Popen(["sleep", "98"]).returncode = 0
""",
    "(sleep 99)": """
import subprocess
def test_it(home):
    home.mkdir()
    subprocess.run(["setsid", "-f", "sleep", "99"], check=True)
""",
    "an open ZeroMQ context": """
import glob, zmq
kept = []
def test_it():
    kept.append(zmq.Context())
    kept.append(kept[0].socket(zmq.PUB))
    # The new thread names itself when it first runs, which on a busy machine is later.
    while not any("ZMQbg" in open(f).read() for f in glob.glob("/proc/self/task/*/comm")):
        pass
""",
    "temporary files lost": """
import tempfile, pathlib
def test_it():
    pathlib.Path(tempfile.gettempdir(), "lost").write_text("")
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("named", sorted(LEAKS))
def test_what_is_left_behind_is_named(named: str, tmp_path: Path) -> None:
    output = run_inner(LEAKS[named], tmp_path, GRACE_S=0.2).stdout
    assert "1 error" in output, output
    assert "left behind: " in output
    assert named in output


def test_a_test_that_cleans_up_passes(tmp_path: Path) -> None:
    text = """
import os, pathlib, subprocess, tempfile, threading, zmq
def test_it(home):
    assert os.environ["ZACTOR_HOME"] == str(home) and not home.exists()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    subprocess.run(["true"], check=True)
    with tempfile.TemporaryDirectory(), zmq.Context() as context, context.socket(zmq.PUB):
        pass
"""
    assert "1 passed" in run_inner(text, tmp_path, GRACE_S=0.2).stdout


@pytest.mark.slow
def test_children_hear_ctrl_c_though_a_shell_has_the_run_in_its_background(tmp_path: Path) -> None:
    text = """
import signal, subprocess
def test_it():
    child = subprocess.Popen(["sleep", "97"])
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == -signal.SIGINT
"""
    under = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    assert "1 passed" in run_inner(text, tmp_path, under=under).stdout
