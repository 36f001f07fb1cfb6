"""`zactor master`: a node with a console, or with a script to run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click

from zactor.cli.common import CONTEXT, Settings, ShellCommand, Stopped, settings
from zactor.cli.node import Place, place_options
from zactor.cli.script_runner import Source, run_sources, script_sources
from zactor.kernel import forks
from zactor.kernel.errors import AlreadyExists, ConfigError

MASTERS_MAX = 1_000  # of one home on one machine
LOST_STOP_S = 0.2  # in which a stop is noticed whose exception was lost


# -- master ----------------------------------------------------------------------------------
@contextlib.contextmanager
def free_master_name(home: Path) -> Iterator[str]:
    """Yield m1, or the next mN that neither runs in this home nor is about to; it is ours then."""
    from zactor.supervisor.membership.run_directory import read_entries
    from zactor.supervisor.process import lock_state

    taken = {entry.name for entry in read_entries(home)}
    for number in range(1, MASTERS_MAX + 1):
        if (name := f"m{number}") in taken:
            continue
        with contextlib.ExitStack() as claim:
            try:
                claim.enter_context(lock_state(home, name, "claim"))
            except AlreadyExists:  # by one that was started at the same moment
                continue
            yield name
            return
    raise ConfigError(f"{MASTERS_MAX} masters run in {str(home)!r} already: give a --name")


def _master(
    script: str | None,
    lines: tuple[str, ...],
    name: str | None,
    bind: str | None,
    join: tuple[str, ...],
    advertise: str | None,
    payload: str | None,
    stay: bool,
    ensure: bool,
) -> None:
    given = settings(click.get_current_context())
    place = Place(bind=bind, join=join, advertise=advertise, payload=payload)
    sources = list(script_sources(script, lines))
    free = contextlib.nullcontext(name) if name else free_master_name(given.home_folder)
    with free as own_name:
        _run_master(own_name, given, place, sources, stay, can_ask=script != "-", ensure=ensure)


def _run_master(
    name: str,
    given: Settings,
    place: Place,
    sources: list[Source],
    stay: bool,
    *,
    can_ask: bool,
    ensure: bool,
) -> None:
    """Args: can_ask: whether stdin isn't the script. ensure: pass over what is there already."""
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and can_ask
    if not sources and not on_terminal:
        click.get_current_context().exit(_foreground(name, given, place))
    console = on_terminal and (stay or not sources)
    log_file = None if stay and not console else given.home_folder / "log" / f"{name}.log"
    finished = threading.Event()  # the scripts have run
    try:
        with (
            stop_signals() as stop,
            _logs_to(log_file),
            _master_node(name, given, place) as endpoint,
        ):
            if sources:
                run_sources(given, endpoint, sources, finished, ensure=ensure)
            if console:
                from zactor.cli.console import run_console

                run_console(given, endpoint, name)
            elif stay:
                stop.stay()
    except (KeyboardInterrupt, Stopped) as ending:
        # Where it was to stay, this is how it ends; but Ctrl-C in a script cuts that off.
        cut_off = sources and isinstance(ending, KeyboardInterrupt) and not finished.is_set()
        if cut_off or not (console or stay):
            raise


def _foreground(name: str, given: Settings, place: Place) -> int:
    from zactor.supervisor.process import run_node

    return run_node(
        name=name,
        role="master",
        home=given.home_folder,
        bind=place.bind,
        join=place.join,
        advertise=place.advertise,
        payload=place.payload,
        lifeline=None,
        json_logs=None,
    )


@contextlib.contextmanager
def _logs_to(file: Path | None) -> Iterator[None]:
    """Have this process's log in `file`, since the screen is the script's; None: on stderr."""
    import structlog

    from zactor.kernel.transport.private_files import check_home, open_private, private_folder
    from zactor.supervisor.observe.log_format import configure_logs, line_loggers

    if file is None:
        configure_logs()
        yield
        return
    configure_logs(as_json=True)
    check_home(file.parent.parent)
    with private_folder(file.parent):
        file.unlink(missing_ok=True)  # what an earlier one said, or a link that somebody laid
    with os.fdopen(open_private(file), "w", buffering=1) as log:
        structlog.configure(logger_factory=line_loggers(log))
        try:
            yield
        finally:
            configure_logs()


@contextlib.contextmanager
def _master_node(name: str, given: Settings, place: Place) -> Iterator[str]:
    """Run a master's node in this process for the time of the block; yields its endpoint.

    Raises:
        ZactorError: it can't start, or can't join whom it was to join.
    """
    from zactor.kernel.transport.open_files import check_open_files
    from zactor.supervisor.observe.user_logs import take_user_logs
    from zactor.supervisor.process import NodeThread
    from zactor.supervisor.settings import make_settings

    check_open_files()
    forks.is_node()
    take_user_logs()
    thread = NodeThread(
        name,
        make_settings(
            role="master",
            home=given.home_folder,
            bind=place.bind,
            join=place.join,
            advertise=place.advertise,
            payload=place.payload,
        ),
    )
    try:
        endpoint = thread.start()
        thread.wait_begun()
        yield endpoint
    finally:
        thread.stop()


class StopSignals:
    """Whether SIGTERM or SIGHUP came.

    Their handler raises Stopped in the main thread; but in a finalizer, which may run anywhere,
    Python prints what is raised and goes on. So who waits for the end looks here, too.
    """

    def __init__(self) -> None:
        """None came yet."""
        self.came = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle such a signal."""
        self.came = True
        raise Stopped

    def stay(self, while_: Callable[[], bool] = lambda: True) -> None:
        """Return when `while_()` isn't true any more, looking each LOST_STOP_S.

        Raises:
            Stopped: a signal comes, or has come.
        """
        while while_():
            if self.came:
                raise Stopped
            time.sleep(LOST_STOP_S)  # the handler ends it at once


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Let SIGTERM and SIGHUP raise Stopped in the block, so that nodes stop in good order."""
    stop = StopSignals()
    watched = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it is to outlive its terminal
        watched.append(signal.SIGHUP)
    for number in watched:
        forks.handled(number)
    before = {each: signal.signal(each, stop.interrupt) for each in watched}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


master = ShellCommand(
    "master",
    callback=_master,
    help="""Run a master: a node with a console.

    With a SCRIPT (- is stdin) or -c it does what they say and exits, unless --stay. Without, it
    opens the console on a terminal, and elsewhere runs until SIGTERM.

    A failing line ends the script with exit code 1, unless it begins with -.""",
    params=[
        click.Argument(["script"], required=False, metavar="[SCRIPT|-]"),
        click.Option(
            ["-c", "lines"], multiple=True, metavar="LINE", help="Do this line first; again."
        ),
        click.Option(["--name"], metavar="M", help="Its name (m1, or the next free one)."),
        *place_options(),
        click.Option(["--stay"], is_flag=True, help="Go on running after the script."),
        click.Option(
            ["--ensure"], is_flag=True, help="Pass over what is there already: such lines print =."
        ),
    ],
    context_settings=CONTEXT,
)

master.shared = ("home", "json", "timeout", "verbose")
