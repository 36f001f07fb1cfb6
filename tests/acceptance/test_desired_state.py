"""What should be there: a file is planned, applied, kept, restarted, on real nodes that die."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S, run_to_end
from slowness import Slowness

from zactor import connect
from zactor.cli.main import run
from zactor.client.blocking_master import BlockingMaster
from zactor.kernel.errors import NotDelivered
from zactor.lab.lab import Lab, until

ZACTOR = (sys.executable, "-m", "zactor")
CODE = """
from zactor import Actor, action, signal

class Source(Actor):
    number = signal(int)
    other = signal()
    def __init__(self, start: int = 0) -> None:
        self.next = start
    @action
    def burst(self, count: int) -> int:
        for _ in range(count):
            self.number.emit(self.next)
            self.next += 1
        return self.next
    @action
    def boom(self) -> None:
        raise ValueError("boom")

class Sink(Actor):
    def __init__(self) -> None:
        self.heard = []
    @action
    def number(self, value: int) -> None:
        self.heard.append(value)
    @action
    def report(self) -> list:
        return self.heard

class Missing(Actor):
    def __init__(self) -> None:
        raise RuntimeError("no camera")
"""
HEAD = '[cluster]\nname = "lab"\n[factories]\nsource = "code.py"\nsink = "code.py"\n'
TWO = (
    HEAD
    + """
