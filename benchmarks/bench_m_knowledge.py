"""Row M: the knowledge base: a commit on 3 nodes, and what 100,000 facts cost.

`commit_us` is what a client waits for one small change, one after the other; the raw limit is one
write with fsync on the same disk. The rest: start of a node that has the facts, until its door is
open; a query by first argument; a joiner, from its start until it has them all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from _common import report

from zactor import connect
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.query import solve
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Write
from zactor.lab.lab import Lab, until
from zactor.supervisor.kb.store import Store

_ACTOR = """
from zactor import Actor, action, signal


class Nothing(Actor):
    inc = signal()

    @action
    def add(self):
        pass
"""


def fsync_us(folder: Path, count: int) -> list[float]:
    """How long one small write with fsync takes there."""
    took = []
    with (folder / "raw").open("ab", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"x" * 400)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    return took


def commits_us(home: Path, count: int) -> tuple[list[float], list[float]]:
    """What a client waits for each of `count` changes on three nodes; and the disk alone."""
    source = home / "nothing.py"
    source.write_text(_ACTOR)
    lab = Lab(home)
    try:
        lab.start("m1", role="master")
        for name in ("n1", "n2"):
            lab.start(name)
        until("they meet", lambda: lab.names_up("m1") == {"m1", "n1", "n2"})
        with connect(lab.endpoint("m1"), home=home) as m:
            m.declare_factory("f", source)
            for name in ("c1", "c2"):
                m.deploy_actor("f", name, "n1")
            took = []
            for number in range(count):
                began = time.perf_counter()
                if number % 2:
                    m.remove_interaction("c1", "c2", "inc>add")
                else:
                    m.react_interaction("c1", "c2", "inc>add")
                took.append((time.perf_counter() - began) * 1e6)
        return took, fsync_us(home, count)
    finally:
        lab.close()


def fill(folder: Path, count: int) -> Theory:
    """Make the state of a node that is the whole primary, with `count` facts."""
    rows = [(f"likes(p{n},thing{n % 977})", 1, 1 + n, "me", "why", 1.0) for n in range(count)]
    theory = Theory(rows)
    clock = Clock(1, count)
    snapshot = records.PutSnapshot(theory.snapshot(), (), clock, b"d" * 16, count, b"c" * 16, 1)
    alone = Primary(1, ("n1",), "n1", "us")
    primary = (records.PutAttempt(alone, 1), records.PutPrimary(alone, True))
    store = Store(folder)
    store.write([Write(number=1, records=(snapshot, *primary), is_urgent=True)])
    store.close()
    return theory


def many_facts(home: Path, count: int) -> dict[str, float]:
    """ms for the start of a node with that many, for a query, and for a joiner."""
    theory = fill(home / "state" / "n1", count)
    began = time.perf_counter()
    found = [
        list(solve(f"likes(p{n}, X)", theory)) for n in range(0, count, max(1, count // 1_000))
    ]
    query_ms = (time.perf_counter() - began) * 1e3 / len(found)
    assert all(len(one) == 1 for one in found)
    lab = Lab(home)
    try:
        began = time.perf_counter()
        lab.start("n1")
        start_ms = (time.perf_counter() - began) * 1e3
        with connect(lab.endpoint("n1"), home=home) as m:
            until("it takes changes", lambda: bool(m.query("node(n1, A)")), 30)
        began = time.perf_counter()
        lab.start("n2")
        with connect(lab.endpoint("n2"), home=home) as m:
            last = f"likes(p{count - 1}, X)"
            until("it has them all", lambda: bool(m.query(last)), 60)
        join_ms = (time.perf_counter() - began) * 1e3
    finally:
        lab.close()
    return {"start_ms": start_ms, "query_ms": query_ms, "join_ms": join_ms}


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--commits", type=int, default=300)
    parser.add_argument("--facts", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        took, raw = commits_us(Path(home), options.commits)
    with tempfile.TemporaryDirectory() as home:
        facts = many_facts(Path(home), options.facts)
    report(
        "M",
        median(took),
        "us/commit, median",
        median(raw),
        p99_us=round(quantiles(took, n=100)[98]),
        facts=options.facts,
        **{name: round(value, 3) for name, value in facts.items()},
    )


if __name__ == "__main__":
    main()
