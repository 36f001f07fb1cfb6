"""`zactor events`: what happened on a node, and what happens."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import click

from zactor.cli.common import CONTEXT, Asking, deadline, say, settings
from zactor.cli.from_catalogue import TIMEOUT_S, open_session

AGAIN_S = 1.0  # more than it takes to end in good order


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


@contextlib.contextmanager
def while_somebody_reads() -> Iterator[None]:
    """Raise BrokenPipeError in the block as soon as nobody reads our output any more.

    A write would tell, but in `zactor events -f | head -1` the next one may be hours away.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise BrokenPipeError

    def swallowed(where: sys.UnraisableHookArgs) -> None:
        if not isinstance(where.exc_value, BrokenPipeError):  # that one is raised again
            sys.__unraisablehook__(where)

    def watch() -> None:
        poller = select.poll()
        poller.register(sys.stdout, 0)  # errors are told without being asked for
        poller.poll()
        while True:  # it may be raised where errors of pipes are swallowed, so again
            signal.pthread_kill(main, signal.SIGUSR1)
            if is_over.wait(AGAIN_S):
                return

    if sys.stdout.isatty():
        yield
        return
    main, is_over = threading.get_ident(), threading.Event()
    signal.signal(signal.SIGUSR1, interrupt)
    sys.unraisablehook = swallowed
    threading.Thread(target=watch, name="zactor-reader", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        sys.unraisablehook = sys.__unraisablehook__
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the thread may still be about to send it


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
