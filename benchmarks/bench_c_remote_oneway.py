"""Row C: one-way signals from an actor on one node to an actor on another, encrypted.

`value` is for bursts of 100 signals a turn, `single` for one signal a turn. The raw limit is the
same arguments pickled in batches of 256 over plain sockets with CURVE, and nothing else.
"""

from __future__ import annotations

import time
from pathlib import Path

from _common import report
from _raw import raw_oneway

from zactor import local

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 300_000


def measure(cluster: object, burst: int, count: int) -> float:
    """Signals/s, the best of three runs."""
    m = cluster.master  # type: ignore[attr-defined]
    best = 0.0
    for _ in range(3):
        m.ask("sink", "reset", count)
        m.tell("source", "run", count, burst)
        while not (took := m.ask("sink", "took")):
            time.sleep(0.05)  # a poll costs the sink a message; the clock is in the sink
        best = max(best, count / took)
    return best


def main() -> None:
    """Print the row."""
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("source", ACTORS)
        m.declare_factory("sink", ACTORS)
        m.deploy_actor("source", "source", "n1")
        m.deploy_actor("sink", "sink", "n2")
        m.react_interaction("sink", "source", "number")
        bursts = measure(cluster, 100, COUNT)
        single = measure(cluster, 1, COUNT // 3)
    report("C", bursts, "signals/s", raw_oneway(COUNT), single=round(single))


if __name__ == "__main__":
    main()
