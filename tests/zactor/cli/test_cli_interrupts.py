"""What cuts a command off, and what lies in the folder that it is called in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end, running

from zactor.cli.main import run
from zactor.lab.lab import Lab, until
from zactor.supervisor.membership.run_directory import read_entries

DEADLINE_S = 20.0
ZACTOR = (sys.executable, "-P", "-m", "zactor")  # as the installed command: without this folder

SLOW = """
import time
from zactor import Actor, action

class Slow(Actor):
    @action
    def work(self, seconds, file):
        open(file, "w").close()
        time.sleep(seconds)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a node n1 that has an actor s1."""
    folder = tmp_path_factory.mktemp("cut")
    (folder / "slow.py").write_text(SLOW)
    lab = Lab(folder)
    try:
        lab.start("n1")
        home = ["--home", str(folder)]
        assert run(["declare-factory", "slow", str(folder / "slow.py"), *home]) == 0
        assert run(["deploy", "slow", "s1", "n1", *home]) == 0
        yield folder
    finally:
        lab.close()


def interrupted(home: Path, words: list[str], ready: Callable[[], bool]) -> tuple[int, str, str]:
    """What a command says that gets Ctrl-C once it is `ready`."""
    command = [*ZACTOR, *words, "--home", str(home)]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        until("the command waits", lambda: ready() or child.poll() is not None)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=DEADLINE_S)
        return child.returncode, out, err


def test_ctrl_c_while_an_action_works_is_one_line_and_exit_code_130(home: Path) -> None:
    begun = home / "begun"
    words = ["ask", "s1", "work", "0.2", str(begun)]
    cut = interrupted(home, words, begun.exists)
    assert cut == (130, "", "interrupted: it may still be done\n")


def test_ctrl_c_while_waiting_for_a_goal_is_one_line_and_exit_code_130(home: Path) -> None:
    began = time.monotonic()
    cut = interrupted(home, ["wait", "never(x)"], lambda: time.monotonic() - began > 1)
    assert cut == (130, "", "interrupted: it may still be done\n")
    assert time.monotonic() - began < DEADLINE_S


def test_wait_without_seconds_waits_as_long_as_the_timeout_says(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["wait", "state(s1, running, _)", "--home", str(home)]) == 0
    assert run(["wait", "never(x)", "--timeout", "0.2", "--home", str(home)]) == 124
    assert run(["wait", "never(x)", "9", "--timeout", "0.2", "--home", str(home)]) == 124
    late = "zactor: 'never(x)' has not become true in 0.2 s\n"
    assert capsys.readouterr().err.endswith(late * 2)


def test_destroy_out_of_time_tells_of_drain(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--home", str(home)]
    assert run(["deploy", "slow", "s2", "n1", *at]) == 0
    assert run(["tell", "s2", "work", "0.5", str(home / "s2"), *at]) == 0
    until("s2 works", (home / "s2").exists)
    assert run(["destroy", "s2", "--timeout", "0.1", *at]) == 124
    err = capsys.readouterr().err
    assert "`zactor destroy s2 --drain S`" in err
    assert err.count("\n") == 1
    assert run(["wait", "\\+ actor(s2, _, _)", *at]) == 0


# -- the folder it is called in --------------------------------------------------------------
@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """A folder with a file that has the name of a module of the standard library."""
    folder = tmp_path / "shadowed"
    folder.mkdir()
    (folder / "selectors.py").write_text("raise ImportError('not the real one')\n")
    return folder


def test_up_starts_nodes_whatever_files_lie_around(shadowed: Path, tmp_path: Path) -> None:
    at = ["--home", str(tmp_path / "home")]
    try:
        done = run_to_end(
            [*ZACTOR, "up", "-n", "1", "--detach", *at], cwd=shadowed, timeout=DEADLINE_S
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [entry.name for entry in read_entries(tmp_path / "home")] == ["n1"]
    finally:
        assert run(["down", "--kill", *at]) == 0


def test_a_local_cluster_starts_whatever_files_lie_around(shadowed: Path) -> None:
    program = "from zactor import local\nwith local(nodes=1) as c: print(len(c.master.nodes()))"
    done = run_to_end(
        [sys.executable, "-P", "-c", program],
        cwd=shadowed,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert (done.stdout, done.stderr) == ("2\n", "")
