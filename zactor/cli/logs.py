"""`zactor logs`: what actors print, log and raise, of any node, from any terminal."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Mapping

import click

from zactor.cli.common import CONTEXT, Asking, Settings, say, settings
from zactor.cli.offers import actors_offered
from zactor.kernel.errors import EXIT_DEGRADED, ConfigError, NoSuchThing
from zactor.kernel.moment import moment
from zactor.kernel.printable import printable

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCKS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%H:%M:%S", "%H:%M")


def read_since(text: str, now_s: float) -> float:
    """Return what `--since` says, in s since 1970: 10m, 17:30, 2026-05-01T17:30:00.

    Raises:
        ConfigError: it is no time.
    """
    if found := _AGO.fullmatch(text):
        return now_s - float(found[1]) * _UNIT_S[found[2]]
    for form in _CLOCKS:
        try:
            parsed = time.strptime(text, form)
        except ValueError:
            continue
        if "%Y" in form:
            return time.mktime(parsed)
        today = time.localtime(now_s)
        return time.mktime((*today[:3], *parsed[3:6], *today[6:]))
    raise ConfigError(f"--since {text!r} is no time: want 10m, 17:30 or 2026-05-01T17:30:00")


def output_line(row: Mapping[str, object]) -> str:
    """Return a line for people: when, node, actor, what it said."""
    at = row.get("at")
    when = moment(at if isinstance(at, int | float) else 0)
    mark = {"failed": "! ", "logged": "# "}.get(str(row.get("kind")), "")
    text = printable(str(row.get("text", "")), keep="\t")
    return f"{when}  {row.get('node')}  {row.get('actor') or '-'}  {mark}{text}"


async def _show(given: Settings, name: str, follow: bool, since: float, count: int | None) -> int:
    from zactor.cli.output import to_json
    from zactor.client.connect import connect

    async with connect(given.endpoint, given.home_folder, timeout=given.timeout) as master:
        nodes = {str(row["name"]) for row in await master.nodes()}
        node, actor = (name, "") if name in nodes else ("", name)
        stream = master.output(node, actor, since)
        rows, silent = await stream.past()
        if actor and not rows:
            there = {str(row["name"]) for row in await master.actors()}
            if actor not in there:
                raise NoSuchThing(f"there is no actor or node {actor!r}: `zactor ps`")
        rows = rows[-count:] if count is not None else rows
        if given.json and not follow:
            say(to_json(rows))
        else:
            for row in rows:
                say(to_json(row, indent=False) if given.json else output_line(row))
        if silent:
            say(f"zactor: no answer from {', '.join(silent)}: its lines are missing", err=True)
        while follow:
            sys.stdout.flush()
            async for row in stream.follow():
                say(to_json(row, indent=False) if given.json else output_line(row))
                sys.stdout.flush()
        return EXIT_DEGRADED if silent else 0


def _logs(name: str | None, follow: bool, since: str | None, count: int | None) -> None:
    context = click.get_current_context()
    given = settings(context)
    begin = read_since(since, time.time()) if since is not None else 0.0
    if not follow:
        context.exit(asyncio.run(_show(given, name or "", False, begin, count)))
    from zactor.cli.watching import while_somebody_reads

    with while_somebody_reads():
        context.exit(asyncio.run(_show(given, name or "", True, begin, count)))


logs = Asking(
    "logs",
    callback=_logs,
    params=[
        click.Argument(
            ["name"], required=False, metavar="[ACTOR|NODE]", shell_complete=actors_offered
        ),
        click.Option(["-f", "--follow"], is_flag=True, help="Go on with what they say."),
        click.Option(["--since"], metavar="T", help="Nothing older: 10m, 17:30, a date."),
        click.Option(
            ["-n", "count"], type=click.IntRange(min=0), metavar="N", help="Of the past only N."
        ),
    ],
    help="What actors printed, logged (#) and raised (!): of one, of a node's, or of all.\n\n"
    "Each node keeps the last lines of each of its actors on its disk, so what was printed before "
    "a node was killed is there after its next start.",
    context_settings=CONTEXT,
)
