"""An event log of knowledge bases, taken apart for the checkers: who asked for what, who had what.

Nothing of the replica is imported: what it checked with its own eyes would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zactor.testing.group_sim.history import Line

Clock = tuple[int, int]


def clock_of(line: Line) -> Clock:
    """Return the place that a line speaks of."""
    epoch, index = line["clock"]
    return epoch, index


@dataclass(slots=True)
class Asked:
    """A change or a read, as its client saw it."""

    id: str
    process: str
    begin_ns: int
    end_ns: int | None = None  # None: the client never heard
    kind: str = ""  # class of the error
    clock: Clock = (0, 0)
    line: Line = field(default_factory=dict)
    asserted: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  # a read's
    is_forgetful: bool = False  # it was answered in a primary that only an old copy could make


class Knowledge:
    """The log of one run."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Args: `lines` in the order in which they were written."""
        self.lines = list(lines)
        self.hashes: dict[Clock, dict[str, str]] = {}  # clock -> hash -> who applied it so
        self.ids: dict[Clock, str] = {}  # which transaction it was
        self.asked: dict[str, Asked] = {}
        self.reads: dict[str, Asked] = {}
        self.down: set[str] = set()
        self.primaries: dict[int, Line] = {}  # the first line of each epoch
        self.stands_still = False  # who is back isn't enough, by what is on disks
        self.has_old_copy = False  # a disk went back to one
        self.is_loud = False  # a fork was told of
        self._forgetful: set[str] = set()  # who is in a primary that only an old copy could make
        for line in self.lines:
            self._fold(line)
        self.clocks = sorted(self.hashes)
        self.ends = [line for line in self.lines if line["k"] == "kb_end"]

    def _fold(self, line: Line) -> None:
        kind = line["k"]
        if kind == "kb_apply":
            clock = clock_of(line)
            self.hashes.setdefault(clock, {}).setdefault(line["hash"], line["p"])
            self.ids.setdefault(clock, line["id"])
        elif kind in ("kb_submit", "kb_read"):
            asked = Asked(line["id"], line["p"], line["t"])
            asked.asserted = tuple(line.get("asserted", ()))
            (self.asked if kind == "kb_submit" else self.reads)[asked.id] = asked
        elif kind == "kb_decided":
            self._decide(line)
        elif kind == "kb_value":
            self.reads[line["id"]].values = tuple(line["values"])
        elif kind == "down":
            self.down.add(line["p"])
        elif kind == "primary":
            self._begin(line)
        elif kind == "kb_still":
            self.stands_still = True
        elif kind == "kb_old_copy":
            self.has_old_copy = True
        elif kind == "kb_note" and line["event"] == "histories_differ":
            self.is_loud = True

    def _begin(self, line: Line) -> None:
        """A number that was used in another view, or is lower than one used: an old copy's."""
        known = self.primaries.get(line["epoch"])
        is_new = known is None and line["epoch"] > max(self.primaries, default=0)
        if is_new or (known is not None and known["v"] == line["v"]) or not self.has_old_copy:
            self._forgetful.discard(line["p"])
        else:
            self._forgetful.add(line["p"])
        self.primaries.setdefault(line["epoch"], line)

    def _decide(self, line: Line) -> None:
        asked = self.asked.get(line["id"]) or self.reads.get(line["id"])
        if asked is not None and asked.end_ns is None:
            asked.end_ns, asked.kind, asked.line = line["t"], line["kind"], line
            asked.clock = clock_of(line)
            asked.is_forgetful = line["p"] in self._forgetful

    def acknowledged(self) -> list[Asked]:
        """Changes whose client was told that they took place, in the order of their clocks."""
        found = [one for one in self.asked.values() if one.end_ns is not None and not one.kind]
        return sorted(found, key=lambda one: one.clock)