[actors.s1]
type = "source"
on = "n1"
args = { start = 5 }
[actors.k1]
type = "sink"
on = ["n2", "n3"]
[wires]
"s1.number" = ["k1"]
"""
)


class Shell:
    """The command line, in this process."""

    def __init__(self, folder: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.home, self._capsys = folder, home, capsys
        (folder / "code.py").write_text(CODE)

    def file(self, text: str, name: str = "lab.toml") -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def __call__(self, *words: str, exits: int = 0) -> str:
        self._capsys.readouterr()
        code = run([*words, "--home", str(self.home)])
        done = self._capsys.readouterr()
        assert code == exits, (words, code, done)
        return done.out + done.err


@pytest.fixture
def shell(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", lab.home, capsys)


def begin(lab: Lab, *names: str) -> None:
    for name in names:
        lab.start(name)
    for name in names:
        until(f"all meet at {name}", lambda name=name: lab.names_up(name) == set(names))


@pytest.fixture
def master(lab: Lab) -> Iterator[Callable[[str], BlockingMaster]]:
    opened: list[Any] = []

    def at(name: str) -> BlockingMaster:
        context = connect(lab.endpoint(name), home=lab.home)
        opened.append(context)
        made: BlockingMaster = context.__enter__()
        return made

    yield at
    for context in reversed(opened):
        context.__exit__(None, None, None)


def places(m: BlockingMaster) -> dict[str, tuple[str, str]]:
    return {str(row["name"]): (str(row["node"]), str(row["state"])) for row in m.actors()}


def answers(m: BlockingMaster, name: str) -> bool:
    try:
        return m.ask(name, "burst", 1) is not None
    except NotDelivered:
        return False


# -- plan, apply, undo, export ---------------------------------------------------------------
def test_a_file_is_planned_applied_changed_and_taken_back(
    lab: Lab, shell: Shell, master: Callable[[str], BlockingMaster]
) -> None:
    begin(lab, "n1", "n2", "n3")
    m = master("n1")
    file = shell.file(TWO)
    said = shell("plan", file, exits=3)
    assert "+ actor  s1" in said
    assert "5 to add" in said
    assert not m.actors()
    assert not m.factories()
    said = shell("apply", file, exits=2)
    assert "--yes" in said
    said = shell("apply", file, "--yes")
    assert re.search(r"ok +actor +k1 on n2 +running", said), said
    assert shell("plan", file).count("nothing to do, 5 as they are") == 1
    assert places(m) == {"s1": ("n1", "running"), "k1": ("n2", "running")}
    assert m.ask("s1", "burst", 2) == 7
    until("both are heard", lambda: m.ask("k1", "report") == [5, 6])
    first = m.log()
    shell("apply", file, "--yes")
    assert m.log() == first  # nothing to do is no change

    # one argument, by what was planned and no other
    clock = json.loads(shell("plan", file, "--json"))["clock"]
    check = ".".join(map(str, clock))
    changed = shell.file(TWO.replace("start = 5", "start = 40"))
    assert "start 5 -> 40; it restarts, its wire stays" in shell("plan", changed, exits=3)
    kept = str(shell.folder / "plan.json")
    shell("plan", changed, "-o", kept, exits=3)
    assert "s1 on n1" in shell("apply", kept, "--yes", "--check", check)
    assert m.ask("s1", "burst", 1) == 41
    until("the wire stayed", lambda: m.ask("k1", "report") == [5, 6, 40])
    assert "isn't as it was when this was planned" in shell("apply", kept, "--yes", exits=6)
    assert "s1 is replaced by n1 at" in shell("apply", file, "--yes", "--check", check, exits=6)

    # by hand, and taken back
    m.deploy_actor("sink", "r9", "n3")
    assert "! actor  r9" in shell("plan", file)
    applied = [row for row in m.log() if row["why"] == "apply(lab)"][-1]["clock"]
    assert isinstance(applied, list)
    undone = ".".join(map(str, applied))
    assert "1 actor" not in shell("diff", undone)
    smaller = shell.file(TWO.partition("[actors.k1]")[0])
    said = shell("apply", smaller, "--yes")
    assert re.search(r"ok +actor +k1 +removed", said), said
    assert "k1" not in places(m)
    clock_of = [row for row in m.log() if row["why"] == "apply(lab)"][-1]["clock"]
    shell("undo", ".".join(map(str, clock_of)), "--yes")  # type: ignore[arg-type]
    assert places(m)["k1"] == ("n2", "running")
    assert [row["reactor"] for row in m.wires()] == ["k1"]

    # and the network is a file again
    text = shell("export")
    assert "[actors.r9]" in text
    again = shell.file(text, "again.toml")
    assert "nothing to do" in shell("plan", again)


def test_a_file_of_a_thousand_actors_is_applied_and_said_in_few_changes(
    lab: Lab, shell: Shell, master: Callable[[str], BlockingMaster]
) -> None:
    begin(lab, "n1", "n2")
    count = 1_000
    actors = [f'[actors.k{n}]\ntype = "sink"\non = "n{n % 2 + 1}"\n' for n in range(count)]
    shell("apply", shell.file(HEAD + "".join(actors)), "--yes")
    m = master("n2")
    assert set(places(m).values()) == {("n1", "running"), ("n2", "running")}
    assert len(places(m)) == count
    told = [row for row in m.log() if "running" in str(row["why"])]
    assert len(told) < count / 20, [row["why"] for row in told][:30]


def test_what_fails_is_told_before_and_after(lab: Lab, shell: Shell) -> None:
    begin(lab, "n1")
    missing = HEAD.replace('sink = "code.py"', 'missing = "code.py"\ngone = "gone.py"')
    (shell.folder / "gone.py").write_text(
        "import not_there\nfrom zactor import Actor\nclass Gone(Actor):\n    pass\n"
    )
    actors = '[actors.m1]\ntype = "missing"\non = "n1"\nintensity = "1 in 60s"\n'
    said = shell(
        "plan", shell.file(f'{missing}{actors}[actors.g1]\ntype = "gone"\non = "n1"\n'), exits=1
    )
    assert "x type" in said
    assert "not_there" in said
    assert "zactor apply" not in said  # nothing would be done
    said = shell("plan", shell.file(f'{HEAD}[actors.c1]\ntyp = "sink"\non = "n1"\n'), exits=2)
    assert "lab.toml:7: " in said
    assert "'type'" in said
    many = "".join(f'[actors.c{n}]\ntype = "sink"\non = "n1"\n' for n in range(2500))
    said = shell("plan", shell.file(HEAD + many, "many.toml"), exits=2)
    assert "one transaction 200 at most: make several files of it" in said
    file = shell.file(missing.replace('gone = "gone.py"\n', "") + actors)
    said = shell("apply", file, "--yes", exits=1)
    assert "fail  actor  m1" in said
    assert "no camera" in said
    assert "0 of 1 done, 1 failed" in said
    assert "m1 failed: restarted 1 in 60s" in shell("status", exits=3)
    assert "~ actor  m1" in shell("plan", file, exits=3)
    said = shell("apply", file, "--yes", "--whole", exits=1)  # what it wants was wanted before
    assert said.rstrip().endswith("mend it and apply again")
    text = missing.replace('gone = "gone.py"\n', "") + actors.replace("m1", "m2")
    whole = shell.file(text.replace('"lab"', '"other"'), "other.toml")
    assert "taken back" in shell("apply", whole, "--yes", "--whole", exits=1)
    several = "zactor: several files were applied (lab, other): say which FILE to plan"
    assert shell("plan", exits=5).strip() == several
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        until("m2 is gone", lambda: "m2" not in places(m))


def large(by: int = 0) -> str:
    actors = "".join(
        f'[actors.a{n}]\ntype = "source"\non = "n{n % 5 + 1}"\n'
        f"args = {{ start = {n + by * (n < 10)} }}\n"
        for n in range(40)
    )
    wires = "".join(f'"a{n}.number" = ["a{(n + 1) % 40}.burst"]\n' for n in range(40))
    more = "".join(f'"a{n}.other" = ["a{(n + 7) % 40}.boom"]\n' for n in range(20))
    return f"{HEAD}{actors}[wires]\n{wires}{more}"


def test_five_nodes_forty_actors_sixty_wires(
    lab: Lab, shell: Shell, master: Callable[[str], BlockingMaster], slowness: Slowness
) -> None:
    names = ("n1", "n2", "n3", "n4", "n5")
    begin(lab, *names)
    m = master("n1")
    file = shell.file(large())
    began = time.monotonic()
    shell("apply", file, "--yes")
    applied_s = time.monotonic() - began
    assert slowness.quiet_s(applied_s) < 3
    assert "nothing to do" in shell("plan", file)
    again = shell.file(shell("export"), "again.toml")
    assert "nothing to do" in shell("plan", again)
    changed = shell.file(large(1), "changed.toml")
    assert shell("plan", changed, exits=3).count("\n~ ") == 10
    before = len([row for row in m.log() if row["why"] == "apply(lab)"])
    shell("apply", changed, "--yes")
    assert len([row for row in m.log() if row["why"] == "apply(lab)"]) == before + 1

    # power cut of all; the nodes are started again, and nothing else
    for name in names:
        lab.kill(name)
    began = time.monotonic()
    for name in names:
        lab.spawn(name)
    lab.wait_for(list(names), DEADLINE_S)
    back = master("n2")
    until(
        "all 40 run",
        lambda: [state for _, state in places(back).values()] == ["running"] * 40,
        DEADLINE_S,
    )
    until("all wires", lambda: [row["state"] for row in back.wires()] == ["up"] * 60)
    back_s = time.monotonic() - began
    assert "nothing to do" in shell("plan", changed)
    quiet_s = slowness.quiet_s(back_s)
    print(f"applied from nothing in {applied_s:.2f} s")
    print(f"back after a power cut in {back_s:.2f} s, {quiet_s:.2f} s on a quiet machine")
    assert quiet_s < 5


# -- keep ------------------------------------------------------------------------------------
def test_what_a_death_takes_away_is_brought_back(
    lab: Lab, shell: Shell, master: Callable[[str], BlockingMaster]
) -> None:
    begin(lab, "n1", "n2", "n3")
    m = master("n1")
    file = shell.file(
        TWO.replace('"k1"]', '"k1"]\n"s2.number" = ["k1"]').replace(
            "[wires]", '[actors.s2]\ntype = "source"\non = "n2"\n[wires]'
        )
    )
    shell("apply", file, "--yes")
    lab.kill("n2")
    began = time.monotonic()
    until("k1 runs on n3", lambda: places(m).get("k1") == ("n3", "running"))
    until(
        "its wire is up",
        lambda: (
            {"emitter": "s1", "state": "up"}.items()
            <= {
                key: value
                for row in m.wires()
                if row["emitter"] == "s1"
                for key, value in row.items()
            }.items()
        ),
    )
    print(f"on the next candidate {time.monotonic() - began:.2f} s after the kill")
    assert places(m)["s2"] == ("n2", "lost")
    assert "lab wants it" in shell("why", "k1")
    m.ask("s1", "burst", 1)
    until("k1 hears", lambda: m.ask("k1", "report") == [5])
    said = shell("status", exits=3)
    assert "lab: 2 of 3 actors" in said
    m.destroy_actor("k1")  # by a person: it isn't fought over
    lab.start("n2")
    until("s2 is back", lambda: places(m).get("s2") == ("n2", "running"))
    assert "k1" not in places(m)
    assert "lab: 2 of 3 actors, " in shell("status", exits=3)
    shell("forget", "lab")
    assert "lab" not in shell("status")
    shell("plan", exits=5)
    assert places(m) == {"s1": ("n1", "running"), "s2": ("n2", "running")}


# -- restart ---------------------------------------------------------------------------------
def test_who_raises_is_restarted_until_its_intensity_is_spent(
    lab: Lab, shell: Shell, master: Callable[[str], BlockingMaster]
) -> None:
    begin(lab, "n1")
    m = master("n1")
    m.declare_factory("source", shell.folder / "code.py")
    shell("deploy", "source", "s1", "n1", "--restart", "transient", "--intensity", "2 in 60s")
    shell("deploy", "source", "s2", "n1")
    assert "no restart" in shell("deploy", "source", "s3", "n1", "--restart", "alway", exits=2)
    for count in (1, 2):
        until("it answers", lambda: answers(m, "s1"))
        assert m.ask("s1", "burst", 2) == 3  # it begins anew each time
        m.tell("s1", "boom")
        until(
            f"restart {count}",
            lambda count=count: (
                [row["count"] for row in m.events() if row["event"] == "actor_restarts"][-1:]
                == [count]
            ),
        )
    until("it answers", lambda: answers(m, "s1"))
    m.tell("s1", "boom")
    until("it has failed", lambda: places(m)["s1"] == ("n1", "failed"))
    assert "s1 failed: restarted 2 in 60s, then again: boom raised ValueError" in shell(
        "status", exits=3
    )
    m.tell("s2", "boom")
    assert m.ask("s2", "burst", 1) == 1  # it has no policy
    m.destroy_actor("s1")
    assert "s1" not in places(m)
    # its node's return is an end of that kind too
    shell("deploy", "source", "s4", "n1", "--restart", "permanent")
    lab.kill("n1")
    lab.start("n1")
    again = master("n1")
    until("s2 is lost", lambda: places(again).get("s2") == ("n1", "lost"))
    until("s4 is back", lambda: places(again).get("s4") == ("n1", "running"))


# -- scripts ---------------------------------------------------------------------------------
def test_a_script_passes_over_what_is_there(lab: Lab, shell: Shell) -> None:
    begin(lab, "n1")
    script = shell.file(
        "declareFactory(source, 'code.py').\ndeployActor(source, s1, n1, [start=5]).\n"
        "deploy source s2 n1\nreactInteraction(s2, s1, number>burst).\n",
        "bench.zs",
    )
    home = ("--home", str(lab.home))
    first = run_to_end([*ZACTOR, "master", script, "--ensure", *home])
    assert first.returncode == 0, first
    assert "= " not in first.stdout
    second = run_to_end([*ZACTOR, "master", script, "--ensure", *home])
    assert second.returncode == 0, second
    assert second.stdout.count("= ") == 4
    third = run_to_end([*ZACTOR, "master", script, *home])
    assert third.returncode == 1
    Path(script).write_text(Path(script).read_text().replace("start=5", "start=6"))
    other = run_to_end([*ZACTOR, "master", script, "--ensure", *home])
    assert other.returncode == 1
    assert "s1 exists already" in other.stderr
