"""`zactor spread`: a daemon for programs written for Spread, from Spread's configuration file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from zactor.cli.common import CONTEXT, ShellCommand, say, settings, slow_client_option


def _spread(
    word: str | None,
    name: str | None,
    file: str | None,
    log: str | None,
    slow_s: float,
    lifeline: int | None,
) -> None:
    from zactor.supervisor.process import run_node
    from zactor.supervisor.spread.daemon_config import (
        daemon_settings,
        own_daemon,
        read_config_file,
        unused_in,
    )
    from zactor.supervisor.spread.spread_settings import node_name

    if word is not None:
        _init()
        return
    config = read_config_file(file)
    own = own_daemon(config, name)
    for unused in unused_in(config, own):
        click.echo(f"{config.file}: {unused} has no meaning here", err=True)
    made = dataclasses.replace(
        daemon_settings(config, own, file),
        log=Path(own.name) if log == "y" else None,
        slow_client_s=slow_s,
    )
    context = click.get_current_context()
    context.exit(
        run_node(
            name=node_name(own.name),
            home=settings(context).home_folder,
            bind=made.door,
            told=made.told,
            spread=made,
            lifeline=lifeline,
        )
    )


def _init() -> None:
    """Make this machine group's key, if there is none yet, and say how the others get it."""
    from zactor.kernel.transport.keys import cluster_keys, token

    home = settings(click.get_current_context()).home_folder
    cluster_keys(home)
    say(
        f"The daemons of this machine have the key in {home}. On each other machine type, once:\n\n"
        f"    zactor keys join {token(home)}\n\n"
        "Whoever has that token can be a daemon."
    )


spread = ShellCommand(
    "spread",
    callback=_spread,
    help="Run a daemon for programs written for Spread, until SIGTERM or Ctrl-C.\n\n"
    "It is a node named as in the file, and listens for the others at the port behind the one of"
    " its segment. On several machines each needs one key: `zactor spread init` makes it, and says"
    " how the others get it.",
    params=[
        click.Argument(["word"], required=False, type=click.Choice(["init"]), metavar="[init]"),
        click.Option(["-n", "name"], metavar="NAME", help="Be this daemon of the file."),
        click.Option(
            ["-c", "file"],
            metavar="FILE",
            help="The configuration (./spread.conf, then /etc/spread.conf).",
        ),
        click.Option(
            ["-l", "log"],
            type=click.Choice(["y", "n"]),
            help="Write an event log: a file named like the daemon, in this folder (n).",
        ),
        slow_client_option(),
        click.Option(
            ["--lifeline"], type=int, hidden=True, help="A file descriptor: stop when it closes."
        ),
    ],
    context_settings=CONTEXT,
)
