"""What was ordered is remembered: a node dies, the cluster says what is missing, and gets it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end
from slowness import Slowness

from zactor import connect
from zactor.client.blocking_master import BlockingMaster
from zactor.kernel.errors import NoSuchActor, NoSuchThing
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "actors.py"
WIRES = (
    ("k3", "s2", "number", "fifo"),
    ("k2", "s3", "number", "fifo"),
    ("k3", "s3", "number", "agreed"),
    ("k3", "s3", "other", "fifo"),
    ("k2", "s3", "other", "fifo"),
)
PROCESS_GONE = "the process of n3 is gone"
SENTENCES = [
    f"node n3 is gone since T ({PROCESS_GONE}): start it again, or `zactor forget n3` with what was"
    " lost with it",
    "k3 was lost with n3 at T: `zactor restore k3`",
    "s3 was lost with n3 at T: `zactor restore s3`",
    "z3 was lost with n3 at T: `zactor restore z3`",
    "5 wires are down until both ends run (`zactor restore --all`): s2.number -> k3,"
    " s3.number -> k2, s3.number -> k3, s3.other -> k2, s3.other -> k3",
]
NOWHERE = (
    "no node n3 for {0} (there are: n1, n2): start it again, or `zactor restore {0} --on NODE`"
)


LOST = r"k3 was lost with n3 at [-\d]+ [\d:.]+[-+][\d:]+ " + re.escape(
    f"({PROCESS_GONE}): `zactor restore k3`, or `zactor forget k3`"
)


@pytest.fixture
def m(lab: Lab) -> Iterator[BlockingMaster]:
    """Three nodes; three actors and both ends of five wires are n3's."""
    for node in ("n1", "n2", "n3"):
        lab.start(node)
    for at in ("n1", "n2", "n3"):
        until(f"all meet at {at}", lambda at=at: lab.names_up(at) == {"n1", "n2", "n3"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for kind in ("source", "sink", "sleeper"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "s2", "n2")
        m.deploy_actor("sink", "k2", "n2")
        m.deploy_actor("source", "s3", "n3")
        m.deploy_actor("sink", "k3", "n3")
        m.deploy_actor("sleeper", "z3", "n3")
        for reactor, emitter, action, service in WIRES:
            m.react_interaction(reactor, emitter, action, service=service)
        yield m


def parts(m: BlockingMaster, *subjects: str) -> list[list[tuple[object, ...]]]:
    """What there is, without what is new in every life."""
    new = ("uid", "since", "clock", "incarnation", "address")
    reports = {"ps": m.actors, "wires": m.wires, "nodes": m.nodes}
    return [
        sorted(tuple((k, v) for k, v in row.items() if k not in new) for row in reports[subject]())
        for subject in subjects
    ]


def kill_n3(lab: Lab, m: BlockingMaster) -> None:
    lab.kill("n3")
    until("n3 is gone", lambda: "gone" in {row["state"] for row in m.nodes()})


def without_times(troubles: list[str]) -> list[str]:
    return [re.sub(r"\d\d:\d\d:\d\d", "T", text) for text in troubles]


def test_the_status_says_in_a_sentence_each_what_a_dead_node_took_along(
    lab: Lab, m: BlockingMaster
) -> None:
    began = time.time()
    kill_n3(lab, m)
    status = m.status()
    assert status["degraded"] is True
    assert without_times(status["troubles"]) == SENTENCES
    lost = {row["name"]: row for row in m.actors() if row["state"] == "lost"}
    assert set(lost) == {"k3", "s3", "z3"}
    for row in lost.values():
        assert (row["node"], row["reason"]) == ("n3", PROCESS_GONE)
        assert began <= row["since"] <= time.time()
    assert [row["state"] for row in m.wires()] == ["down"] * 5
    assert [row["state"] for row in m.nodes() if row["name"] == "n3"] == ["gone"]
    assert m.query("actor(X, _, n3)") == [] == m.query("reacts(_, s3, _, _)")
    texts = [row["fact"] for row in m.why("k3") if row["present"]]
    assert f'lost(k3,sink,n3,"{PROCESS_GONE}")' in texts


def test_one_command_has_all_again_as_before(
    lab: Lab, m: BlockingMaster, slowness: Slowness
) -> None:
    before = parts(m, "ps", "wires", "nodes")
    kill_n3(lab, m)
    lab.start("n3")
    until("n3 is back", lambda: lab.names_up("n1") == {"n1", "n2", "n3"})
    assert not any(text.startswith("node ") for text in m.status()["troubles"])
    began = time.monotonic()
    rows = m.restore()
    took_s = time.monotonic() - began
    print(f"all restored in {took_s:.3f} s")
    assert [(row["name"], row["error"]) for row in rows] == [("k3", ""), ("s3", ""), ("z3", "")]
    assert parts(m, "ps", "wires", "nodes") == before
    assert m.status()["troubles"] == []
    m.ask("s3", "burst", 3)
    m.ask("s2", "burst", 2)
    until("the wires carry", lambda: m.ask("k2", "report")["count"] == 3)
    until("both of them", lambda: m.ask("k3", "report")["count"] == 5)
    assert m.restore() == []
    assert slowness.quiet_s(took_s) < 1.0


@pytest.mark.slow
def test_the_shell_says_it_with_exit_code_3_and_has_it_again_by_one_command(
    lab: Lab, m: BlockingMaster
) -> None:
    def zactor(*words: str) -> tuple[int, list[str], str]:
        where = ["--home", str(lab.home), "--endpoint", lab.endpoint("n1")]
        done = run_to_end([sys.executable, "-m", "zactor", *words, *where])
        return done.returncode, done.stdout.splitlines(), done.stderr

    kill_n3(lab, m)
    code, lines, _ = zactor("status")
    assert code == 3
    assert without_times([line.strip() for line in lines])[-4:] == SENTENCES[1:]
    assert without_times(lines)[-5].endswith(SENTENCES[0])
    assert any(line.split()[:4] == ["k3", "sink", "n3", "lost"] for line in zactor("ps")[1])
    assert re.match(
        rf"k3 is lost: it was a sink on n3 until .* \({PROCESS_GONE}\); `zactor restore k3`",
        zactor("why", "k3")[1][0],
    )
    assert re.match(
        rf"n3 is missed since .* \({PROCESS_GONE}\): start it again, or `zactor forget n3`",
        zactor("why", "n3")[1][0],
    )
    code, lines, _ = zactor("doctor")
    assert code == 3
    assert " checks at 2 nodes failed, the first at n1: cluster: node n3" in lines[0]
    refused = "zactor: k2 is there, on n2: `zactor destroy k2` ends it\n"
    assert zactor("forget", "k2")[::2] == (6, refused)
    code, lines, _ = zactor("restore", "--all")
    assert (code, lines[0]) == (3, "k3 is lost still: " + NOWHERE.format("k3"))
    assert zactor("restore", "k3")[::2] == (5, f"zactor: {NOWHERE.format('k3')}\n")
    assert zactor("restore")[0] == 2
    assert zactor("restore", "--all", "--on", "n1")[:2] == (
        0,
        ["k3: sink on n1", "s3: source on n1", "z3: sleeper on n1"],
    )
    assert zactor("status")[0] == 3, "the node is missed still"
    assert zactor("forget", "n3")[:2] == (0, ["n3 is missed no more"])
    assert zactor("status")[0] == 0


@pytest.mark.slow
def test_after_the_death_of_all_there_is_a_command_that_has_all_again(
    lab: Lab, m: BlockingMaster
) -> None:
    before = parts(m, "ps", "wires")
    nodes = ("n1", "n2", "n3")
    for node in nodes:
        lab.kill(node)
    for node in nodes:
        lab.start(node)
    with connect(lab.endpoint("n1"), home=lab.home) as again:
        until("all are back", lambda: lab.names_up("n1") == set(nodes))
        until("all are lost", lambda: {row["state"] for row in again.actors()} == {"lost"})
        assert len(again.restore()) == 5
        assert parts(again, "ps", "wires") == before
        assert again.status()["troubles"] == []


@pytest.mark.slow
def test_one_is_restored_elsewhere_and_what_is_not_wanted_is_forgotten(
    lab: Lab, m: BlockingMaster
) -> None:
    kill_n3(lab, m)
    with pytest.raises(NoSuchThing, match=r"no node n3 for k3 .*--on NODE"):
        m.restore("k3")
    with pytest.raises(NoSuchActor, match=LOST):
        m.ask("k3", "report")
    m.restore("k3", on="n1")
    assert m.query("reacts(k3, s2, number, fifo)"), "the end that is here is wired again"
    with pytest.raises(NoSuchThing, match="k3 is there, not lost"):
        m.restore("k3")
    m.remove_interaction("k3", "s3", "other")  # a wire that is down
    assert len([row for row in m.wires() if row["state"] == "down"]) == 3
    assert m.forget("s3")["forgot"] == ["s3"]
    assert without_times(m.status()["troubles"]) == [
        SENTENCES[0],
        "z3 was lost with n3 at T: `zactor restore z3`",
    ]
    assert m.forget("n3")["forgot"] == ["z3"]
    assert m.status()["troubles"] == []
    assert [row["name"] for row in m.nodes()] == ["n1", "n2"]


@pytest.mark.slow
def test_what_a_lost_wire_swallows_is_counted_and_a_name_that_is_given_anew_is_lost_no_more(
    lab: Lab, m: BlockingMaster
) -> None:
    kill_n3(lab, m)
    m.ask("s2", "burst", 4)
    until("four dead letters", lambda: len(m.dead_letters()) == 4)
    assert {(row["sender"], row["target"]) for row in m.dead_letters()} == {("s2", "k3")}

    def says_that_it_is_lost() -> bool:
        m.ask("s2", "burst", 1)
        return re.match(LOST, m.dead_letters()[-1]["reason"]) is not None

    until("n2 knows as well", says_that_it_is_lost)
    m.deploy_actor("sink", "k3", "n1")
    assert {row["name"] for row in m.actors() if row["state"] == "lost"} == {"s3", "z3"}
    assert m.query("down(k3, _, _, _)") == [], "who deploys it says what it is wired to"
    m.ask("s2", "burst", 1)
    assert m.ask("k3", "report")["count"] == 0


@pytest.mark.slow
def test_who_stops_in_good_order_is_not_missed_but_his_actors_are(
    lab: Lab, m: BlockingMaster
) -> None:
    lab.stop("n3")
    until("they are lost", lambda: len(m.query("lost(X, _, n3, _)")) == 3)
    assert [row["name"] for row in m.nodes()] == ["n1", "n2"]
    assert {row["reason"] for row in m.actors() if row["state"] == "lost"} == {"n3 left"}
    m.destroy_actor("s2")
    assert len(m.query("down(X, Y, _, _)")) == 4, "a wire goes with either end"
