"""Networks that split and heal, on hosts of their own: groups go on on both sides, then are one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat import Chat
from deadlines import run_to_end
from quiet_logs import read_quiet_logs
from slowness import Slowness

from zactor.lab.lab import until
from zactor.lab.namespaces import NetLab, why_not
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.history import Line, read_logs

ACTORS = """
from zactor import Actor, action, signal


class Source(Actor):
    number = signal(int)

    @action
    def emit(self, value: int) -> None:
        self.number.emit(value)


class Sink(Actor):
    def __init__(self) -> None:
        self.got: list[int] = []

    @action
    def number(self, value: int) -> None:
        self.got.append(value)

    @action
    def report(self) -> list[int]:
        return self.got


class Late(Actor):
    pass
"""
NODES = ("n1", "n2", "n3", "n4", "n5")
ALL = {f"#c{node}#{node}" for node in NODES}


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NetLab]:
    why = why_not()
    if why:
        pytest.skip(why)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "trace"))
    made = NetLab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
def test_both_sides_of_a_split_go_on_and_become_one_group_when_it_heals(net: NetLab) -> None:
    for node in NODES:
        net.start(node)
    chat = Chat(net, NODES)
    try:
        left, right = ("n1", "n2", "n3"), ("n4", "n5")
        for node in NODES:
            until(f"{node} sees all", lambda node=node: chat.members(node) == ALL)
        net.split(left, right)
        for side in (left, right):
            mine = {member for member in ALL if member.rpartition("#")[2] in side}
            for node in side:
                until(f"{node} sees its side", lambda n=node, m=mine: chat.members(n) == m, 5)
        net.heal()
        for node in NODES:
            until(f"{node} sees all again", lambda node=node: chat.members(node) == ALL, 10)
        assert chat.stop() == [0] * len(NODES)
    finally:
        chat.close()
    lines = read_quiet_logs(net.home / "trace")
    assert {line["p"] for line in lines} == {f"{node}@1" for node in NODES}  # nobody was reborn
    assert {name: words for name, words in check_all(lines).items() if words} == {}


@pytest.mark.slow
@pytest.mark.parametrize("cut_s", [1.0, 6.0])
def test_one_view_is_there_two_seconds_after_healing_however_long_the_cut_was(
    net: NetLab, cut_s: float, slowness: Slowness
) -> None:
    for node in NODES[:3]:
        net.start(node)
    until("one view", lambda: widest(net) == [3, 3, 3])
    began = time.monotonic()
    net.split(("n1", "n2"), ("n3",))
    until("a view each", lambda: widest(net) == [1, 2, 2])
    until("the cut has lasted", lambda: time.monotonic() > began + cut_s)
    net.heal()
    healed_ns = time.monotonic_ns()
    until("one view again", lambda: widest(net) == [3, 3, 3])
    took_s = (max(line["t"] for line in views(net).values()) - healed_ns) / 1e9
    print(f"one view {took_s:.2f} s after a cut of {cut_s:.0f} s healed")
    assert slowness.quiet_s(took_s) < 2


def views(net: NetLab) -> dict[str, Line]:
    """The last view of each node."""
    return {line["p"]: line for line in read_logs(net.home / "trace") if line["k"] == "view"}


def widest(net: NetLab) -> list[int]:
    """How many members the last view of each node has."""
    return sorted(len(line["members"]) for line in views(net).values())


def zactor(net: NetLab, node: str, *words: str, code: int = 0) -> str:
    """Run a command on a node's host, at that node; return what it printed."""
    where = ["--home", str(net.home), "--endpoint", net.endpoint(node)]
    done = run_to_end(
        [*net.prefix(node), sys.executable, "-m", "zactor", *words[:1], *where, *words[1:]]
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def places(net: NetLab) -> dict[str, tuple[list[int], str, int]]:
    """Where each node's copy of the knowledge base stands: clock, hash, when it got there."""
    lines = [line for line in read_logs(net.home / "trace") if line["k"] == "kb_apply"]
    return {line["p"]: (line["clock"], line["hash"], line["t"]) for line in lines}


@pytest.mark.slow
def test_the_majority_takes_changes_and_the_minority_refuses_and_keeps_its_signals(
    net: NetLab, slowness: Slowness
) -> None:
    left, right = ("n1", "n2", "n3"), ("n4", "n5")
    (net.home / "actors.py").write_text(ACTORS)
    code = str(net.home / "actors.py")
    for node in NODES:
        net.start(node)
    until("all meet", lambda: zactor(net, "n1", "nodes").count(" up ") == len(NODES))
    for kind in ("source", "sink"):
        zactor(net, "n4", "declare-factory", kind, code)
    zactor(net, "n4", "deploy", "source", "s4", "n4")
    zactor(net, "n4", "deploy", "sink", "k5", "n5")
    zactor(net, "n4", "wire", "s4.number", "k5")
    net.split(left, right)
    until("the others are lost", lambda: zactor(net, "n2", "ps").count(" lost ") == 2)
    zactor(net, "n2", "wire", "s4.number", "k5", code=5)  # there they are gone with their nodes
    zactor(net, "n2", "declare-factory", "late", code)
    began = time.monotonic()
    words = zactor(net, "n5", "unwire", "s4.number", "k5", code=6)
    assert "n5 sees 2 of " in words, words
    print(f"refused after {time.monotonic() - began:.2f} s, starting a process included")
    zactor(net, "n4", "tell", "s4", "emit", "7")
    until("the signal arrives", lambda: "7" in zactor(net, "n5", "ask", "k5", "report"))
    net.heal()
    healed_ns = time.monotonic_ns()

    def alike() -> bool:
        stand = places(net)
        return len(stand) == len(NODES) and len({str(at[:2]) for at in stand.values()}) == 1

    until("all know the same", alike)
    took_s = (max(at for _, _, at in places(net).values()) - healed_ns) / 1e9
    print(f"all know the same {took_s:.2f} s after the network healed")
    assert slowness.quiet_s(took_s) < 2
