"""What a port for programs of Spread is started with."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zactor.kernel.errors import ConfigError
from zactor.supervisor.spread.passwords import NO_PASSWORDS, Passwords

_NODE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_HASH_DIGITS = 6


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who passes the method IP: what `spread.access_ip` says. Nobody else does."""

    is_local: bool = False  # the Unix socket and loopback addresses
    is_unix: bool = False
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def admits(self, address: str) -> bool:
        """Whether a client from that address passes; "" is the Unix socket."""
        if not address:
            return self.is_unix or self.is_local
        found = ipaddress.ip_address(address)
        if self.is_local and found.is_loopback:
            return True
        return any(found in network for network in self.networks)


def read_access(text: str, file: str) -> AccessRules:
    """Return the rules that a file of access says, one a line.

    Raises:
        ConfigError: "FILE:LINE: what is wrong".
    """
    is_local = is_unix = False
    networks = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip()
        if word == "local":
            is_local = True
        elif word == "unix":
            is_unix = True
        elif word:
            try:
                networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                raise ConfigError(f"{file}:{number}: {word!r} is no address") from None
    return AccessRules(is_local, is_unix, tuple(networks))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadSettings:
    """Where a port is, and how its programs are let in."""

    addresses: tuple[tuple[str, int], ...]  # HOST, PORT
    unix_port: int = 0  # of a Unix socket where there is none of these; 0: that of each address
    daemons: tuple[str, ...] = ()  # in the order of memberships; none: that of the nodes' names
    methods: tuple[str, ...] = ("NULL",)
    required: tuple[str, ...] = ()
    access: AccessRules = AccessRules()
    passwords: Passwords = NO_PASSWORDS
    slow_client_s: float = 0.0  # a program that takes nothing for so long is cut off; 0: none is
    obeys_monitors: bool = True  # whether they may cut, hold and end this daemon
    log: Path | None = None  # its event log, if it is to have one
    # Of a daemon of a configuration file:
    door: str = ""  # HOST:PORT of its node
    told: tuple[str, ...] = ()  # the same of the others
    reread: Callable[[], SpreadSettings | None] | None = field(default=None, compare=False)
    # what the file says now; None: this daemon isn't in it. May block; raises ConfigError


def node_name(daemon: str) -> str:
    """Return the name of the node that is a daemon: its own, where a node may be called so."""
    if _NODE_NAME.fullmatch(daemon):
        return daemon
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", daemon)
    digits = hashlib.sha256(daemon.encode()).hexdigest()[:_HASH_DIGITS]
    return f"d_{plain}_{digits}"
