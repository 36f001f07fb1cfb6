"""Keyboard and screen of a command that draws whole frames: `zactor top`, `zactor panel`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import termios
import tty
from collections.abc import Iterator, Sequence

_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|[\s\S]")
_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1bOC": "right",
    "\x1bOD": "left",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x1b": "escape",
    "\x03": "interrupt",
    "\x04": "q",
}
_SYNC, _END_SYNC = "\x1b[?2026h", "\x1b[?2026l"  # a terminal that knows it shows a frame at once


class Keyboard:
    """A terminal with keys that come one by one. One loop's."""

    def __init__(self) -> None:
        """See `opened`."""
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._drawn: list[str] = []

    @contextlib.contextmanager
    def opened(self) -> Iterator[Keyboard]:
        """Take the whole screen for the time of the block, and give it back as it was."""
        descriptor = sys.stdin.fileno()
        loop = asyncio.get_running_loop()
        before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, self._read, descriptor)
        _write("\x1b[?1049h\x1b[?25l\x1b[2J")
        try:
            yield self
        finally:
            loop.remove_reader(descriptor)
            _write("\x1b[?25h\x1b[?1049l")
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def _read(self, descriptor: int) -> None:
        data = os.read(descriptor, 256)
        if not data:
            self._keys.put_nowait("q")
        for key in _KEY.findall(data.decode(errors="replace")):
            self._keys.put_nowait(_NAMES.get(key, key))

    async def key(self, limit_s: float) -> str:
        """Return the next key, "" if none comes in time."""
        try:
            return await asyncio.wait_for(self._keys.get(), limit_s)
        except TimeoutError:
            return ""

    def size(self) -> tuple[int, int]:
        """Return columns and lines, as they are now: $COLUMNS is of when the shell began."""
        try:
            found = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            found = os.terminal_size((80, 24))
        return found.columns or 80, found.lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Show a frame; only the lines that differ are sent, for a slow line's sake."""
        if len(lines) != len(self._drawn):
            self._drawn = []
            _write("\x1b[2J")
        parts = [
            f"\x1b[{number};1H\x1b[2K{line}"
            for number, line in enumerate(lines, 1)
            if number > len(self._drawn) or self._drawn[number - 1] != line
        ]
        self._drawn = list(lines)
        if parts:
            _write(_SYNC + "".join(parts) + _END_SYNC)

    def forget(self) -> None:
        """Draw everything next time."""
        self._drawn = []
        _write("\x1b[2J")


def _write(text: str) -> None:
    data = text.encode(errors="replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
