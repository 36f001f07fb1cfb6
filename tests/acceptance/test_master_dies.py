"""kill -9 of the master at every place of an operation, on real processes.

The places come from the tables. `zactor master -c LINE` is the console: it kills itself there, and
what it began is seen at the nodes that are left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S, run_to_end
from slowness import Slowness

from zactor import BlockingMaster, connect
from zactor.lab.lab import Lab, until
from zactor.supervisor.operations.crash_points import DURING, points
from zactor.supervisor.operations.deploy import DEPLOY
from zactor.supervisor.operations.destroy import DESTROY, DESTROY_TODO
from zactor.supervisor.operations.workflows import WIRE

WORKER = Path(__file__).parent / "worker.py"
NODES = ("n1", "n2", "n3")
BOUND_S = 2.0  # on a quiet machine
Done = subprocess.CompletedProcess[str]
FAST = {
    f"{step}.during@1"
    for step in ("destroy_todo:unwire", "destroy_todo:finish", "destroy:stop", "react:wire")
} | {"deploy:place.during@1", "deploy:start.during@1"}
TURNS = (1, 4, 16)  # of the kernel's loop, which a transaction has before its master dies


def places(*tables: Any) -> list[Any]:
    """Every place of these operations; of those within a step, several moments.

    A few are fast; all are died at in virtual time too, by test_operations_crash.py.
    """
    found = []
    for point in points(tables):
        at = [f"{point}@{turns}" for turns in TURNS] if point.endswith(DURING) else [point]
        found += [pytest.param(one, marks=() if one in FAST else pytest.mark.slow) for one in at]
    return found


class Net:
    """Three nodes, and masters that come to die."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"
        self.lab = Lab(folder)
        self.count = 0
        for name in NODES:
            self.lab.start(name, env={"ZACTOR_TRACE": str(self.trace)})
        until("they meet", lambda: all(self.lab.names_up(at) == {*NODES} for at in NODES))
        self.doors = {name: connect(self.lab.endpoint(name), home=folder) for name in NODES}
        self.at = {name: door.__enter__() for name, door in self.doors.items()}
        self.at["n1"].declare_factory("worker", WORKER)

    @property
    def m(self) -> BlockingMaster:
        """A door that doesn't die."""
        return self.at["n2"]

    def close(self) -> None:
        for door in self.doors.values():
            door.__exit__(None, None, None)
        self.lab.close()

    def worker(self, node: str, **arguments: object) -> str:
        """Deploy another one; its name."""
        self.count += 1
        name = f"w{self.count}"
        self.m.deploy_actor("worker", name, node, file=str(self.file(name)), **arguments)
        return name

    def file(self, name: str) -> Path:
        return self.lab.home / f"{name}.txt"

    def ends(self, name: str) -> list[str]:
        """What the worker wrote: one line for each time that its on_stop ran."""
        return self.file(name).read_text().splitlines() if self.file(name).exists() else []

    def master(
        self, line: str, crash: str = "", name: str = "m1"
    ) -> subprocess.CompletedProcess[str]:
        """A console that does one line, and dies at `crash`."""
        return run_to_end(
            [sys.executable, "-P", "-m", "zactor", "master", "--name", name, "-c", line],
            env=os.environ
            | {
                "ZACTOR_HOME": str(self.lab.home),
                "ZACTOR_CRASH_AT": crash,
                "ZACTOR_TRACE": str(self.trace),
            },
            cwd=self.lab.home,
            timeout=60,
        )

    def todo_lines(self) -> list[dict[str, Any]]:
        """What the event logs say of clauses."""
        lines = [
            json.loads(line)
            for file in self.trace.glob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        return [line for line in lines if line["k"] == "todo"]

    def facts(self, name: str) -> list[str]:
        return [str(row["fact"]) for row in self.at[name].facts()]

    def agree(self) -> bool:
        """Whether all who are left know the same, and nothing of the master."""
        known = [self.facts(name) for name in NODES]
        return known[0] == known[1] == known[2] and not any("(m1," in text for text in known[0])

    def mentions(self, *names: str) -> list[str]:
        """The facts that mention one of these, at any node."""
        facts = {fact for name in NODES for fact in self.facts(name)}
        marks = [mark for name in names for mark in (f"({name},", f",{name},", f"({name})")]
        return sorted(fact for fact in facts if any(mark in fact for mark in marks))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    made = Net(tmp_path_factory.mktemp("net"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def home() -> None:
    """The nodes outlive a test here: the watch of conftest.py is for tests that end theirs."""


def _died(done: Done) -> float:
    assert done.returncode == -signal.SIGKILL, done.stderr
    return time.monotonic()


# -- destroyActor(…, true) -------------------------------------------------------------------
@pytest.mark.parametrize("crash", places(DESTROY_TODO))
def test_a_destruction_with_todo_is_done_once_or_was_never_begun(
    net: Net, slowness: Slowness, crash: str
) -> None:
    name = net.worker("n1")
    beside = net.worker("n3")
    net.m.react_interaction(beside, name, "done>note")
    net.m.react_interaction(name, beside, "done>note")
    died = _died(net.master(f"destroyActor({name}, true).", crash))
    until("they agree", lambda: net.agree() and not net.m.query("todo(_, _, _, _)"))
    took = time.monotonic() - died
    begun = any(row["why"].startswith(f"destroyActor({name}, true)") for row in net.m.log())
    if not begun:
        assert crash.startswith("destroy_todo:write"), "the clause is the first thing"
        assert net.ends(name) == []
        assert len(net.m.query(f"reacts({name}, _, _, _)")) == 1
        assert net.m.ask(name, "work") == 1, "it was never touched"
        return
    assert not crash.endswith("write.before")
    assert net.mentions(name) == [], "nothing mentions it"
    assert net.ends(name) == ["0 destroyed"], "on_stop ran once"
    assert net.m.ask(beside, "work") == 1
    assert slowness.quiet_s(took) < BOUND_S


def test_c1_is_lazy_and_the_master_dies_while_it_works(net: Net, slowness: Slowness) -> None:
    gate = net.lab.home / "gate"
    name = net.worker("n1", gate=str(gate))
    other = net.worker("n1")
    for _ in range(5):
        net.m.tell(name, "work")
    _died(net.master(f"destroyActor({name}, true).", "destroy_todo:finish.during"))
    assert net.m.query(f"state({name}, stopping, _)"), "it still works"
    assert net.m.query(f"todo(_, destroy_actor({name}), m1, Who)")[0]["Who"] in ("n2", "n3")
    net.m.destroy_actor(other)  # and doesn't hold anybody up
    assert net.ends(other) == ["0 destroyed"]
    gate.touch()
    opened = time.monotonic()
    until("it is gone", lambda: not net.mentions(name) and net.agree())
    assert net.ends(name) == ["5 destroyed"], "all its work was done, then on_stop ran, once"
    assert slowness.quiet_s(time.monotonic() - opened) < BOUND_S


def test_an_actor_that_fails_to_stop_ends_in_a_state_that_says_so(net: Net) -> None:
    name = net.worker("n1", fails="stop")
    _died(net.master(f"destroyActor({name}, true).", "destroy_todo:stop.before"))
    until("done", lambda: net.agree() and not net.m.query("todo(_, _, _, _)"))
    (row,) = [row for row in net.m.actors() if row["name"] == name]
    assert (row["state"], row["reason"]) == ("failed", "on_stop: RuntimeError: it was made to fail")
    assert net.ends(name) == ["0 destroyed"]
    status = net.m.status()
    assert f"{name} failed: on_stop: RuntimeError: it was made to fail" in status["troubles"]
    net.m.destroy_actor(name, todo=True)
    assert net.mentions(name) == []
    assert net.ends(name) == ["0 destroyed"], "on_stop isn't run again"


# -- the others ------------------------------------------------------------------------------
@pytest.mark.parametrize("crash", places(DESTROY))
def test_a_destruction_without_todo_is_whole_or_undone_too(
    net: Net, slowness: Slowness, crash: str
) -> None:
    name = net.worker("n1")
    died = _died(net.master(f"destroyActor({name}).", crash))
    until("they agree", net.agree)
    if net.m.query(f"state({name}, running, _)"):
        assert crash.startswith("destroy:stop")
        assert net.ends(name) == []
    else:
        until("it is gone", lambda: not net.mentions(name) and net.agree())
        assert net.ends(name) == ["0 destroyed"]
    assert slowness.quiet_s(time.monotonic() - died) < 2 * BOUND_S


@pytest.mark.parametrize("crash", places(WIRE))
def test_an_interaction_is_there_at_every_node_or_at_none(
    net: Net, slowness: Slowness, crash: str
) -> None:
    emitter, reactor = net.worker("n1"), net.worker("n2")
    died = _died(net.master(f"remoteReactInteraction({reactor}, {emitter}, done>note).", crash))
    until("they agree", net.agree)
    assert slowness.quiet_s(time.monotonic() - died) < BOUND_S
    there = [
        bool(at.query(f"reacts({reactor}, {emitter}, 'done>note', _)")) for at in net.at.values()
    ]
    assert there in ([True] * 3, [False] * 3)
    assert not crash.endswith("before") or not there[0]
    assert not crash.endswith("end") or there[0]
    assert net.m.send_signal(emitter, "done", 1) == there[0], "and n1 does what it says"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("crash", places(DEPLOY))
def test_a_deployment_is_whole_or_undone(
    net: Net, slowness: Slowness, crash: str, fails: bool
) -> None:
    if not fails and ":undo." in crash:
        pytest.skip("nothing is undone where nothing fails")
    net.count += 1
    name = f"w{net.count}"
    arguments = f"file='{net.file(name)}', fails='{'init' if fails else ''}'"
    done = net.master(f"deployActor(worker, {name}, n1, [{arguments}]).", crash)
    died = _died(done)
    settled = f"\\+ state({name}, starting, _), \\+ state({name}, failed, _)"
    until("it is settled", lambda: net.agree() and bool(net.m.query(settled)))
    assert slowness.quiet_s(time.monotonic() - died) < BOUND_S
    if net.mentions(name):
        assert not fails
        assert net.m.ask(name, "work") == 1
    else:
        assert fails or not crash.endswith(("end", "start.before"))
        assert net.ends(name) == []


# -- afterwards ------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_returning_master_takes_the_newest_knowledge_and_goes_on_at_once(net: Net) -> None:
    """Its own disk knows `old` and no other; meanwhile another console has changed that."""
    emitter = net.worker("n1")
    old = f"w{net.count + 1}"
    net.count += 1
    deploy = f"deployActor(worker, {old}, n1, [file='{net.file(old)}'])."
    _died(net.master(deploy, "deploy:end"))
    until("it is gone", net.agree)
    net.m.destroy_actor(old)
    new = net.worker("n3")
    done = net.master(f"remoteReactInteraction({new}, {emitter}, done>note).")
    assert (done.returncode, done.stderr) == (0, "")
    assert net.m.query(f"reacts({new}, {emitter}, 'done>note', fifo)")
    done = net.master(f"destroyActor({old}).")
    assert done.returncode == 1
    assert f"no actor {old}" in done.stderr
    done = net.master(f"destroyActor({new}, true).", name="m2")
    assert (done.returncode, done.stderr) == (0, ""), "any other console may go on as well"
    assert net.mentions(new) == []


@pytest.mark.parametrize(
    "crash",
    [
        "destroy_todo:write.during",
        pytest.param("destroy_todo:stop.before", marks=pytest.mark.slow),
        pytest.param("destroy_todo:end", marks=pytest.mark.slow),
        pytest.param("destroy:end", marks=pytest.mark.slow),
    ],
)
def test_a_program_elsewhere_does_not_notice_that_the_master_dies(net: Net, crash: str) -> None:
    """Its request is asked again at another node, under the same id, and is done once."""
    name = net.worker("n1")
    net.lab.start("m1", role="master", env={"ZACTOR_CRASH_AT": crash})
    until("m1 is up", lambda: "m1" in net.lab.names_up("n2"))
    with connect(net.lab.endpoint("m1"), home=net.lab.home) as m:
        m.destroy_actor(name, todo=crash.startswith("destroy_todo"), timeout=DEADLINE_S)
        assert net.mentions(name) == []
        assert net.ends(name) == ["0 destroyed"]
    assert net.lab.wait("m1", DEADLINE_S) == -signal.SIGKILL
    until("they agree", net.agree)


@pytest.mark.slow
def test_the_event_logs_tell_of_each_clause_that_it_was_done_once(net: Net) -> None:
    """Once each, over all destructions of this file, in those that begin after this."""
    before = {line["id"] for line in net.todo_lines()}
    for crash in ("unwire.before", "stop.during", "finish.before", "clear.during", "end"):
        name = net.worker("n1")
        _died(net.master(f"destroyActor({name}, true).", f"destroy_todo:{crash}"))
        until("done", lambda name=name: not net.mentions(name) and net.agree())
    lines = sorted(net.todo_lines(), key=lambda line: line["t"])
    clauses = {line["id"] for line in lines} - before
    assert len(clauses) == 5
    for clause in clauses:
        states = [line["state"] for line in lines if line["id"] == clause]
        assert states[0] == "pending"
        assert states.count("done") == 1, states
        assert states[-1] == "done", states
        assert {state for state in states[1:-1] if state != "pending"} <= {
            f"step:{number}" for number in range(1, 5)
        }


def test_a_place_that_is_none_is_told(net: Net) -> None:
    done = net.master("sleep(0).", "destroy:nowhere.before")
    assert done.returncode == 2
    assert "ZACTOR_CRASH_AT='destroy:nowhere.before' is no place" in done.stderr
    assert done.stderr.count("\n") == 1
