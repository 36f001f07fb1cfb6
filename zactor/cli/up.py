"""`zactor up` and `zactor down`: a whole cluster on this machine, from nothing to nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from zactor.cli.common import (
    CONTEXT,
    Settings,
    ShellCommand,
    Stopped,
    deadline,
    say,
    settings,
    tell_progress,
)
from zactor.cluster.node_keeper import NodeKeeper
from zactor.cluster.processes import Processes
from zactor.kernel.errors import EXIT_FAILED, ConfigError, ScriptError, TimedOut, ZactorError

if TYPE_CHECKING:
    from zactor.commands.command import ConsoleSession
    from zactor.desired.document import Document

NODES = 3
"""How many nodes `up` starts when nobody says: the fewest of which one may fail."""
NODES_MAX = 200
UP_S = 30.0  # until all nodes know each other; much, for busy machines
DOWN_S = 15.0  # until all are gone after SIGTERM
PAGE_S = 5.0  # until the page has ended
POLL_S = 0.02
LOST_SHOWN = 5  # `zactor ps` has all


# -- up --------------------------------------------------------------------------------------
def _up(file: str | None, nodes: int | None, detach: bool, web: bool) -> None:
    if web and detach:
        raise ConfigError("--web ends with this command: with --detach say `zactor web` beside it")
    if file and file.isdecimal() and not os.path.exists(file):
        raise ConfigError(f"{file!r} is no file; if it is how many nodes: `zactor up -n {file}`")
    given = settings(click.get_current_context())
    from zactor.cli.master import stop_signals
    from zactor.cli.script_runner import run_sources, script_sources

    document = _document(file)
    wanted = nodes or (0 if document is not None else NODES)
    names = [f"n{number}" for number in range(1, wanted + 1)]
    if document is not None:
        elsewhere = _up_elsewhere(given)
        names += [name for name in document.nodes if name not in {*names, *elsewhere}]
        if not names:
            raise ConfigError(f"no node of {file} is to run here: `zactor apply {file}`")
    sources = list(script_sources(file, ())) if document is None else []
    with stop_signals() as stop:
        started = Processes(given.home_folder, are_tied=not detach)
        keep = False
        try:
            endpoint = _start(given, started, names)
            keep = detach
            if sources:
                run_sources(given, endpoint, sources, threading.Event(), ensure=True)
            if document is not None:
                _apply(given, endpoint, str(file))
            _tell_lost(given, endpoint)
            if not detach:
                with contextlib.suppress(KeyboardInterrupt, Stopped), _page(given, web):
                    _tell_end(started.spawned, names)
                    # Until `zactor down`; for ever where others started the nodes.
                    keeper = NodeKeeper(started, lambda words: say(words, err=True))
                    stop.stay(lambda: keeper.look() or not started.spawned)
        except (ScriptError, ApplyFailed):
            _tell_fate(started.spawned, file, detach)
            raise
        finally:
            if not keep:
                started.stop(*started.names, timeout=DOWN_S)
                started.close()


def _tell_lost(given: Settings, endpoint: str) -> None:
    """Say what ran when these nodes were stopped, and runs no more."""
    from zactor.cli.from_catalogue import open_session

    with deadline(given.timeout or UP_S), open_session(given, endpoint) as session:
        lost = [row for row in session.master.actors() if row["state"] == "lost"]
        down = [row for row in session.master.wires() if row["state"] == "down"]
    if not lost:
        return
    shown = [f"{row['name']} on {row['node']}" for row in lost[:LOST_SHOWN]]
    more = [f"{len(lost) - LOST_SHOWN} more"] if len(lost) > LOST_SHOWN else []
    wires = f", {_counted(len(down), 'wire')} down" if down else ""
    say(
        f"{_counted(len(lost), 'actor')} lost ({', '.join([*shown, *more])}){wires}:"
        " `zactor restore --all` has them again, `zactor forget NAME` ends it",
        err=True,
    )


def _counted(count: int, what: str) -> str:
    return f"1 {what} is" if count == 1 else f"{count} {what}s are"


def _tell_end(spawned: Sequence[str], names: Sequence[str]) -> None:
    others = [name for name in names if name not in spawned]
    ran = f"{', '.join(others)} ran already and will go on" if others else ""
    if spawned:
        say(f"Ctrl-C stops {', '.join(spawned)}{f'; {ran}' if ran else ''}", err=True)
    else:
        say(f"{ran}: Ctrl-C ends this command only", err=True)


def _tell_fate(spawned: Sequence[str], file: str | None, detach: bool) -> None:
    """Say what becomes of the nodes when a line of the script has failed."""
    nodes = ", ".join(spawned)
    if spawned and detach:
        again = _again(file)
        stay, them = ("goes", "it") if len(spawned) == 1 else ("go", "them")
        say(f"{nodes} {stay} on: {again}, `zactor down` stops {them}", err=True)
    elif spawned:
        say(f"stopping {nodes}: --detach leaves them", err=True)


def _again(file: str | None) -> str:
    if file in (None, "-"):
        return "mend it"
    words = "apply" if str(file).endswith(".toml") else "master --ensure"
    return f"`zactor {words} {file}` goes on with it"


# -- a file that says what there should be ---------------------------------------------------
class ApplyFailed(ZactorError):
    """A file couldn't be applied, or not all of it runs."""


