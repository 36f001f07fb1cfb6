"""Wires that hold or block while their reactor is away: in order, none lost, none twice."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end

from zactor import connect
from zactor.cli.main import run
from zactor.client import request_loop
from zactor.client.blocking_master import BlockingMaster
from zactor.kernel.errors import ConfigError, TimedOut
from zactor.lab.lab import Lab, until

CODE = """
from pathlib import Path
from zactor import Actor, action, signal

class Source(Actor):
    number = signal(int)
    def __init__(self) -> None:
        self.next = 0
    @action
    def burst(self, count: int) -> int:
        for _ in range(count):
            self.number.emit(self.next)
            self.next += 1
        return self.next

class Sink(Actor):
    def __init__(self, file: str, fails_at: int = -1) -> None:
        self.file, self.fails_at = file, fails_at
    @action
    def number(self, value: int) -> None:
        with Path(self.file).open("a") as file:
            file.write(f"{value}\\n")
        if value == self.fails_at:
            raise ValueError("once")
"""
HEAD = '[cluster]\nname = "lab"\n[factories]\nsource = "code.py"\nsink = "code.py"\n'


class Bench:
    """A file that is applied, and what its sink has written."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.log = lab, folder, folder / "heard"
        (folder / "code.py").write_text(CODE)

    def apply(self, on: str, how: str, more: str = "") -> None:
        file = self.folder / "lab.toml"
        file.write_text(
            f'{HEAD}[actors.s1]\ntype = "source"\non = "n1"\n'
            f'[actors.k1]\ntype = "sink"\non = {on}\ndrain = 0.05\n'
            f'args = {{ file = "{self.log}"{more} }}\n'
            f'[wires]\n"s1.number" = ["k1 {how}"]\n'
        )
        assert run(["apply", str(file), "--yes", "--home", str(self.lab.home)]) == 0

    def heard(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def hears(self, count: int) -> None:
        """Wait until that many were heard; then they are all, in order and once each."""
        until(f"{count} are heard", lambda: len(self.heard()) >= count, DEADLINE_S)
        assert self.heard() == list(range(count))


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    names = ("n1", "n2", "n3")
    for name in names:
        lab.start(name)
    for name in names:
        until(f"all meet at {name}", lambda name=name: lab.names_up(name) == set(names))
    (tmp_path / "work").mkdir()
    return Bench(lab, tmp_path / "work")


@pytest.fixture
def master(bench: Bench) -> Iterator[BlockingMaster]:
    with connect(bench.lab.endpoint("n1"), home=bench.lab.home) as m:
        yield m


def state(m: BlockingMaster, name: str) -> tuple[object, object]:
    found = [(row["node"], row["state"]) for row in m.actors() if row["name"] == name]
    return found[0] if found else ("", "")


def vain(m: BlockingMaster) -> list[object]:
    """Why signals were dead letters, but for those that had arrived when their node was killed."""
    reasons = [letter["reason"] for letter in m.dead_letters()]
    return [reason for reason in reasons if "it may have arrived" not in str(reason)]


@contextmanager
def emitting(m: BlockingMaster, count: int) -> Iterator[None]:
    """Emit so many, some at a time, beside what the block does."""
    failed: list[BaseException] = []

    def emit() -> None:
        try:
            for _ in range(count // 10):
                m.ask("s1", "burst", 10)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=emit)
    thread.start()
    yield
    thread.join(DEADLINE_S)
    assert not failed
    assert not thread.is_alive()


def test_what_is_sent_while_its_reactor_is_lost_waits_for_it(
    bench: Bench, master: BlockingMaster
) -> None:
    bench.apply('"n2"', "hold 1000")
    assert [row["meanwhile"] for row in master.wires()] == ["hold 1000"]
    assert master.ask("s1", "burst", 5) == 5
    bench.hears(5)
    bench.lab.kill("n2")
    until("k1 is lost", lambda: state(master, "k1") == ("n2", "lost"))
    assert master.ask("s1", "burst", 500) == 505
    assert not vain(master)
    bench.lab.start("n2")
    bench.hears(505)
    # what overflows is a dead letter with its reason
    bench.lab.kill("n2")
    until("k1 is lost", lambda: state(master, "k1") == ("n2", "lost"))
    assert master.ask("s1", "burst", 1003) == 1508
    assert vain(master) == ["k1 is away, and s1.number holds 1000 signals for it already"] * 3
    bench.lab.start("n2")
    bench.hears(1505)


def test_what_is_sent_while_its_reactor_moves_arrives_in_order(
    bench: Bench, master: BlockingMaster
) -> None:
    bench.apply('"n2"', "hold 1000")
    for number, on in enumerate(("n3", "n1", "n2"), 1):  # to another, to the emitter's, and away
        with emitting(master, 500):
            bench.apply(f'"{on}"', "hold 1000")
        assert state(master, "k1") == (on, "running")
        bench.hears(500 * number)
    assert not master.dead_letters()


@pytest.mark.parametrize("on", ["n1", "n2"])
def test_what_waits_for_one_that_is_restarted_arrives_in_order(
    bench: Bench, master: BlockingMaster, on: str
) -> None:
    bench.apply(f'"{on}"', "hold 1000", ", fails_at = 100")
    with emitting(master, 500):
        until("it was restarted", lambda: len(bench.heard()) > 101)
    bench.hears(500)
    assert not master.dead_letters()


def test_an_emitter_whose_wire_blocks_handles_nothing_meanwhile(
    bench: Bench, master: BlockingMaster
) -> None:
    bench.apply('"n2"', "block")
    master.ask("s1", "burst", 1)
    bench.hears(1)
    bench.lab.kill("n2")
    until("k1 is lost", lambda: state(master, "k1") == ("n2", "lost"))
    assert master.ask("s1", "burst", 3) == 4
    with pytest.raises(TimedOut):
        master.ask("s1", "burst", 1, timeout=1.0)
    late = time.monotonic() + request_loop._GRACE_S  # its node waits a little longer for it
    until("its node has given the ask up too", lambda: time.monotonic() > late)
    bench.lab.start("n2")
    bench.hears(4)
    assert master.ask("s1", "burst", 1) == 5  # the ask that timed out was withdrawn
    bench.hears(5)


def test_how_a_wire_holds_can_be_said_in_each_way(bench: Bench, master: BlockingMaster) -> None:
    bench.apply('"n2"', "fifo hold 7")
    home = ("--home", str(bench.lab.home))

    def meanwhile() -> object:
        return next(row["meanwhile"] for row in master.wires())

    assert meanwhile() == "hold 7"
    assert run(["wire", "s1.number", "k1", "--meanwhile", "hold:9", *home]) == 0
    assert meanwhile() == "hold 9"
    script = bench.folder / "more.zs"
    script.write_text("reactInteraction(k1, s1, number, fifo, hold(11)).\n")
    run_to_end([sys.executable, "-P", "-m", "zactor", "master", script, *home], check=True)
    assert meanwhile() == "hold 11"
    master.react_interaction("k1", "s1", "number", meanwhile="block")
    assert meanwhile() == "block"
    assert "meanwhile(k1,s1,number,block)" in [row["fact"] for row in master.facts()]
    assert run(["wire", "s1.number", "k1", "--meanwhile", "hold:none", *home]) == 2
    with pytest.raises(ConfigError, match="service agreed can't hold"):
        master.react_interaction("k1", "s1", "number", service="agreed", meanwhile="hold:5")
    master.remove_interaction("k1", "s1", "number")
    assert not [row for row in master.facts() if row["functor"] == "meanwhile"]
