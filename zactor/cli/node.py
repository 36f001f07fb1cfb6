"""`zactor node`: a node in the foreground."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click

from zactor.cli.common import CONTEXT, ShellCommand, settings, slow_client_option
from zactor.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node listens, whom it joins and what it takes, as the command line says it."""

    bind: str | None
    join: tuple[str, ...]
    advertise: str | None
    payload: str | None


def place_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--bind"],
            metavar="HOST[:PORT]",
            help="Where to listen (127.0.0.1, or where nodes of this home here do; the first free"
            " port from 4810 on). 0.0.0.0: at all addresses, see --advertise.",
        ),
        click.Option(
            ["--join"],
            multiple=True,
            metavar="HOST[:PORT]",
            help="A node of the cluster; again. If none is met it is an error.",
        ),
        click.Option(
            ["--advertise"],
            metavar="HOST[:PORT]",
            help="What other machines connect to, when it isn't the address of --bind: of several"
            " one, or a router's.",
        ),
        click.Option(
            ["--payload"],
            type=click.Choice(["pickle", "data"]),
            help="data: nothing that arrives is unpickled ($ZACTOR_PAYLOAD, pickle).",
        ),
    ]


# -- node ------------------------------------------------------------------------------------
def _node(
    name: str | None,
    bind: str | None,
    join: tuple[str, ...],
    advertise: str | None,
    payload: str | None,
    spread: str | None,
    slow_s: float,
    label: tuple[str, ...],
    metrics: str | None,
    otel: bool,
    no_install: bool,
    lifeline: int | None,
    logs: str | None,
) -> None:
    from zactor.supervisor.process import run_node

    if slow_s and spread is None:
        raise click.UsageError("--slow-client is about programs of Spread: it wants --spread")
    context = click.get_current_context()
    home = settings(context).home_folder
    with _metrics(home, metrics):
        code = run_node(
            name=name,
            role="node",
            home=home,
            bind=bind,
            join=join,
            advertise=advertise,
            payload=payload,
            spread=spread,
            slow_client_s=slow_s,
            labels=label,
            lifeline=lifeline,
            json_logs=None if logs is None else logs == "json",
            otel=otel or None,
            install=not no_install,
        )
    context.exit(code)


def _metrics(home: Path, address: str | None) -> AbstractContextManager[None]:
    """Serve metrics at [HOST:]PORT while a block runs, if that is wanted."""
    if address is None:
        return nullcontext()
    from zactor.kernel.transport.addresses import parse_address
    from zactor.web.metrics_port import metrics_port

    host, port = parse_address(f"127.0.0.1:{address}" if address.isdecimal() else address)
    if port is None:
        raise ConfigError(f"--metrics {address!r}: want a port, or HOST:PORT")
    return metrics_port(home, host, port)


node = ShellCommand(
    "node",
    callback=_node,
    help="Run a node in the foreground, its log on stderr, until SIGTERM or Ctrl-C.\n\n"
    "Without a name it waits until declareNode gives it one.",
    params=[
        click.Option(["--name"], metavar="N", help="Its name; it is the same node next time."),
        *place_options(),
        click.Option(
            ["--spread"],
            is_flag=False,
            flag_value="",
            metavar="[HOST[:PORT]]",
            help="Serve programs written for Spread (at 127.0.0.1:4803 and the socket /tmp/4803).",
        ),
        slow_client_option(),
        click.Option(
            ["--label"],
            multiple=True,
            metavar="KEY[=VALUE]",
            help="What it is, for files that want an actor on each such node; again.",
        ),
        click.Option(
            ["--metrics"],
            metavar="[HOST:]PORT",
            help="Serve what it counts to Prometheus, at /metrics (127.0.0.1; who reaches it reads"
            " it); needs zactor[metrics].",
        ),
        click.Option(
            ["--otel"],
            is_flag=True,
            help="Tell OpenTelemetry of what actors do within spans ($ZACTOR_OTEL); needs"
            " zactor[otel].",
        ),
        click.Option(
            ["--no-install"],
            is_flag=True,
            help="Install nothing for actors, though `deploy --install` asks for it.",
        ),
        click.Option(
            ["--logs"],
            type=click.Choice(["json", "text"]),
            help="How the log is written (text on a terminal, else json).",
        ),
        click.Option(
            ["--lifeline"], type=int, hidden=True, help="A file descriptor: stop when it closes."
        ),
    ],
    context_settings=CONTEXT,
)
