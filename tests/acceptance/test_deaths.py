"""kill -9 of a node, of the master; SIGSTOP: what the survivors know and when."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from slowness import Slowness

from zactor import connect
from zactor.kernel.errors import NotDelivered, OutcomeUnknown
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "actors.py"


def _three(lab: Lab) -> None:
    lab.start("m1", role="master")
    lab.start("n1")
    lab.start("n2")
    for at in ("m1", "n1", "n2"):
        until(f"all meet at {at}", lambda at=at: lab.names_up(at) == {"m1", "n1", "n2"})


def _deploy(lab: Lab, at: str) -> None:
    with connect(lab.endpoint(at), home=lab.home) as m:
        for kind in ("source", "sink", "sleeper"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("sink", "k1", "n1")
        m.deploy_actor("sleeper", "z1", "n1")
        m.deploy_actor("source", "s2", "n2")
        m.deploy_actor("sink", "k2", "n2")
        m.react_interaction("k1", "s2", "number")
        m.react_interaction("k2", "s2", "number")


def _mentions(lab: Lab, at: str, *names: str) -> list[str]:
    with connect(lab.endpoint(at), home=lab.home) as m:
        texts = [str(row["fact"]) for row in m.facts()]
    is_past = ("lost(", "ordered(", "down(", "gone(")  # what was ordered, beside what there is
    return [
        text
        for text in texts
        if not text.startswith(is_past) and any(f"{name}," in text for name in names)
    ]


def test_a_killed_node_is_forgotten_within_a_second_and_nothing_waits_for_it(
    lab: Lab, slowness: Slowness
) -> None:
    _three(lab)
    _deploy(lab, "m1")
    with connect(lab.endpoint("n2"), home=lab.home) as m, ThreadPoolExecutor(1) as pool:
        pending = pool.submit(lambda: m.ask("z1", "sleep", 60.0))
        until("the ask is on its way", lambda: _busy(lab, "z1"))
        began = time.monotonic()
        lab.kill("n1")
        with pytest.raises((NotDelivered, OutcomeUnknown)):
            pending.result(DEADLINE_S)
        failed_after = time.monotonic() - began
        for at in ("m1", "n2"):
            until(f"{at} forgets", lambda at=at: not _mentions(lab, at, "n1", "k1", "z1"))
        forgotten_after = time.monotonic() - began
        m.ask("s2", "burst", 3)
        assert m.ask("k2", "report")["count"] == 3, "the others go on"
    assert slowness.quiet_s(failed_after) < 1.0
    assert slowness.quiet_s(forgotten_after) < 1.0


def _busy(lab: Lab, actor: str) -> bool:
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        rows = m.look("runtime")
    return any(row["name"] == actor and row["busy_s"] for row in rows)


def test_signals_that_were_on_their_way_are_dead_letters_and_the_node_may_come_back(
    lab: Lab, slowness: Slowness
) -> None:
    _three(lab)
    _deploy(lab, "m1")
    with connect(lab.endpoint("n2"), home=lab.home) as m:
        lab.freeze("n1")  # what is sent now waits for it, until it is out of the view
        m.ask("s2", "burst", 5)
        lab.kill("n1")
        until("five dead letters", lambda: len(m.dead_letters()) == 5)
        assert {row["target"] for row in m.dead_letters()} == {"k1"}
        assert {row["sender"] for row in m.dead_letters()} == {"s2"}
        lab.start("n1")
        took = until("n1 is back", lambda: lab.names_up("n2") == {"m1", "n1", "n2"})
        assert slowness.quiet_s(took) < 2.0
        m.deploy_actor("sink", "k1", "n1")
        m.react_interaction("k1", "s2", "number")
        m.ask("s2", "burst", 2)
        until("the new one hears", lambda: m.ask("k1", "report")["count"] == 2)


def test_signals_go_on_without_the_master_and_a_new_one_finds_the_newest_knowledge(
    lab: Lab,
) -> None:
    _three(lab)
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "s1", "n1")
        m.deploy_actor("sink", "k2", "n2")
        m.react_interaction("k2", "s1", "number")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.ask("s1", "burst", 1_000)
        lab.kill("m1")
        for _ in range(20):
            m.ask("s1", "burst", 100)
        until("no gap", lambda: m.ask("k2", "report")["count"] == 3_000)
        assert m.ask("k2", "report")["wrong"] == []
        assert {row["name"] for row in m.actors()} == {"s1", "k2"}
    lab.start("m1", role="master")
    until("m1 is back", lambda: lab.names_up("m1") == {"m1", "n1", "n2"})
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        assert {row["name"] for row in m.actors()} == {"s1", "k2"}
        m.deploy_actor("sink", "k1", "n1")
        m.react_interaction("k1", "s1", "number")
        m.ask("s1", "burst", 1)
        until("the new reactor hears", lambda: m.ask("k1", "report")["count"] == 1)


@pytest.mark.slow
def test_a_stopped_node_is_put_out_and_comes_back_by_itself_as_the_one_it_was(
    lab: Lab, slowness: Slowness
) -> None:
    _three(lab)
    _deploy(lab, "m1")
    lab.freeze("n1")
    took = until("n1 is out", lambda: lab.names_up("m1") == {"m1", "n2"})
    assert slowness.quiet_s(took) < 2.0
    until("its actors are forgotten", lambda: not _mentions(lab, "m1", "k1", "z1"))
    lab.thaw("n1")
    until("n1 is back", lambda: lab.names_up("m1") == {"m1", "n1", "n2"})
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        assert {row["name"]: row["incarnation"] for row in m.nodes()}["n1"] == 1
        until("its actors too", lambda: m.status()["troubles"] == [])
        assert m.ask("k1", "report")["count"] == 0
