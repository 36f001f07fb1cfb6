"""`zactor spmonitor`: Spread's monitor, of the daemons of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from zactor.cli.common import CONTEXT, Printing, say, settings
from zactor.kernel.errors import EXIT_DEGRADED, ConfigError, NotReachable, Refused, ZactorError

if TYPE_CHECKING:
    from zactor.spread.monitor import Outcome, SpreadMonitor

_COMMANDS = "status [NAME…] | partition A,B / C | heal | flow NAME|all WINDOW OWN | terminate NAME…|all | reload"  # noqa: E501


def _spmonitor(
    name: str | None,
    file: str | None,
    status_s: float,
    port: int | None,
    lasts_s: float,
    words: tuple[str, ...],
) -> None:
    from zactor.spread.monitor import SpreadMonitor
    from zactor.spread.monitor_menu import MonitorMenu, ShownOutcomes
    from zactor.supervisor.spread.daemon_config import read_config_file

    context = click.get_current_context()
    config = read_config_file(file)
    if name is not None:
        config.daemon(name)
    show = _show_json if settings(context).json else ShownOutcomes()
    with SpreadMonitor(config, settings(context).home_folder) as monitor:
        if not words:
            context.exit(MonitorMenu(monitor, status_s, show).run())
        what, found = _do(monitor, words[0], list(words[1:]), lasts_s)
        show(what, found)
        context.exit(_exit_code(found))


def _do(
    monitor: SpreadMonitor, command: str, words: list[str], lasts_s: float
) -> tuple[str, Mapping[str, Outcome]]:
    from zactor.spread.monitor_menu import read_parts

    match command, words:
        case "status", _:
            return "status", monitor.status(words or None)
        case "partition", [_, *_]:
            return "partition is set at", monitor.cut(read_parts(" ".join(words)), lasts_s)
        case "heal", []:
            return "partition is cancelled at", monitor.heal()
        case "flow", [who, window, own] if window.isdecimal() and own.isdecimal():
            names = monitor.daemons if who == "all" else tuple(who.split(","))
            windows = dict.fromkeys(names, (int(window), int(own)))
            return "flow control is set at", monitor.limit_flow(windows)
        case "terminate", [_, *_]:
            return "terminated", monitor.stop(None if words == ["all"] else words)
        case "reload", []:
            return "read their files again", monitor.reload()
    raise click.UsageError(f"want {_COMMANDS}, or nothing for the menu")


def _show_json(what: str, found: Mapping[str, Outcome]) -> None:
    from zactor.cli.output import to_json

    rows = [
        {"daemon": name, "error": str(each)}
        if isinstance(each, ZactorError)
        else {"daemon": name, **each}
        for name, each in found.items()
    ]
    say(to_json(rows if what == "status" else {"done": what, "daemons": rows}))


def _exit_code(found: Mapping[str, Outcome]) -> int:
    """Return 0 where all did it; else what is worst of why they didn't."""
    errors = [each for each in found.values() if isinstance(each, ZactorError)]
    if not errors:
        return 0
    refused = [each for each in errors if isinstance(each, Refused | ConfigError)]
    if refused:
        return refused[0].exit_code
    return NotReachable.exit_code if len(errors) == len(found) else EXIT_DEGRADED


spmonitor = Printing(
    "spmonitor",
    callback=_spmonitor,
    help="Watch the daemons of a configuration file, cut them from each other, hold them, end"
    " them; the menu of Spread's own program, or one command.\n\n"
    f"Commands: {_COMMANDS}.\n\n"
    "It works with zactor's daemons whose cluster's key is in this home.",
    params=[
        click.Argument(["words"], nargs=-1, metavar="[COMMAND [ARG]…]"),
        click.Option(["-n", "name"], metavar="NAME", help="Of a daemon here; not needed."),
        click.Option(
            ["-c", "file"],
            metavar="FILE",
            help="The configuration (./spread.conf, then /etc/spread.conf).",
        ),
        click.Option(
            ["-t", "status_s"],
            type=click.FloatRange(min=0.1, max=86_400),
            metavar="S",
            default=10.0,
            help="How often the status is shown (10).",
        ),
        click.Option(
            ["-p", "port"], type=int, metavar="PORT", help="Spread's; has no meaning here."
        ),
        click.Option(
            ["--lasts", "lasts_s"],
            type=click.FloatRange(min=0.1, max=3_600),
            metavar="S",
            default=60.0,
            help="How long `partition` holds; from the menu it holds until it is cancelled (60).",
        ),
    ],
    context_settings=CONTEXT,
)
