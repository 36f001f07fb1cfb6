"""What a daemon takes from its configuration file: who it is, where it listens, whom it joins."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from zactor.kernel.errors import ConfigError
from zactor.kernel.transport.addresses import endpoint
from zactor.kernel.transport.own_address import is_here
from zactor.supervisor.spread.config_file import (
    FILE_BYTES_MAX,
    SpreadConfig,
    SpreadDaemon,
    read_config,
)
from zactor.supervisor.spread.handshake import PWORD
from zactor.supervisor.spread.passwords import Passwords, read_passwords
from zactor.supervisor.spread.spread_settings import AccessRules, SpreadSettings, read_access

SEARCHED = ("spread.conf", "/etc/spread.conf")
ACCESS_FILE = "spread.access_ip"
"""Who passes the method IP; it lies beside the configuration."""
PASSWORD_FILE = "spread.access_pword"
"""Who passes the method PWORD, and with what; it lies there too."""


def read_config_file(file: str | None) -> SpreadConfig:
    """Return what `file` says; None: the first of SEARCHED that is there.

    Raises:
        ConfigError: there is none, or "FILE:LINE: what is wrong".
    """
    found = file or next((each for each in SEARCHED if Path(each).is_file()), None)
    if found is None:
        raise ConfigError(f"there is no {SEARCHED[0]} here and no {SEARCHED[1]}: say -c FILE")
    return read_config(_text(Path(found)), found)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            raw = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is longer than {FILE_BYTES_MAX} bytes")
    return raw.decode("utf-8", "replace")


def own_daemon(config: SpreadConfig, name: str | None) -> SpreadDaemon:
    """Return the daemon called so; None: the first with an address of this machine.

    Raises:
        ConfigError: there is none.
    """
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


def door_of(daemon: SpreadDaemon, config: SpreadConfig) -> str:
    """Return HOST:PORT of the door of a daemon's node: where other daemons and monitors call.

    The port is the one behind that for programs. The host is that of its first interface for
    daemons, else of one for monitors; without a block of interfaces it is the daemon's address.

    Raises:
        ConfigError: its address can't be looked up.
    """
    found = [each.address for kind in "DM" for each in daemon.interfaces if kind in each.kinds]
    host = found[0] if found else _host(daemon, config)
    return endpoint(host, daemon.port + 1).removeprefix("tcp://")


def unused_in(config: SpreadConfig, own: SpreadDaemon) -> tuple[str, ...]:
    """Return what the file says to this daemon and has no meaning here, in words."""
    door = door_of(own, config).rpartition(":")[0].strip("[]")
    others = [
        f"interface {each.address} ({'/'.join(each.kinds)}): daemons and monitors call at {door}"
        for each in own.interfaces
        if each.address != door and "C" not in each.kinds
    ]
    return (*config.unused, *others)


def daemon_settings(config: SpreadConfig, own: SpreadDaemon, file: str | None) -> SpreadSettings:
    """Return what the port of daemon `own` is started with; `file` is read again when told so.

    Raises:
        ConfigError: "FILE:LINE: what is wrong" with the addresses, ACCESS_FILE or PASSWORD_FILE.
    """
    access = Path(config.file).parent / ACCESS_FILE
    rules = read_access(_text(access), str(access)) if access.is_file() else AccessRules()
    passwords = Passwords()
    if PWORD in config.methods:
        listed = Path(config.file).parent / PASSWORD_FILE
        if not listed.is_file():
            raise ConfigError(
                f"{config.file} allows the method {PWORD}, and there is no {listed}: write"
                " USER:HASH there, a line for each (openssl passwd -6)"
            )
        passwords = read_passwords(_text(listed), str(listed))
    listens = [each.address for each in own.interfaces if "C" in each.kinds]
    if not own.interfaces:
        listens = ["0.0.0.0"]
    return SpreadSettings(
        addresses=tuple((host, own.port) for host in listens),
        unix_port=own.port,
        daemons=tuple(daemon.name for daemon in config.daemons),
        methods=config.methods,
        required=config.required,
        access=rules,
        passwords=passwords,
        obeys_monitors=config.obeys_monitors,
        door=door_of(own, config),
        told=tuple(door_of(each, config) for each in config.daemons if each is not own),
        reread=partial(_reread, own.name, file),
    )


def _reread(name: str, file: str | None) -> SpreadSettings | None:
    config = read_config_file(file)
    if all(daemon.name != name for daemon in config.daemons):
        return None
    return daemon_settings(config, config.daemon(name), file)
