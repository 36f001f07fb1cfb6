"""Row D: an actor asks an actor on another node, one ask at a time, encrypted; µs at the median.

The raw limit is a round trip of the same payload over plain sockets with CURVE.
"""

from __future__ import annotations

from pathlib import Path

from _common import Cpu, options, report
from _raw import raw_round_trips

from zactor import local

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 5_000


def main() -> None:
    """Print the row."""
    chosen = options(__doc__).parse_args()
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("asker", ACTORS)
        m.declare_factory("echo", ACTORS)
        m.deploy_actor("asker", "asker", "n1")
        m.deploy_actor("echo", "echo", "n2")
        m.ask("asker", "measure", "echo", 500)
        taken: list[float] = []
        cpu = Cpu(cluster, chosen.cpu)
        _, spent = cpu.of(
            lambda: taken.extend(sorted(m.ask("asker", "measure", "echo", COUNT))) or 0, COUNT
        )
    raw = raw_round_trips(COUNT)
    middle = COUNT // 2
    report(
        "D",
        taken[middle] * 1e6,
        "µs p50",
        raw[middle] * 1e6,
        p99=round(taken[COUNT * 99 // 100] * 1e6),
        **spent,
    )


if __name__ == "__main__":
    main()
