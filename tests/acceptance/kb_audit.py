"""Checks what a run left: was any acknowledged change lost, applied twice, or ordered otherwise?

    python kb_audit.py RUN

RUN holds `trace/` (event logs of all lives; who has the name of an earlier one, in another folder),
`acknowledged.txt` (what clients were told is done, one name a line) and `facts-NODE.json` (the
facts of each node at the end). Imports nothing of zactor. Prints a line for each complaint and a
summary; exit 1 with complaints.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path


def events(run: Path) -> list[dict[str, object]]:
    """The lines of all logs, in order of time."""
    lines = [
        {"folder": str(file.parent), **json.loads(line)}
        for file in sorted((run / "trace").rglob("*.jsonl"))
        for line in file.read_text().splitlines()
        if line.endswith("}")  # kill -9 may have torn the last
    ]
    return sorted(lines, key=lambda line: int(line["t"]))


def one_history(lines: list[dict[str, object]]) -> list[str]:
    """K1: a place in the history means the same at all nodes, in all their lives."""
    seen: dict[str, object] = {}
    found = []
    for line in lines:
        if line["k"] in ("kb_apply", "kb_ack"):
            clock = str(line["clock"])
            if seen.setdefault(clock, line["hash"]) != line["hash"]:
                found.append(f"two histories at {clock}: {line['p']} differs")
    return found


def nothing_backwards(lines: list[dict[str, object]]) -> list[str]:
    """A life applies each place once, in order."""
    last: dict[object, list[int]] = {}
    found = []
    for line in lines:
        if line["k"] == "kb_apply":
            clock, life = line["clock"], (line["folder"], line["p"])
            assert isinstance(clock, list)
            before = last.get(life, [-1, 0])
            # Who takes over the whole from another may have been there already.
            if clock < before or (clock == before and not line.get("taken")):
                found.append(f"{line['p']} went back from {before} to {clock}")
            last[life] = clock
    return found


def all_there(run: Path) -> list[str]:
    """K2: what was acknowledged is in every node's facts at the end, once."""
    names = (run / "acknowledged.txt").read_text().split()
    found = [f"{name} was acknowledged twice" for name in _repeated(names)]
    copies = {}
    for file in sorted(run.glob("facts-*.json")):
        facts = json.loads(file.read_text())
        copies[file.stem] = sorted(facts)
        factories = [
            fact.partition("(")[2].partition(",")[0] for fact in facts if "factory(" in fact
        ]
        found += [f"{file.stem} lacks {name}" for name in sorted(set(names) - set(factories))]
        found += [f"{file.stem} has {name} twice" for name in _repeated(factories)]
    if not copies:
        found.append("there are no facts to look at")
    if len({json.dumps(copy) for copy in copies.values()}) > 1:
        found.append("the nodes' facts differ")
    return found


def _repeated(names: list[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def main() -> int:
    run = Path(sys.argv[1])
    lines = events(run)
    found = one_history(lines) + nothing_backwards(lines) + all_there(run)
    for complaint in found:
        print(complaint)
    applied = sum(line["k"] == "kb_apply" for line in lines)
    acknowledged = len((run / "acknowledged.txt").read_text().split())
    print(f"{applied} changes applied, {acknowledged} acknowledged, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
