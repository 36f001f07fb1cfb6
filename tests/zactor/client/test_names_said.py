"""What is said to actors is checked by their classes: names, payloads, wires, constructors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor import (
    BlockingCluster,
    BlockingMaster,
    ConfigError,
    NoSuchThing,
    RemoteActionError,
    local,
)
from zactor.cli.main import run
from zactor.demos.counter import LazyCounter
from zactor.kernel.errors import NoSuchAction, UnfitArguments

CODE = """
from zactor import Actor, action, signal

class Sensor(Actor):
    reading = signal(float)
    name_said = signal(str)

    def __init__(self, start: float = 0.0) -> None:
        self.value = start

    @action
    def read(self, times: int = 1) -> float:
        for _ in range(times):
            self.reading.emit(self.value)
        return self.value

class Recorder(Actor, dispatcher="process"):
    def __init__(self) -> None:
        self.kept = []

    @action
    def store(self, value: float) -> None:
        self.kept.append(value)

    @action
    def kept_now(self) -> list[float]:
        return self.kept

class Whole(Actor):
    def do_action(self, name, args):
        return [name, *args]
"""
NEW = CODE.replace("def store(", "def keep(")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("said")


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[BlockingCluster]:
    """s1 and w1 are on n1, r1 is on n2 in a process of its own."""
    (folder / "code.py").write_text(CODE)
    with local(nodes=2) as running:
        m = running.master
        for kind in ("sensor", "recorder", "whole"):
            m.declare_factory(kind, folder / "code.py")
        m.deploy_actor("sensor", "s1", "n1", start=20.5)
        m.deploy_actor("recorder", "r1", "n2")
        m.deploy_actor("whole", "w1", "n1")
        yield running


@pytest.fixture
def m(cluster: BlockingCluster) -> BlockingMaster:
    return cluster.master


@pytest.fixture
def zactor(
    cluster: BlockingCluster, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["--home", str(cluster.home), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    capsys.readouterr()
    return call


Zactor = Callable[..., tuple[int, str, str]]


# -- wires of two names ----------------------------------------------------------------------
def test_a_wire_of_two_names_comes_and_goes_by_the_shell(zactor: Zactor, m: BlockingMaster) -> None:
    assert zactor("wire", "s1.reading", "r1.store") == (0, "s1.reading -> r1.store (fifo)\n", "")
    assert m.ask("s1", "read") == 20.5
    assert m.wait("reacts(r1, s1, 'reading>store', fifo)")
    until_kept(m, [20.5])
    (wire,) = json.loads(zactor("wires", "--json")[1])
    assert (wire["emitter"], wire["action"], wire["reactor"]) == ("s1", "reading>store", "r1")
    assert zactor("wires", "-o", "name")[1] == "s1.reading r1.store\n"
    assert "  s1.reading -> r1.store (fifo)\n" in zactor("describe", "r1")[1]
    assert "reading>store" in zactor("why", "r1")[1]
    assert '"s1.reading" = ["r1.store"]\n' in zactor("export")[1]
    assert zactor("unwire", "s1.reading", "r1.store")[1] == "s1.reading -> r1.store removed\n"
    assert m.wires() == []


def until_kept(m: BlockingMaster, wanted: list[float]) -> None:
    for _ in range(1_000):
        if (kept := m.ask("r1", "kept_now")) == wanted:
            return
    raise AssertionError(f"r1 keeps {kept}")


def test_a_wire_of_two_names_is_a_term_and_a_call_too(
    cluster: BlockingCluster, m: BlockingMaster
) -> None:
    def script(*words: str) -> str:  # in a process of its own: its log is that process's
        program = [sys.executable, "-P", "-m", "zactor", "--home", cluster.home, "master", *words]
        return run_to_end(program, check=True).stdout

    line = "remoteReactInteraction(r1, s1, reading>store, agreed)."
    script("-c", line)
    assert [row["action"] for row in m.wires()] == ["reading>store"]
    assert script("--ensure", "-c", line).startswith("= ")
    script("-c", "removeInteraction(r1, s1, reading>store).")
    m.react_interaction("r1", "s1", "reading>store")
    m.remove_interaction("r1", "s1", "reading>store")
    assert m.wires() == []


# -- what isn't there ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("wire s1.reeding r1.store", 5, "s1 (sensor) has no signal 'reeding'"),
        ("wire s1.reading r1.stroe", 5, "it has kept_now, store. Did you mean store?"),
        ("wire s1.reading r1", 5, "r1 (recorder) has no action 'reading': it has kept_now, store"),
        ("wire s1.name_said r1.store", 2, "doesn't fit store(value: float) of r1 (recorder)"),
        ("signal s1 reeding 1.5", 5, "Did you mean reading?"),
        ("signal s1 reading warm", 2, "reading of s1 (sensor) takes (float), not 'warm'"),
        ("signal s1 reading", 2, "takes (float), not 0 arguments"),
        ("tell r1 stor 1", 5, "Did you mean store?"),
        ("tell r1 store 1 2", 2, "store of r1 (recorder) takes (value: float), not 2 arguments"),
        (
            "deploy sensr s2 n1",
            5,
            "declareFactory first. Did you mean sensor?",
        ),
        ("ask s1 raed", 5, "s1 (sensor) has no action 'raed': it has read. Did you mean read?"),
        ("ask s1 read often", 2, "takes (times: int = 1), and times can't be 'often'"),
    ],
)
def test_what_a_class_has_not_is_refused_with_what_it_has(
    zactor: Zactor, m: BlockingMaster, words: str, code: int, said: str
) -> None:
    found, out, err = zactor(*words.split())
    assert (found, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1
    assert m.wires() == []
    assert m.dead_letters() == m.failures() == []


def test_anyway_does_it_all_the_same(zactor: Zactor, m: BlockingMaster) -> None:
    for words in (
        "wire s1.reeding r1.stroe",
        "signal s1 reading warm",
        "unwire s1.reeding r1.stroe",
    ):
        extra = () if words.startswith("unwire") else ("--anyway",)
        assert zactor(*words.split(), *extra)[0] == 0
    assert zactor("ask", "s1", "read", "often", "--anyway")[0] == 1, "Python says why"
    with pytest.raises(RemoteActionError, match="TypeError"):
        m.ask("s1", "read", "often", anyway=True)


def test_python_is_told_the_same(m: BlockingMaster) -> None:
    with pytest.raises(NoSuchAction, match=r"Did you mean store\?"):
        m.react_interaction("r1", "s1", "reading>stor")
    with pytest.raises(NoSuchThing, match="no signal 'nothing'"):
        m.send_signal("s1", "nothing")
    with pytest.raises(UnfitArguments, match="and value can't be 'x'"):
        m.tell("r1", "store", "x")
    with pytest.raises(UnfitArguments, match=r"not 'tmes'\. Did you mean times"):
        m.ask("s1", "read", tmes=2)
    with pytest.raises(NoSuchAction, match=r"s1 \(sensor\) has no action 'raed'"):
        m.ref("s1").raed()
    with pytest.raises(UnfitArguments):
        m.ref("r1").store([1])
    assert isinstance(UnfitArguments(""), ConfigError)


def test_who_overrides_do_action_is_never_refused(zactor: Zactor, m: BlockingMaster) -> None:
    assert zactor("ask", "w1", "whatever", "1", "x")[1] == '["whatever", 1, "x"]\n'
    m.react_interaction("w1", "s1", "reading>anything_at_all")
    m.remove_interaction("w1", "s1", "reading>anything_at_all")


# -- whose code ------------------------------------------------------------------------------
def test_each_actor_is_checked_by_its_own_code(m: BlockingMaster, folder: Path) -> None:
    new = folder / "new"
    new.mkdir()
    (new / "code.py").write_text(NEW)
    m.declare_factory("recorder", new / "code.py")
    try:
        m.deploy_actor("recorder", "r2", "n2")
        m.react_interaction("r1", "s1", "reading>store")
        m.react_interaction("r2", "s1", "reading>keep")
        for name, wrong in (("r1", "keep"), ("r2", "store")):
            with pytest.raises(NoSuchAction, match=f"has no action '{wrong}'"):
                m.react_interaction(name, "s1", f"reading>{wrong}")
        m.destroy_actor("r2")
    finally:
        m.declare_factory("recorder", folder / "code.py")
        m.remove_interaction("r1", "s1", "reading>store")


def test_a_constructors_arguments_are_checked_at_deploy(zactor: Zactor, m: BlockingMaster) -> None:
    code, _, err = zactor("deploy", "sensor", "s9", "n1", "--arg", "strt=1")
    assert (code, err) == (
        2,
        "zactor: sensor takes (start: float = 0.0), not 'strt'. Did you mean start?\n",
    )
    restarted = ("s9", "n1", "--restart", "permanent", "--arg", "start=1", "--arg", "unit=C")
    assert zactor("deploy", "sensor", *restarted)[0] == 2
    assert not m.query("actor(s9, _, _)")
    with pytest.raises(UnfitArguments, match=r"recorder takes \(\), not 'x'"):
        m.deploy_actor("recorder", "r9", "n2", x=1)
    with pytest.raises(UnfitArguments, match=r"not 'strt'\. Did you mean start"):
        m.deploy_actor(LazyCounter, "t9", "n1", strt=5)  # type: ignore[call-overload]
    with pytest.raises(UnfitArguments, match="go by name, like start=5"):
        m.deploy_actor("sensor", "s9", "n1", 5)  # type: ignore[call-overload]
    made = m.deploy_actor(LazyCounter, "t1", "n1", 7, seconds=0.0)
    assert made.count() == 7
    m.destroy_actor("t1")


# -- files -----------------------------------------------------------------------------------
PLAN = """
[cluster]
name = "bench"
[factories]
sensor = "code.py"
recorder = "code.py"
[actors.s5]
type = "sensor"
on = "n1"
args = { start = 1.5 }
[actors.r5]
type = "recorder"
on = "n2"
[wires]
"s5.reading" = ["r5.store"]
"""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (('"r5.store"', '"r5.stroe"'), "wire s5.reading -> r5.stroe"),
        (('"r5.store"', '"r5"'), "r5 (recorder) has no action 'reading'"),
        (('"s5.reading"', '"s5.name_said"'), "doesn't fit store(value: float) of r5 (recorder)"),
        (("start", "strt"), "sensor takes (start: float = 0.0), not 'strt'. Did you mean start?"),
    ],
)
def test_a_file_is_refused_as_a_whole(
    zactor: Zactor, m: BlockingMaster, folder: Path, wrong: tuple[str, str], said: str
) -> None:
    file = folder / "wrong.toml"
    file.write_text(PLAN.replace(*wrong))
    code, out, _ = zactor("plan", str(file))
    assert code == 1
    assert said in out.replace("  ", " ").replace("  ", " ")
    assert zactor("apply", str(file), "--yes")[0] == 1
    assert not m.query("actor(s5, _, _)")
    if "args" not in said:
        assert zactor("plan", str(file), "--anyway")[0] == 3


def test_a_file_with_wires_of_two_names_is_applied_exported_and_found_as_it_is(
    zactor: Zactor, m: BlockingMaster, folder: Path
) -> None:
    file = folder / "lab.toml"
    file.write_text(PLAN)
    code, out, err = zactor("apply", str(file), "--yes")
    assert (code, err) == (0, "")
    assert "+ wire" in out
    assert "s5.reading -> r5.store" in out
    assert zactor("plan", str(file))[0] == 0, "nothing to do"
    (folder / "back.toml").write_text(zactor("export")[1])
    assert '"s5.reading" = ["r5.store"]' in (folder / "back.toml").read_text()
    assert zactor("plan", str(folder / "back.toml"))[0] == 0
    file.write_text(PLAN.replace('["r5.store"]', '["r5.store agreed"]'))
    assert "s5.reading -> r5.store" in zactor("plan", str(file))[1]
    file.write_text(PLAN.replace('"s5.reading" = ["r5.store"]', ""))
    assert zactor("apply", str(file), "--yes")[0] == 0
    assert m.wires() == []
