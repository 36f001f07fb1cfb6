"""The README's tour runs as it is written: what is typed here is read from there."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end, running

ROOT = Path(__file__).resolve().parents[1]
BLOCKS: list[str] = re.findall(r"```\w*\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def block(mark: str) -> str:
    """The README's one block with `mark` in it."""
    (found,) = [text for text in BLOCKS if mark in text]
    return found


def commands(text: str) -> list[list[str]]:
    """The words of each `$ zactor …` line, without its remark."""
    lines = [
        line.removeprefix("$ zactor ") for line in text.splitlines() if line[:9] == "$ zactor "
    ]
    return [shlex.split(line, comments=True) for line in lines]


def zactor(*words: str, stdin: str = "", folder: Path = ROOT) -> str:
    done = run_to_end([sys.executable, "-m", "zactor", *words], input=stdin, cwd=folder)
    assert done.returncode == 0, f"zactor {' '.join(words)}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def node(name: str, terminal: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`zactor node --name …` with its stdout in a file, until the block ends."""
    with (
        terminal.open("ab") as out,
        running(
            [sys.executable, "-m", "zactor", *(words or ("node",)), "--name", name],
            stdout=out,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as child,
    ):
        yield child
        child.terminate()
        child.wait(DEADLINE_S)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_up(name: str, incarnation: int) -> bool:
    words = [sys.executable, "-m", "zactor", "kb", "query", f"incarnation({name}, {incarnation})"]
    return "yes" in run_to_end(words).stdout


@pytest.mark.slow
def test_the_ten_minute_tour_runs_as_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    console = ("master", "-c", "nodes", "--stay")  # the tour's third terminal, which stays open
    with node("n2", second), node("m1", tmp_path / "third", *console):
        with node("n1", first) as n1:
            wait_until(lambda: is_up("n1", 1) and is_up("n2", 1) and is_up("m1", 1))
            zactor("master", "-", "--name", "m2", stdin=block("deployActor(gui, g1, n2)."))
            assert second.read_text() == block("g1 | 1\n")
            shell = commands(block("$ zactor ps"))
            said = [zactor(*words) for words in shell]
            assert said[1] == "2\n"
            assert said[-1] == "Who = g1, What = updateVal\n"
            n1.kill()
        nodes, again, *rest = commands(block("$ zactor restore c1"))
        assert again == ["node", "--name", "n1"]
        wait_until(lambda: "gone" in zactor(*nodes))
        with node("n1", first):
            wait_until(lambda: is_up("n1", 2))
            for words in rest:
                zactor(*words)
            wait_until(lambda: second.read_text().endswith("g1 | 2\ng1 | 1\n"))
            why, log, export = [zactor(*words) for words in commands(block("$ zactor why c1"))]
            assert "@" in why.splitlines()[0]
            assert "deployActor(counter, c1, n1)" in why
            assert "node n1 is gone" in log
            assert "actor(c1,counter,n1)." in export
            (tmp_path / "thermometer.py").write_text(block("# thermometer.py"))
            *steps, ask = commands(block("deploy thermometer t1 n1"))
            for words in steps:
                zactor(*words, folder=tmp_path)
            assert zactor(*ask) == '"hot"\n'
            wait_until(lambda: second.read_text().endswith("a1: 31.5 degrees!\n"))


def test_the_python_program_runs_as_written(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block("async def main()"))
    done = run_to_end([sys.executable, program])
    assert (done.stdout, done.stderr) == ("8 8\n", "")


def test_the_groups_are_used_as_written(tmp_path: Path) -> None:
    program = tmp_path / "talk.py"
    program.write_text(block("async def talk"))
    with node("n1", tmp_path / "n1"):
        wait_until(lambda: is_up("n1", 1))
        done = run_to_end([sys.executable, program])
        assert (done.stdout, done.stderr) == ("join #alice#n1\n#alice#n1 hello\n", "")
        listen, send, members = commands(block("zactor group listen"))
        with running(
            [sys.executable, "-m", "zactor", *listen], stdout=subprocess.PIPE, text=True
        ) as listener:
            assert listener.stdout is not None
            assert " joined; members #client-" in listener.stdout.readline()
            assert zactor(*send) == ""
            assert listener.stdout.readline().startswith("room: #client-")
            assert "n1" in zactor(*members)
            listener.terminate()
            listener.wait(DEADLINE_S)


def test_a_file_of_what_should_be_there_is_used_as_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "demos").mkdir()
    for name in ("counter.py", "gui.py"):
        (tmp_path / "demos" / name).write_text((ROOT / "demos" / name).read_text())
    (tmp_path / "lab.toml").write_text(block('name = "bench"'))
    try:
        said = [
            zactor(*words, folder=tmp_path) for words in commands(block("zactor plan lab.toml"))
        ]
    finally:
        zactor("down", folder=tmp_path)
    up, plan, applied, text, why = said
    assert "ok    actor  c1 on n1  running" in up
    assert "nothing to do, 6 as they are" in plan
    assert "nothing to do" in applied
    assert 'on = ["n1", "n2"]' in text
    assert "because bench wants it" in why


@pytest.mark.parametrize("line", ["make demo", "make test"])
def test_the_make_targets_that_the_readme_names_exist(line: str) -> None:
    assert line in block("make demo")
    done = run_to_end([*line.split(), "--dry-run"], cwd=ROOT)
    assert done.returncode == 0, done.stderr
