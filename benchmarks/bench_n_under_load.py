"""Row N: how long asks and AGREED messages between two nodes take while the nodes are at work.

Three situations beside a quiet cluster: another pair of actors floods the same link with signals;
an actor burns 50 ms at a time on the asker's node, and on the other. Of each p50, p99 and p99.9 in
µs, of asks from actor to actor and of AGREED messages from a client to itself and another. The raw
limit is a round trip of the same payload over plain sockets with CURVE, in a quiet moment.

An action that burns is one that keeps others of its node waiting: they share one loop. What the row
shows is that it keeps nothing else waiting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _common import report
from _raw import raw_round_trips

from zactor import BlockingMaster, local

ACTORS = Path(__file__).with_name("_actors.py")
CLIENT = Path(__file__).with_name("_group_client.py")
ACTORS_AT = {
    "asker": "n1",
    "echo": "n2",
    "source": "n1",
    "sink": "n2",
    "burner1": "n1",
    "burner2": "n2",
}
FLOOD = 1_000_000_000

Situation = tuple[Callable[[BlockingMaster], None], Callable[[BlockingMaster], None]]


def _nothing(m: BlockingMaster) -> None:
    pass


def _burning(name: str) -> Situation:
    return lambda m: m.tell(name, "burn"), lambda m: m.tell(name, "stop")


SITUATIONS: dict[str, Situation] = {
    "quiet": (_nothing, _nothing),
    "flood": (
        lambda m: m.tell("source", "run", FLOOD, 100),
        lambda m: m.tell("source", "run", 0, 1),
    ),
    "burn here": _burning("burner1"),
    "burn there": _burning("burner2"),
}


@contextmanager
def situation(m: BlockingMaster, name: str) -> Iterator[None]:
    """Have the nodes at work within the block."""
    begin, end = SITUATIONS[name]
    begin(m)
    try:
        yield
    finally:
        end(m)


def cuts(taken: list[float]) -> tuple[float, dict[str, int]]:
    """The median in µs, and the tail, of seconds."""
    found = sorted(taken)

    def at(share: float) -> float:
        return found[min(int(len(found) * share), len(found) - 1)] * 1e6

    return at(0.5), {"p99": round(at(0.99)), "p99.9": round(at(0.999))}


def agreed(home: Path, endpoints: tuple[str, str], count: int) -> list[float]:
    """Seconds that messages of a client at the first node took to come back to it."""
    children = [
        subprocess.Popen(
            [
                *(sys.executable, str(CLIENT), str(home), endpoint, f"c{number}"),
                *("2", str(count), "agreed", "trip", "100"),
            ],
            stdout=subprocess.PIPE,
        )
        for number, endpoint in enumerate(endpoints, 1)
    ]
    found = [json.loads(child.communicate(timeout=600)[0]) for child in children]
    times: list[float] = found[0]["times"]
    return times


def main() -> None:
    """Print two rows for each situation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=4_000, help="asks and messages of each")
    options = parser.parse_args()
    raw = raw_round_trips(2_000)[1_000] * 1e6
    with local(nodes=2) as cluster:
        m = cluster.master
        for name, node in ACTORS_AT.items():
            factory = name.rstrip("12")
            m.declare_factory(factory, ACTORS)
            m.deploy_actor(factory, name, node)
        m.react_interaction("sink", "source", "number")
        m.ask("asker", "measure", "echo", 500)
        doors = cluster.processes.endpoints()
        endpoints = doors["n1"], doors["n2"]
        for name in SITUATIONS:
            count = options.count // 8 if name.startswith("burn") else options.count
            with situation(m, name):
                middle, tail = cuts(m.ask("asker", "measure", "echo", count, timeout=600))
                report(f"N asks, {name}", middle, "µs p50", raw, **tail)
                middle, tail = cuts(agreed(cluster.home, endpoints, count))
                report(f"N AGREED, {name}", middle, "µs p50", raw, **tail)


if __name__ == "__main__":
    main()
