"""Endpoints of nodes: the doors of this home, and addresses as people write them."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel import errors, limits
from zactor.kernel.transport import addresses
from zactor.supervisor.membership import run_directory


def find_endpoints(home: Path) -> list[str]:
    """Return the doors of the nodes that run in `home`: nodes, then masters, the nameless last."""
    entries = run_directory.read_entries(home)
    named_first = sorted(entries, key=lambda entry: entry.name == "")
    return [run_directory.near(entry) for entry in named_first]


def parse_endpoint(address: str) -> str:
    """Return tcp://HOST:PORT for HOST, HOST:PORT or an endpoint; without a port it is NODE_PORT.

    Raises:
        ConfigError: it is none of these.
    """
    host, port = addresses.parse_address(address)
    return addresses.endpoint(host, port or limits.NODE_PORT)


def why_nobody(endpoint: str) -> str:
    """Return why there is no connection to be had."""
    host, _ = addresses.parse_address(endpoint)
    try:
        addresses.numbers_of(host)
    except OSError as error:
        return f"there is no host {host!r}: {error.strerror or error}"
    return "nobody listens there"


def unopened(endpoint: str, why: str) -> errors.ZactorError:
    """The error of a door that didn't open."""
    return errors.NotReachable(
        f"no node answers at {addresses.plain(endpoint)} ({why}): is `zactor node` running there?"
    )
