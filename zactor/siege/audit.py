"""The audit at the end of a siege: every checker over all that was written and acknowledged.

Pure: from event logs, the lab's journal and each node's facts to complaints. The checkers are those
of the simulators; they share no code with what they check.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zactor.testing.group_sim import checkers as group_checkers
from zactor.testing.group_sim.history import Line

Row = Mapping[str, Any]

SUSPECTED_AFTER_S = 3.0  # a fault may still be noticed so long after its end
_ACTOR = re.compile(r"actor\(([^,]+),")
_KB_KINDS = frozenset({"kb_apply", "kb_ack"})
ON_ITS_WAY_S = 2.0  # a signal, where nothing is wrong
SHOWN = 5  # complaints of one kind; all are counted


@dataclass(slots=True)
class Audit:
    """What a siege left, and what is wrong with it."""

    complaints: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, found: Iterable[str]) -> None:
        """Note what a check found."""
        if wrong := list(found):
            self.complaints.setdefault(name, []).extend(wrong)


def with_deaths(lines: Sequence[Line], deaths: Sequence[tuple[int, str]]) -> list[Line]:
    """Return event lines with those that the dead couldn't write.

    Args:
        lines: in the order of time.
        deaths: (monotonic ns, host) of each kill and crash.
    """
    found = list(lines)
    lives: dict[str, list[tuple[int, int, str]]] = {}  # host -> (first line, last line, life)
    for line in lines:
        name = line["p"].partition("@")[0]
        rows = lives.setdefault(name, [])
        if rows and rows[-1][2] == line["p"]:
            rows[-1] = (rows[-1][0], line["t"], line["p"])
        else:
            rows.append((line["t"], line["t"], line["p"]))
    for at, host in deaths:
        before = [life for first, _, life in lives.get(host, []) if first < at]
        if before:
            found.append({"t": at, "k": "down", "p": before[-1]})
    return sorted(found, key=lambda line: int(line["t"]))


def audit(
    lines: Sequence[Line],
    journal: Sequence[Row],
    facts: Mapping[str, Sequence[str]],
    faults: Sequence[tuple[int, int]],
    read_ns: int,
) -> Audit:
    """Check everything.

    Args:
        lines: all event lines, with deaths, in the order of time.
        journal: of the lab; lines of JSON in it are those of clients.
        facts: of each node at the end.
        faults: (begin, end) of each fault, monotonic ns.
        read_ns: when the event lines were read: what was sent just before is still on its way.
    """
    done = Audit()
    nodes = [line for line in lines if "#" not in line["p"]]
    for name, wrong in group_checkers.check_all(nodes).items():
        done.add(name, wrong)
    done.add("K1 one history", _one_history(lines))
    done.add("K3 one primary", _one_primary(lines))
    done.add("A1 once", _once(lines))
    done.add("A3 nothing silent", _nothing_silent(lines, read_ns))
    said = list(_said(journal))
    done.add("K2 nothing acknowledged is lost", _acknowledged(said, facts))
    done.add("facts differ", _differ(facts))
    done.add("L6 false suspicion", _false(nodes, faults))
    done.counts = {
        "event lines": len(lines),
        "views": sum(line["k"] == "view" for line in nodes),
        "suspicions": sum(line["k"] == "suspect" for line in nodes),
        "group deliveries": sum(line["k"] == "deliver" for line in nodes),
        "signals accepted": sum(line["k"] == "accept" for line in lines),
        "signals handled": sum(line["k"] == "handle" for line in lines),
        "dead letters": sum(line["k"] == "deadletter" for line in lines),
        "changes applied": sum(line["k"] == "kb_apply" for line in lines),
        "operations acknowledged": sum("done" in one for one in said),
        "operations refused": sum("refused" in one for one in said),
    }
    return done


def _said(journal: Sequence[Row]) -> Iterable[dict[str, Any]]:
    for row in journal:
        if row["what"] == "said" and row["name"] == "client" and row["text"].startswith("{"):
            yield json.loads(row["text"])


def _one_history(lines: Sequence[Line]) -> Iterable[str]:
    seen: dict[tuple[int, ...], str] = {}
    for line in lines:
        if line["k"] in _KB_KINDS:
            clock = tuple(line["clock"])
            if seen.setdefault(clock, line["hash"]) != line["hash"]:
                yield f"two histories at {clock}: {line['p']} differs"


def _one_primary(lines: Sequence[Line]) -> Iterable[str]:
    views: dict[int, Any] = {}
    for line in lines:
        if line["k"] != "primary" or "epoch" not in line:
            continue
        if views.setdefault(line["epoch"], line["v"]) != line["v"]:
            yield f"epoch {line['epoch']} is of two views: {line['p']} says {line['v']}"


def _once(lines: Sequence[Line]) -> Iterable[str]:
    handled = Counter(
        (line["sig"], line["to"]) for line in lines if line["k"] == "handle" and line.get("sig")
    )
    for (sig, to), times in handled.items():
        if times > 1:
            yield f"{to} handled {sig} {times} times"


def _nothing_silent(lines: Sequence[Line], read_ns: int) -> Iterable[str]:
    """Who accepted a signal and lived knows its end; whose sender died has nobody to tell."""
    dead = {line["p"] for line in lines if line["k"] == "down"}
    accepted: dict[tuple[str, str], str] = {}
    ended = set()
    for line in lines:
        if line["k"] == "accept" and line["t"] < read_ns - ON_ITS_WAY_S * 1e9:
            accepted[line["sig"], line["to"]] = line["p"]
        elif line["k"] in ("handle", "deadletter") and line.get("sig"):
            ended.add((line["sig"], line["to"]))
    for (sig, to), process in accepted.items():
        if (sig, to) not in ended and process not in dead:
            yield f"{sig} to {to}, accepted at {process}, has no end"


def _acknowledged(said: Sequence[Row], facts: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """What was deployed and not asked to be destroyed is a fact, at each node; what was, is none.

    An actor that was lost with its node is a fact as well: of `lost`.
    """
    wanted: dict[str, bool] = {}
    for one in said:
        if one.get("done") == "deploy":
            wanted[one["name"]] = True
        elif "asked" in one:
            wanted.pop(one["name"], None)  # until it is acknowledged, it may be either
        elif one.get("done") == "destroy":
            wanted[one["name"]] = False
    for node, known in facts.items():
        names = {found[1] for fact in known if (found := _ACTOR.match(fact))}
        lost = {fact.partition("(")[2].partition(",")[0] for fact in known if "lost(" in fact}
        names = {name.strip("'") for name in names | lost}
        for name, is_there in wanted.items():
            if is_there != (name in names):
                yield f"{node}: {name} is {'missing' if is_there else 'there again'}"


def _differ(facts: Mapping[str, Sequence[str]]) -> Iterable[str]:
    copies = {node: sorted(known) for node, known in facts.items()}
    first = next(iter(copies), None)
    for node, known in copies.items():
        if first is not None and known != copies[first]:
            odd = sorted(set(known) ^ set(copies[first]))
            yield f"{node} and {first} differ in {', '.join(odd[:SHOWN])}"


def _false(lines: Sequence[Line], faults: Sequence[tuple[int, int]]) -> Iterable[str]:
    """Who is in the view and at work is not suspected; on the way to a view anybody may be."""
    grace = int(SUSPECTED_AFTER_S * 1e9)
    views: dict[str, list[str]] = {}
    for line in lines:
        if line["k"] == "view":
            views[line["p"]] = line["members"]
            continue
        if line["k"] != "suspect" or line["q"] not in views.get(line["p"], ()):
            continue
        if not any(begin <= line["t"] <= end + grace for begin, end in faults):
            yield f"{line['p']} suspects {line['q']} though nothing is wrong"
