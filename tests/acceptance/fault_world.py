"""Three daemons of one spread.conf on hosts of their own, with members of four kinds in group g.

a1 is a program of Spread, b1 a mailbox, both at d1; a2 is an actor at d2; at d3 are a3, a shell
command, and b3, another program of Spread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deadlines import end, run_to_end
from spread_world import free_port

from zactor.lab.lab import until
from zactor.lab.namespaces import Network

HERE = Path(__file__).parent
DAEMONS = ("d1", "d2", "d3")
MEMBERS = {"a1": "d1", "b1": "d1", "a2": "d2", "a3": "d3", "b3": "d3"}
NAMES = {member: f"#{member}#{daemon}" for member, daemon in MEMBERS.items()}

Seen = tuple[float, list[Any]]
"""When it was seen, monotonic s, and what: its kind, members and sets."""


class FaultWorld:
    """Nothing of it outlives `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.net = Network()
        self.hosts = {name: self.net.host(name) for name in DAEMONS}
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.seen: dict[str, list[Seen]] = {member: [] for member in MEMBERS}
        self._threads: list[threading.Thread] = []
        self._environment = {**os.environ, "ZACTOR_HOME": str(folder / "home")}
        lines = "\n".join(f"  {name} {host}" for name, host in self.hosts.items())
        self.conf = folder / "spread.conf"
        self.conf.write_text(f"Spread_Segment 10.77.0.255:{self.port} {{\n{lines}\n}}\n")

    def close(self) -> None:
        """End everything."""
        for process in self.running.values():
            end(process)
        for thread in self._threads:
            thread.join(20)
        self.net.close()

    # -- beginning ---------------------------------------------------------------------------
    def begin(self) -> None:
        """Start all daemons and members, and wait until each member knows all."""
        for name in DAEMONS:
            self.start_daemon(name)
        self._deploy()
        self.start_member("a1")
        self.start_member("b1")
        self.start_member("a3")
        self.start_member("b3")
        for member in MEMBERS:
            self.until_last(member, list(MEMBERS))

    def start_daemon(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("a")
        with log:
            self.running[name] = self._spawn(
                name,
                [sys.executable, "-P", "-m", "zactor", "spread", "-n", name, "-c", self.conf],
                stdout=log,
                stderr=log,
            )
        until(f"{name} listens", lambda: self._listens(name), 30)

    def _listens(self, name: str) -> bool:
        """Whether programs on its host can connect."""
        code = (
            "import socket, sys; s = socket.socket();"
            f"sys.exit(s.connect_ex(('127.0.0.1', {self.port})))"
        )
        return run_to_end([*self.net.prefix(name), sys.executable, "-c", code]).returncode == 0

    def zactor(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        return run_to_end(
            [*self.net.prefix(host), sys.executable, "-P", "-m", "zactor", *words],
            env=self._environment,
            cwd=self.folder,
        )

    def _door(self, daemon: str) -> str:
        return f"{self.hosts[daemon]}:{self.port + 1}"

    def _deploy(self) -> None:
        at = ("--endpoint", self._door("d1"))
        for words in (
            ("declare-factory", *at, "watcher", str(HERE / "spread_actor.py")),
            ("deploy", *at, "watcher", "a2", "d2", "--arg", f'out="{self.folder}/a2"'),
        ):
            done = self.zactor("d1", *words)
            assert done.returncode == 0, done.stderr
        self._follow_file("a2", self.folder / "a2")

    def start_member(self, member: str) -> None:
        """Start one of those that are processes."""
        daemon = MEMBERS[member]
        script = [sys.executable, str(HERE / "spread_member.py")]
        words = {
            "a1": [*script, "port", f"{self.port}@127.0.0.1", member],
            "b1": [*script, "mailbox", self._door(daemon), member],
            "b3": [*script, "port", f"{self.port}@127.0.0.1", member],
            "a3": [
                *(sys.executable, "-P", "-m", "zactor", "group", "listen", "g", "--json"),
                *("--name", member, "--endpoint", self._door(daemon)),
            ],
        }[member]
        process = self._spawn(
            daemon, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.running[member] = process
        self._thread(self._read, member, process)

    def _spawn(self, host: str, words: Sequence[object], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.net.prefix(host), *map(str, words)],
            env=self._environment,
            cwd=self.folder,
            text=True,
            process_group=0,
            **options,
        )

    # -- what they see -----------------------------------------------------------------------
    def _thread(self, target: Any, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        thread.start()
        self._threads.append(thread)

    def _read(self, member: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._note(member, json.loads(line))
        self._note(member, ["end"])

    def _follow_file(self, member: str, path: Path) -> None:
        self.running["follow"] = follow = subprocess.Popen(
            ["tail", "-F", "-n", "+1", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )
        self._thread(self._read, member, follow)

    def _note(self, member: str, line: Any) -> None:
        if isinstance(line, dict):  # of the shell
            if line["kind"] == "message":
                line = ["said", line["text"]]
            elif line["transitional"]:
                line = ["transitional"]
            else:
                line = [line["cause"], line["members"], line["vs_sets"]]
        self.seen[member].append((time.monotonic(), line))

    def until_last(self, member: str, members: Sequence[str]) -> float:
        """Wait until the last membership that `member` saw is of these; return when it came."""
        wanted = [NAMES[each] for each in members]

        def found() -> list[float]:
            views = [(at, what) for at, what in self.seen[member] if len(what) == 3]
            return [at for at, what in views[-1:] if what[1] == wanted]

        until(f"{member} sees {wanted}: {self.seen[member][-3:]}", lambda: bool(found()), 60)
        return found()[0]

    def mark(self) -> dict[str, int]:
        """Return how much each has seen, for `since`."""
        return {member: len(seen) for member, seen in self.seen.items()}

    def since(self, mark: dict[str, int], member: str) -> list[Any]:
        """Return what a member has seen since then, without times."""
        return [what for _, what in self.seen[member][mark[member] :]]

    def say(self, member: str, text: str) -> None:
        """Have a member send a SAFE message to the group."""
        stdin = self.running[member].stdin
        assert stdin is not None
        stdin.write(f"{text}\n")
        stdin.flush()
