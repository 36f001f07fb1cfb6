"""What a node is started with: where it listens, whom it joins, where its home is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zactor.kernel.limits import NODE_PORT
from zactor.kernel.transport.socket_context import LOOPBACK, Address
from zactor.kernel.transport.sockets import endpoint, parse_address
from zactor.supervisor.membership.run_directory import home_folder
from zactor.supervisor.operations.crash_points import CrashAt, crash_at


def make_settings(
    *,
    role: str,
    home: str | Path | None = None,
    bind: str | None = None,
    join: tuple[str, ...] = (),
    advertise: str | None = None,
    payload: str = "pickle",
) -> Settings:
    """Return the settings that these words of a command line mean.

    Raises:
        ConfigError: an address is none, or ZACTOR_CRASH_AT no place.
    """
    host, port = parse_address(bind) if bind else ("127.0.0.1", None)
    return Settings(
        home=home_folder(home),
        role=role,
        address=Address(
            host=host,
            port=port,
            advertise=_endpoint(advertise) if advertise else None,
        ),
        join=tuple(_endpoint(address) for address in join),
        payload=payload,
        crash=crash_at(os.environ),
    )


def _endpoint(address: str) -> str:
    host, port = parse_address(address.removeprefix("tcp://"))
    return endpoint(host, port or NODE_PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a node was started."""

    home: Path
    role: str = "node"  # "node" | "master"
    address: Address = LOOPBACK
    join: tuple[str, ...] = ()  # endpoints
    payload: str = "pickle"  # "pickle" | "data": what arguments may be
    crash: CrashAt | None = None  # where this process is to kill itself, for tests
