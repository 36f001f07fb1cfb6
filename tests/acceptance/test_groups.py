"""Groups on real processes: three nodes, three clients, deaths and sleeps amid traffic."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat import Chat
from deadlines import end
from quiet_logs import read_quiet_logs

from zactor.lab.lab import Lab, until
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.history import Line, read_logs

CLIENT = Path(__file__).with_name("group_client.py")
NODES = ("n1", "n2", "n3")
COUNT = 4_000


class Clients:
    """One client process for each node."""

    def __init__(self, lab: Lab, count: int) -> None:
        self.home = lab.home
        self.children = {
            node: subprocess.Popen(
                [
                    *(sys.executable, str(CLIENT), str(lab.home), lab.endpoint(node)),
                    *(f"c{node}", str(len(NODES)), str(count), str(self.log(node))),
                ],
                stderr=subprocess.PIPE,
            )
            for node in NODES
        }

    def log(self, node: str) -> Path:
        return self.home / f"client-{node}.txt"

    def lines(self, node: str) -> list[str]:
        return self.log(node).read_text().splitlines()

    def wait(self, *nodes: str) -> None:
        for node in nodes or NODES:
            child = self.children[node]
            _, words = child.communicate(timeout=200)
            assert child.returncode == 0, words.decode()

    def close(self) -> None:
        for child in self.children.values():
            end(child)


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the nodes write their event logs."""
    folder = tmp_path / "trace"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


@pytest.fixture
def start(lab: Lab, trace: Path) -> Iterator[Callable[[int], Clients]]:
    """Start three nodes, and clients when asked."""
    for name in NODES:
        lab.start(name)
    with contextlib.ExitStack() as stack:

        def begin(count: int) -> Clients:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv(VARIABLE)
                clients = Clients(lab, count)
            stack.callback(clients.close)
            return clients

        yield begin


def messages_of(lines: list[str]) -> list[str]:
    """Without the memberships."""
    return [line for line in lines if line.split()[0] in ("agreed", "safe")]


def delivered(trace: Path, node: str) -> list[str]:
    """What a node delivered, in its order, up to a transitional signal of a view of three."""
    found: list[str] = []
    for line in read_logs(trace):
        if line["p"] == f"{node}@1" and line["k"] == "deliver" and "room" in line["groups"]:
            found.append(line["mid"])
    return found


def node_lines(trace: Path, *killed: tuple[str, int]) -> list[Line]:
    """The lines of the nodes' logs, with the deaths that they couldn't write."""
    deaths: list[Line] = [{"t": at, "k": "down", "p": f"{name}@1"} for name, at in killed]
    return sorted([*read_quiet_logs(trace), *deaths], key=lambda line: int(line["t"]))


def complaints(lines: list[Line]) -> dict[str, list[str]]:
    """What the simulator's checkers say of real logs."""
    return {name: words for name, words in check_all(lines).items() if words}


def test_three_clients_of_three_nodes_hear_one_order(
    start: Callable[[int], Clients], trace: Path
) -> None:
    count = int(os.environ.get("ZACTOR_GROUP_COUNT", COUNT))
    clients = start(count)
    clients.wait()
    logs = [messages_of(clients.lines(node)) for node in NODES]
    assert logs[0] == logs[1] == logs[2]
    for node in NODES:
        own = [line.split()[2] for line in logs[0] if line.split()[1] == f"c{node}"]
        assert own == [str(number) for number in range(count)]
    assert complaints(node_lines(trace)) == {}


@pytest.mark.slow
def test_after_kill_9_the_survivors_agree_and_the_dead_had_begun_alike(
    lab: Lab, start: Callable[[int], Clients], trace: Path
) -> None:
    clients = start(COUNT)
    until("traffic flows", lambda: len(delivered(trace, "n3")) > COUNT // 2, 60)
    lab.kill("n3")
    killed_ns = time.monotonic_ns()
    clients.children["n3"].kill()
    clients.wait("n1", "n2")
    logs = [messages_of(clients.lines(node)) for node in ("n1", "n2")]
    assert logs[0] == logs[1]
    assert len([line for line in logs[0] if line.split()[1] == "cn1"]) == COUNT
    dead, alive = delivered(trace, "n3"), delivered(trace, "n1")
    assert dead
    assert alive[: len(dead)] == dead
    assert complaints(node_lines(trace, ("n3", killed_ns))) == {}


@pytest.mark.slow
def test_a_node_that_slept_for_five_seconds_rejoins_by_itself_with_its_client(
    lab: Lab, trace: Path
) -> None:
    for name in NODES:
        lab.start(name)
    everybody = {f"#c{node}#{node}" for node in NODES}
    chat = Chat(lab, NODES)
    try:
        for node in NODES:
            until(f"{node} sees all", lambda node=node: chat.members(node) == everybody)
        lab.freeze("n3")
        until("the others go on without it", lambda: members_at(trace, "n1") == {"n1", "n2"})
        time.sleep(5)  # what the test is about: it sleeps for so long
        assert chat.members("n1") == everybody - {"#cn3#n3"}
        lab.thaw("n3")
        for node in NODES:
            until(f"{node} sees all again", lambda node=node: chat.members(node) == everybody)
        assert chat.stop() == [0] * len(NODES)
    finally:
        chat.close()
    lines = node_lines(trace)
    assert {line["p"] for line in lines if "@" in line["p"] and "#" not in line["p"]} == {
        f"{node}@1" for node in NODES
    }
    assert complaints(lines) == {}


def members_at(trace: Path, node: str) -> set[str]:
    """The names in the last view of a node."""
    views = [line for line in read_logs(trace) if line["p"] == f"{node}@1" and line["k"] == "view"]
    return {member.partition("@")[0] for member in views[-1]["members"]}
