"""local_cluster.py and processes.py: a cluster of real processes for as long as a block runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from slowness import Slowness

from zactor import (
    ConfigError,
    NoSuchActor,
    NoSuchThing,
    NotDelivered,
    NotReachable,
    OutcomeUnknown,
    local,
)
from zactor.client.rows import Rows
from zactor.cluster.processes import Processes
from zactor.demos.counter import Counter


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_stopped(pid: int) -> bool:
    """Whether no thread of it runs on: on a busy machine that takes a moment."""
    states = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state.rpartition(")")[2].split()[0] in "Tt" for state in states)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_notebook_begins_and_ends_a_cluster_without_a_block() -> None:
    async def cells() -> list[int]:
        cluster = await local.start(nodes=1)
        pids = [cluster.pid(name) for name in cluster.names]
        assert "a cluster of n1, m1" in cluster._repr_html_()
        shown = await cluster.master.nodes()
        assert isinstance(shown, Rows)
        assert "<td>n1</td><td>node</td>" in shown._repr_html_()
        assert all(map(is_running, pids))
        await cluster.close()
        await cluster.close()  # a cell that is run again does no harm
        assert not cluster.home.exists()
        return pids

    assert not any(map(is_running, asyncio.run(cells())))


def test_inside_the_block_all_nodes_are_up_and_afterwards_they_are_gone() -> None:
    with local(nodes=1) as cluster:
        assert cluster.nodes == ["n1"]
        assert sorted(cluster.names) == ["m1", "n1"]
        rows = {row["name"]: (row["role"], row["state"]) for row in cluster.master.nodes()}
        assert rows == {"n1": ("node", "up"), "m1": ("master", "up")}
        pids = [cluster.pid(name) for name in cluster.names]
        assert cluster.home.stat().st_mode & 0o077 == 0  # nobody else reads keys and logs
    assert not any(map(is_running, pids))
    assert not cluster.home.exists()


@pytest.mark.slow
def test_a_killed_node_comes_back_as_a_new_incarnation_when_it_is_started_again() -> None:
    async def story() -> None:
        async with local(names=["left", "right"]) as cluster:
            m = cluster.master
            await m.deploy_actor(Counter, "c1", "right")
            await cluster.kill("left")
            assert cluster.names == ["right", "m1"]
            with pytest.raises(NoSuchThing, match="left isn't running"):
                cluster.kill("left")
            with pytest.raises(NoSuchThing, match="no node 'middle'"):
                cluster.kill("middle")
            await cluster.start("left")
            rows = {row["name"]: row["incarnation"] for row in await m.nodes()}
            assert rows == {"left": 2, "right": 1, "m1": 1}
            ref = await m.deploy_actor(Counter, "c2", "left")
            assert await ref.inc() == 1
            cluster.stop("left")
            await cluster.start("more")
            assert [row["name"] for row in await m.nodes()] == ["m1", "more", "right"]
            assert await m.ask("c1", "count") == 0  # all of that was no concern of c1
            with pytest.raises(NoSuchThing, match="has no action 'nope': it has"):
                await m.tell("c1", "nope")  # on another node than the one that is asked

    asyncio.run(story())


def test_when_the_master_is_killed_its_client_goes_on_at_another_node() -> None:
    with local(nodes=2) as cluster:
        m = cluster.master
        counter = m.deploy_actor(Counter, "c1", "n2")
        at_first = m.connection.endpoint
        cluster.kill("m1")
        wait_until(lambda: m.connection.endpoint == "")
        assert counter.inc() == 1
        assert m.connection.endpoint not in ("", at_first)
        m.wait("\\+ node(m1, _)", 5)
        m.deploy_actor(Counter, "c2", "n1")


def test_what_was_asked_of_a_killed_node_ends_at_once_as_unknown(slowness: Slowness) -> None:
    async def story() -> None:
        async with local(nodes=1) as cluster:
            endpoint = cluster.processes.endpoints()["n1"]
            slow = await cluster.master.deploy_actor(Counter, "c1", "n1")
            assert await slow.count() == 0
            cluster.freeze("n1")
            wait_until(lambda: is_stopped(cluster.pid("n1")))
            asked = slow.inc()
            cluster.kill("n1")
            began = time.monotonic()
            # The last two: the master knew of the death before the ask was on its way.
            with pytest.raises((OutcomeUnknown, NotDelivered, NoSuchActor)):
                await asked
            assert slowness.quiet_s(time.monotonic() - began) < 2
            assert endpoint

    asyncio.run(story())


def test_clusters_side_by_side_do_not_see_each_other() -> None:
    with local(nodes=1) as one, local(nodes=0) as other:
        one.master.deploy_actor(Counter, "c1", "n1")
        assert [row["name"] for row in other.master.nodes()] == ["m1"]
        assert other.master.actors() == []
        assert other.master.status()["cluster"] != one.master.status()["cluster"]


def test_a_home_of_the_users_own_stays(tmp_path: Path) -> None:
    with local(nodes=0, home=tmp_path / "mine") as cluster:
        assert cluster.home == tmp_path / "mine"
    assert (tmp_path / "mine" / "keys" / "cluster.key").exists()
    assert list((tmp_path / "mine" / "run").iterdir()) == []


def test_a_node_that_cant_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o777)
    (tmp_path / "keys").chmod(0o777)
    with pytest.raises(NotReachable, match="open to other users"), local(home=tmp_path):
        raise AssertionError("it started")


@pytest.mark.parametrize("names", [["n1", "n1"], ["m1"], ["no way"]])
def test_names_that_are_none_are_refused_before_anything_starts(names: list[str]) -> None:
    with pytest.raises(ConfigError):
        local(names=names)


def test_processes_end_together_even_when_one_is_frozen(slowness: Slowness) -> None:
    processes = Processes()
    processes.spawn("n1")
    processes.spawn("n2")
    processes.wait_for(["n1", "n2"], 20)
    processes.freeze("n1")
    began = time.monotonic()
    processes.close()
    processes.close()
    assert slowness.quiet_s(time.monotonic() - began) < 4
    assert processes.names == []
    assert not processes.home.exists()


def test_a_cancelled_start_leaves_nothing() -> None:
    async def story() -> None:
        async def enter() -> None:
            async with local(nodes=2):
                raise AssertionError("it started")

        task = asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
