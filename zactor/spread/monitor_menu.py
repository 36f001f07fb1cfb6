"""The program spmonitor: a menu on standard input and output.

Its keys are Spread's. Questions that Spread's monitor asks line by line may be answered behind the
key as well: `1 d1,d2 / d3`, `5 d1 100 50`, `0 all`.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping

from zactor.kernel.errors import ConfigError, ZactorError
from zactor.spread.monitor import SAID_AGAIN_S, Outcome, SpreadMonitor
from zactor.spread.monitor_text import MENU, outcome_text, status_text

Parts = tuple[tuple[str, ...], ...]
Show = Callable[[str, Mapping[str, Outcome]], None]
"""Tells what daemons answered: what was asked, and the outcomes by name."""


def read_parts(text: str) -> Parts:
    """Return the parts of a partition that is written `A,B / C`."""
    found = (part.replace(",", " ").split() for part in text.split("/"))
    return tuple(tuple(part) for part in found if part)


class MonitorMenu:
    """One run of the program."""

    def __init__(self, monitor: SpreadMonitor, status_s: float, show: Show) -> None:
        """`status_s` is how often the status is shown that was asked for; `show` tells of it."""
        self._monitor = monitor
        self._status_s = status_s
        self._show = show
        self._input = b""
        self._watched: tuple[str, ...] = ()
        self._status_at = 0.0
        self._parts: Parts = (monitor.daemons,)
        self._is_cut = False
        self._cut_at = 0.0  # when it is to be said again
        self._windows: dict[str, tuple[int, int]] = {}
        self._keys: dict[str, Callable[[list[str]], None]] = {
            "0": self._activate_status,
            "1": self._define_partition,
            "2": lambda _: self._send_partition(),
            "3": lambda _: self._review_partition(),
            "4": lambda _: self._cancel_partition(),
            "5": self._define_flow,
            "6": lambda _: self._show("flow control is set at", monitor.limit_flow(self._windows)),
            "7": lambda _: self._review_flow(),
            "8": self._terminate,
            "r": lambda _: self._show("read their files again", monitor.reload()),
        }

    def run(self) -> int:
        """Serve keys until 9, q or the end of the input; return the exit code."""
        _say(MENU)
        while True:
            _say("\nMonitor> ", end="")
            line = self._line()
            words = (line or "").split()
            if line is None or words[:1] in (["9"], ["q"]):
                break
            if not words:
                continue
            key = self._keys.get(words[0])
            try:
                if key is None:
                    _say(MENU)
                else:
                    key(words[1:])
            except ZactorError as error:
                _say(f"Monitor: {error}")
        if self._is_cut:
            self._cancel_partition()
        _say("\nBye.")
        return 0

    # -- input, and what is due meanwhile ----------------------------------------------------
    def _line(self) -> str | None:
        """Return the next line of the input; None: it has ended."""
        while b"\n" not in self._input:
            wait_s = self._do_what_is_due()
            ready, _, _ = select.select([sys.stdin.fileno()], [], [], wait_s)
            if not ready:
                continue
            data = os.read(sys.stdin.fileno(), 4096)
            if not data:
                return None
            self._input += data
        line, _, self._input = self._input.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _do_what_is_due(self) -> float | None:
        """Return in how many s there is more to do; None: nothing."""
        now = time.monotonic()
        if self._watched and now >= self._status_at:
            self._status_at = now + self._status_s
            self._show("status", self._monitor.status(self._watched))
        if self._is_cut and now >= self._cut_at:
            self._cut_at = now + SAID_AGAIN_S
            self._monitor.cut(self._parts)
        dues = [self._status_at] if self._watched else []
        dues += [self._cut_at] if self._is_cut else []
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _answer(self, words: list[str], question: str) -> str:
        """Return what stands behind the key, or else what is answered."""
        if words:
            return " ".join(words)
        _say(question, end="")
        return (self._line() or "").strip()

    def _names(self, words: list[str], question: str) -> tuple[str, ...]:
        text = self._answer(words, question)
        if text == "all":
            return self._monitor.daemons
        return () if text in ("", "none") else tuple(text.replace(",", " ").split())

    # -- keys --------------------------------------------------------------------------------
    def _activate_status(self, words: list[str]) -> None:
        names = self._names(words, "Enter Proc Name, all or none: ")
        self._watched = ()
        if names:
            self._show("status", self._monitor.status(names))
            self._watched, self._status_at = names, time.monotonic() + self._status_s

    def _define_partition(self, words: list[str]) -> None:
        """A number of its part for each daemon, or all parts behind the key."""
        if words:
            self._parts = read_parts(" ".join(words))
        else:
            parts: dict[str, list[str]] = {}
            for name in self._monitor.daemons:
                _say(f"\t{name:<20}", end="")
                parts.setdefault((self._line() or "").strip(), []).append(name)
            self._parts = tuple(map(tuple, parts.values()))
        self._review_partition()

    def _review_partition(self) -> None:
        _say("\n=============\nCurrent Partition:\n-------------")
        for number, part in enumerate(self._parts, 1):
            for name in part:
                _say(f"\t{name:<20}\t{number}")

    def _send_partition(self) -> None:
        found = self._monitor.cut(self._parts)
        self._is_cut, self._cut_at = True, time.monotonic() + SAID_AGAIN_S
        self._show("partition is set at", found)

    def _cancel_partition(self) -> None:
        self._is_cut = False
        self._show("partition is cancelled at", self._monitor.heal())

    def _define_flow(self, words: list[str]) -> None:
        text = self._answer(words, "Enter Proc Name or all, Window, Personal Window: ")
        names, *numbers = text.split() or [""]
        if not (1 <= len(numbers) <= 3 and all(each.isdecimal() for each in numbers)):
            raise ConfigError("want a daemon or all, its window and its personal window")
        window = int(numbers[0])
        own = int(numbers[1]) if len(numbers) > 1 else 0
        for name in self._monitor.daemons if names == "all" else names.split(","):
            self._windows[name] = window, own
        self._review_flow()

    def _review_flow(self) -> None:
        _say("\n=============\nCurrent Flow Control Parameters:\n-------------")
        for name, (window, own) in self._windows.items():
            _say(f"\t{name:<20}\twindow {window}\tpersonal window {own}")

    def _terminate(self, words: list[str]) -> None:
        names = self._names(words, "Enter Proc Name, all or none: ")
        if names:
            self._show("terminated", self._monitor.stop(names))


class ShownOutcomes:
    """Shows what daemons answered as text, and remembers the last status for the deltas."""

    def __init__(self) -> None:
        """Nothing was shown yet."""
        self._before: dict[str, Mapping[str, object]] = {}

    def __call__(self, what: str, found: Mapping[str, Outcome]) -> None:
        """Print it."""
        if what != "status":
            _say(outcome_text(what, found))
            return
        for name, each in found.items():
            _say(status_text(name, each, self._before.get(name)))
            if not isinstance(each, ZactorError):
                self._before[name] = each


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)
