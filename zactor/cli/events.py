"""`zactor events`: what happened on a node, and what happens."""

from __future__ import annotations

import sys

import click

from zactor.cli.common import CONTEXT, Asking, deadline, say, settings
from zactor.cli.from_catalogue import TIMEOUT_S, open_session
from zactor.cli.watching import while_somebody_reads


def _events(follow: bool, node: str, count: int | None) -> None:
    from zactor.cli.output import event_line, to_json

    given = settings(click.get_current_context())
    if not follow:
        with deadline(given.timeout or TIMEOUT_S), open_session(given) as session:
            found = list(session.master.events(False, node, count))
        if given.json:
            say(to_json(found))
        for event in found if not given.json else ():
            say(event_line(event))
        return
    with while_somebody_reads(), deadline(given.timeout), open_session(given) as session:
        for event in session.master.events(True, node, count):
            say(to_json(event, indent=False) if given.json else event_line(event))
            sys.stdout.flush()


events = Asking(
    "events",
    callback=_events,
    params=[
        click.Option(["-f", "--follow"], is_flag=True, help="Go on with what happens."),
        click.Option(["--node"], metavar="NODE", default="", help="Only what NODE tells."),
        click.Option(
            ["-n", "count"], type=click.IntRange(min=1), metavar="N", help="Of the past only N."
        ),
    ],
    help="What happened on all nodes, in one order; -f: and what happens from now on.\n\n"
    "A change of the knowledge base, which every node applies, comes once. "
    "With --json a list; with -f and --json one object per line.",
    context_settings=CONTEXT,
)
