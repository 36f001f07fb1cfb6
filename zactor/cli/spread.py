"""`zactor spread`: a daemon for programs written for Spread, from Spread's configuration file."""

from __future__ import annotations

import click

from zactor.cli.common import CONTEXT, ShellCommand, settings


def _spread(name: str | None, file: str | None, log: str | None, lifeline: int | None) -> None:
    from zactor.supervisor.process import run_node
    from zactor.supervisor.spread.daemon_config import (
        daemon_settings,
        own_daemon,
        read_config_file,
        unused_in,
    )
    from zactor.supervisor.spread.spread_settings import node_name

    config = read_config_file(file)
    own = own_daemon(config, name)
    for unused in unused_in(config, own):
        click.echo(f"{config.file}: {unused} has no meaning here", err=True)
    made = daemon_settings(config, own, file)
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
