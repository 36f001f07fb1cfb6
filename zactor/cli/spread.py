"""`zactor spread`: a daemon for programs written for Spread, from Spread's configuration file."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zactor.cli.common import CONTEXT, ShellCommand, settings
from zactor.kernel.errors import ConfigError

if TYPE_CHECKING:
    from zactor.supervisor.spread.config_file import SpreadConfig, SpreadDaemon

SEARCHED = ("spread.conf", "/etc/spread.conf")
ACCESS_FILE = "spread.access_ip"


def _read(file: str | None) -> SpreadConfig:
    from zactor.supervisor.spread.config_file import FILE_BYTES_MAX, read_config

    found = file or next((each for each in SEARCHED if Path(each).is_file()), None)
    if found is None:
        raise ConfigError(f"there is no {SEARCHED[0]} here and no {SEARCHED[1]}: say -c FILE")
    try:
        with open(found, "rb") as opened:
            raw = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{found}: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{found} is longer than {FILE_BYTES_MAX} bytes")
    return read_config(raw.decode("utf-8", "replace"), found)


def _own(config: SpreadConfig, name: str | None) -> SpreadDaemon:
    """Return the daemon that this one is: the one named, or the first with an address of ours."""
    from zactor.kernel.transport.own_address import is_here

    if name is not None:
        return config.daemon(name)
    for daemon in config.daemons:
        if is_here(_host(daemon, config)):
            return config.daemon(daemon.name)
    raise ConfigError(f"{config.file}: no daemon has an address of this machine: say -n NAME")


def _host(daemon: SpreadDaemon, config: SpreadConfig) -> str:
    """Return the address of a daemon, looked up where the file has only a name."""
    if daemon.address:
        return daemon.address
    try:
        found = socket.getaddrinfo(daemon.name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"{config.file}:{daemon.line}: no address of {daemon.name} is known ({error.strerror}):"
            " write it behind the name"
        ) from None
    return str(found[0][4][0])


def _spread(name: str | None, file: str | None, log: str | None, lifeline: int | None) -> None:
    from zactor.supervisor.process import run_node
    from zactor.supervisor.spread.spread_settings import (
        AccessRules,
        SpreadSettings,
        node_name,
        read_access,
    )

    config = _read(file)
    own = _own(config, name)
    for unused in config.unused:
        click.echo(f"{config.file}: {unused} has no meaning here", err=True)
    access = Path(ACCESS_FILE)
    rules = read_access(access.read_text(), str(access)) if access.is_file() else AccessRules()
    listens = [each.address for each in own.interfaces if "C" in each.kinds] or ["0.0.0.0"]
    context = click.get_current_context()
    context.exit(
        run_node(
            name=node_name(own.name),
            home=settings(context).home_folder,
            bind=_door(own, config),
            told=tuple(_door(each, config) for each in config.daemons if each is not own),
            spread=SpreadSettings(
                addresses=tuple((host, own.port) for host in listens),
                daemons=tuple(daemon.name for daemon in config.daemons),
                methods=config.methods,
                required=config.required,
                access=rules,
            ),
            lifeline=lifeline,
        )
    )


def _door(daemon: SpreadDaemon, config: SpreadConfig) -> str:
    """Return where a daemon's node listens for the others: the port behind the one for programs."""
    host = _host(daemon, config)
    return f"[{host}]:{daemon.port + 1}" if ":" in host else f"{host}:{daemon.port + 1}"


spread = ShellCommand(
    "spread",
    callback=_spread,
    help="Run a daemon for programs written for Spread, until SIGTERM or Ctrl-C.\n\n"
    "It is a node named as in the file, and listens for the others at the port behind the one of"
    " its segment. On several machines each needs this cluster's key: see `zactor keys`.",
    params=[
        click.Option(["-n", "name"], metavar="NAME", help="Be this daemon of the file."),
        click.Option(
            ["-c", "file"],
            metavar="FILE",
            help="The configuration (./spread.conf, then /etc/spread.conf).",
        ),
        click.Option(
            ["-l", "log"],
            type=click.Choice(["y", "n"]),
            help="Spread's binary event log: there is none, see $ZACTOR_EVENT_LOG.",
        ),
        click.Option(
            ["--lifeline"], type=int, hidden=True, help="A file descriptor: stop when it closes."
        ),
    ],
    context_settings=CONTEXT,
)
