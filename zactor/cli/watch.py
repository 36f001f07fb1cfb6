"""`zactor events`: what happened on a node, and what happens."""

from __future__ import annotations

import sys

import click

from zactor.cli.common import CONTEXT, Asking, deadline, settings
from zactor.cli.network import TIMEOUT_S, open_session


def _events(follow: bool) -> None:
    from zactor.cli.output import event_line, to_json

    given = settings(click.get_current_context())
    if not follow:
        with deadline(given.timeout or TIMEOUT_S), open_session(given) as session:
            found = list(session.master.events())
        if given.json:
            click.echo(to_json(found))
        for event in found if not given.json else ():
            click.echo(event_line(event))
        return
    with deadline(given.timeout), open_session(given) as session:
        for event in session.master.events(follow=True):
            click.echo(to_json(event, indent=False) if given.json else event_line(event))
            sys.stdout.flush()


events = Asking(
    "events",
    callback=_events,
    params=[click.Option(["-f", "--follow"], is_flag=True, help="Go on with what happens.")],
    help="What happened on the node that answers; -f: and what happens from now on.\n\n"
    "With --json a list; with -f and --json one object per line.",
    context_settings=CONTEXT,
)
