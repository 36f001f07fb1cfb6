"""`zactor node`, `zactor master`, `zactor demo`: commands that run something of their own."""

from __future__ import annotations

import contextlib
import importlib
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from zactor.cli.common import CONTEXT, Command, Settings, Stopped, deadline, settings
from zactor.kernel.errors import ConfigError, NoSuchThing

MASTERS_MAX = 1_000  # of one home on one machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node listens and whom it joins, as the command line says it."""

    bind: str | None
    join: tuple[str, ...]
    advertise: str | None


def _place_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--bind"],
            metavar="HOST[:PORT]",
            help="Where to listen (127.0.0.1, the first free port from 4810 on).",
        ),
        click.Option(
            ["--join"], multiple=True, metavar="HOST[:PORT]", help="A node of the cluster; again."
        ),
        click.Option(
            ["--advertise"],
            metavar="HOST[:PORT]",
            help="What other machines connect to, when it isn't the address of --bind.",
        ),
    ]


# -- node ------------------------------------------------------------------------------------
def _node(
    name: str | None,
    bind: str | None,
    join: tuple[str, ...],
    advertise: str | None,
    leash: int | None,
    logs: str | None,
) -> None:
    from zactor.supervisor.main import run_node

    context = click.get_current_context()
    context.exit(
        run_node(
            name=name,
            role="node",
            home=settings(context).home_folder,
            bind=bind,
            join=join,
            advertise=advertise,
            leash=leash,
            json_logs=None if logs is None else logs == "json",
        )
    )


node = Command(
    "node",
    callback=_node,
    help="Run a node in the foreground, its log on stderr, until SIGTERM or Ctrl-C.\n\n"
    "Without a name it waits until declareNode gives it one.",
    params=[
        click.Option(["--name"], metavar="N", help="Its name; it is the same node next time."),
        *_place_options(),
        click.Option(
            ["--logs"],
            type=click.Choice(["json", "text"]),
            help="How the log is written (text on a terminal, else json).",
        ),
        click.Option(
            ["--leash"], type=int, hidden=True, help="A file descriptor: stop when it closes."
        ),
    ],
    context_settings=CONTEXT,
)


# -- master ----------------------------------------------------------------------------------
def free_master_name(home: Path) -> str:
    """Return m1, or the next mN that doesn't run in this home."""
    from zactor.supervisor.rundir import read_entries

    taken = {entry.name for entry in read_entries(home)}
    for number in range(1, MASTERS_MAX + 1):
        if f"m{number}" not in taken:
            return f"m{number}"
    raise ConfigError(f"{MASTERS_MAX} masters run in {str(home)!r} already: give a --name")


def _master(
    script: str | None,
    lines: tuple[str, ...],
    name: str | None,
    bind: str | None,
    join: tuple[str, ...],
    advertise: str | None,
    stay: bool,
) -> None:
    context = click.get_current_context()
    given = settings(context)
    place = Place(bind=bind, join=join, advertise=advertise)
    name = name or free_master_name(given.home_folder)
    sources = list(script_sources(script, lines))
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and script != "-"
    if not sources and not on_terminal:
        context.exit(_foreground(name, given, place))
    console = on_terminal and (stay or not sources)
    log_file = None if stay and not console else given.home_folder / "log" / f"{name}.log"
    finished = threading.Event()  # the scripts have run
    try:
        with stop_signals(), _logs_to(log_file), _master_node(name, given, place) as endpoint:
            if sources:
                run_sources(given, endpoint, sources, finished)
            if console:
                from zactor.cli.console import run_console

                run_console(given, endpoint, name)
            elif stay:
                threading.Event().wait()
    except (KeyboardInterrupt, Stopped) as ending:
        # Where it was to stay, this is how it ends; but Ctrl-C in a script cuts that off.
        cut_off = sources and isinstance(ending, KeyboardInterrupt) and not finished.is_set()
        if cut_off or not (console or stay):
            raise


Source = tuple[str, str | Iterable[str], Path | None]
"""A script: its name in messages, its text or its lines as they come, the folder of its file."""


