"""A laboratory for tests of networks: node processes to kill, and a proxy that cuts connections.

Everything is real: processes, sockets, signals. Nothing outlives `Lab.close`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zactor.client.connect import connect
from zactor.supervisor.membership.run_directory import read_entries

DEADLINE_S = 30.0  # much, for busy machines


def until(what: str, condition: Callable[[], bool], within_s: float = DEADLINE_S) -> float:
    """Wait until `condition` holds; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(0.005)
    return time.monotonic() - began


class Lab:
    """Nodes of one home, each a process of its own, on a leash."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._read, self._write = os.pipe()

    def start(
        self, name: str, *options: str, role: str = "node", env: Mapping[str, str] | None = None
    ) -> None:
        """Start a node, with `env` beside our environment; wait until its door is open."""
        log = (self.home / f"{name}.log").open("ab")
        command = [*self.prefix(name), sys.executable, "-P", "-m", "zactor.supervisor"]
        command += ["--home", str(self.home), *self.options(name)]
        named = ["--name", name] if not name.startswith("unnamed") else []
        self.children[name] = subprocess.Popen(
            [*command, *named, "--role", role, "--lifeline", str(self._read), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(self._read,),
            cwd=self.home,
            env=None if env is None else os.environ | env,
        )
        log.close()
        pid = self.children[name].pid
        until(f"{name} opens its door", lambda: pid in {e.pid for e in read_entries(self.home)})

    def prefix(self, name: str) -> list[str]:
        """Return the words before a command that is to run on that node's host."""
        return []

    def options(self, name: str) -> list[str]:
        """Return what a node is told besides its name and home."""
        return []

    def endpoint(self, name: str) -> str:
        """Return HOST:PORT of a node's door."""
        pid = self.children[name].pid
        found = [entry for entry in read_entries(self.home) if entry.pid == pid]
        return found[0].endpoint.removeprefix("tcp://")

    def kill(self, name: str) -> None:
        """kill -9."""
        self.children[name].kill()
        self.children.pop(name).wait(DEADLINE_S)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.children[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.children[name].send_signal(signal.SIGCONT)

    def output(self, name: str) -> str:
        """Return what the node printed."""
        return (self.home / f"{name}.log").read_text()

    def close(self) -> None:
        """End everything."""
        os.close(self._write)
        for child in self.children.values():
            child.send_signal(signal.SIGCONT)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(DEADLINE_S)
        os.close(self._read)

    def names_up(self, at: str) -> set[str]:
        """Return the nodes that `at` has in its knowledge base and is connected to."""
        with connect(self.endpoint(at), home=self.home) as m:
            return {str(row["name"]) for row in m.nodes() if row["state"] == "up"}
