"""Topology: the hosts of a lab, their addresses, files, and what runs on each from the start.

Pure. From a number, a file of hosts (TOML) or a `spread.conf`.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError

HOSTS_MAX = 100
DISK_BYTES = 64 << 20
REAL_DISK_BYTES_MIN = 8 << 20  # with its journal
DISK_BYTES_MIN, DISK_BYTES_MAX = 1 << 20, 4 << 30
NODE = "node"
"""What the process is called that a host runs by itself: a node, or a daemon of Spread."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,18}")  # as daemons of Spread may be called
_SIZE = re.compile(r"(\d+)([kKmMgG]?)")
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}
_KEYS = frozenset({"address", "run", "disk", "files", "real_disk"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """One host."""

    name: str
    address: str  # IPv4
    run: tuple[str, ...]  # `zactor` and these words run there; (): nothing does
    disk_bytes: int = DISK_BYTES  # of its /tmp with its home in it
    files: tuple[str, ...] = ()  # copied to its /tmp
    has_real_disk: bool = False  # it loses at a crash what wasn't synced


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All hosts of a lab, in their order."""

    hosts: tuple[HostSpec, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(host.name for host in self.hosts)


def counted(count: int, *, are_bare: bool = False) -> Topology:
    """Return the topology of `count` hosts n1, n2 … with a node on each, or with nothing."""
    if not 1 <= count <= HOSTS_MAX:
        raise ConfigError(f"{count} hosts: a lab has 1 to {HOSTS_MAX}")
    rows = {f"n{number}": _address(number) for number in range(1, count + 1)}
    return Topology(
        hosts=tuple(
            HostSpec(name=name, address=address, run=() if are_bare else _node(name, address, rows))
            for name, address in rows.items()
        )
    )


def _address(number: int) -> str:
    return f"10.77.0.{number}"


def _node(name: str, address: str, rows: Mapping[str, str]) -> tuple[str, ...]:
    """The first founds the cluster, the others join it."""
    first = next(iter(rows))
    join = () if name == first else ("--join", f"{rows[first]}:{limits.NODE_PORT}")
    return ("node", "--name", name, "--bind", f"{address}:{limits.NODE_PORT}", *join)


def spread_daemons(daemons: Mapping[str, str], file: str) -> Topology:
    """Return the topology of a `spread.conf`: a daemon on each of its hosts.

    Args:
        daemons: {name: IPv4 address}.
        file: the configuration, copied to all.
    """
    _check(daemons)
    return Topology(
        hosts=tuple(
            HostSpec(
                name=name,
                address=address,
                run=("spread", "-n", name, "-c", "/tmp/spread.conf"),
                files=(file,),
            )
            for name, address in daemons.items()
        )
    )


def parse(text: str, file: str) -> Topology:
    """Read a file of hosts, TOML: `[hosts.NAME]` with `address`, `run`, `disk`, `files`.

    Raises:
        ConfigError: it isn't written so; names the host and the key.
    """
    try:
        read: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}") from None
    tables = read.pop("hosts", None)
    if read or not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{file}: want tables [hosts.NAME], and nothing else")
    rows: dict[str, str] = {}
    for number, (name, table) in enumerate(tables.items(), 1):
        if not isinstance(table, dict) or set(table) - _KEYS:
            raise ConfigError(f"{file}: [hosts.{name}] may have {', '.join(sorted(_KEYS))}")
        rows[name] = str(table.get("address", _address(number)))
    _check(rows)
    return Topology(hosts=tuple(_host(file, name, table, rows) for name, table in tables.items()))


def _host(file: str, name: str, table: Mapping[str, Any], rows: Mapping[str, str]) -> HostSpec:
    run = table.get("run", True)
    if run is True:
        words = _node(name, rows[name], rows)
    elif run is False:
        words = ()
    else:
        words = _texts(run, f"{file}: `run` of {name}")
    return HostSpec(
        name=name,
        address=rows[name],
        run=words,
        disk_bytes=_size(str(table.get("disk", DISK_BYTES)), f"{file}: `disk` of {name}"),
        has_real_disk=table.get("real_disk") is True,
        files=_texts(table.get("files", []), f"{file}: `files` of {name}"),
    )


def with_real_disks(topology: Topology) -> Topology:
    """Return the same hosts, with disks that lose at a crash what wasn't synced."""
    return Topology(
        hosts=tuple(
            dataclasses.replace(
                host, has_real_disk=True, disk_bytes=max(host.disk_bytes, REAL_DISK_BYTES_MIN)
            )
            for host in topology.hosts
        )
    )


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{what} is no list of texts")
    return tuple(value)


def _size(text: str, what: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(found[1]) << _UNITS[found[2].lower()] if found else 0
    if not DISK_BYTES_MIN <= size <= DISK_BYTES_MAX:
        raise ConfigError(f"{what} is {text!r}: want a size from 1M to 4G")
    return size


def _check(rows: Mapping[str, str]) -> None:
    if not 1 <= len(rows) <= HOSTS_MAX:
        raise ConfigError(f"{len(rows)} hosts: a lab has 1 to {HOSTS_MAX}")
    seen: dict[str, str] = {}
    for name, address in rows.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name of a host: letters, digits, - and _, up to 19")
        try:
            parsed = ipaddress.IPv4Address(address)
        except ValueError:
            raise ConfigError(f"the address {address!r} of {name} is no IPv4 address") from None
        if parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified:
            raise ConfigError(f"a host can't have the address {address} of {name}")
        if address in seen:
            raise ConfigError(f"{seen[address]} and {name} have one address, {address}")
        seen[address] = name
