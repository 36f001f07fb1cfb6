"""Rows H: one emitter's signals to a hundred actors of its node, and to ten of another node.

Delivered signals/s. The raw limit of the first is a ready queue without zactor, of the second what
row C has: batches over plain sockets with CURVE.
"""

from __future__ import annotations

import time
from pathlib import Path

from _common import Cpu, best_rate, options, raw_ready_queue, report
from _raw import raw_oneway

from zactor import local

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 300_000
BURST = 10


def measure(m: object, sinks: list[str], count: int) -> float:
    """Signals/s that all `sinks` together got, from the first to the last of the slowest."""
    each = count // len(sinks)
    for sink in sinks:
        m.ask(sink, "reset", each)  # type: ignore[attr-defined]
    m.tell("source", "run", each, BURST)  # type: ignore[attr-defined]
    took = 0.0
    for sink in sinks:
        while not (its := m.ask(sink, "took")):  # type: ignore[attr-defined]
            time.sleep(0.05)  # a poll costs the sink a message; the clock is in the sink
        took = max(took, its)
    return each * len(sinks) / took


def row(chosen_cpu: bool, name: str, sinks: list[str], node: str, raw: float) -> None:
    """Print one of the rows."""
    with local(nodes=2) as cluster:
        m = cluster.master
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "source", "n1")
        for sink in sinks:
            m.deploy_actor("sink", sink, node)
        for sink in sinks:
            m.react_interaction(sink, "source", "number")
        measure(m, sinks, COUNT // 10)
        value, spent = Cpu(cluster, chosen_cpu).of(lambda: measure(m, sinks, COUNT), COUNT)
        report(name, value, "signals/s", raw, **spent)


def main() -> None:
    """Print two rows."""
    chosen = options(__doc__).parse_args()
    raw = best_rate(lambda: raw_ready_queue(COUNT))
    row(chosen.cpu, "H", [f"s{number}" for number in range(100)], "n1", raw)
    row(chosen.cpu, "H remote", [f"s{number}" for number in range(10)], "n2", raw_oneway(COUNT))


if __name__ == "__main__":
    main()