def _document(file: str | None) -> Document | None:
    if file is None or not file.endswith(".toml"):
        return None
    from zactor.desired.carry_out import read_file

    return read_file(file, Path)


def _up_elsewhere(given: Settings) -> set[str]:
    """Return the names of nodes that are up, if a node of this home can be asked."""
    from zactor.cli.from_catalogue import open_session
    from zactor.supervisor.membership.run_directory import read_entries

    here = {entry.name: entry.endpoint for entry in read_entries(given.home_folder)}
    if not here:
        return set()
    with open_session(given, next(iter(here.values()))) as session:
        rows = session.master.nodes()
    return {str(row["name"]) for row in rows if row["state"] == "up"} - here.keys()


def _apply(given: Settings, endpoint: str, file: str) -> None:
    from zactor.cli.from_catalogue import open_session
    from zactor.cli.output import show
    from zactor.commands.catalogue import find_words

    command = find_words("apply")
    try:
        with open_session(given, endpoint) as session:
            result = command.act(session, {"file": file, "yes": True})
    except ZactorError as error:
        raise ApplyFailed(str(error)) from error
    show(command, result, as_json=given.json)
    if command.exit_code(result) == EXIT_FAILED:
        raise ApplyFailed(f"{file} wasn't applied as a whole: see above")


def _start(given: Settings, started: Processes, names: Sequence[str]) -> str:
    """Start the nodes that don't run yet; return an endpoint once all of them know each other."""
    from zactor.cli.output import show
    from zactor.commands.catalogue import find_words
    from zactor.supervisor.membership.run_directory import read_entries

    with deadline(given.timeout or UP_S):
        running = {entry.name for entry in read_entries(started.home)}
        for name in names:
            if name in running:
                tell_progress(f"{name} runs already")
            else:
                tell_progress(f"starting {name}")
                started.output_file(name).unlink(missing_ok=True)  # what an earlier one said
                started.spawn(name)
        endpoints: dict[str, str] = {}
        while not set(names) <= endpoints.keys():
            started.check()
            time.sleep(POLL_S)
            endpoints = {entry.name: entry.endpoint for entry in read_entries(started.home)}
        rows = _meet(given, started, endpoints[names[0]], names)
    show(find_words("nodes"), rows, as_json=given.json)
    sys.stdout.flush()
    return endpoints[names[0]]


