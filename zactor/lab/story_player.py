"""Plays a story in a lab of its own, and says where what is seen differs from what is told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zactor.kernel.errors import ScriptError, ZactorError
from zactor.lab.lab_client import LabClient
from zactor.lab.sightings import Sighting, Sightings
from zactor.lab.space_time import Moment, picture
from zactor.lab.story import Story, StoryLine, fits
from zactor.lab.topology import Topology

EXPECT_S = 30.0  # where a story says no `within`: only what never comes reaches it
COMMAND_S = 60.0
POLL_S = 0.01
SETTLE_S = 0.3  # what was not expected may still be on its way at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a story."""

    difference: str  # "": all was as it is told
    picture: str
    took_s: float
    entries: list[dict[str, Any]]  # the lab's journal


class _Difference(Exception):
    """What is seen isn't what is told."""


class StoryPlayer:
    """One story in one lab."""

    def __init__(self, story: Story, lab: LabClient, home: Path) -> None:
        """`home` is the lab's."""
        self._story, self._lab, self._home = story, lab, home
        self._sightings = Sightings()
        self._waiting: dict[str, deque[Sighting]] = {}  # seen, and not yet expected
        self._watched: list[str] = []  # who was expected to see something, in that order
        self._next = 0
        self._acted_ns = time.monotonic_ns()
        self.rows: list[dict[str, Any]] = []
        self.moments: list[Moment] = []

    def play(self) -> str:
        """Do every line; return the difference, or ""."""
        self._look()
        self._waiting.clear()  # how they came to their first view is no part of the story
        self.moments.clear()
        try:
            for line in self._story.lines:
                try:
                    self._do(line)
                except ScriptError:
                    raise
                except ZactorError as error:
                    where = f"{self._story.file}:{line.number}"
                    raise ScriptError(f"{where}: {error}") from error
            time.sleep(SETTLE_S)
            self._look()
            for who in self._watched:
                if self._waiting.get(who):
                    one = self._waiting[who][0]
                    raise _Difference(f"{who} also saw {one.text!r}, which nobody expects")
        except _Difference as difference:
            return f"{self._story.file}: {difference}"
        finally:
            self._look()
        return ""

    def _do(self, line: StoryLine) -> None:
        words = line.words
        match words[0]:
            case "expect" | "until":
                for who in line.who:
                    self._expect(line, who)
                return
            case "forget":
                self._look()
                for who in line.who:
                    self._waiting.pop(who, None)
                return
            case "silent":
                self._be_silent(line)
                return
            case "wait":
                time.sleep(float(words[1]))
                return
        self._acted_ns = time.monotonic_ns()
        if words[0] not in ("spawn", "type"):  # those can be read from what is seen
            self.moments.append(Moment(at_ns=self._acted_ns, who="", text=line.text))
        match words[0]:
            case "spawn":
                self._lab.spawn(*words[1:])
            case "type":
                self._lab.type(words[1], words[2], line.text.split(None, 3)[3:][0])
            case "exec":
                self._exec(line)
            case _:
                self._lab.obey(*words)

    def _exec(self, line: StoryLine) -> None:
        self._lab.ask("note", line=line.text)
        words = [sys.executable, "-P", "-m", "zactor", "lab", "--home", str(self._home)]
        done = subprocess.run(
            [*words, "exec", *line.words[1:]],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise _Difference(f"line {line.number}: exit code {done.returncode}: {said}")

    # -- what is seen ------------------------------------------------------------------------
    def _look(self) -> None:
        rows, self._next = self._lab.seen(self._next)
        self.rows += rows
        for one in self._sightings.take(rows):
            self._waiting.setdefault(one.who, deque()).append(one)
            self.moments.append(Moment(at_ns=one.at_ns, who=one.who, text=one.text))

    def _expect(self, line: StoryLine, who: str) -> None:
        if who not in self._watched:
            self._watched.append(who)
        limit_s = line.within_s or EXPECT_S
        until = time.monotonic() + limit_s + (EXPECT_S if line.within_s else 0)
        one = self._following(line, who, until)
        while line.words[0] == "until" and not (
            fits(one.text, line.wanted) and one.at_ns >= self._acted_ns
        ):
            one = self._following(line, who, until)
        if not fits(one.text, line.wanted):
            raise _Difference(
                f"line {line.number}: {who} saw {one.text!r} where {line.wanted!r} is expected"
            )
        took_s = (one.at_ns - self._acted_ns) / 1e9
        if line.within_s is not None and took_s > line.within_s:
            raise _Difference(
                f"line {line.number}: {who} saw {one.text!r} after {took_s:.2f} s,"
                f" not within {line.within_s:g} s"
            )

    def _following(self, line: StoryLine, who: str, until: float) -> Sighting:
        """Return what `who` sees next."""
        self._look()
        while not self._waiting.get(who):
            if time.monotonic() > until:
                raise _Difference(f"line {line.number}: {who} never saw {line.wanted!r}")
            time.sleep(POLL_S)
            self._look()
        return self._waiting[who].popleft()

    def _be_silent(self, line: StoryLine) -> None:
        until = time.monotonic() + float(line.words[-1])
        while time.monotonic() < until:
            self._look()
            for who in line.who:
                if self._waiting.get(who):
                    text = self._waiting[who][0].text
                    raise _Difference(f"line {line.number}: {who} is not silent: {text!r}")
            time.sleep(POLL_S)

    @property
    def columns(self) -> list[str]:
        """Who saw anything, hosts first."""
        seen = {one.who for one in self.moments if one.who}
        hosts = [row["host"] for row in self._lab.hosts()]
        return [host for host in hosts if host in seen] + sorted(seen - set(hosts))


def play(
    story: Story,
    topology: Topology,
    files: Mapping[str, bytes],
    *,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Play a story in a lab of its own, which is gone afterwards, however this ends.

    Raises:
        ScriptError: a line can't be done.
    """
    began = time.monotonic()
    # A lab is named by its home, and puts nothing there: this folder is never made.
    home = Path(tempfile.gettempdir()) / f"zactor-lab-{os.getpid()}-{time.monotonic_ns()}"
    lab = LabClient(home)
    tell(f"making {len(topology.hosts)} hosts")
    try:
        lab.begin(topology, files=files, seed=seed)
        lab.wait_formed()
        tell("playing")
        player = StoryPlayer(story, lab, home)
        difference = player.play()
        drawn = picture(player.moments, player.columns)
    finally:
        lab.close()
    return Outcome(
        difference=difference,
        picture=drawn,
        took_s=time.monotonic() - began,
        entries=player.rows,
    )
