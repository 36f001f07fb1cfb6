"""An event log, taken apart for the checkers: who was in which view and what happened there.

Reads the lines of kernel/groups/trace.py, from the simulator or from real nodes, and imports
nothing of the engine: what it checked with its own eyes would prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]  # one event: JSON types only
ViewKey = tuple[int, str, int]  # epoch, coordinator's name and incarnation

ORDERED = ("causal", "agreed", "safe")
STREAMED = ("fifo", *ORDERED)


def split_process(process: str) -> tuple[str, int]:
    """Take "n1@3" apart: names compare as text, incarnations as numbers."""
    name, _, incarnation = process.rpartition("@")
    return name, int(incarnation)


def view_key(value: list[Any]) -> ViewKey:
    """Return a view id of the log as something that compares as views do."""
    return (value[0], *split_process(value[1]))


@dataclass(slots=True)
class ViewPeriod:
    """What one process did in one view."""

    process: str
    view: ViewKey
    members: tuple[str, ...]
    transitional: tuple[str, ...] | None = None  # None until the transitional signal
    sent: list[Line] = field(default_factory=list)
    regular_lines: list[Line] = field(default_factory=list)  # deliveries before the signal
    after_lines: list[Line] = field(default_factory=list)  # deliveries after it
    lines: list[Line] = field(default_factory=list)  # everything, in order
    next_view: ViewKey | None = None  # None: the process ended, or the log did

    @property
    def delivered(self) -> list[Line]:
        """All first deliveries, in order."""
        return self.regular_lines + self.after_lines


class History:
    """The log of one run."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Args: `lines` in the order in which they were written."""
        self.lines = list(lines)
        self.periods: dict[str, list[ViewPeriod]] = {}
        self.sends: dict[str, Line] = {}  # by message id
        self.sent_at: dict[str, int] = {}  # place in the log
        self.submits: dict[str, Line] = {}
        self.flows: list[Line] = []  # who is held and what is unread, at some moments
        self.places: dict[str, dict[str, int]] = {}  # process -> message id -> place of delivery
        self.down: set[str] = set()
        self.repeated: list[Line] = []  # deliveries that were not the first at their process
        self.delivered_at: dict[tuple[str, str], int] = {}  # (process, message id) -> place in log
        for place, line in enumerate(self.lines):
            self._fold(place, line)
        self.live = sorted(set(self.periods) - self.down)

    def _fold(self, place: int, line: Line) -> None:
        kind, process = line["k"], line["p"]
        periods = self.periods.setdefault(process, [])
        if kind == "view":
            period = ViewPeriod(process, view_key(line["v"]), tuple(line["members"]))
            if periods:
                periods[-1].next_view = period.view
            periods.append(period)
        elif kind == "down":
            self.down.add(process)
        if periods:
            periods[-1].lines.append(line)
        if kind == "send":
            self.sends.setdefault(line["mid"], line)
            self.sent_at.setdefault(line["mid"], place)
            periods[-1].sent.append(line)
        elif kind == "submit":
            self.submits[line["mid"]] = line
        elif kind == "flow":
            self.flows.append(line)
        elif kind == "trans":
            periods[-1].transitional = tuple(line["members"])
        elif kind == "deliver":
            self._fold_delivery(place, line, periods[-1])

    def _fold_delivery(self, place: int, line: Line, period: ViewPeriod) -> None:
        seen = self.places.setdefault(line["p"], {})
        if line["mid"] in seen:
            self.repeated.append(line)
            return
        seen[line["mid"]] = len(seen)
        self.delivered_at[line["p"], line["mid"]] = place
        (period.regular_lines if period.transitional is None else period.after_lines).append(line)

    def all_periods(self) -> list[ViewPeriod]:
        """Every period of every process, processes in order of name."""
        return [period for process in sorted(self.periods) for period in self.periods[process]]

    def moves(self) -> dict[tuple[ViewKey, ViewKey], list[ViewPeriod]]:
        """Group the periods by (view left, view entered)."""
        found: dict[tuple[ViewKey, ViewKey], list[ViewPeriod]] = {}
        for period in self.all_periods():
            if period.next_view is not None:
                found.setdefault((period.view, period.next_view), []).append(period)
        return found


def read_logs(folder: Path) -> list[Line]:
    """Return the lines of all logs that real nodes wrote into `folder`, in order of time.

    Who was killed couldn't write so: add {"k": "down", "p": …, "t": …} for it. A last line without
    its end is still being written, or was when its node was killed, and is left out.
    """
    lines: list[Line] = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            lines += [json.loads(text) for text in file if text.endswith("\n")]
    return sorted(lines, key=lambda line: int(line["t"]))
