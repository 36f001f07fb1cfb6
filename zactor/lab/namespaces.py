"""Hosts of their own on one machine, in network namespaces: cables can be pulled, ports closed.

Needs root and iproute2. A switch namespace holds some bridges, and each host's cable can be plugged
into any of them: hosts on one bridge reach each other, hosts on different ones don't.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from zactor.lab.lab import DEADLINE_S, Lab

_PREFIX = "zactor-"
_NAMES = Path("/etc/netns")  # where `ip netns exec` finds what a host has instead of /etc/hosts
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
                shutil.rmtree(_NAMES / name, ignore_errors=True)


class Network:
    """Hosts on a switch. Each has an IPv4 and an IPv6 address in the switch's net, and no other."""

    def __init__(self) -> None:
        """Build the switch.

        Raises:
            OSError: not root, or no iproute2.
        """
        _sweep()
        self._name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self._switch = f"{self._name}-switch"
        self._hosts: dict[str, int] = {}
        self._ports: dict[str, str] = {}  # host -> the port of the switch that its first cable has
        self._ends: dict[str, str] = {}  # host -> its own end of that cable
        self._cables = itertools.count(1)
        _ip("netns", "add", self._switch)
        for bridge in range(_BRIDGES):
            self._in(self._switch, "link", "add", f"br{bridge}", "type", "bridge")
            self._in(self._switch, "link", "set", f"br{bridge}", "up")

    @staticmethod
    def _in(namespace: str, *words: str) -> None:
        _ip("-n", namespace, *words)

    def host(self, name: str) -> str:
        """Return the IPv4 address of a host, which is made on first use, plugged into bridge 0."""
        if name not in self._hosts:
            self.bare_host(name)
            number = self._hosts[name]
            self.cable(name, 0, f"10.77.0.{number}/24", f"fd77::{number}/64")
        return f"10.77.0.{self._hosts[name]}"

    def bare_host(self, name: str) -> None:
        """Make a host without a cable."""
        self._hosts[name] = len(self._hosts) + 1
        there = self._namespace(name)
        _ip("netns", "add", there)
        self._in(there, "link", "set", "lo", "up")

    def host6(self, name: str) -> str:
        """Return its IPv6 address."""
        self.host(name)
        return f"fd77::{self._hosts[name]}"

    def cable(self, name: str, bridge: int, *addresses: str) -> str:
        """Lay one more cable from a host to a bridge; the host's end has these ADDRESS/BITS.

        Returns: the name of the host's end.
        """
        there, number = self._namespace(name), next(self._cables)
        end, port = f"eth{number}", f"port{number}"
        self._ports.setdefault(name, port)
        self._ends.setdefault(name, end)
        self._in(
            *(there, "link", "add", end, "type", "veth"),
            *("peer", "name", port, "netns", self._switch),
        )
        for address in addresses:
            # nodad: an IPv6 address can be used at once
            self._in(there, "addr", "add", address, "dev", end, *(["nodad"] * (":" in address)))
        self._in(there, "link", "set", end, "up")
        self._in(self._switch, "link", "set", port, "master", f"br{bridge}")
        self._in(self._switch, "link", "set", port, "up")
        return end

    def router(self, name: str, bridge: int, address: str) -> str:
        """Make a host that lets those on `bridge` call out, and nobody call in; return its address.

        As a router that maps addresses does. This one maps none: who is called out needs a route
        back, by this host.

        Args:
            address: ADDRESS/BITS of the host on `bridge`.
        """
        outside = self.host(name)
        self.cable(name, bridge, address)
        here = self._namespace(name)
        _ip("netns", "exec", here, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        # What comes back to who called out goes to one of the ports from 32768 on.
        self._in(
            *(here, "rule", "add", "iif", self._ends[name]),
            *("ipproto", "tcp", "dport", "1-32767", "blackhole"),
        )
        return outside

    def route(self, name: str, *words: str) -> None:
        """Add a route at a host, as `ip route add` has it."""
        self._in(self._namespace(name), "route", "add", *words)

    def close_ports(self, name: str, ports: str) -> None:
        """Let nobody elsewhere reach these TCP ports (A or A-B) of a host, as a firewall does.

        Who tries hears nothing: the host's answers from these ports are lost.
        """
        for family in ("-4", "-6"):
            self._in(
                *(self._namespace(name), family, "rule", "add"),
                *("ipproto", "tcp", "sport", ports, "blackhole"),
            )

    def close_ports_between(self, one: str, other: str, ports: str) -> None:
        """Let neither of two hosts reach these TCP ports of the other, which others still do."""
        self._rule_between(one, other, "add", ports)

    def open_ports_between(self, one: str, other: str, ports: str) -> None:
        """Take the rule away again."""
        self._rule_between(one, other, "del", ports)

    def _rule_between(self, one: str, other: str, word: str, ports: str) -> None:
        for here, there in ((one, other), (other, one)):
            self._in(
                *(self._namespace(here), "rule", word, "to", self.host(there)),
                *("ipproto", "tcp", "sport", ports, "blackhole"),
            )

    def open_ports(self, name: str, ports: str) -> None:
        """Take the rule away again."""
        for family in ("-4", "-6"):
            self._in(
                *(self._namespace(name), family, "rule", "del"),
                *("ipproto", "tcp", "sport", ports, "blackhole"),
            )

    def name_hosts(self, at: str, names: Mapping[str, str]) -> None:
        """Let the host `at` know other hosts by name: {name: address}, as in /etc/hosts."""
        folder = _NAMES / self._namespace(at)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{address} {name}" for name, address in names.items()]
        (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def _namespace(self, name: str) -> str:
        return f"{self._name}-{name}"

    def prefix(self, name: str) -> list[str]:
        """Return the words that run a command on that host."""
        self.host(name)
        return ["ip", "netns", "exec", self._namespace(name)]

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
        self._in(self._switch, "link", "set", self._ports[name], "master", f"br{bridge}")

    def close(self) -> None:
        """Take everything down; processes on the hosts must have ended."""
        for name in self._hosts:
            _ip("netns", "del", self._namespace(name))
            shutil.rmtree(_NAMES / self._namespace(name), ignore_errors=True)
        _ip("netns", "del", self._switch)


class NetLab(Lab):
    """Nodes of one home, each on a host of its own."""

    def __init__(self, home: Path) -> None:
        """Build the network.

        Raises:
            OSError: not root, or no iproute2.
        """
        super().__init__(home)
        self._network = Network()

    def prefix(self, name: str) -> list[str]:
        """Return the words that run a command on that host."""
        return self._network.prefix(name)

    def _identity(self, name: str) -> list[str]:
        return [*super()._identity(name), "--bind", self._network.host(name)]

    def split(self, *sides: Iterable[str]) -> None:
        """Only hosts of one side reach each other from now on."""
        self._network.split(*sides)

    def heal(self) -> None:
        """All reach all again."""
        self._network.heal()

    def close(self) -> None:
        """End everything."""
        super().close()
        self._network.close()
