"""What `zactor lab up WHAT` means, with the files that its hosts get."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel.errors import ConfigError
from zactor.lab import topology
from zactor.lab.topology import Topology
from zactor.supervisor.spread.daemon_config import read_config_file


def topology_of(what: str, *, are_bare: bool) -> tuple[Topology, dict[str, bytes]]:
    """Return what `lab up WHAT` means: a number, a `spread.conf`, or a file of hosts (TOML).

    Returns: the topology and the files to copy, {name: content}.
    """
    if what.isdecimal():
        return topology.counted(int(what), are_bare=are_bare), {}
    path = Path(what)
    if path.suffix == ".conf":
        config = read_config_file(what)
        rows = {daemon.name: daemon.address for daemon in config.daemons}
        if missing := [name for name, address in rows.items() if not address]:
            raise ConfigError(f"{what}: a lab needs an address behind {missing[0]}")
        made = topology.spread_daemons(rows, "spread.conf")
        return made, {"spread.conf": path.read_bytes()}
    made = topology.parse(path.read_text(), what)
    names = {name for host in made.hosts for name in host.files}
    if any("/" in name for name in names):
        raise ConfigError(f"{what}: `files` are names of files beside it, without a folder")
    return made, {name: (path.parent / name).read_bytes() for name in sorted(names)}
