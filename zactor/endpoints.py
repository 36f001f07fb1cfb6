"""Where nodes are: the doors of this home, and addresses as people write them."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel import config
from zactor.kernel.transport import sockets
from zactor.supervisor import rundir


def find_endpoints(home: Path) -> list[str]:
    """Return the doors of the nodes that run in `home`: nodes, then masters, the nameless last."""
    entries = rundir.read_entries(home)
    return [entry.endpoint for entry in sorted(entries, key=lambda entry: entry.name == "")]


def parse_endpoint(address: str) -> str:
    """Return tcp://HOST:PORT for HOST, HOST:PORT or an endpoint; without a port it is NODE_PORT.

    Raises:
        ConfigError: it is none of these.
    """
    host, port = sockets.parse_address(address)
    return sockets.endpoint(host, port or config.NODE_PORT)
