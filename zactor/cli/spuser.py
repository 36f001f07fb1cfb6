"""`zactor spuser`: Spread's program to try groups by hand, at any daemon of Spread."""

from __future__ import annotations

import secrets
import sys

import click

from zactor.cli.common import CONTEXT, ShellCommand, spread_daemon_option

_RANDOM_NAME_BYTES = 4  # as hexadecimal digits they are 8 characters of a name's 10


def _spuser(
    user: str, is_random: bool, daemon: str, account: str | None, password: str | None
) -> None:
    from zactor.spread.connection import SpreadConnection
    from zactor.spread.user import VERSION, SpreadUser
    from zactor.supervisor.spread.handshake import PWORD

    if (account is None) != (password is None):
        raise click.UsageError("-n and -p belong together: a user and a password")
    known = None if account is None or password is None else (account, password)
    methods = (PWORD,) if known else ("NULL",)
    name = secrets.token_hex(_RANDOM_NAME_BYTES) if is_random else user
    print(f"Spread library version is {VERSION}", flush=True)
    with SpreadConnection(daemon, name, methods=methods, password=known) as connection:
        print(
            f"User: connected to {daemon} with private group {connection.private_group}",
            flush=True,
        )
        sys.exit(SpreadUser(connection).run())


spuser = ShellCommand(
    "spuser",
    callback=_spuser,
    help="Join groups of Spread, send to them, and see what comes; the keys and texts of Spread's"
    " own program.\n\nIt connects to any daemon of Spread, this one's or the original's.",
    params=[
        click.Option(
            ["-u", "user"], metavar="NAME", default="user", help="Its name, up to 10 characters."
        ),
        click.Option(["-r", "is_random"], is_flag=True, help="A random name."),
        spread_daemon_option(),
        click.Option(
            ["-n", "account"], metavar="USER", help="Pass the method PWORD as this user, with -p."
        ),
        click.Option(
            ["-p", "password"], metavar="PASSWORD", help="Of that user; it travels in clear."
        ),
    ],
    context_settings=CONTEXT,
)
