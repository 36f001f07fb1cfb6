"""Stories: what is done in a lab and what is to be seen, line by line.

Pure. `lab N|FILE [bare]` comes first; then lines of faults as the shell has them, and these:

    spawn HOST NAME CMD…            start a process that stays
    type HOST NAME TEXT             type a line to it
    exec HOST CMD…                  run a command to its end, which is to be good
    wait SECONDS                    let time pass
    expect WHO,… [within S]: TEXT   the next thing that each of WHO sees is this; * stands for any
    until WHO,… [within S]: TEXT    after the last thing done they see this, in the end
    forget WHO,…                    what they have seen until now needn't be expected
    silent WHO,… SECONDS            they see nothing for so long

WHO is a process that was spawned, or a host: what its node sees are views. Whoever is expected to
see something once is to see nothing else to the story's end but what is expected.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zactor.kernel.errors import ScriptError
from zactor.lab.faults import USAGES
from zactor.lab.sightings import Sightings

LINES_MAX = 10_000
_EXPECT = re.compile(r"(?:expect|until)\s+([^:]+?)(?:\s+within\s+([0-9.]+))?\s*:\s*(.*)")
_LEAST = {"spawn": 4, "type": 3, "exec": 3, "wait": 2, "forget": 2, "silent": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One line that does or expects something."""

    number: int
    text: str
    words: tuple[str, ...]
    who: tuple[str, ...] = ()  # of expect, until, forget and silent
    within_s: float | None = None
    wanted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story, taken apart."""

    file: str
    lab: str  # N or FILE
    is_bare: bool
    lines: tuple[StoryLine, ...] = field(default=())


def parse(text: str, file: str) -> Story:
    """Read a story.

    Raises:
        ScriptError: a line isn't one; FILE:LINE and what is wrong.
    """
    lab: list[str] = []
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        words = line.split()
        if not lab:
            if words[0] != "lab" or len(words) not in (2, 3):
                raise _error(file, number, "a story begins with `lab N|FILE [bare]`")
            lab = words[1:]
        else:
            lines.append(_line(file, number, line, words))
    if not lab or len(lines) > LINES_MAX:
        raise _error(file, 1, f"a story has a first line `lab N|FILE`, and up to {LINES_MAX}")
    return Story(file=file, lab=lab[0], is_bare="bare" in lab[1:], lines=tuple(lines))


def _error(file: str, number: int, what: str) -> ScriptError:
    return ScriptError(f"{file}:{number}: {what}")


def _line(file: str, number: int, line: str, words: list[str]) -> StoryLine:
    if words[0] in ("expect", "until"):
        found = _EXPECT.fullmatch(line)
        if found is None:
            raise _error(file, number, f"want `{words[0]} WHO,… [within S]: TEXT`")
        return StoryLine(
            number=number,
            text=line,
            words=(words[0],),
            who=_names(found[1]),
            within_s=float(found[2]) if found[2] else None,
            wanted=found[3].strip(),
        )
    if words[0] not in USAGES and len(words) < _LEAST.get(words[0], LINES_MAX):
        known = ", ".join([*_LEAST, "expect", "until", *USAGES])
        raise _error(file, number, f"{line!r} is no line of a story: want one of {known}")
    who: tuple[str, ...] = ()
    if words[0] == "forget":
        who = _names(" ".join(words[1:]))
    elif words[0] == "silent":
        who = _names(" ".join(words[1:-1]))
    elif words[0] in ("spawn", "exec"):
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise _error(file, number, f"{error}") from None
    return StoryLine(number=number, text=line, words=tuple(words), who=who)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def fits(text: str, wanted: str) -> bool:
    """Whether what was seen is what was to be seen; `*` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return re.fullmatch(pattern, text) is not None


def recorded(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a story of a journal: what was done, and what was seen between."""
    sightings = Sightings()
    lines: list[str] = []
    head = ""
    is_up = False  # views on the way to the first of all are no part of the story
    for row in rows:
        seen = sightings.take([row])
        if row["what"] == "did":
            if row["line"].startswith("lab "):
                head = row["line"]
            else:
                is_up = True
                lines.append(row["line"])
        lines += [f"expect {one.who}: {one.text}" for one in seen if is_up]
    return "\n".join([head, *lines]) + "\n"
