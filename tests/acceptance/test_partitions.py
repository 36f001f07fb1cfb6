"""Networks that split and heal, on hosts of their own: groups go on on both sides, then are one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zactor.supervisor.tracelog import VARIABLE
from zactor.testing.checkers import check_all
from zactor.testing.history import read_logs
from zactor.testing.lab import until
from zactor.testing.netlab import NetLab, why_not

CHATTER = Path(__file__).with_name("group_chatter.py")
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


class Chat:
    """A client on each host that sends all the time and writes what it gets."""

    def __init__(self, net: NetLab) -> None:
        self.net = net
        self.children = [
            subprocess.Popen(
                [
                    *net.prefix(node),
                    *(sys.executable, str(CHATTER), str(net.home), net.endpoint(node)),
                    *(f"c{node}", str(self.log(node))),
                ],
                stdin=subprocess.PIPE,
                env={},
            )
            for node in NODES
        ]

    def log(self, node: str) -> Path:
        return self.net.home / f"chat-{node}.txt"

    def memberships(self, node: str) -> list[set[str]]:
        if not self.log(node).exists():
            return []
        lines = self.log(node).read_text().splitlines()
        return [set(line.split()[2:]) for line in lines if line.startswith("members")]

    def members(self, node: str) -> set[str]:
        found = self.memberships(node)
        return found[-1] if found else set()

    def stop(self) -> list[int]:
        """Let them end in good order."""
        for child in self.children:
            assert child.stdin is not None
            child.stdin.close()
        return [child.wait(30) for child in self.children]

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()


def test_both_sides_of_a_split_go_on_and_become_one_group_when_it_heals(net: NetLab) -> None:
    for node in NODES:
        net.start(node)
    chat = Chat(net)
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
    lines = read_logs(net.home / "trace")
    assert {line["p"] for line in lines} == {f"{node}@1" for node in NODES}  # nobody was reborn
    assert {name: words for name, words in check_all(lines).items() if words} == {}
