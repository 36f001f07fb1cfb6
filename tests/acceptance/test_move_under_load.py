"""Moves of an actor that hears 1,000 signals a second from each of three nodes."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deadlines import DEADLINE_S

from zactor import Refused, RemoteActionError, ZactorError, connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).with_name("upgraded_actors.py")
NODES = ("n1", "n2", "n3")


@pytest.mark.parametrize("kind", ["SharedNoting", "ThreadNoting", "ProcessNoting"])
def test_no_signal_is_lost_or_handled_twice_or_overtakes_another(lab: Lab, kind: str) -> None:
    for name in NODES:
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == set(NODES))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("Source", ACTORS)
        m.declare_factory(kind, ACTORS)
        target = m.deploy_actor(kind, "c", "n1")
        sources = {f"s{node}": m.deploy_actor("Source", f"s{node}", node) for node in NODES}
        for name in sources:
            m.react_interaction("c", name, "take")
        for ref in sources.values():
            ref.begin(1 if kind == "ProcessNoting" else 5)  # a busy machine must keep pace
        uid = m.describe("c")["uid"]
        for node in ("n2", "n3", "n1"):
            before = target.count()[1]
            done = m.move_actor("c", node)
            print(done)
            assert (done["changed"], done["node"]) == (True, node)
            told = m.describe("c")
            assert (told["node"], told["state"], told["uid"]) == (node, "running", uid)
            until("it hears", lambda before=before: target.count()[1] > before)
        counts = {name: ref.end() for name, ref in sources.items()}
        until("all is heard", lambda: target.count()[1] >= sum(counts.values()))
        seen = target.all()
        for name, count in counts.items():
            assert [number for sender, number in seen if sender == name] == list(range(count))
        assert m.dead_letters() == []
        assert m.query("moving(_, _)") == []
        assert m.move_actor("c", "n1")["changed"] is False


@pytest.mark.parametrize("fails", ["restore", "wait", "on_start", "stop"])
def test_where_it_can_not_begin_it_stays_or_that_is_said(lab: Lab, fails: str) -> None:
    for name in NODES:
        lab.start(name)
    until("all meet", lambda: lab.names_up("n3") == set(NODES))
    with connect(lab.endpoint("n3"), home=lab.home) as m:
        m.declare_factory("Source", ACTORS)
        m.declare_factory("Fragile", ACTORS)
        target = m.deploy_actor("Fragile", "c", "n1", fails=fails)
        source = m.deploy_actor("Source", "s", "n3")
        m.react_interaction("c", "s", "take")
        source.begin(5)
        if fails in ("wait", "stop"):  # one of its nodes is killed in the middle
            node, says = ("n2", "it waits here") if fails == "wait" else ("n1", "it leaves")
            with ThreadPoolExecutor(1) as pool:
                moved = pool.submit(m.move_actor, "c", "n2")
                until("it waits", lambda: says in lab.output(node))
                os.kill(lab.pid(node), signal.SIGKILL)
                lab.wait(node, 10)
                with pytest.raises(ZactorError):
                    moved.result(DEADLINE_S)
        else:
            with pytest.raises(RemoteActionError, match="not here") as caught:
                m.move_actor("c", "n2")
            assert (caught.value.node, caught.value.action) == ("n2", fails)
        until("it is told", lambda: m.query("moving(_, _)") == [])
        if fails == "on_start":  # it was there: its former node had let it go
            until("failed", lambda: m.describe("c")["state"] == "failed")
            assert m.describe("c")["node"] == "n2"
            assert "not here" in str(m.describe("c")["reason"])
            return
        assert m.describe("c")["node"] == ("n2" if fails == "stop" else "n1")
        count = source.end()
        until("all is heard", lambda: target.count()[1] >= count)
        assert [number for _, number in target.all()] == list(range(count))
        assert m.dead_letters("n3") == []


@pytest.mark.parametrize("how", ["hold 20", "block"])
def test_what_wires_hold_follows_their_reactor_in_order(lab: Lab, how: str) -> None:
    for name in NODES:
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == set(NODES))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("Source", ACTORS)
        m.declare_factory("SharedNoting", ACTORS)
        target = m.deploy_actor("SharedNoting", "c", "n1")
        sources = {f"s{node}": m.deploy_actor("Source", f"s{node}", node) for node in NODES}
        for name in sources:
            m.react_interaction("c", name, "take", meanwhile=how)
        for ref in sources.values():
            ref.begin(30)  # more at once than `hold 20` has room for
        for node in ("n2", "n3", "n1"):
            before = target.count()[1]
            assert m.move_actor("c", node)["changed"] is True
            until("it hears", lambda before=before: target.count()[1] > before)
        with pytest.raises(Refused, match="wires out of it that hold"):
            m.move_actor("sn1", "n2")
        counts = {name: ref.end() for name, ref in sources.items()}
        until("all is heard", lambda: target.count()[1] >= sum(counts.values()))
        seen = target.all()
        for name, count in counts.items():
            assert [number for sender, number in seen if sender == name] == list(range(count))
        for node in NODES:
            assert m.dead_letters(node) == []


@pytest.mark.parametrize("kind", ["SharedPacking", "ProcessPacking"])
def test_who_is_in_groups_or_in_their_order_stays_and_is_told_what_to_do(
    lab: Lab, kind: str, tmp_path: Path
) -> None:
    for name in NODES:
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == set(NODES))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with connect(lab.endpoint("n1"), home=lab.home) as m, ThreadPoolExecutor(1) as pool:
        m.declare_factory(kind, ACTORS)

        def stays(name: str, words: str) -> None:
            with pytest.raises(Refused, match=words):
                m.move_actor(name, "n2")
            told = m.describe(name)
            assert (told["node"], told["state"]) == ("n1", "running")
            assert m.query("moving(_, _)") == []
            assert m.ask(name, "take", timeout=DEADLINE_S) > 0

        m.deploy_actor(kind, "joined", "n1").enter("room")
        stays("joined", r"joined is in groups \(room\): .* Destroy it and deploy it there")
        m.deploy_actor(kind, "speaker", "n1").say("room")
        stays("speaker", "speaker has a session in groups, and may be answered")
        # Into a group while it moves: it is there, and its node stays.
        m.deploy_actor(kind, "late", "n1", group="room")
        stays("late", r"late is in groups \(room\)")
        before = m.ask("late", "take")
        m.ask("speaker", "say", "room")
        until("it is in the group", lambda: m.ask("late", "take") > before + 1)

        m.deploy_actor(kind, "other", "n3")
        m.deploy_actor(kind, "wired", "n1")
        for level in ("causal", "agreed", "safe"):
            for emitter, reactor in (("wired", "other"), ("other", "wired")):
                wire = (reactor, emitter, "take_it>take")
                m.react_interaction(*wire, service=level)
                stays("wired", r"wired has wires above fifo: .* Unwire them.*wired")
                m.remove_interaction(*wire)
        # Wired so while it moves: that is known before it would be there.
        m.deploy_actor(kind, "packs", "n1", pipe=str(pipe))
        moved = pool.submit(stays, "packs", "packs has wires above fifo")
        until("it packs", lambda: "it packs" in lab.output("n1"))
        m.react_interaction("packs", "other", "take_it>take", service="agreed")
        pipe.write_bytes(b"go on")
        moved.result(DEADLINE_S)
        m.remove_interaction("packs", "other", "take_it>take")
        assert m.move_actor("wired", "n2")["changed"]