def _meet(
    given: Settings, started: Processes, endpoint: str, names: Sequence[str]
) -> list[dict[str, object]]:
    from zactor.cli.from_catalogue import open_session

    with open_session(given, endpoint) as session:
        while True:
            rows = session.master.nodes()
            lives = [f"{row['name']}@{row['incarnation']}" for row in rows if row["state"] == "up"]
            up = {life.partition("@")[0] for life in lives}
            # Until the knowledge base knows these lives it may say what the last ones did.
            if set(names) <= up and set(lives) <= set(_members(session)):
                return rows
            started.check()
            time.sleep(POLL_S)


def _members(session: ConsoleSession) -> Iterable[str]:
    return cast("list[str]", session.master.status()["members"])


@contextlib.contextmanager
def _page(given: Settings, is_wanted: bool) -> Iterator[None]:
    """Serve the page for the time of the block, in a process of its own, if it is wanted."""
    if not is_wanted:
        yield
        return
    words = [sys.executable, "-m", "zactor", "web", "--home", os.fspath(given.home_folder)]
    page = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        page.terminate()
        try:
            page.wait(PAGE_S)
        except subprocess.TimeoutExpired:
            page.kill()
            page.wait(PAGE_S)


up = ShellCommand(
    "up",
    callback=_up,
    help="Start the nodes n1, n2, … on this machine and run the script FILE; of a file lab.toml "
    "start the nodes that it names, and apply it.\n\nLines of the script whose work is done "
    "already are passed over: they print =. "
    "They stop when this command does; with --detach they go on until `zactor down`. "
    "Their logs are in the home's folder log.",
    params=[
        click.Argument(["file"], required=False),
        click.Option(
            ["-n", "--nodes"],
            type=click.IntRange(1, NODES_MAX),
            help=f"How many ({NODES}, or those that FILE names).",
        ),
        click.Option(["-d", "--detach"], is_flag=True, help="Leave them running."),
        click.Option(["--web"], is_flag=True, help="Serve the page too (see `zactor web -h`)."),
    ],
    context_settings=CONTEXT,
)
up.shared = ("home", "json", "timeout")


# -- down ------------------------------------------------------------------------------------
def _down(kill: bool) -> None:
    from zactor.cli.output import to_json
    from zactor.kernel.transport.private_files import check_home
    from zactor.supervisor.membership.run_directory import RunEntry, process_start, read_entries

    given = settings(click.get_current_context())
    if given.home_folder.exists():
        check_home(given.home_folder)  # or somebody else would say whom to end
    entries = {entry.pid: entry for entry in read_entries(given.home_folder)}

    def runs(entry: RunEntry) -> bool:
        return process_start(entry.pid) == entry.started

    def send(number: signal.Signals) -> None:
        for entry in filter(runs, entries.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry.pid, number)

    def gone(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while any(map(runs, entries.values())) and time.monotonic() < until:
            time.sleep(POLL_S)
        return not any(map(runs, entries.values()))

    names = [entry.name or f"process {entry.pid}" for entry in entries.values()]
    tell_progress(f"stopping {', '.join(names) or 'nothing'}")
    send(signal.SIGTERM)
    send(signal.SIGCONT)  # one that was frozen can't hear
    seconds = given.timeout or DOWN_S
    if not gone(seconds):
        if kill:
            send(signal.SIGKILL)
        if not kill or not gone(seconds):
            left = [f"{e.name} (pid {e.pid})" for e in entries.values() if runs(e)]
            raise TimedOut(
                f"{', '.join(left)} still there after {seconds:g} s: `zactor down --kill` ends it"
            )
    if given.json:
        say(to_json({"stopped": names}))
    else:
        say(f"stopped {', '.join(names)}" if names else "nothing runs here")


down = ShellCommand(
    "down",
    callback=_down,
    help="Stop all nodes and masters of this home on this machine, and wait until they are gone.",
    params=[
        click.Option(
            ["--kill"], is_flag=True, help="Kill what doesn't stop in time (--timeout, 15 s)."
        )
    ],
    context_settings=CONTEXT,
)
down.shared = ("home", "json", "timeout")
