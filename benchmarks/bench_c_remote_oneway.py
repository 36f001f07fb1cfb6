"""Rows C: one-way signals from an actor on one node to an actor on another, encrypted.

`C` is for bursts of 100 signals a turn, `C single` for one signal a turn. The raw limit is the
same arguments pickled in batches of 256 over plain sockets with CURVE, and nothing else.
"""

from __future__ import annotations

import time
from pathlib import Path

from _common import Cpu, options, report
from _raw import raw_oneway

from zactor import local

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 300_000
ROUNDS = 3


def measure(cluster: object, burst: int, count: int) -> float:
    """Signals/s, the best of three runs."""
    m = cluster.master  # type: ignore[attr-defined]
    best = 0.0
    for _ in range(ROUNDS):
        m.ask("sink", "reset", count)
        m.tell("source", "run", count, burst)
        while not (took := m.ask("sink", "took")):
            time.sleep(0.05)  # a poll costs the sink a message; the clock is in the sink
        best = max(best, count / took)
    return best


def main() -> None:
    """Print two rows."""
    chosen = options(__doc__).parse_args()
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("source", ACTORS)
        m.declare_factory("sink", ACTORS)
        m.deploy_actor("source", "source", "n1")
        m.deploy_actor("sink", "sink", "n2")
        m.react_interaction("sink", "source", "number")
        cpu = Cpu(cluster, chosen.cpu)
        bursts, of_bursts = cpu.of(lambda: measure(cluster, 100, COUNT), ROUNDS * COUNT)
        few = COUNT // 3
        single, of_single = cpu.of(lambda: measure(cluster, 1, few), ROUNDS * few)
    raw = raw_oneway(COUNT)
    report("C", bursts, "signals/s", raw, **of_bursts)
    report("C single", single, "signals/s", raw, **of_single)


if __name__ == "__main__":
    main()
