"""A client beside each node that sends to "room" all the time and writes what it gets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deadlines import end

from zactor.lab.lab import Lab

CHATTER = Path(__file__).with_name("group_chatter.py")


class Chat:
    """A client on each host that sends all the time and writes what it gets."""

    def __init__(self, lab: Lab, nodes: Sequence[str]) -> None:
        self.lab = lab
        self.children = [
            subprocess.Popen(
                [
                    *lab.prefix(node),
                    *(sys.executable, str(CHATTER), str(lab.home), lab.endpoint(node)),
                    *(f"c{node}", str(self.log(node))),
                ],
                stdin=subprocess.PIPE,
                env={},
            )
            for node in nodes
        ]

    def log(self, node: str) -> Path:
        return self.lab.home / f"chat-{node}.txt"

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
            end(child)
