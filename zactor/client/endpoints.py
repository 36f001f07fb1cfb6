"""Endpoints of nodes: the doors of this home, and addresses as people write them."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel import errors, limits
from zactor.kernel.transport import sockets
from zactor.supervisor.membership import run_directory


def find_endpoints(home: Path) -> list[str]:
    """Return the doors of the nodes that run in `home`: nodes, then masters, the nameless last."""
    entries = run_directory.read_entries(home)
    return [entry.endpoint for entry in sorted(entries, key=lambda entry: entry.name == "")]


def parse_endpoint(address: str) -> str:
    """Return tcp://HOST:PORT for HOST, HOST:PORT or an endpoint; without a port it is NODE_PORT.

    Raises:
        ConfigError: it is none of these.
    """
    host, port = sockets.parse_address(address)
    return sockets.endpoint(host, port or limits.NODE_PORT)


def plain(endpoint: str) -> str:
    """Return HOST:PORT, as people write it."""
    return endpoint.removeprefix("tcp://")


def unopened(endpoint: str, why: str) -> errors.ZactorError:
    """The error of a door that didn't open."""
    return errors.NotReachable(
        f"no node answers at {plain(endpoint)} ({why}): is `zactor node` running there?"
    )


def foreign(endpoint: str) -> errors.ZactorError:
    """The error of a door whose keys are another cluster's."""
    return errors.Refused(
        f"{plain(endpoint)} belongs to another cluster than this home: "
        "run `zactor keys token` there and `zactor keys join TOKEN` here"
    )
