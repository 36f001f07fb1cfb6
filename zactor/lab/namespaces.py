"""A laboratory whose nodes are on hosts of their own, in network namespaces: cables can be pulled.

Needs root and iproute2. A switch namespace holds some bridges, and each host's cable can be plugged
into any of them: hosts on one bridge reach each other, hosts on different ones don't.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from zactor.lab.lab import DEADLINE_S, Lab

_PREFIX = "zactor-"
_BRIDGES = 4  # sides that a network can be split into, at most
_numbers = itertools.count(1)  # of the labs of this process


def why_not() -> str:
    """Why this machine can't do it; "" if it can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    name = f"{_PREFIX}{os.getpid()}-try"
    done = _run_ip("netns", "add", name)
    if done.returncode:
        return f"no network namespaces: {done.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


def _run_ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", *words], capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )


def _ip(*words: str) -> None:
    done = _run_ip(*words)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _sweep() -> None:
    """Delete what labs of dead processes left."""
    for line in _run_ip("netns", "list").stdout.splitlines():
        name = line.split()[0]
        if name.startswith(_PREFIX):
            pid = name.removeprefix(_PREFIX).partition("-")[0]
            if not Path(f"/proc/{pid}").exists():
                _ip("netns", "del", name)


class NetLab(Lab):
    """Nodes of one home, each on a host of its own."""

    def __init__(self, home: Path) -> None:
        """Build the switch.

        Raises:
            OSError: not root, or no iproute2.
        """
        super().__init__(home)
        _sweep()
        self._name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self._switch = f"{self._name}-switch"
        self._hosts: dict[str, int] = {}
        _ip("netns", "add", self._switch)
        for bridge in range(_BRIDGES):
            self._in(self._switch, "link", "add", f"br{bridge}", "type", "bridge")
            self._in(self._switch, "link", "set", f"br{bridge}", "up")

    @staticmethod
    def _in(namespace: str, *words: str) -> None:
        _ip("-n", namespace, *words)

    def host(self, name: str) -> str:
        """Return the address of a host, which is made on first use and plugged into bridge 0."""
        if name not in self._hosts:
            number = self._hosts[name] = len(self._hosts) + 1
            there = self._namespace(name)
            _ip("netns", "add", there)
            self._in(
                *(there, "link", "add", "eth0", "type", "veth"),
                *("peer", "name", f"port{number}", "netns", self._switch),
            )
            self._in(there, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            self._in(there, "link", "set", "lo", "up")
            self._in(there, "link", "set", "eth0", "up")
            self._in(self._switch, "link", "set", f"port{number}", "master", "br0")
            self._in(self._switch, "link", "set", f"port{number}", "up")
        return f"10.77.0.{self._hosts[name]}"

    def _namespace(self, name: str) -> str:
        return f"{self._name}-{name}"

    def prefix(self, name: str) -> list[str]:
        """Return the words that run a command on that host."""
        self.host(name)
        return ["ip", "netns", "exec", self._namespace(name)]

    def _identity(self, name: str) -> list[str]:
        return [*super()._identity(name), "--bind", self.host(name)]

    def split(self, *sides: Iterable[str]) -> None:
        """Only hosts of one side reach each other from now on."""
        for bridge, side in enumerate(sides):
            for name in side:
                self._plug(name, bridge)

    def heal(self) -> None:
        """All reach all again."""
        self.split(self._hosts)

    def _plug(self, name: str, bridge: int) -> None:
        self.host(name)
        port = f"port{self._hosts[name]}"
        self._in(self._switch, "link", "set", port, "master", f"br{bridge}")

    def close(self) -> None:
        """End everything."""
        super().close()
        for name in self._hosts:
            _ip("netns", "del", self._namespace(name))
        _ip("netns", "del", self._switch)
