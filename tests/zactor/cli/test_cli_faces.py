"""What people see of trouble, of all nodes: failures, blocking actions, events, verdicts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running

from zactor import connect
from zactor.cli.main import run
from zactor.supervisor.membership.run_directory import read_entries

ZACTOR = (sys.executable, "-m", "zactor")

ACTORS = """
import os
import time
from zactor import Actor, action, signal

class Bad(Actor):
    @action
    def fail(self, text):
        raise ValueError(text)  # line 9

    @action
    def hang(self, path):
        while os.path.exists(path):
            time.sleep(0.01)  # line 14

    @action
    def ping(self):
        return "pong"

    out = signal()

class Apart(Bad, dispatcher="thread"):
    pass

class Willing(Bad, dispatcher="auto"):
    pass
"""


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two nodes; b1 is on n1, b2 and a2 are on n2."""
    folder = tmp_path_factory.mktemp("faces")
    home = folder / "home"
    (folder / "bad.py").write_text(ACTORS)
    with (
        (folder / "log").open("wb") as log,
        running([*ZACTOR, "node", "--name", "n1", "--home", str(home)], stderr=log) as first,
        running([*ZACTOR, "node", "--name", "n2", "--home", str(home)], stderr=log) as second,
    ):
        until(lambda: len(read_entries(home)) == 2, "both run")
        prepare = [
            ["wait", "node(n1, _), node(n2, _)"],
            ["declare-factory", "bad", str(folder / "bad.py")],
            ["declare-factory", "apart", str(folder / "bad.py")],
            ["deploy", "bad", "b1", "n1"],
            ["deploy", "bad", "b2", "n2"],
            ["deploy", "apart", "a2", "n2"],
        ]
        assert [run([*each, "--home", str(home)]) for each in prepare] == [0] * len(prepare)
        yield home
        for child in (first, second):
            child.terminate()
        for child in (first, second):
            assert child.wait(DEADLINE_S) == 0


