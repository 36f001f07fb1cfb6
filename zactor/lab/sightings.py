"""Sightings: what members of groups and nodes saw, as one short text each.

Pure. A node sees views; of what programs show, those of Spread's kind and `zactor group listen
--json` are understood, and each line of any other program is a sighting.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]  # an entry of a lab's journal

_MESSAGE = re.compile(r"received (\w+) message from (\S+), of type")
_TEXT = re.compile(r"\(\d+ bytes\): ?(.*)")
_VIEW = re.compile(r"Received REGULAR membership for group \S+ with (\d+) members")
_CAUSE = re.compile(r"Due to the (\w+) of (\S+)")
_NETWORK = re.compile(r"Due to NETWORK change with (\d+) VS sets")
_SET = re.compile(r"(?:LOCAL|OTHER) VS set \d+ has (\d+) members:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Who saw what, and when."""

    at_ns: int
    who: str  # a process, or the host of a node
    text: str


def membership(cause: str, changed: str, members: Sequence[str], sets: Sequence[str]) -> str:
    """Return the text of a membership: `join #a#d1: #a#d1 #b#d2`, `network: … | SET / SET`."""
    head = f"{cause} {changed}".strip()
    tail = f" | {' / '.join(sets)}" if cause == "network" else ""
    return f"{head}: {' '.join(members)}{tail}"


class SpreadUserReader:
    """Understands what `spuser` shows."""

    def __init__(self) -> None:
        self._service = self._sender = ""
        self._members: list[str] = []
        self._sets: list[list[str]] = []
        self._wanted = 0  # member lines to come
        self._sets_wanted = 0
        self._into: list[str] | None = None

    def read(self, line: str) -> list[str]:
        """Take one line; return the sightings that it ends."""
        if line.startswith("\t") and self._into is not None and self._wanted:
            self._into.append(line.strip())
            self._wanted -= 1
            return self._network()
        if found := _MESSAGE.search(line):
            self._service, self._sender = found[1].lower(), found[2]
        elif self._sender and (found := _TEXT.match(line)):
            text = f"{self._service} {self._sender}: {found[1]}"
            self._sender = ""
            return [text]
        elif found := _VIEW.search(line):
            self._members, self._sets, self._sets_wanted = [], [], 0
            self._into, self._wanted = self._members, int(found[1])
        elif found := _CAUSE.match(line):
            return [membership(found[1].lower(), found[2], self._members, [])]
        elif found := _NETWORK.match(line):
            self._sets_wanted = int(found[1])
        elif found := _SET.match(line):
            self._into, self._wanted = [], int(found[1])
            self._sets.append(self._into)
        elif "received TRANSITIONAL membership" in line:
            return ["transitional"]
        elif "received membership message that left group" in line:
            return ["left"]
        return []

    def _network(self) -> list[str]:
        if not self._sets_wanted or len(self._sets) < self._sets_wanted or self._wanted:
            return []
        self._sets_wanted = 0
        return [membership("network", "", self._members, [" ".join(one) for one in self._sets])]


class ListenReader:
    """Understands what `zactor group listen --json` shows."""

    def read(self, line: str) -> list[str]:
        """Take one line; return its sighting."""
        try:
            said = json.loads(line)
        except ValueError:
            return []
        if not isinstance(said, dict) or "kind" not in said:
            return []
        if said["kind"] == "message":
            return [f"{said['service']} {said['sender']}: {str(said['text']).rstrip()}"]
        if said["transitional"]:
            return ["transitional"]
        if said["cause"] == "self_leave":
            return ["left"]
        sets = [" ".join(one) for one in said["vs_sets"]]
        return [membership(said["cause"], said.get("changed") or "", said["members"], sets)]


class PlainReader:
    """Each line that isn't empty is a sighting."""

    def read(self, line: str) -> list[str]:
        """Take one line; return it."""
        return [line.strip()] if line.strip() else []


class SilentReader:
    """What is said here is for people only."""

    def read(self, line: str) -> list[str]:
        """Take one line; return nothing."""
        return []


Reader = SpreadUserReader | ListenReader | PlainReader | SilentReader


def reader_for(words: Sequence[str]) -> Reader:
    """Return who understands what the command `words` shows."""
    if any(word.endswith("spuser") for word in words):
        return SpreadUserReader()
    if "listen" in words:
        return ListenReader()
    if words[:2] in (["zactor", "node"], ["zactor", "spread"], ["zactor", "master"]):
        return SilentReader()
    return PlainReader()


class Sightings:
    """Turns entries of a journal into sightings, as they come."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], Reader] = {}

    def take(self, rows: Iterable[Row]) -> list[Sighting]:
        """Take more entries; return what was seen."""
        found = []
        for row in rows:
            match row["what"]:
                case "did":
                    if row["line"].startswith("spawn "):
                        words = shlex.split(row["line"])
                        self._readers[words[1], words[2]] = reader_for(words[3:])
                case "said":
                    reader = self._readers.get((row["host"], row["name"]))
                    texts = reader.read(row["text"]) if reader else []
                    found += [
                        Sighting(at_ns=row["t"], who=row["name"], text=text) for text in texts
                    ]
                case "node" if row["kind"] == "view":
                    text = f"view {row['text']}"
                    found.append(Sighting(at_ns=row["t"], who=row["host"], text=text))
                case "ended":
                    if (row["host"], row["name"]) in self._readers:
                        found.append(Sighting(at_ns=row["t"], who=row["name"], text="ended"))
        return found


def shown(row: Row) -> str:
    """Return an entry of a journal as a line for people."""
    match row["what"]:
        case "did":
            return f"> {row['line']}"
        case "said":
            return f"{row['host']} {row['name']}: {row['text']}"
        case "node":
            return f"{row['host']} node: {row['kind']} {row['text']}".rstrip()
        case "ended":
            return f"{row['host']} {row['name']} has ended"
        case other:
            return f"{other} {row}"
