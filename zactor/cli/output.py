"""Output for people and programs: aligned tables with a header, single lines, JSON."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import click

from zactor.commands.actions import DIGEST_SHOWN, say_failure
from zactor.commands.command import Command, Values
from zactor.commands.text import cell
from zactor.kernel.moment import moment
from zactor.kernel.printable import printable, printable_json

_COLOURS = {
    "up": "green",
    "running": "green",
    "yes": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "unconfigured": "yellow",
    "failed": "red",
    "blocking": "red",
    "unreachable": "red",
    "stopped": "red",
    "gone": "red",
    "lost": "red",
    "down": "red",
    "no": "red",
}

_COLOURED = ("state", "ok")  # columns

_SIGNS = {"asserted": "+", "retracted": "-"}  # facts that came and went

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")

Say = Callable[[str], None]


def use_colour() -> bool:
    """Whether stdout is a terminal whose user hasn't asked for no colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def show(
    command: Command,
    result: object,
    *,
    as_json: bool,
    values: Values = MappingProxyType({}),
    say: Say = click.echo,
) -> None:
    """Print the result of `command` for people, or as one JSON document."""
    if command.verdict is not None and not as_json:
        say(printable(short_digests(command.verdict(result, values))))
    if as_json:
        say(to_json(result))
    elif command.columns:
        assert isinstance(result, list)
        say(table(command.columns, result, colour=use_colour()))
    elif command.say is not None:
        if text := command.say(result):
            told = text if command.verdict is None else short_digests(text)
            say(printable(told, keep="\n"))
    elif isinstance(result, Mapping) and command.words == "status":
        say(record(_status(result)))
    else:
        say(to_json(result))


def _status(result: Mapping[str, object]) -> dict[str, object]:
    failures = result.get("failures")
    if not isinstance(failures, list):  # of a node that has none to tell
        return dict(result)
    return {**result, "failures": [say_failure(row) for row in failures]}


def to_json(value: object, *, indent: bool = True) -> str:
    """Return `value` as JSON: indented for a terminal, on one line for a program.

    Numbers that JSON doesn't have become the strings "NaN", "Infinity" and "-Infinity".
    """
    spaces = 2 if indent and sys.stdout.isatty() else None
    try:
        text = json.dumps(value, ensure_ascii=False, indent=spaces, default=_plain, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, indent=spaces, default=_plain)
    return printable_json(text)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value, key=str)
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, colour: bool) -> str:
    """Return `rows` under a header, each column as wide as its longest cell."""
    cells = [[_short(name, cell(name, row.get(name))) for name in columns] for row in rows]
    titles = [name.upper() for name in columns]
    widths = [max(len(each) for each in column) for column in zip(titles, *cells, strict=True)]
    lines = [_line(titles, widths, ["bold"] * len(titles) if colour else None)]
    for row in cells:
        colours = [
            _COLOURS.get(text, "") if name in _COLOURED else ""
            for name, text in zip(columns, row, strict=True)
        ]
        lines.append(_line(row, widths, colours if colour else None))
    return "\n".join(lines)


def _short(column: str, text: str) -> str:
    return text[:DIGEST_SHOWN] if column == "bundle" else text


def _line(cells: Sequence[str], widths: Sequence[int], colours: Sequence[str] | None) -> str:
    padded = [text.ljust(width) for text, width in zip(cells, widths, strict=True)]
    padded[-1] = padded[-1].rstrip()
    if colours is not None:
        padded = [_painted(text, colour) for text, colour in zip(padded, colours, strict=True)]
    return "  ".join(padded).rstrip()


def _painted(text: str, colour: str) -> str:
    if colour == "bold":
        return click.style(text, bold=True)
    return click.style(text, fg=colour) if colour else text


def record(fields: Mapping[str, object]) -> str:
    """Return `fields` as `name: value` lines, the values under each other: a sentence a line."""
    width = max((len(name) for name in fields), default=0) + 1
    lines = []
    for name, value in fields.items():
        texts = [cell(name, value)]
        if isinstance(value, list) and any(" " in str(each) for each in value):
            texts = [cell(name, each) for each in value]
        for place, text in enumerate(texts):
            lines.append(f"{printable('' if place else name + ':').ljust(width)} {text}")
    return "\n".join(lines)


def short_digests(text: str) -> str:
    """Return `text` with 12 digits of each sha256 in it; --json has all of them."""
    return _DIGEST.sub(r"\1", text)


def event_line(event: Mapping[str, object]) -> str:
    """Return an event as one line: when, where, what, and its fields."""
    at = event.get("at")
    when = moment(at) if isinstance(at, int | float) else "-"
    head = f"{cell('node', event.get('node'))} {cell('event', event.get('event'))}"
    fields = [
        text
        for name, value in event.items()
        if name not in ("number", "at", "node", "event")
        for text in _event_field(name, value)
    ]
    if not fields and event.get("event") == "changed":
        fields = ["no fact"]  # a change that changed nothing
    return short_digests(" ".join([when, head, *fields]))


def _event_field(name: str, value: object) -> list[str]:
    if name in _SIGNS and isinstance(value, list | tuple):
        return [printable(f"{_SIGNS[name]}{fact}") for fact in value]
    return [f"{printable(name)}={cell(name, value)}"]