Zactor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zactor(home: Path, capsys: pytest.CaptureFixture[str]) -> Zactor:
    """Call the command line; the node that answers is whichever the client finds first."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["--home", str(home), *(str(each) for each in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    capsys.readouterr()
    return call


@pytest.fixture
def doors(home: Path) -> list[str]:
    """The doors of n1 and n2, for `--endpoint`."""
    return [
        entry.endpoint.removeprefix("tcp://")
        for entry in sorted(read_entries(home), key=lambda entry: entry.name)
    ]


# -- what failed -----------------------------------------------------------------------------
def test_failures_of_all_nodes_are_told_by_each_in_one_order(
    zactor: Zactor, doors: list[str]
) -> None:
    for actor in ("b1", "b2", "b1"):
        assert zactor("ask", actor, "fail", f"no {actor}")[0] == 1
    for door in doors:
        found = json.loads(zactor("failures", "--json", "--endpoint", door)[1])
        said = [(row["node"], row["actor"], row["action"], row["error"]) for row in found[-3:]]
        assert said == [
            ("n1", "b1", "fail", "ValueError: no b1"),
            ("n2", "b2", "fail", "ValueError: no b2"),
            ("n1", "b1", "fail", "ValueError: no b1"),
        ]
        assert all(row["where"].endswith("bad.py:9") for row in found)
        of_n2 = json.loads(
            zactor("failures", "--node", "n2", "-n", 1, "--json", "--endpoint", door)[1]
        )
        assert of_n2 == [found[-2]]
    table = zactor("failures")[1].splitlines()
    assert table[0].split() == ["AT", "NODE", "ACTOR", "ACTION", "ERROR", "WHERE"]
    assert "n1    b1     fail    ValueError: no b1" in table[-1]
    code, out, err = zactor("failures", "--node", "n9")
    assert (code, out) == (5, "")
    assert "n9" in err


def test_the_status_names_the_last_failed_actions_of_all_nodes(
    zactor: Zactor, doors: list[str]
) -> None:
    zactor("ask", "b1", "fail", "older")
    zactor("ask", "b2", "fail", "younger")
    for door in doors:
        status = json.loads(zactor("status", "--json", "--endpoint", door)[1])
        assert status["failed_actions"] >= 2
        assert [row["error"] for row in status["failures"][-2:]] == [
            "ValueError: older",
            "ValueError: younger",
        ]
        told = zactor("status", "--endpoint", door)[1]
        assert "b2.fail on n2 raised ValueError: younger (" in told
        assert "bad.py:9)" in told


# -- what blocks -----------------------------------------------------------------------------
def test_an_action_that_blocks_its_node_is_named_everywhere(
    zactor: Zactor, doors: list[str], tmp_path: Path
) -> None:
    hung = tmp_path / "hung"
    hung.touch()
    assert zactor("tell", "b2", "hang", hung)[0] == 0
    for door in doors:
        at = ("--endpoint", door)
        until(lambda at=at: zactor("status", *at)[0] == 3, "the status says so")  # type: ignore[misc]
        (trouble,) = json.loads(zactor("status", "--json", *at)[1])["troubles"]
        assert trouble.startswith("b2 blocks all actors of n2 for ")
        assert "in hang (" in trouble
        assert "bad.py:1" in trouble
        states = {row["name"]: row["state"] for row in json.loads(zactor("ps", "--json", *at)[1])}
        assert states == {"b1": "running", "b2": "blocking", "a2": "running"}
        code, out, _ = zactor("doctor", *at)
        assert code == 3
        assert "b2 blocks all actors of n2" in out
        told = json.loads(zactor("events", "--json", *at)[1])
        (blocked,) = [row for row in told if row["event"] == "loop_blocked"]
        assert (blocked["node"], blocked["actor"], blocked["action"]) == ("n2", "b2", "hang")
    os.unlink(hung)
    until(lambda: zactor("status")[0] == 0, "nothing blocks any more")
    assert "b2" in zactor("events", "-n", 1)[1]
    assert "loop_free" in zactor("events", "-n", 1)[1]
    assert zactor("ask", "b2", "ping")[1] == '"pong"\n'


def test_one_that_may_leave_the_loop_gets_a_thread_and_that_is_told(
    zactor: Zactor, home: Path, tmp_path: Path
) -> None:
    hung = tmp_path / "hung"
    hung.touch()
    assert zactor("declare-factory", "willing", home.parent / "bad.py")[0] == 0
    assert zactor("deploy", "willing", "w2", "n2")[0] == 0
    assert zactor("tell", "w2", "hang", hung)[0] == 0
    until(lambda: zactor("status")[0] == 3, "the status says so")
    (trouble,) = json.loads(zactor("status", "--json")[1])["troubles"]
    assert trouble.startswith("w2 blocks all actors of n2 for ")
    assert trouble.endswith("; when that is over it gets a thread of its own")
    os.unlink(hung)
    until(lambda: zactor("status")[0] == 0, "nothing blocks any more")
    told = [row for row in json.loads(zactor("events", "--json")[1]) if row.get("actor") == "w2"]
    (then,) = [row.get("then") for row in told if row["event"] == "loop_blocked"]
    assert then == "it gets a thread of its own"
    hung.touch()
    assert zactor("tell", "w2", "hang", hung)[0] == 0
    assert zactor("ask", "b2", "ping")[1] == '"pong"\n'
    os.unlink(hung)
    assert zactor("ask", "w2", "ping")[1] == '"pong"\n'
    assert zactor("destroy", "w2")[0] == zactor("undeclare-factory", "willing")[0] == 0


def test_what_an_actor_does_in_its_own_thread_has_a_name_and_blocks_nobody(
    zactor: Zactor, home: Path, tmp_path: Path
) -> None:
    hung = tmp_path / "hung"
    hung.touch()
    assert zactor("tell", "a2", "hang", hung)[0] == 0

    def look() -> dict[str, object]:
        with connect(home=home) as master:
            rows = master.look("runtime")
        assert isinstance(rows, list)
        return next(row for row in rows if row["name"] == "a2")

    until(lambda: look()["action"] == "hang", "it hangs")
    row = look()
    assert "bad.py:1" in str(row["where"])
    assert row["blocking"] is False
    assert zactor("status")[0] == 0
    os.unlink(hung)


# -- events ----------------------------------------------------------------------------------
def test_events_are_of_all_nodes_in_one_order_and_a_change_comes_once(
    zactor: Zactor, doors: list[str]
) -> None:
    zactor("ask", "b1", "fail", "on n1")
    zactor("ask", "b2", "fail", "on n2")
    zactor("wire", "b1.out", "b2.ping")
    told = [json.loads(zactor("events", "--json", "--endpoint", door)[1]) for door in doors]
    assert told[0] == told[1], "whichever node is asked"
    failed = [row["node"] for row in told[0] if row["event"] == "action_failed"]
    assert failed[-2:] == ["n1", "n2"]
    wired = [row for row in told[0] if "reacts(b2,b1,'out>ping',fifo)" in row.get("asserted", ())]
    assert len(wired) == 1, "both have applied it"
    assert [row["at"] for row in told[0]] == sorted(row["at"] for row in told[0])
    for door in doors:
        of_n2 = json.loads(zactor("events", "--node", "n2", "--json", "--endpoint", door)[1])
        assert {row["node"] for row in of_n2} == {"n2"}
        assert any("reacts(b2,b1,'out>ping',fifo)" in row.get("asserted", ()) for row in of_n2)
    assert len(zactor("events", "-n", 3)[1].splitlines()) == 3
    assert zactor("events", "--node", "n9")[0] == 5
    zactor("unwire", "b1.out", "b2")


def test_events_of_all_nodes_are_followed(zactor: Zactor, home: Path, doors: list[str]) -> None:
    command = [*ZACTOR, "events", "-f", "-n", "1", "--json", "--home", str(home)]
    with running([*command, "--endpoint", doors[0]], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()  # the past
        for actor in ("b2", "b1", "b2"):
            zactor("ask", actor, "fail", "heard")
            row = json.loads(child.stdout.readline())
            assert (row["event"], row["actor"], row["error"]) == (
                "action_failed",
                actor,
                "ValueError: heard",
            )
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE_S) == 130


# -- what goes with it -----------------------------------------------------------------------
def test_a_destroyed_actor_says_which_wires_went_with_it(zactor: Zactor) -> None:
    zactor("deploy", "bad", "b3", "n1")
    zactor("wire", "b1.out", "b3.ping")
    zactor("wire", "b3.out", "b2.ping")
    told = zactor("destroy", "b3")[1]
    assert told == "b3 destroyed; gone with it: b1.out -> b3.ping, b3.out -> b2.ping\n"


# -- moves -----------------------------------------------------------------------------------
def test_an_actor_moves_and_it_is_said_how_long_its_senders_waited(zactor: Zactor) -> None:
    code, out, err = zactor("move", "a2", "n1")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"a2: n2 -> n1, what was sent to it waited for [\d.]+ ms\n", out), out
    assert zactor("ask", "a2", "ping")[:2] == (0, '"pong"\n')
    rows = json.loads(zactor("ps", "--json")[1])
    assert {row["name"]: row["node"] for row in rows}["a2"] == "n1"
    told = json.loads(zactor("move", "a2", "n2", "--json")[1])
    assert (told["former"], told["node"], told["changed"]) == ("n1", "n2", True)
    assert zactor("move", "a2", "n2") == (0, "a2 is on n2 already\n", "")
