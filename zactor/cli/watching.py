"""Watching: what goes on as long as somebody reads it, and a listing again and again (`-w`)."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import click

from zactor.cli.common import error_line
from zactor.kernel.errors import NotReachable, OutcomeUnknown, TimedOut

EVERY_S = 1.0
AGAIN_S = 1.0  # more than it takes to end in good order
_HOME_AND_CLEAR = "\033[H\033[J"


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


def keep_showing(read: Callable[[], str], title: str) -> None:
    """Print what `read` returns: on a terminal in its place, elsewhere where it differs.

    That no node answers for a while is shown like anything else: it goes on.
    """
    before = ""
    with while_somebody_reads():
        while True:
            try:
                text = read()
            except (NotReachable, OutcomeUnknown, TimedOut) as error:
                text = error_line(error)
            if sys.stdout.isatty():
                sys.stdout.write(_HOME_AND_CLEAR)
                click.echo(f"{title}, every {EVERY_S:g} s; Ctrl-C ends it\n\n{text}")
            elif text != before:
                click.echo(text)  # it is printable, but for our colours
            before = text
            sys.stdout.flush()
            time.sleep(EVERY_S)
