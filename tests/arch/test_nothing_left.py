"""The watch of tests/conftest.py finds what a test leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

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


def run_test(text: str, folder: Path) -> str:
    watch = (ROOT / "tests" / "conftest.py").read_text()
    assert "GRACE_S = 3.0" in watch
    (folder / "conftest.py").write_text(watch.replace("GRACE_S = 3.0", "GRACE_S = 0.2"))
    (folder / "test_leak.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={folder / 'base'}",
        ],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "ZACTOR_HOME"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("named", sorted(LEAKS))
def test_what_is_left_behind_is_named(named: str, tmp_path: Path) -> None:
    output = run_test(LEAKS[named], tmp_path)
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
    assert "1 passed" in run_test(text, tmp_path)
