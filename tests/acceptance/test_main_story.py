"""From nothing to a running network, as a user types it: real commands, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S, run_to_end
from slowness import Slowness

from zactor import connect
from zactor.lab.lab import Lab, until

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
declareNode(n1, '127.0.0.1').   declareFactory(counter, 'demos/counter.py').
declareFactory(gui, 'demos/gui.py').
deployActor(counter, c1, n1).   deployActor(gui, g1, n2).
remoteReactInteraction(c1, g1, inc).   remoteReactInteraction(g1, c1, updateVal).
sendSignal(g1, inc, []).
"""


def zactor(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, from the root of the project."""
    return run_to_end(
        [sys.executable, "-m", "zactor", *words],
        cwd=ROOT,
        env=os.environ | {"ZACTOR_HOME": str(lab.home)},
        timeout=60,
    )


def rows(lab: Lab, at: str, *words: str) -> Any:
    done = zactor(lab, *words, "--endpoint", lab.endpoint(at), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nodes_find_each_other_within_a_second_and_the_script_makes_g1_show_1(
    lab: Lab, slowness: Slowness
) -> None:
    lab.start("m1", role="master")
    lab.start("unnamed")
    lab.start("n2")

    def met() -> bool:
        with connect(lab.endpoint("m1"), home=lab.home) as m:
            return {(row["name"], row["state"]) for row in m.nodes()} == {
                ("m1", "up"),
                ("n2", "up"),
                ("", "unconfigured"),
            }

    took = until("they find each other", met)
    assert slowness.quiet_s(took) < 1.0
    script = lab.home / "story.zs"
    script.write_text(SCRIPT)
    done = zactor(lab, "master", str(script))
    assert done.returncode == 0, done.stderr
    until("g1 shows 1", lambda: zactor(lab, "ask", "g1", "shown").stdout.strip() == "1")
    assert "g1 | 1" in lab.output("n2")
    settled = "\\+ node(m2, _)"  # the script's own master has left
    for at in ("m1", "unnamed", "n2"):
        assert zactor(lab, "wait", settled, "5", "--endpoint", lab.endpoint(at)).returncode == 0
    for words in (("ps",), ("wires",), ("kb", "facts")):
        at_m1, at_n1, at_n2 = (rows(lab, at, *words) for at in ("m1", "unnamed", "n2"))
        assert at_m1 == at_n1 == at_n2, words
        assert at_m1, words
    assert {(row["name"], row["node"], row["state"]) for row in rows(lab, "n2", "ps")} == {
        ("c1", "n1", "running"),
        ("g1", "n2", "running"),
    }


def test_a_node_without_a_name_stays_unconfigured_until_it_gets_one(lab: Lab) -> None:
    lab.start("m1", role="master")
    lab.start("unnamed1")
    lab.start("unnamed2")
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        until("both wait", lambda: sum(row["state"] == "unconfigured" for row in m.nodes()) == 2)
        second = lab.endpoint("unnamed2")
        named = m.declare_node("b", second)["address"]  # `second`, unless the port went meanwhile
        assert m.declare_node("b", named)["address"] == named, "again changes nothing"
        states = {str(row["address"]): (row["name"], row["state"]) for row in m.nodes()}
        assert states[named] == ("b", "up")
        assert states[lab.endpoint("unnamed1")] == ("", "unconfigured")
        m.declare_node("a", "127.0.0.1")
        assert {row["name"] for row in m.nodes()} == {"m1", "a", "b"}


def test_a_node_that_loses_its_port_while_it_is_named_is_the_one_that_was_meant(lab: Lab) -> None:
    lab.start("m1", role="master")
    lab.start("unnamed")
    before = lab.endpoint("unnamed")
    with connect(lab.endpoint("m1"), home=lab.home) as m, sniper(int(before.rpartition(":")[2])):
        until("it waits", lambda: any(row["state"] == "unconfigured" for row in m.nodes()))
        named = m.declare_node("b", before)
        assert named["name"] == "b"
        assert {row["name"]: row["address"] for row in m.nodes()}["b"] == named["address"]


@contextlib.contextmanager
def sniper(port: int) -> Iterator[None]:
    """Take a port of this machine as soon as it is free."""
    is_over = threading.Event()

    def try_again_and_again() -> None:
        with socket.socket() as taken:
            while not is_over.is_set():
                with contextlib.suppress(OSError):
                    taken.bind(("127.0.0.1", port))
                    taken.listen()
                    break
            is_over.wait(DEADLINE_S)

    thread = threading.Thread(target=try_again_and_again)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(DEADLINE_S)


@pytest.mark.slow
def test_a_name_that_is_taken_and_a_place_where_nobody_is_are_refused_in_words(lab: Lab) -> None:
    lab.start("m1", role="master")
    lab.start("n1")
    until("both meet", lambda: lab.names_up("m1") == {"m1", "n1"})
    n1, nowhere = lab.endpoint("n1"), "127.0.0.1:9"
    taken = zactor(lab, "declare-node", "n1", nowhere)
    assert taken.returncode == 6
    assert f"a node n1 exists already, at {n1}" in taken.stderr
    other = zactor(lab, "declare-node", "n7", n1, "--endpoint", lab.endpoint("m1"))
    assert other.returncode == 6
    assert "is n1, not n7" in other.stderr
    empty = zactor(lab, "declare-node", "n7", nowhere)
    assert empty.returncode == 4
    assert "no node waits for a name at 127.0.0.1:9" in empty.stderr
