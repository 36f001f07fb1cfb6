"""`zactor up` and `zactor down`: what they start, what they leave, and what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import run_to_end, running

from zactor.cli.main import run
from zactor.supervisor.membership.run_directory import RunEntry, process_start, read_entries

DEADLINE_S = 20.0
ZACTOR = (sys.executable, "-m", "zactor")
COUNTER = """
from zactor import Actor, action

class Counter(Actor):
    @action
    def inc(self):
        return 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script's code beside it."""
    (tmp_path / "work" / "parts").mkdir(parents=True)
    (tmp_path / "work" / "parts" / "counter.py").write_text(COUNTER)
    return tmp_path / "work"


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


def names(home: Path) -> list[str]:
    return sorted(entry.name for entry in read_entries(home))


def pids(home: Path) -> dict[str, int]:
    return {entry.name: entry.pid for entry in read_entries(home)}


def gone(entries: list[RunEntry]) -> bool:
    return not any(process_start(entry.pid) == entry.started for entry in entries)


def test_up_starts_a_cluster_that_down_stops(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = folder / "up.zs"
    script.write_text("declareFactory(counter, 'parts/counter.py').\ndeploy counter c1 n2\n")
    home = ("--home", str(tmp_path))
    command = [*ZACTOR, "up", str(script), "-n", "2", "--detach", "--json", *home]
    done = run_to_end(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["name"] for row in json.loads(done.stdout.splitlines()[0])] == ["n1", "n2"]
    entries = read_entries(tmp_path)
    assert names(tmp_path) == ["n1", "n2"]
    assert run(["ask", "c1", "inc", *home]) == 0
    assert run(["up", "-n", "2", "--detach", *home]) == 0  # they run already
    assert names(tmp_path) == ["n1", "n2"]
    assert run(["down", *home]) == 0
    assert capsys.readouterr().out.endswith("stopped n1, n2\n")
    assert gone(entries)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_cluster_in_the_foreground_ends_with_its_command(
    tmp_path: Path, ending: signal.Signals
) -> None:
    command = [*ZACTOR, "up", "-n", "2", "--home", str(tmp_path)]
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == b"Ctrl-C stops n1, n2\n"
        entries = read_entries(tmp_path)
        assert len(entries) == 2
        child.send_signal(ending)
        assert child.wait(DEADLINE_S) == (0 if ending is signal.SIGINT else -9)
    until(lambda: gone(entries), "the nodes are gone")
    assert read_entries(tmp_path) == []


def test_a_failing_script_takes_the_cluster_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "bad.zs"
    script.write_text("nodes\nfly(x).\n")
    assert run(["up", str(script), "-n", "1", "--home", str(tmp_path)]) == 1
    wrong = f"{script}:2: fly/1 is no operation: `help` lists them\n"
    assert capsys.readouterr().err == f"stopping n1: --detach leaves them\n{wrong}"
    assert read_entries(tmp_path) == []


def test_a_failing_script_leaves_nodes_that_were_to_stay_and_the_next_start_tells_what_is_lost(
    tmp_path: Path, folder: Path
) -> None:
    script = folder / "half.zs"
    script.write_text(
        "declareFactory(counter, 'parts/counter.py').\ndeploy counter c1 n1\nfly(x)\n"
    )
    home = ("--home", str(tmp_path))
    up = [*ZACTOR, "up", "-n", "1", "--detach", *home]
    try:
        done = run_to_end([*up, str(script)])
        assert done.returncode == 1
        first, second = done.stderr.splitlines()
        again = f"`zactor master --ensure {script}` goes on with it"
        assert first == f"n1 goes on: {again}, `zactor down` stops it"
        assert second.startswith(f"{script}:3: fly/1 is no operation")
        assert run(["ask", "c1", "inc", *home]) == 0
        assert run(["down", *home]) == 0
        done = run_to_end(up)
        assert (done.returncode, done.stderr) == (
            0,
            "1 actor is lost (c1 on n1): `zactor restore --all` has them again,"
            " `zactor forget NAME` ends it\n",
        )
    finally:
        assert run(["down", *home]) == 0


def test_a_node_that_dies_is_started_again_while_up_runs(tmp_path: Path) -> None:
    command = [*ZACTOR, "up", "-n", "2", "--home", str(tmp_path)]
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == b"Ctrl-C stops n1, n2\n"
        first = pids(tmp_path)
        os.kill(first["n2"], signal.SIGKILL)
        words = b"n2 ended with -9: it is started again (1 in a row)\n"
        assert child.stderr.readline() == words
        until(lambda: pids(tmp_path).get("n2", first["n2"]) != first["n2"], "n2 runs again")
        assert run(["down", "--home", str(tmp_path)]) == 0
        assert child.wait(DEADLINE_S) == 0
    assert read_entries(tmp_path) == []
