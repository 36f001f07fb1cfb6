"""Grades a run of the exercise: which of its five activities a recorded story shows.

Pure. The story is what `zactor lab record` writes: what was done, and what everybody saw then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zactor.lab.story import Story, StoryLine, parse

_HEARD = re.compile(r"(?:unreliable|reliable|fifo|causal|agreed|safe) #([^\s#]+)#\S+: ")
_MEMBER = re.compile(r"#[^\s#]+#([^\s#]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One activity, or one fault of the fifth."""

    activity: str
    is_shown: bool
    reason: str  # the line that shows it, or what is missing

    def row(self) -> dict[str, object]:
        """Return it for JSON."""
        return {"activity": self.activity, "shown": self.is_shown, "reason": self.reason}


def grade(text: str, file: str) -> list[Mark]:
    """Return a mark for each activity, in the exercise's order.

    Raises:
        ScriptError: it is no story.
    """
    story = parse(text, file)
    return [_mark(name, found(story), missing) for name, found, missing in _ACTIVITIES]


def _mark(name: str, line: StoryLine | None, missing: str) -> Mark:
    if line is None:
        return Mark(activity=name, is_shown=False, reason=missing)
    text = line.text if line.number else f"`{line.text}`"
    where = f"line {line.number}: " if line.number else ""
    return Mark(activity=name, is_shown=True, reason=f"{where}{text}")


def _first(lines: Sequence[StoryLine], wanted: Callable[[StoryLine], bool]) -> StoryLine | None:
    return next((line for line in lines if wanted(line)), None)


# -- the activities --------------------------------------------------------------------------
def _configuration(story: Story) -> StoryLine | None:
    if not story.lab.endswith(".conf"):
        return None
    return StoryLine(number=0, text=f"lab {story.lab}", words=("lab", story.lab))


def _daemons(story: Story) -> StoryLine | None:
    """Members at three daemons see each other."""
    return _first(story.lines, lambda line: len(set(_MEMBER.findall(line.wanted))) >= 3)


def _spuser(story: Story) -> StoryLine | None:
    """A message of one member was seen by another."""
    if _first(story.lines, lambda line: _runs(line, "spuser")) is None:
        return None

    def is_heard(line: StoryLine) -> bool:
        found = _HEARD.match(line.wanted)
        return found is not None and any(who != found[1] for who in line.who)

    return _first(story.lines, is_heard)


def _simple_user(story: Story) -> StoryLine | None:
    return _first(story.lines, lambda line: _runs(line, "simple_user"))


def _runs(line: StoryLine, program: str) -> bool:
    return line.words[0] in ("spawn", "exec") and any(program in word for word in line.words[2:])


def _fault(does: Callable[[StoryLine], bool], cause: str) -> Callable[[Story], StoryLine | None]:
    """Somebody did it, and before the next thing that was done members saw it with that cause."""

    def found(story: Story) -> StoryLine | None:
        for place, line in enumerate(story.lines):
            if not does(line):
                continue
            for after in story.lines[place + 1 :]:
                if after.words[0] == "expect" and after.wanted.startswith(cause):
                    return line
                if after.words[0] in ("heal", "start", "crash", "kill", "cable", "cut"):
                    break
        return None

    return found


def _is_cut(line: StoryLine) -> bool:
    return line.words[0] in ("cut", "one-way") or (
        line.words[0] == "cable" and line.words[-1] == "out"
    )


_ACTIVITIES: Sequence[tuple[str, Callable[[Story], StoryLine | None], str]] = (
    ("1 spread.conf", _configuration, "begin with `zactor lab up FILE.conf`, a file of your own"),
    ("2 the daemons", _daemons, "no membership with members at three daemons was seen"),
    ("3 spuser", _spuser, "spawn two spuser, and let one hear what the other says (s GROUP)"),
    ("4 simple_user", _simple_user, "run simple_user on a host, with `exec` or `spawn`"),
    (
        "5 network of a host lost",
        _fault(_is_cut, "network"),
        "pull a cable (`cable HOST out`) and wait for the NETWORK membership",
    ),
    (
        "5 death of a member",
        _fault(lambda line: line.words[0] == "kill" and len(line.words) == 3, "disconnect"),
        "`kill HOST NAME` a member and wait for the DISCONNECT membership",
    ),
    (
        "5 death of a daemon",
        _fault(lambda line: line.words[0] == "kill" and len(line.words) == 2, "network"),
        "`kill HOST` and wait for the NETWORK membership at the others",
    ),
    (
        "5 crash of a host",
        _fault(lambda line: line.words[0] == "crash", "network"),
        "`crash HOST` and wait for the NETWORK membership at the others",
    ),
)
