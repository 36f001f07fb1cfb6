"""Whose process lives, and whose node is in contact with the primary again, goes on as it was.

Unless its name was given to another meanwhile: then it is ended, and its node says why (PROTOCOL.md
R3).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import run_to_end

from zactor import connect
from zactor.client.blocking_master import BlockingMaster
from zactor.lab.lab import Lab, until
from zactor.lab.namespaces import NetLab, why_not

ACTORS = Path(__file__).parent / "actors.py"
NODES = ("n1", "n2", "n3")
ALL = ("n1", "n2", "n3", "n4", "n5")
WIRES = (("k3", "s3"), ("k2", "s3"), ("k3", "s2"), ("k2", "s2"))
BURST = 5


def begin(lab: Lab, m: BlockingMaster) -> None:
    """A source and a sink on n2 and on n3, each source wired to both."""
    for kind in ("source", "sink"):
        m.declare_factory(kind, ACTORS)
    for node in ("n2", "n3"):
        m.deploy_actor("source", f"s{node[1:]}", node)
        m.deploy_actor("sink", f"k{node[1:]}", node)
    for reactor, emitter in WIRES:
        m.react_interaction(reactor, emitter, "number")


def standing(m: BlockingMaster) -> list[tuple[object, ...]]:
    """Who runs, in which incarnation, and how they are wired."""
    actors = [(row["name"], row["node"], row["state"], row["uid"]) for row in m.actors()]
    wires = [(row["emitter"], row["reactor"], row["state"]) for row in m.wires()]
    return [*sorted(actors), *sorted(wires)]


def emitted(m: BlockingMaster, *sources: str) -> int:
    return sum(m.ask(source, "burst", BURST) for source in sources)


def heard(m: BlockingMaster, sink: str) -> int:
    count = m.ask(sink, "report")["count"]
    assert isinstance(count, int)
    return count


def events(m: BlockingMaster) -> list[tuple[str, str]]:
    return [(str(row["event"]), str(row.get("actor", ""))) for row in m.events()]


def lasts(seconds: float) -> None:
    end = time.monotonic() + seconds
    until("it has lasted", lambda: time.monotonic() > end, seconds + 30)


@pytest.fixture
def three(lab: Lab) -> Lab:
    for node in NODES:
        lab.start(node)
    for at in NODES:
        until(f"all meet at {at}", lambda at=at: lab.names_up(at) == set(NODES))
    return lab


STALLS_S = (
    pytest.param(0.3, marks=pytest.mark.slow),
    0.7,
    pytest.param(2.0, marks=pytest.mark.slow),
    pytest.param(4.0, marks=pytest.mark.slow),
    pytest.param(30.0, marks=pytest.mark.soak),
    pytest.param(300.0, marks=[pytest.mark.soak, pytest.mark.limit(600)]),
)


@pytest.mark.parametrize("stall_s", STALLS_S)
@pytest.mark.parametrize("node", ["n3", pytest.param("n2", marks=pytest.mark.slow)])
def test_actors_of_a_stopped_process_go_on_when_it_goes_on(
    three: Lab, node: str, stall_s: float
) -> None:
    with connect(three.endpoint("n1"), home=three.home) as m:
        begin(three, m)
        emitted(m, "s2", "s3")
        until("all is heard", lambda: heard(m, "k2") == heard(m, "k3") == 2 * BURST)
        before = standing(m)
        three.freeze(node)
        lasts(stall_s)
        three.thaw(node)
        until("it is as before", lambda: m.status()["troubles"] == [] and standing(m) == before)
        until("it is a member", lambda: three.names_up("n1") == set(NODES))
        until("nobody is out of reach any more", lambda: standing(m) == before)
        assert heard(m, "k2") == heard(m, "k3") == 2 * BURST
        emitted(m, "s2", "s3")
        until("all is heard", lambda: heard(m, "k2") == heard(m, "k3") == 4 * BURST)
        assert m.dead_letters() == []


def out(m: BlockingMaster, node: str) -> bool:
    return bool(m.query(f"lost(k{node[1:]}, _, _, _)"))


@pytest.mark.slow
def test_it_says_who_came_back(three: Lab) -> None:
    with connect(three.endpoint("n1"), home=three.home) as m:
        begin(three, m)
        before = standing(m)
        three.freeze("n3")
        until("they are lost", lambda: out(m, "n3"))
        assert "k3 was lost with n3 at " in "\n".join(m.status()["troubles"])
        three.thaw("n3")
        until("it is as before", lambda: standing(m) == before)
        with connect(three.endpoint("n3"), home=three.home) as there:
            told = [line for line in events(there) if line[1]]
        assert {("returned", "k3"), ("returned", "s3")} <= set(told)
        assert "actor_given_up" not in dict(told)


@pytest.mark.slow
def test_whose_name_was_given_to_another_or_forgotten_is_ended_and_told_why(three: Lab) -> None:
    with connect(three.endpoint("n1"), home=three.home) as m:
        begin(three, m)
        three.freeze("n3")
        until("they are lost", lambda: out(m, "n3"))
        m.restore("k3", on="n1")
        m.forget("s3")
        given = standing(m)
        three.thaw("n3")
        with connect(three.endpoint("n3"), home=three.home) as there:
            until("both are ended", lambda: len(given_up(there)) == 2)
            assert given_up(there) == {
                "k3": "it was given to n1 while n3 was out of the primary",
                "s3": "it was forgotten or destroyed while n3 was out of the primary",
            }
            until("they are no more", lambda: not there.look("runtime") or is_over(there))
        until("n3 is a member", lambda: three.names_up("n1") == set(NODES))
        assert standing(m) == given
        emitted(m, "s2")
        until("the new one hears", lambda: heard(m, "k3") == BURST)


@pytest.mark.slow
@pytest.mark.parametrize("stall_s", [0.7, 3.0])
@pytest.mark.parametrize("nodes", [("n1", "n2"), NODES])
def test_who_acts_for_the_cluster_comes_back_with_his_own_too(
    lab: Lab, nodes: tuple[str, ...], stall_s: float
) -> None:
    """Of two, the other one waits for him; of three, the others go on without him."""
    for node in nodes:
        lab.start(node)
    for at in nodes:
        until(f"all meet at {at}", lambda at=at: lab.names_up(at) == set(nodes))
    with connect(lab.endpoint("n2"), home=lab.home) as m:
        for kind, name, node in (
            ("source", "s1", "n1"),
            ("sink", "k1", "n1"),
            ("sink", "k2", "n2"),
        ):
            m.declare_factory(kind, ACTORS)
            m.deploy_actor(kind, name, node)
        for reactor in ("k1", "k2"):
            m.react_interaction(reactor, "s1", "number")
        emitted(m, "s1")
        until("all is heard", lambda: heard(m, "k1") == heard(m, "k2") == BURST)
        before = standing(m)
        lab.freeze("n1")
        lasts(stall_s)
        lab.thaw("n1")
        until("all are members", lambda: lab.names_up("n1") == lab.names_up("n2") == set(nodes))
        until("it is as before", lambda: m.status()["troubles"] == [] and standing(m) == before)
        emitted(m, "s1")
        until("all is heard", lambda: heard(m, "k1") == heard(m, "k2") == 2 * BURST)


def given_up(m: BlockingMaster) -> dict[str, str]:
    rows = [row for row in m.events() if row["event"] == "actor_given_up"]
    return {str(row["actor"]): str(row["why"]) for row in rows}


def is_over(m: BlockingMaster) -> bool:
    return not [row for row in m.look("runtime") if row["node"] == "n3"]


@pytest.mark.slow
def test_a_node_that_comes_and_goes_keeps_its_actors(three: Lab) -> None:
    with connect(three.endpoint("n1"), home=three.home) as m:
        begin(three, m)
        before = standing(m)
        for stall_s in (0.8, 0.9, 1.0, 0.8, 0.7):
            three.freeze("n3")
            lasts(stall_s)
            three.thaw("n3")
            lasts(0.3)
        until("it is as before", lambda: standing(m) == before and not m.status()["troubles"])
        emitted(m, "s3")
        until("it works", lambda: heard(m, "k2") == heard(m, "k3") == BURST)


# -- on hosts of their own -------------------------------------------------------------------
def zactor(net: NetLab, node: str, *words: str, code: int = 0) -> Any:
    """Run a command on a node's host, at that node; return what it printed as JSON."""
    where = ["--json", "--home", str(net.home), "--endpoint", net.endpoint(node)]
    done = run_to_end(
        [*net.prefix(node), sys.executable, "-m", "zactor", *words[:1], *where, *words[1:]]
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[NetLab]:
    why = why_not()
    if why:
        pytest.skip(why)
    made = NetLab(tmp_path)
    try:
        for node in ALL:
            made.start(node)
        until("all meet", lambda: len(ups(made, "n1")) == len(ALL))
        yield made
    finally:
        made.close()


def ups(net: NetLab, at: str) -> list[str]:
    return [row["name"] for row in zactor(net, at, "nodes") if row["state"] == "up"]


def picture(net: NetLab, at: str) -> list[list[object]]:
    """Who runs, in which incarnation, and how they are wired."""
    actors = [[row["name"], row["node"], row["state"], row["uid"]] for row in zactor(net, at, "ps")]
    wires = zactor(net, at, "wires")
    return [*actors, *([row["emitter"], row["reactor"], row["state"]] for row in wires)]


def count(net: NetLab, at: str, sink: str) -> int:
    found = zactor(net, at, "ask", sink, "report")["count"]
    assert isinstance(found, int)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "cut_s", [1.0, *(pytest.param(longer, marks=pytest.mark.soak) for longer in (8.0, 60.0))]
)
def test_a_minority_works_on_and_keeps_its_actors_when_the_network_heals(
    net: NetLab, cut_s: float
) -> None:
    """The source and one sink are in the minority, another sink is not."""
    for kind in ("source", "sink"):
        zactor(net, "n4", "declare-factory", kind, str(ACTORS))
    for kind, name, node in (("source", "s4", "n4"), ("sink", "k5", "n5"), ("sink", "k1", "n1")):
        zactor(net, "n4", "deploy", kind, name, node)
    for reactor in ("k5", "k1"):
        zactor(net, "n4", "wire", "s4.number", reactor)
    before = picture(net, "n1")
    net.split(("n1", "n2", "n3"), ("n4", "n5"))
    end = time.monotonic() + cut_s
    until("they are lost", lambda: is_lost(net, "n1", "s4"))
    sent = 0
    while time.monotonic() < end or not sent:
        sent = zactor(net, "n4", "ask", "s4", "burst", "1")
    until("all is heard", lambda: count(net, "n5", "k5") == sent)
    net.heal()
    until("it is as before", lambda: picture(net, "n1") == before)
    assert zactor(net, "n1", "status")["troubles"] == []
    assert count(net, "n1", "k5") == sent
    zactor(net, "n1", "ask", "s4", "burst", "1")
    until("the wires carry", lambda: count(net, "n1", "k5") == sent + 1)
    until("across too", lambda: count(net, "n1", "k1") >= 1)
    print(f"{sent} signals in {cut_s:.0f} s, none of the minority's own lost")


def is_lost(net: NetLab, at: str, name: str) -> bool:
    return name in {row["name"] for row in zactor(net, at, "ps") if row["state"] == "lost"}
