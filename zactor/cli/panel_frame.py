"""A panel as lines of a terminal. Nothing here reads or writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from zactor.kernel.printable import printable

Row = Mapping[str, object]

KEYS = "q back  ↑↓ choose  enter press  ←→ move"
_BARS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """Return the last `width` values as blocks, the lowest at the bottom."""
    shown = list(values[-width:])
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = high - low or 1.0
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in shown)


def driven(controls: Sequence[Row]) -> list[str]:
    """Return the names of the controls that do something, in their order."""
    return [str(each["name"]) for each in controls if each.get("does")]


def panel_frame(
    title: str,
    controls: Sequence[Row],
    values: Mapping[str, object],
    lines: Mapping[str, Sequence[float]],
    *,
    chosen: str = "",
    note: str = "",
    width: int = 80,
    colour: bool = False,
) -> list[str]:
    """Return the lines of the panel."""
    found = [_style(title[:width], colour, bold=True), ""]
    labels = max((len(str(each["label"])) for each in controls), default=0)
    for control in controls:
        label = printable(str(control["label"])).ljust(labels)
        text = _control(control, values.get(str(control["name"])), lines, width - labels - 6)
        is_chosen = bool(chosen) and chosen == control["name"] and bool(control.get("does"))
        head = f"{'>' if is_chosen else ' '} {label}  "
        for number, line in enumerate(text):
            whole = (head if number == 0 else " " * len(head)) + line
            found.append(_style(whole[:width], colour, reverse=is_chosen and number == 0))
    if note:
        found += ["", _style(printable(note)[:width], colour, fg="red")]
    return found


def _control(
    control: Row, value: object, lines: Mapping[str, Sequence[float]], width: int
) -> list[str]:
    match control["kind"]:
        case "button":
            return ["[ press ]"]
        case "switch":
            return ["[x] on" if value is True else "[ ] off"]
        case "slider":
            return [_slider(control, value, min(30, width - 10))]
        case "line":
            name = str(control["name"])
            return [f"{_shown(value)}  {spark(lines.get(name, ()), max(1, width - 12))}"]
        case "log":
            shown = value[-10:] if isinstance(value, list) else []
            return [printable(str(line)) for line in shown] or ["-"]
        case "number":
            return [f"{_shown(value)} {control.get('unit') or ''}".rstrip()]
        case _:
            return [printable(line) for line in _shown(value).splitlines()] or ["-"]


def _slider(control: Row, value: object, width: int) -> str:
    low, high = control.get("low"), control.get("high")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return f"[{'─' * width}] {_shown(value)}"
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return _shown(value)
    place = round((min(max(value, low), high) - low) / (high - low) * (width - 1))
    return f"[{'─' * place}●{'─' * (width - 1 - place)}] {value:g}"


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _style(text: str, colour: bool, **how: object) -> str:
    return click.style(text, **how) if colour and any(how.values()) else text  # type: ignore[arg-type]  # click's own keywords
