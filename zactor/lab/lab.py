"""A laboratory for tests of networks: node processes to kill and to freeze.

Everything is real: processes, sockets, signals. Nothing outlives `Lab.close`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zactor.client.connect import connect
from zactor.cluster.processes import Processes

DEADLINE_S = 30.0  # much, for busy machines


def until(what: str, condition: Callable[[], bool], within_s: float = DEADLINE_S) -> float:
    """Wait until `condition` holds; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(0.005)
    return time.monotonic() - began


class Lab(Processes):
    """Nodes of one home, each a process of its own that works in that home."""

    def __init__(self, home: Path) -> None:
        """`home` stays."""
        super().__init__(home)

    def start(
        self, name: str, *options: str, role: str = "node", env: Mapping[str, str] | None = None
    ) -> None:
        """Start a node, with `env` beside our environment; wait until its door is open.

        One whose `name` begins with "unnamed" isn't told it.
        """
        self.spawn(name, role, env, options=options, folder=self.home)
        self.wait_for([name], DEADLINE_S)

    def prefix(self, name: str) -> list[str]:
        """Return the words before a command that is to run on that node's host."""
        return []

    def _command(self, name: str) -> list[str]:
        return [*self.prefix(name), *super()._command(name)]

    def _identity(self, name: str) -> list[str]:
        return [] if name.startswith("unnamed") else super()._identity(name)

    def endpoint(self, name: str) -> str:
        """Return HOST:PORT of a node's door."""
        return self.endpoints()[name].removeprefix("tcp://")

    def names_up(self, at: str) -> set[str]:
        """Return the nodes that `at` has in its knowledge base and is connected to."""
        with connect(self.endpoint(at), home=self.home) as m:
            return {str(row["name"]) for row in m.nodes() if row["state"] == "up"}
