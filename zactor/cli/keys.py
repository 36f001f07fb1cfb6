"""`zactor keys`: the keys of a home, which need no node."""

from __future__ import annotations

import sys

import click

from zactor.cli.common import family, print_fields, printing_command, say, settings


# -- keys ------------------------------------------------------------------------------------
def _init() -> None:
    from zactor.kernel.transport import keys as store

    home = settings(click.get_current_context()).home_folder
    store.cluster_keys(home)
    print_fields(store.describe(home))


def _show_keys() -> None:
    from zactor.kernel.transport import keys as store

    print_fields(store.describe(settings(click.get_current_context()).home_folder))


def _token() -> None:
    from zactor.kernel.transport import keys as store

    given = settings(click.get_current_context())
    line = store.token(given.home_folder)  # makes the keys where there are none yet
    if given.json:
        print_fields({"token": line})
    else:
        say(line)


def _join(token: str) -> None:
    from zactor.kernel.transport import keys as store

    home = settings(click.get_current_context()).home_folder
    store.join(home, sys.stdin.readline() if token == "-" else token)
    print_fields(store.describe(home))


keys = family(
    "keys",
    "Make, pass on and show the cluster's keys. Who has the token is in the cluster.",
    ("home", "json"),
    [
        printing_command("init", _init, "Make this home's keys, unless it has them."),
        printing_command("token", _token, "Print the line that lets another machine join."),
        printing_command(
            "join",
            _join,
            "Join the cluster of TOKEN; - reads it from stdin, where `ps` shows nothing.",
            [click.Argument(["token"])],
        ),
        printing_command(
            "show", _show_keys, "Print the cluster's id and fingerprints, no secrets."
        ),
    ],
)
