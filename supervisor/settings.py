"""What a node is started with: where it listens, whom it joins, where its home is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zactor.kernel.limits import NODE_PORT, SPREAD_PORT
from zactor.kernel.transport.addresses import endpoint, is_loopback, parse_address
from zactor.kernel.transport.own_address import is_here
from zactor.kernel.transport.socket_context import LOOPBACK, Address
from zactor.kernel.wire.payload import Policy, chosen_policy
from zactor.supervisor.kb.node_marks import read_labels
from zactor.supervisor.membership.run_directory import home_folder, read_entries
from zactor.supervisor.observe import spans
from zactor.supervisor.operations.crash_points import CrashAt, crash_at
from zactor.supervisor.spread.spread_settings import SpreadSettings


def make_settings(
    *,
    role: str,
    home: str | Path | None = None,
    bind: str | None = None,
    join: tuple[str, ...] = (),
    advertise: str | None = None,
    payload: str | None = None,
    spread: str | SpreadSettings | None = None,
    slow_client_s: float = 0.0,
    told: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    otel: bool | None = None,
    install: bool = True,
) -> Settings:
    """Return the settings that these words of a command line mean.

    `slow_client_s` is for a port that `spread` names; settings of one have their own.

    Raises:
        ConfigError: an address or a label is none, `payload` no policy, ZACTOR_CRASH_AT no place.
    """
    folder = home_folder(home)
    host, port = parse_address(bind) if bind else (_host_beside(folder), None)
    joined = tuple(_endpoint(address) for address in join)
    return Settings(
        home=folder,
        role=role,
        address=Address(
            host=host,
            port=port,
            is_beside=not bind,
            advertise=parse_address(advertise) if advertise else None,
            towards=joined,
        ),
        join=joined,
        payload=chosen_policy(payload),
        spread=_spread_settings(spread, slow_client_s) if isinstance(spread, str) else spread,
        told=tuple(_endpoint(address) for address in told),
        crash=crash_at(os.environ),
        labels=read_labels(labels),
        is_traced=spans.are_wanted(otel),
        installs=install,
    )


def _host_beside(home: Path) -> str:
    """Return where to listen if nothing is said: where nodes of this home do that run here.

    All nodes must reach each other: a console that listened for this machine only, beside a node
    with peers elsewhere, could never be a member.
    """
    for entry in read_entries(home):
        host, _ = parse_address(entry.endpoint)
        if entry.name and not is_loopback(host) and is_here(host):
            return host
    return LOOPBACK.host


def _spread_settings(text: str, slow_client_s: float) -> SpreadSettings:
    """Return a port at HOST[:PORT]; "" is Spread's, for this machine only."""
    host, port = parse_address(text) if text else (LOOPBACK.host, None)
    return SpreadSettings(addresses=((host, port or SPREAD_PORT),), slow_client_s=slow_client_s)


def _endpoint(address: str) -> str:
    host, port = parse_address(address.removeprefix("tcp://"))
    return endpoint(host, port or NODE_PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a node was started."""

    home: Path
    role: str = "node"  # "node" | "master"
    address: Address = LOOPBACK
    join: tuple[str, ...] = ()  # endpoints that it must join
    told: tuple[str, ...] = ()  # endpoints of who named it, and of whom that one knows
    payload: Policy = "pickle"  # what arguments, answers and messages to groups may be
    spread: SpreadSettings | None = None  # a port for programs of Spread
    labels: tuple[str, ...] = ()  # of this node, "roof" or "site=north"
    is_traced: bool = False  # spans are told to OpenTelemetry
    installs: bool = True  # what actors need, where who deploys them asks for that
    crash: CrashAt | None = None  # where this process is to kill itself, for tests
