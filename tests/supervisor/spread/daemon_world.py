"""Daemons of one spread.conf as processes, each at a loopback address of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deadlines import run_to_end, running
from raw_spread import JOIN, Frame, RawSpread, entered, listens
from spread_world import free_port

DEADLINE_S = 60
ZACTOR = [sys.executable, "-P", "-m", "zactor"]


def until(what: str, condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


class DaemonWorld:
    """A folder with spread.conf and a home; daemons are started in it by name."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self.hosts: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[Any]] = {}
        self.environment = {**os.environ, "ZACTOR_HOME": str(folder / "home")}
        self._stack = stack

    def write(self, names: Sequence[str], more: str = "") -> None:
        """Write spread.conf with these daemons, each with its own address and segment."""
        for name in names:
            self.ports.setdefault(name, free_port())
            self.hosts.setdefault(name, f"127.0.0.{len(self.hosts) + 1}")
        lines = [
            f"Spread_Segment {self.hosts[name]}:{self.ports[name]} {{ {name} {self.hosts[name]} }}"
            for name in names
        ]
        (self.folder / "spread.conf").write_text("\n".join(lines) + f"\n{more}\n")

    def start(self, *names: str, options: Sequence[str] = ()) -> None:
        """Start daemons, and return when they listen."""
        for name in names:
            log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
            self.processes[name] = self._stack.enter_context(
                running(
                    [*ZACTOR, "spread", "-n", name, *options],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                )
            )
        for name in names:
            until(f"{name} listens", functools.partial(self._is_there, name))

    def _is_there(self, name: str) -> bool:
        assert self.processes[name].poll() is None, f"{name} has ended: {self.log(name)}"
        return listens(self.at(name))

    def at(self, name: str) -> tuple[str, int]:
        """Where programs connect."""
        return "127.0.0.1", self.ports[name]

    def log(self, name: str) -> str:
        """What a daemon has said."""
        return (self.folder / f"{name}.log").read_text()

    def run(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of zactor in the folder."""
        return run_to_end(
            [*ZACTOR, *words], cwd=self.folder, env=self.environment, input=input, timeout=60
        )

    def client(self, daemon: str, name: str) -> RawSpread:
        """Connect a program."""
        return self._stack.enter_context(entered(self.at(daemon), name))


def all_in(clients: Sequence[RawSpread], group: str) -> None:
    """Have all of them join, and wait until each has seen the last."""
    for client in clients:
        client.send(JOIN, group)
    for client in clients:
        while len(client.membership().groups) < len(clients):
            pass


def until_members(client: RawSpread, *members: str) -> list[Frame]:
    """Read frames up to a regular membership of these; return all of them."""
    found = []
    while True:
        frame = client.frame()
        found.append(frame)
        if frame.kind & 0x1000 and frame.groups == members:
            return found


@contextlib.contextmanager
def daemon_world(folder: Path) -> Iterator[DaemonWorld]:
    """Yield a world; nothing of it stays."""
    with contextlib.ExitStack() as stack:
        yield DaemonWorld(folder, stack)
