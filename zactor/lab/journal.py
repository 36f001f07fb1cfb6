"""The journal of a lab: what was done and what was said and seen, each with its moment."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENTRIES_MAX = 200_000  # the oldest go first
_KINDS = ("view", "suspect", "primary")  # of a node's event log, what people want to see


class Journal:
    """Entries in the order in which they came: {"n", "t" (monotonic ns), "what", …}."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=ENTRIES_MAX)
        self._count = 0

    def add(self, what: str, *, at_ns: int | None = None, **fields: object) -> None:
        """Add an entry; it happened now, or at `at_ns`."""
        at = time.monotonic_ns() if at_ns is None else at_ns
        self._entries.append({"n": self._count, "t": at, "what": what, **fields})
        self._count += 1

    def since(self, number: int) -> tuple[list[dict[str, Any]], int]:
        """Return the entries from `number` on, and the number of the first of them."""
        first = max(number, self._count - len(self._entries))
        skipped = first - (self._count - len(self._entries))
        return list(self._entries)[skipped:], first


class TraceReader:
    """Follows the event logs of nodes, as far as they are of interest."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """`folders`: {host: where its nodes write}."""
        self._folders = folders
        self._read: dict[Path, int] = {}  # file -> bytes
        self.views: dict[str, list[str]] = {}  # host -> members of its node's view, as names

    def read_into(self, journal: Journal) -> None:
        """Read on; put into the journal what came."""
        for host, folder in self._folders.items():
            for file in sorted(folder.glob("*.jsonl")):
                self._follow(host, file, journal)

    def _follow(self, host: str, file: Path, journal: Journal) -> None:
        done = self._read.get(file, 0)
        if file.stat().st_size <= done:
            return
        with file.open("rb") as opened:
            opened.seek(done)
            whole, _, _ = opened.read().rpartition(b"\n")
        self._read[file] = done + len(whole) + bool(whole)
        for line in whole.split(b"\n"):
            if any(b'"k":"%s"' % kind.encode() in line for kind in _KINDS):
                self._take(host, json.loads(line), journal)

    def _take(self, host: str, line: dict[str, Any], journal: Journal) -> None:
        kind = line["k"]
        if kind not in _KINDS:
            return
        text = ""
        if kind == "view":
            members = [member.partition("@")[0] for member in line["members"]]
            self.views[host] = members
            text = " ".join(members)
        elif kind == "suspect":
            text = line["q"].partition("@")[0]
        journal.add("node", at_ns=line["t"], host=host, kind=kind, text=text)
