"""What careless programs and unlucky moments do to a node, and what they must not do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deadlines import DEADLINE_S

from zactor import OutcomeUnknown, RemoteActionError, ZactorError, connect
from zactor.client.connection import Connection
from zactor.client.gateway import encode_call
from zactor.kernel import limits
from zactor.kernel.messages.operations import AskActor
from zactor.lab.lab import Lab, until

SLOW_START = """
import asyncio
from zactor import Actor, action

class Slow(Actor):
    async def on_start(self):
        await asyncio.sleep(1.0)

    @action
    def ping(self):
        return "pong"
"""
WORDY = """
from zactor import Actor

class Wordy(Actor):
    def __init__(self, where):
        self.where = where
        self.speak("init")

    def speak(self, where):
        if where == self.where:
            raise ValueError("x" * 2_000_000)  # more than a change of the knowledge base may have

    def on_stop(self, reason):
        self.speak("stop")
"""
HOLDER = """
from zactor import Actor, action

class Holder(Actor):
    @action
    def hold(self, count):
        return sum(range(count))  # one call in C: no other thread of the process runs meanwhile

    @action
    async def wait(self):
        import asyncio
        await asyncio.sleep(3600)
"""


def test_an_actor_destroyed_while_it_begins_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_START)
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m, ThreadPoolExecutor(1) as pool:
        m.declare_factory("slow", tmp_path / "slow.py")
        first = pool.submit(lambda: m.deploy_actor("slow", "c1", "n1"))
        until("it is starting", lambda: [row["state"] for row in m.actors()] == ["starting"])
        m.destroy_actor("c1")
        with pytest.raises(OutcomeUnknown, match="destroyed"):
            first.result(DEADLINE_S)
        m.deploy_actor("slow", "c1", "n1")
        assert m.ask("c1", "ping") == "pong"
        assert [row["name"] for row in m.look("runtime")] == ["c1"]
        m.destroy_actor("c1")
        assert m.look("runtime") == []
        assert m.actors() == []


@pytest.mark.slow
def test_an_action_that_holds_the_interpreter_does_not_cost_its_node_its_life(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "holder.py").write_text(HOLDER)
    lab.start("n1")
    lab.start("n2")
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m, ThreadPoolExecutor(1) as pool:
        m.declare_factory("holder", tmp_path / "holder.py")
        m.deploy_actor("holder", "h1", "n2")
        count = 100_000_000
        held = pool.submit(lambda: m.ask("h1", "hold", count))
        until("n1 says so", lambda: any(e["event"] == "node_stuck" for e in m.events()))
        assert held.result(60) == count * (count - 1) // 2
        until("n1 says so", lambda: any(e["event"] == "node_unstuck" for e in m.events()))
        rows = {row["name"]: row for row in m.nodes()}
        assert (rows["n2"]["incarnation"], rows["n2"]["state"]) == (1, "up")


def test_one_client_with_too_many_requests_leaves_the_door_open_for_others(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "holder.py").write_text(HOLDER)
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("holder", tmp_path / "holder.py")
        m.deploy_actor("holder", "h1", "n1")
        greedy = Connection(lab.endpoint("n1"), home=lab.home)
        try:
            wait = AskActor("h1", "wait", encode_call((), {}), False)
            pending = [greedy.request(wait, 60.0) for _ in range(limits.DOOR_REQUESTS_MAX + 10)]
            assert [row["name"] for row in m.actors()] == ["h1"]
            assert not any(future.done() for future in pending)
        finally:
            greedy.close()
        m.destroy_actor("h1", drain=0)


def test_an_exception_with_a_very_long_text_ends_like_any_other(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "wordy.py").write_text(WORDY)
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        m.declare_factory("wordy", tmp_path / "wordy.py")
        with pytest.raises(RemoteActionError, match=r"xxx … \(2000\d\d\d characters in all\)"):
            m.deploy_actor("wordy", "c1", "n1", where="init")
        assert m.actors() == []
        m.deploy_actor("wordy", "c1", "n1", where="stop")
        with pytest.raises(ZactorError, match="c1 on n1 failed while it was destroyed"):
            m.destroy_actor("c1")
        assert [row["state"] for row in m.actors()] == ["failed"]
