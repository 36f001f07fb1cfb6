"""`zactor spflooder`: Spread's program that measures a daemon by many messages."""

from __future__ import annotations

import click

from zactor.cli.common import CONTEXT, Printing, say, settings, spread_daemon_option


def _spflooder(
    user: str,
    messages: int,
    size: int,
    daemon: str,
    members: int,
    read_only: bool,
    write_only: bool,
) -> None:
    from zactor.cli.output import to_json
    from zactor.spread.connection import SpreadConnection
    from zactor.spread.flooder import Flood, flood

    if read_only and write_only:
        raise click.UsageError("-ro and -wo: want one of them")
    as_json = settings(click.get_current_context()).json
    wanted = Flood(
        messages=messages,
        bytes=size,
        members=members,
        reads=not write_only,
        writes=not read_only,
    )

    def tell(line: str) -> None:
        say(line, err=as_json)

    tell(f"flooder: connecting to {daemon}")
    with SpreadConnection(daemon, user, membership=bool(members)) as connection:
        rates = flood(connection, wanted, tell).rates(size)
    if as_json:
        say(to_json(rates))
    else:
        say(
            f"flooder: {rates['messages']} messages in {rates['seconds']:g} s:"
            f" {rates['messages_per_s']} messages/s, {rates['megabytes_per_s']:g} MB/s"
        )


spflooder = Printing(
    "spflooder",
    callback=_spflooder,
    help="Send many messages to the group flooder and receive them, at any daemon of Spread; print"
    " how fast. The options of Spread's own program.",
    params=[
        click.Option(["-u", "user"], metavar="NAME", default="flooder", help="Its name (flooder)."),
        click.Option(
            ["-m", "messages"],
            type=click.IntRange(1, 1_000_000_000),
            metavar="N",
            default=10_000,
            help="Messages (10000).",
        ),
        click.Option(
            ["-b", "size"],
            type=click.IntRange(0, 100_000),
            metavar="BYTES",
            default=1_000,
            help="Of each (1000).",
        ),
        spread_daemon_option(),
        click.Option(
            ["-n", "members"],
            type=click.IntRange(0, 1_000),
            metavar="N",
            default=0,
            help="Wait until so many are in the group; each of them floods.",
        ),
        click.Option(["-ro", "read_only"], is_flag=True, help="Only receive."),
        click.Option(["-wo", "write_only"], is_flag=True, help="Only send."),
    ],
    context_settings=CONTEXT,
)