def script_sources(script: str | None, lines: tuple[str, ...]) -> Iterator[Source]:
    """Yield the scripts that a command line names."""
    if lines:
        yield "-c", "\n".join(lines), None
    if script == "-":
        yield "<stdin>", sys.stdin, None
    elif script is not None:
        file = Path(script)
        try:
            yield script, file.read_text(), file.parent
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8 text"
            raise ConfigError(f"can't read the script {script!r}: {reason}") from None


def run_sources(
    given: Settings, endpoint: str, sources: Iterable[Source], finished: threading.Event
) -> None:
    """Run scripts, one after the other, at one node; then set `finished`."""
    from zactor.cli.network import open_session
    from zactor.cli.output import show
    from zactor.operations import Call
    from zactor.script import read_script, run_script

    def tell(call: Call, result: object) -> None:
        show(call.operation, result, as_json=given.json or call.as_json)
        sys.stdout.flush()

    with deadline(given.timeout), open_session(given, endpoint) as session:
        for file, text, folder in sources:
            session.folders = (Path(),) if folder is None else (Path(), folder)
            run_script(
                session,
                read_script(text),
                file,
                show=tell,
                warn=lambda message: click.echo(f"{message} (goes on)", err=True),
            )
        finished.set()


def _foreground(name: str, given: Settings, place: Place) -> int:
    from zactor.supervisor.main import run_node

    return run_node(
        name=name,
        role="master",
        home=given.home_folder,
        bind=place.bind,
        join=place.join,
        advertise=place.advertise,
        leash=None,
        json_logs=None,
    )


@contextlib.contextmanager
def _logs_to(file: Path | None) -> Iterator[None]:
    """Have this process's log in `file`, since the screen is the script's; None: on stderr."""
    import structlog

    from zactor.supervisor.logs import configure_logs

    if file is None:
        configure_logs()
        yield
        return
    configure_logs(as_json=True)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.open("w", buffering=1) as log:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        try:
            yield
        finally:
            configure_logs()


@contextlib.contextmanager
def _master_node(name: str, given: Settings, place: Place) -> Iterator[str]:
    """Run a master's node in this process for the time of the block; yields its endpoint."""
    from zactor.kernel.transport.sockets import raise_open_files
    from zactor.supervisor.main import NodeThread, make_settings

    raise_open_files()
    thread = NodeThread(
        name,
        make_settings(
            role="master",
            home=given.home_folder,
            bind=place.bind,
            join=place.join,
            advertise=place.advertise,
        ),
    )
    try:
        yield thread.start()
    finally:
        thread.stop()


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Stopped in the block, so that nodes stop in good order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Stopped

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


master = Command(
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
        *_place_options(),
        click.Option(["--stay"], is_flag=True, help="Go on running after the script."),
    ],
    context_settings=CONTEXT,
)
master.shared = ("home", "json", "timeout", "verbose")


# -- demo ------------------------------------------------------------------------------------
_DEMOS = ("1", "2", "3", "4")


def _demo(number: str, rest: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[0-9]{1,2}", number):
        raise ConfigError(f"{number!r} is no number of a demo, like 1")
    module = f"zactor.demos.demo{number}"
    if number not in _DEMOS:
        raise NoSuchThing(f"there is no demo {number}: want {', '.join(_DEMOS)}")
    code = importlib.import_module(module).run(list(rest))
    click.get_current_context().exit(code)


demo = Command(
    "demo",
    callback=_demo,
    help="""Run one of the demos with real processes; exit code 0 only if it shows what it should.

    \b
    3 and 4:  --list      print the places where the console may be made to die
              --at PLACE  let it die there
    4:        --fail      let the actor's on_stop fail
    """,
    params=[
        click.Argument(["number"], required=False, default="1", metavar=f"[{'|'.join(_DEMOS)}]"),
        click.Argument(["rest"], nargs=-1, metavar="[ARGUMENTS]..."),
    ],
    context_settings={**CONTEXT, "ignore_unknown_options": True},
)
demo.shared = ()
