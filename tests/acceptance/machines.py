"""Machines: hosts in network namespaces, each with a home of its own, and people who type there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deadlines import DEADLINE_S, end, run_to_end

from zactor.lab.lab import until
from zactor.lab.namespaces import Network
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.history import Line, read_logs

PORTS = "4810-4899"  # those of nodes, and of their heartbeats

# What maps a port does, as docker's proxy: PROGRAM PORT HOST PORT.
_MAPPED = """
import asyncio, sys

async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def come(reader, writer):
    try:
        there = await asyncio.open_connection(sys.argv[2], int(sys.argv[3]))
    except OSError:
        writer.close()
        return
    await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

async def main():
    server = await asyncio.start_server(come, "0.0.0.0", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


class Machines:
    """Hosts where `zactor` runs. Nothing outlives `close`."""

    def __init__(self, folder: Path) -> None:
        """Homes and what terminals show are kept in `folder`."""
        self.net = Network()
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.typed_s = 0.0  # when the last command was typed, but for those that only look

    def home(self, host: str) -> Path:
        folder = self._folder / host
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def share_key(self, first: str, *others: str) -> None:
        """`zactor keys token` at the first, `zactor keys join TOKEN` at the others."""
        token = self.run(first, "keys", "token").stdout.strip()
        for host in others:
            assert self.run(host, "keys", "join", token).returncode == 0

    def start(self, host: str, *words: str) -> str:
        """Type `zactor …` in a terminal of its own and leave it running; return its number."""
        self.typed_s = time.monotonic()
        return self._begin(host, [sys.executable, "-P", "-m", "zactor", *words])

    def node(self, host: str, *words: str) -> str:
        """Do so with `zactor node …`, and wait until it waits for others."""
        number = self.start(host, "node", *words)
        said = ("node_started", "node_waits_for_a_name")
        until(
            f"a node on {host}: {self.shown(number)}",
            lambda: any(word in self.shown(number) for word in said),
        )
        return number

    def run(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Type `zactor …` and wait for its end."""
        self.typed_s = time.monotonic()
        return self._ask(host, *words)

    def _ask(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*self.net.prefix(host), sys.executable, "-P", "-m", "zactor", *words]
        return run_to_end(command, env=self._environment(host))

    def map_port(self, host: str, port: int, to: str, to_port: int) -> None:
        """Let who calls `host` at `port` reach another address, as a router does."""
        words = [str(port), to, str(to_port)]
        self._begin(host, [sys.executable, "-c", _MAPPED, *words])

    def shown(self, number: str) -> str:
        """What a terminal shows."""
        return self._terminal(number).read_text(errors="replace")

    def code(self, number: str) -> int:
        """Wait until a command ends; return its exit code."""
        return self._running[number].wait(DEADLINE_S)

    def stop(self, number: str) -> None:
        """Ctrl-C there; wait until it has ended."""
        self._running[number].send_signal(signal.SIGINT)
        self.code(number)

    def lines(self, number: str, event: str) -> int:
        """How many lines of a node's log tell of `event`."""
        return self.shown(number).count(f'"event": "{event}"')

    def views(self) -> list[Line]:
        """The views of all nodes, as their traces tell, oldest first."""
        folder = self._folder / "trace"
        lines = read_logs(folder) if folder.exists() else []
        return [line for line in lines if line["k"] == "view"]

    def knows(self, *names: str) -> bool:
        """Whether all of these are in one view, which each of them has."""
        last = {line["p"].partition("@")[0]: line["members"] for line in self.views()}
        return all(
            {member.partition("@")[0] for member in last.get(name, ())} == set(names)
            for name in names
        )

    def up(self, host: str) -> set[str]:
        """Who is up, as `zactor nodes` says on that host."""
        rows = [line.split() for line in self._ask(host, "nodes").stdout.splitlines()[1:]]
        return {row[0] for row in rows if "up" in row}

    def close(self) -> None:
        for child in self._running.values():
            child.terminate()
        for child in self._running.values():
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                end(child)
        self.net.close()

    def _begin(self, host: str, words: list[str]) -> str:
        number = f"{host}-{len(self._running)}"
        with self._terminal(number).open("wb") as out:
            self._running[number] = subprocess.Popen(
                [*self.net.prefix(host), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment(host),
                process_group=0,
            )
        return number

    def _terminal(self, number: str) -> Path:
        return self._folder / f"{number}.terminal"

    def _environment(self, host: str) -> dict[str, str]:
        return {
            **os.environ,
            "ZACTOR_HOME": str(self.home(host)),
            VARIABLE: str(self._folder / "trace"),
            "PYTHONUNBUFFERED": "1",
        }
