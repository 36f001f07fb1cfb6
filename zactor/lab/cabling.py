"""Cabling: a switch in the warden's network namespace, a cable to each host, and what is wrong.

Three mechanisms, each for what it does best. A cable that is out is a port that is down: the host
sees no carrier. What is cut is lost at the host that would receive it, by a routing rule there:
silent, for each direction, at full speed. What is lossy or slow goes through the packet switch,
which takes the bridge's ports as long as that stands.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from zactor.lab.faults import CABLE_MTU, PERFECT, Faults
from zactor.lab.host import Host
from zactor.lab.host_init import CABLE, COMMAND_S
from zactor.lab.packet_switch import hardware_address, send_plain_frames

_LOCAL = 100  # the kernel's own table of what is for this host goes behind what is cut
_CUT = 10
_BITS = 24


def run_ip(lines: Sequence[str]) -> None:
    """Run `ip` in our own network namespace.

    Raises:
        OSError: it failed; says what it said.
    """
    done = subprocess.run(
        ["ip", "-batch", "-"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")


class Cabling:
    """The switch with its cables."""

    def __init__(self, hosts: Mapping[str, Host], seed: int) -> None:
        """Build the bridge."""
        self._hosts = hosts
        self._seed = seed
        self._ports: dict[str, str] = {}
        self._down: set[str] = set()
        self._mtu: dict[str, int] = {}  # of hosts' ends of their cables, where it was changed
        self._cut: dict[str, set[str]] = {}  # host -> addresses whose frames it loses
        self._switch: subprocess.Popen[str] | None = None
        self._rules: list[object] = []
        networks = {
            ipaddress.ip_interface(f"{host.spec.address}/{_BITS}").network
            for host in hosts.values()
        }
        self._is_one_network = len(networks) == 1
        run_ip(["link set lo up", "link add br0 type bridge mcast_snooping 0", "link set br0 up"])

    def plug(self, host: Host) -> None:
        """Lay the cable of a host that has begun, and give it its address."""
        port = f"port{host.number}-{host.boots}"
        run_ip(
            [
                f"link add {port} type veth peer name {CABLE}"
                f" address {hardware_address(host.number)} netns {host.pid}",
                f"link set {port} up",
                *([f"link set {port} master br0"] if self._switch is None else []),
            ]
        )
        send_plain_frames(port)
        self._ports[host.spec.name] = port
        address = host.spec.address
        bits = _BITS if self._is_one_network else 32
        lines = [
            "link set lo up",
            f"addr add {address}/{bits} dev {CABLE}",
            f"link set {CABLE} up",
            *([] if self._is_one_network else [f"route add default dev {CABLE}"]),
            # Known from the start: a link that heals is there at once.
            *(
                f"neigh add {other.spec.address} lladdr {hardware_address(other.number)}"
                f" nud permanent dev {CABLE}"
                for other in self._hosts.values()
                if other is not host
            ),
            f"rule add prio {_LOCAL} lookup local",
            "rule del prio 0",
        ]
        said = host.ask({"do": "ip", "lines": lines, "is_first": True})["said"]
        if said.strip():
            raise OSError(f"ip on {host.spec.name}: {said.strip()}")
        self._cut.pop(host.spec.name, None)
        self._mtu.pop(host.spec.name, None)
        self._restart_switch()

    def unplug(self, host: Host) -> None:
        """Take a host's cable away for good: nothing that it still says is heard."""
        port = self._ports.pop(host.spec.name, None)
        if port is not None:
            self._down.discard(host.spec.name)
            run_ip([f"link del {port}"])

    def apply(self, faults: Faults) -> None:
        """Make the network as bad as `faults` say."""
        unplugged = faults.unplugged & self._ports.keys()
        changed = sorted(unplugged ^ (self._down & self._ports.keys()))
        if changed:
            run_ip(
                [
                    f"link set {self._ports[name]} {'down' if name in unplugged else 'up'}"
                    for name in changed
                ]
            )
            self._down = set(unplugged)
        for name in self._ports:
            self._cut_host(name, faults)
            self._narrow(name, faults.mtu.get(name, CABLE_MTU))
        self._spoil(faults)

    def _cut_host(self, name: str, faults: Faults) -> None:
        wanted = {self._hosts[one].spec.address for one, other in faults.blocked if other == name}
        standing = self._cut.get(name, set())
        lines = [
            f"rule {word} prio {_CUT} from {address} blackhole"
            for word, addresses in (("add", wanted - standing), ("del", standing - wanted))
            for address in sorted(addresses)
        ]
        if lines:
            self._hosts[name].ask({"do": "ip", "lines": lines})
        self._cut[name] = wanted

    def _narrow(self, name: str, mtu: int) -> None:
        if self._mtu.get(name, CABLE_MTU) != mtu:
            self._hosts[name].ask({"do": "ip", "lines": [f"link set {CABLE} mtu {mtu}"]})
            self._mtu[name] = mtu

    def _spoil(self, faults: Faults) -> None:
        numbers = {name: self._hosts[name].number for name in self._ports}
        self._rules = [
            (numbers[one], numbers[other], dataclasses.asdict(quality))
            for (one, other), quality in sorted(faults.quality.items())
            if quality != PERFECT and one in numbers and other in numbers
        ]
        if self._rules and self._switch is None:
            self._begin_switch()
        elif not self._rules and self._switch is not None:
            self._end_switch()
        self._tell_switch()

    def _begin_switch(self) -> None:
        """Have a switch ready, then take the ports from the bridge: nothing is lost meanwhile."""
        self._switch = subprocess.Popen(
            # -P: a file of the current folder must not take the place of a module
            [
                sys.executable,
                "-P",
                "-m",
                "zactor.lab.packet_switch",
                str(self._seed),
                *list(self._ports.values()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._await_switch("ready")
        run_ip([f"link set {port} nomaster" for port in self._ports.values()])

    def _end_switch(self) -> None:
        assert self._switch is not None
        self._switch.kill()
        self._switch.communicate(timeout=COMMAND_S)
        self._switch = None
        run_ip([f"link set {port} master br0" for port in self._ports.values()])

    def _restart_switch(self) -> None:
        """Have the switch know a port that came."""
        if self._switch is not None:
            self._end_switch()
            self._begin_switch()
            self._tell_switch()

    def _tell_switch(self) -> None:
        if self._switch is not None:
            assert self._switch.stdin is not None
            self._switch.stdin.write(json.dumps(self._rules) + "\n")
            self._switch.stdin.flush()
            self._await_switch("ok")

    def _await_switch(self, word: str) -> None:
        assert self._switch is not None
        assert self._switch.stdout is not None
        if self._switch.stdout.readline() != f"{word}\n":
            raise OSError("the packet switch has ended")

    @property
    def mechanism(self) -> str:
        """What carries frames at the moment."""
        return "bridge" if self._switch is None else "packet switch"
