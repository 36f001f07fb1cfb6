"""apply while its console is killed, and two at once: all of it or nothing, and each is told."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end, running

from zactor import connect
from zactor.client.blocking_master import BlockingMaster
from zactor.desired import carry_out
from zactor.kernel.errors import Refused
from zactor.lab.lab import Lab, until

ZACTOR = (sys.executable, "-m", "zactor")
CODE = """
from zactor import Actor, action, signal

class Part(Actor):
    number = signal(int)
    def __init__(self, start: int = 0) -> None:
        self.start = start
    @action
    def take(self, value: int) -> None:
        pass
"""
COUNT = 10


def lab_toml(name: str, start: int, prefix: str = "a", *, kind: str = "part") -> str:
    actors = "".join(
        f'[actors.{prefix}{n}]\ntype = "{kind}"\non = "n{n % 2 + 1}"\n'
        f"args = {{ start = {start} }}\ndrain = 0\n"
        for n in range(COUNT)
    )
    wires = "".join(
        f'"{prefix}{n}.number" = ["{prefix}{(n + 1) % COUNT}.take"]\n' for n in range(COUNT)
    )
    head = f'[cluster]\nname = "{name}"\n[factories]\n{kind} = "code.py"\n'
    return f"{head}{actors}[wires]\n{wires}"


@pytest.fixture
def two(lab: Lab) -> Lab:
    for name in ("n1", "n2"):
        lab.start(name)
    for name in ("n1", "n2"):
        until("all meet", lambda name=name: lab.names_up(name) == {"n1", "n2"})
    return lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    (made / "code.py").write_text(CODE)
    return made


def wanted(m: BlockingMaster) -> set[str]:
    """What is said of the actors: arguments of those there, and of those that come after them."""
    for _ in range(100):
        said = m.query("spec(N, _, A, _), \\+ next(N, _, _, _, _, _)")
        coming = m.query("next(N, _, _, _, A, _)")
        if m.query("spec(N, _, A, _), \\+ next(N, _, _, _, _, _)") == said:  # nothing came between
            return {str(row["A"]) for row in [*said, *coming]}
    raise AssertionError("it never rests")


@pytest.mark.slow
def test_a_console_that_is_killed_has_done_all_or_nothing(two: Lab, folder: Path) -> None:
    chance = random.Random(7)
    with connect(two.endpoint("n1"), home=two.home) as m:
        for number in range(10):
            file = folder / "lab.toml"
            file.write_text(lab_toml("lab", number))
            command = [*ZACTOR, "apply", str(file), "--yes", "--home", str(two.home)]
            with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
                try:
                    child.wait(chance.uniform(0.2, 1.2))
                except subprocess.TimeoutExpired:
                    child.kill()
                child.wait(DEADLINE_S)
            found = wanted(m)
            assert len(found) <= 1, found
            assert len(m.query("owned(lab, actor(N))")) in (0, COUNT)
        last = run_to_end([*ZACTOR, "apply", str(file), "--yes", "--home", str(two.home)])
        assert last.returncode == 0, last
        assert wanted(m) == {'{"start":9}'}
        until("all run", lambda: [r["state"] for r in m.actors()] == ["running"] * COUNT)
        assert len(m.wires()) == COUNT


@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.limit(900)
def test_two_at_once_are_both_done_or_one_is_told_that_it_lost(
    two: Lab, folder: Path, times: int
) -> None:
    def wish(text: str, m: BlockingMaster) -> str:
        (folder / "x.toml").write_text(text)
        document = carry_out.read_file(str(folder / "x.toml"), Path)
        return carry_out.wish_of(m, document, lambda said: None).to_text()

    with (
        connect(two.endpoint("n1"), home=two.home) as one,
        connect(two.endpoint("n2"), home=two.home) as other,
    ):
        done: dict[str, str] = {}

        def apply(who: str, m: BlockingMaster, text: str, digest: str) -> None:
            try:
                m.apply(text, digest=digest)
                done[who] = "done"
            except Refused as error:
                done[who] = str(error)

        def at_once(first: str, second: str) -> tuple[str, str]:
            digests = [str(one.plan(first)["digest"]), str(other.plan(second)["digest"])]
            threads = [
                threading.Thread(target=apply, args=("one", one, first, digests[0])),
                threading.Thread(target=apply, args=("other", other, second, digests[1])),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE_S)
            return done.pop("one"), done.pop("other")

        for number in range(times):
            # one file at two consoles: one wins, and the other is told
            outcomes = at_once(
                wish(lab_toml("lab", 2 * number), one), wish(lab_toml("lab", 2 * number + 1), other)
            )
            assert outcomes.count("done") == 1, outcomes
            lost = next(words for words in outcomes if words != "done")
            assert "changed since this was planned" in lost
            winner = 2 * number + outcomes.index("done") * 1
            assert wanted(one) == {f'{{"start":{winner}}}'}
            until("no successor waits", lambda: not one.query("next(N, _, _, _, _, _)"))
        # two files that have nothing in common but the code: both are done
        others = at_once(
            wish(lab_toml("left", 1, "l"), one), wish(lab_toml("right", 1, "r"), other)
        )
        assert others == ("done", "done")


def test_without_waiting_it_ends_when_it_is_decided(two: Lab, folder: Path) -> None:
    slow = CODE.replace("self.start = start", "import time; time.sleep(1.5)")
    (folder / "code.py").write_text(slow)
    file = folder / "lab.toml"
    file.write_text(lab_toml("lab", 1))
    command = [*ZACTOR, "apply", str(file), "--yes", "--home", str(two.home)]
    with connect(two.endpoint("n1"), home=two.home) as m:
        done = run_to_end([*command, "--no-wait"])
        assert done.returncode == 0, done
        assert "applied at" in done.stdout
        assert "ok    actor" not in done.stdout
        states = {str(row["state"]) for row in m.actors()}
        assert len(m.actors()) == COUNT
        assert "starting" in states, states
        again = run_to_end(command)  # it is all there: nothing to do, though it starts still
        assert again.returncode == 0, again
        assert "nothing to do" in again.stdout
        until("all run", lambda: [r["state"] for r in m.actors()] == ["running"] * COUNT)
