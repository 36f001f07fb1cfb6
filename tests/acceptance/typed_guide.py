"""A guide's terminals, typed: in blocks of `console` `HOST$ ` and `User> ` begin what is typed.

Lines that begin with … are what is shown, in that order, with … for anything; other lines are typed
as answers.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deadlines import end
from family import children_of, kill
from terminals import Terminal

PATIENCE_S = 30.0
_PROMPT = re.compile(r"(\w+)\$ (.+)")


def blocks(guide: Path, title: str) -> list[list[str]]:
    """Return the console blocks below a title, line by line."""
    part = guide.read_text().partition(f"### {title}")[2].partition("\n### ")[0]
    return [found.strip().splitlines() for found in re.findall(r"```console\n(.*?)```", part, re.S)]


class TypedTerminal:
    """A shell on a terminal, to type into."""

    def __init__(self, prefix: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._terminal = Terminal()
        self._at = 0
        self._shell = subprocess.Popen(
            [*prefix, "bash", "--norc", "--noprofile", "-i"],
            stdin=self._terminal.theirs,
            stdout=self._terminal.theirs,
            stderr=self._terminal.theirs,
            cwd=folder,
            env={**environment, "PS1": "$ ", "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(self._terminal.theirs)

    def type(self, line: str) -> None:
        os.write(self._terminal.ours, f"{line}\n".encode())

    def expect(self, line: str) -> None:
        """Wait until something like `line` is shown, behind what was expected before."""
        pattern = re.compile(".*?".join(re.escape(part) for part in line.split("…")).encode(), re.S)
        until = time.monotonic() + PATIENCE_S
        while (found := pattern.search(self._terminal.shown, self._at)) is None:
            shown = bytes(self._terminal.shown[self._at :])
            assert time.monotonic() < until, f"not shown: {line}; but {shown[-2_000:]!r}"
            time.sleep(0.01)
        self._at = found.end()

    def play(self, lines: Sequence[str]) -> None:
        """Type what a block says, and see what it shows."""
        for line in lines:
            if (typed := _PROMPT.fullmatch(line)) is not None:
                self.type(typed.group(2))
            elif line.startswith("User> "):
                self.expect("User> ")
                self.type(line.removeprefix("User> "))
            elif line.startswith("…"):
                if text := line.strip("…"):
                    self.expect(text)
            else:
                self.type(line)

    def close(self) -> None:
        kill(set(children_of(self._shell.pid)))  # jobs of a shell have groups of their own
        end(self._shell)
        self._terminal.close()


@contextlib.contextmanager
def typed_terminal(
    prefix: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[TypedTerminal]:
    """Yield one, and end it with all that runs there."""
    made = TypedTerminal(prefix, folder, environment)
    try:
        yield made
    finally:
        made.close()
