"""`zactor lab`: hosts on one computer, with cables to pull and machines to crash."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zactor.cli.common import (
    CONTEXT,
    Printing,
    ShellCommand,
    family,
    printing_command,
    say,
    settings,
    tell_progress,
)
from zactor.kernel.errors import NoSuchThing
from zactor.lab.faults import USAGES

if TYPE_CHECKING:
    from zactor.lab.lab_client import LabClient

DEFAULT_HOSTS = "3"
FORMED_S = 60.0  # until all hosts have one view; much, for busy machines


def _client() -> LabClient:
    from zactor.lab.lab_client import LabClient

    return LabClient(settings(click.get_current_context()).home_folder)


def _print(value: object, text: str) -> None:
    from zactor.cli.output import to_json

    as_json = settings(click.get_current_context()).json
    if as_json or text:
        say(to_json(value) if as_json else text)


# -- up and down -----------------------------------------------------------------------------
def _up(what: str, is_bare: bool, are_real: bool, seed: int) -> None:
    from zactor.cli.master import stop_signals

    began = time.monotonic()
    from zactor.lab.topology_files import topology_of

    topology, files = topology_of(what, are_bare=is_bare)
    if are_real:
        from zactor.lab.topology import with_real_disks

        topology = with_real_disks(topology)
    lab = _client()
    tell_progress(f"making {len(topology.hosts)} hosts")
    with stop_signals():
        try:
            lab.begin(topology, files=files, what=_said(what, is_bare), seed=seed)
            tell_progress("waiting for one view")
            lab.wait_formed(settings(click.get_current_context()).timeout or FORMED_S)
            lab.keep()
        finally:
            lab.close()
    took_s = time.monotonic() - began
    names = " ".join(topology.names)
    runs = any(host.run for host in topology.hosts)
    what_is = "one view of" if runs else "hosts"
    _print(
        {"hosts": list(topology.names), "took_s": round(took_s, 2)},
        f"{what_is} {names} after {took_s:.1f} s; `zactor lab ps` shows them,"
        " `zactor lab down` ends them",
    )


def _said(what: str, is_bare: bool) -> str:
    return f"{Path(what).name} bare" if is_bare else Path(what).name


def _down() -> None:
    try:
        _client().down()
    except NoSuchThing:
        _print({"ended": False}, "no lab runs here")
        return
    _print({"ended": True}, "the lab has ended, and nothing of it is left")


# -- looking ---------------------------------------------------------------------------------
def _ps() -> None:
    lab = _client()
    rows, rest = lab.hosts(), lab.ask("faults")
    from zactor.cli.output import table, use_colour

    names = [row["host"] for row in rows]
    shown = [
        {
            **{name: row[name] for name in ("host", "address", "state", "node")},
            "view": " ".join(row["view"]) or "-",
            "reaches": _reaches(row, names),
            "runs": " ".join(name for name in row["processes"] if name != "node") or "-",
        }
        for row in rows
    ]
    columns = ("host", "address", "state", "node", "view", "reaches", "runs")
    lines = [table(columns, shown, colour=use_colour())]
    lines += [f"fault: {line}" for line in rest["faults"]]
    _print({"hosts": rows, **rest}, "\n".join(lines))


def _reaches(row: dict[str, Any], names: Sequence[str]) -> str:
    others = [name for name in names if name != row["host"]]
    if row["reaches"] == others:
        return "all"
    return " ".join(row["reaches"]) or "nobody"


def _log(who: tuple[str, ...], since: int) -> None:
    from zactor.lab.sightings import shown

    rows, following = _client().seen(since)
    rows = [row for row in rows if not who or {row.get("host"), row.get("name")} & set(who)]
    first = rows[0]["t"] if rows else 0
    lines = [f"{(row['t'] - first) / 1e9:9.3f}  {shown(row)}" for row in rows]
    _print({"entries": rows, "next": following}, "\n".join(lines))


# -- inside ----------------------------------------------------------------------------------
def _exec(host: str, command: tuple[str, ...]) -> None:
    sys.stdout.flush()
    click.get_current_context().exit(_client().run_on(host, command))


def _shell(host: str) -> None:
    import os

    click.get_current_context().exit(_client().run_on(host, [os.environ.get("SHELL", "/bin/sh")]))


def _spawn(host: str, name: str, command: tuple[str, ...]) -> None:
    _client().spawn(host, name, *command)


def _type(host: str, name: str, text: tuple[str, ...]) -> None:
    _client().type(host, name, " ".join(text))


# -- faults ----------------------------------------------------------------------------------
_HELPS = {
    "cable": "Pull a host's cable out, or put it in.",
    "cut": "Cut the hosts of each side from those of the others; who is on none keeps all.",
    "one-way": "What A sends comes to B, and nothing from B to A.",
    "delay": "Let frames be late: on all links, those of HOST, or between two (A>B: one way).",
    "loss": "Lose so many frames.",
    "duplicate": "Send so many frames twice.",
    "reorder": "Let so many frames be overtaken by others.",
    "rate": "Carry no more than so many kbit/s on each link (0: any).",
    "kill": "kill -9 a host's node, or another process that the lab began there.",
    "crash": "Cut a host's power: silence, then nothing runs there.",
    "start": "Begin a host that is off, and its node.",
    "freeze": "Let everything on a host stand still.",
    "thaw": "Let it go on.",
    "clock": "Let the wall clock of Python programs there go wrong by so much (0: right).",
    "disk": "Let a host's disk be full, or free again.",
    "mtu": "Let no packet of all hosts, or of one, be longer than that (0: as before).",
    "heal": "Heal all: cables, cuts, links, frozen hosts, disks, clocks.",
}


def _fault(word: str) -> click.Command:
    def callback(words: tuple[str, ...]) -> None:
        _client().obey(word, *words)

    usage = USAGES[word].partition(" ")[2]
    return Printing(
        word,
        callback=callback,
        help=_HELPS[word],
        params=[click.Argument(["words"], nargs=-1, metavar=usage)],
        context_settings={**CONTEXT, "ignore_unknown_options": True},
    )


# -- stories ---------------------------------------------------------------------------------
def _run(story: str, seed: int, picture: str | None) -> None:
    from zactor.cli.master import stop_signals
    from zactor.lab.story import parse
    from zactor.lab.story_player import play

    path = _story_file(story)
    parsed = parse(path.read_text(), story)
    from zactor.lab.topology_files import topology_of

    with_files = topology_of(_beside(path, parsed.lab), are_bare=parsed.is_bare)
    with stop_signals():
        outcome = play(parsed, *with_files, seed=seed, tell=tell_progress)
    if picture is not None:
        Path(picture).write_text(outcome.picture + "\n")
    verdict = outcome.difference or f"{story}: as expected, after {outcome.took_s:.1f} s"
    shown = "" if picture is not None else f"{outcome.picture}\n\n"
    _print(
        {
            "story": story,
            "as_expected": not outcome.difference,
            "difference": outcome.difference,
            "took_s": round(outcome.took_s, 2),
            "entries": outcome.entries,
        },
        f"{shown}{verdict}",
    )
    click.get_current_context().exit(1 if outcome.difference else 0)


def _story_file(story: str) -> Path:
    """A file, or one of those that come along with zactor, by its name."""
    import zactor

    path = Path(story)
    if path.exists() or "/" in story:
        return path
    folder = Path(zactor.__file__).parent / "demos" / "lab"
    if not folder.is_dir():  # in a checkout
        folder = Path(zactor.__file__).parent.parent / "demos" / "lab"
    along = folder / f"{story}.story"
    if not along.exists():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.story")))
        raise NoSuchThing(f"there is no file {story!r}, and no story of that name: {names}")
    return along


def _beside(path: Path, what: str) -> str:
    return what if what.isdecimal() else str(path.parent / what)


def _record(file: str) -> None:
    from zactor.lab.story import recorded

    rows, _ = _client().seen()
    text = recorded(rows)
    if file == "-":
        say(text)
    else:
        Path(file).write_text(text)
        _print({"story": file, "lines": len(text.splitlines())}, f"{file}: {len(rows)} entries")


def _grade(file: str) -> None:
    from zactor.lab.grade import grade

    marks = grade(Path(file).read_text(), file)
    missed = [mark for mark in marks if not mark.is_shown]
    lines = [
        f"{'shown ' if mark.is_shown else 'MISSED'}  {mark.activity}: {mark.reason}"
        for mark in marks
    ]
    _print([mark.row() for mark in marks], "\n".join(lines))
    click.get_current_context().exit(1 if missed else 0)


# -- the family ------------------------------------------------------------------------------
_SEED = click.Option(
    ["--seed"], type=int, default=0, help="Of what chance decides: lost, late, doubled frames (0)."
)
_FREELY = {**CONTEXT, "ignore_unknown_options": True, "allow_interspersed_args": False}


def _free(
    name: str, callback: Callable[..., None], help_text: str, *arguments: click.Parameter
) -> click.Command:
    """Return a command behind which another one stands with its own options."""
    return ShellCommand(
        name,
        callback=callback,
        help=help_text,
        params=list(arguments),
        context_settings=_FREELY,
    )


def _command_argument() -> click.Argument:
    return click.Argument(["command"], nargs=-1, required=True, metavar="CMD...")


def _arguments(*names: str) -> list[click.Parameter]:
    return [click.Argument([name]) for name in names]


def _looking() -> list[click.Command]:
    who = click.Argument(["who"], nargs=-1)
    since = click.Option(["--since"], type=int, default=0, help="From this entry on.")
    return [
        printing_command("ps", _ps, "Who is there, who reaches whom, and who has which view."),
        printing_command(
            "log",
            _log,
            "What was done, said and seen, with its times; of WHO (hosts, processes) only.",
            [who, since],
        ),
    ]


def _inside() -> list[click.Command]:
    return [
        _free("exec", _exec, "Run a command on a host.", *_arguments("host"), _command_argument()),
        _free("shell", _shell, "Open a shell on a host.", *_arguments("host")),
        _free(
            "spawn",
            _spawn,
            "Start a process that stays on a host; `zactor lab log` has what it says.",
            *_arguments("host", "name"),
            _command_argument(),
        ),
        _free(
            "type",
            _type,
            "Type a line to a process that `spawn` started.",
            *_arguments("host", "name"),
            click.Argument(["text"], nargs=-1),
        ),
    ]


def _stories() -> list[click.Command]:
    picture = click.Option(["--picture"], metavar="FILE", help="Write the picture there.")
    return [
        printing_command(
            "run",
            _run,
            "Play a story in a lab of its own; exit code 1 where what is seen differs.\n\n"
            "STORY: a file, or one that comes along: daemons, spuser, simple_user, faults, nodes.",
            [*_arguments("story"), _SEED, picture],
        ),
        printing_command(
            "record",
            _record,
            "Write a story of what was done in the lab that runs, and of what was seen.",
            _arguments("file"),
        ),
        printing_command(
            "grade",
            _grade,
            "Say which activities of the exercise a recorded story shows, and what it misses.",
            _arguments("file"),
        ),
    ]


_UP = printing_command(
    "up",
    _up,
    "Make hosts, each with its own address, name, home and /tmp, and a node on each.\n\n"
    "N hosts (3), a spread.conf with a daemon on each of its hosts, or a file of hosts (TOML)."
    " Root is not needed where the system lets users make namespaces.",
    [
        click.Argument(["what"], required=False, default=DEFAULT_HOSTS, metavar="[N|FILE]"),
        click.Option(["--bare", "is_bare"], is_flag=True, help="Start no nodes."),
        click.Option(
            ["--real-disks", "are_real"],
            is_flag=True,
            help="Disks that lose at a crash what was not synced (root only).",
        ),
        _SEED,
    ],
)

lab = family(
    "lab",
    "Hosts on one computer: pull cables, cut networks, crash machines, and see what holds.",
    ("home", "json", "timeout"),
    [
        _UP,
        printing_command("down", _down, "End the lab; nothing of it stays."),
        *_looking(),
        *_inside(),
        *map(_fault, _HELPS),
        *_stories(),
    ],
)
