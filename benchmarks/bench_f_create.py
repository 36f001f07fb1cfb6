"""Rows F: idle actors: how many are made in a second on a node, and what each holds of memory.

The raw limit is as many plain objects with a name, in a dict. `F deploy` is what a console gets:
actors that are in the knowledge base of a cluster of one node, asked for one after the other; `F
many` the same asked for at once (`deploy_many`), over three nodes: `took_s` is until all run, and
`cpu_s` what that took of all nodes, which share this machine.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

from _common import best_rate, cpu_s, report, resident_bytes

from zactor import Actor, local
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 20_000
DEPLOYED = 300
MANY = 1_000


class Idle(Actor):
    """Does nothing."""


class Plain:
    """What holds as much without zactor."""

    def __init__(self, name: str) -> None:
        self.name = name


def raw() -> int:
    """Make objects."""
    return len({name: Plain(name) for name in (f"a{number}" for number in range(COUNT))})


def create() -> tuple[float, float]:
    """Actors/s and bytes per actor."""
    runtime = Runtime(dead_letter=lambda letter: None)
    runtime.start()
    gc.collect()
    before = resident_bytes()
    began = time.perf_counter()
    made = [
        runtime.spawn(blueprint_of(Idle, name=f"a{number}", uid=number))
        for number in range(1, COUNT + 1)
    ]
    for future in made:
        future.result()
    took = time.perf_counter() - began
    del made, future
    gc.collect()
    held = (resident_bytes() - before) / COUNT
    runtime.close()
    return COUNT / took, held


def deploy() -> float:
    """Actors/s that a console deploys on a node, one after the other."""
    with local(nodes=1) as cluster:
        m = cluster.master
        m.declare_factory("sink", ACTORS)
        m.deploy_actor("sink", "s0", "n1")
        began = time.perf_counter()
        for number in range(1, DEPLOYED + 1):
            m.deploy_actor("sink", f"s{number}", "n1")
        return DEPLOYED / (time.perf_counter() - began)


def deploy_many() -> tuple[float, float]:
    """Seconds until MANY actors run on three nodes, and of the nodes' CPU."""
    with local(nodes=3) as cluster:
        m = cluster.master
        m.declare_factory("sink", ACTORS)
        orders = [("sink", f"s{number}", f"n{number % 3 + 1}", {}) for number in range(MANY)]
        nodes = [cluster.pid(name) for name in ("m1", "n1", "n2", "n3")]
        before, began = cpu_s(nodes), time.perf_counter()
        rows = m.deploy_many(orders)
        took = time.perf_counter() - began
        assert not any(row["error"] for row in rows), rows
        return took, cpu_s(nodes) - before


def main() -> None:
    """Print three rows."""
    rate, held = create()
    limit = best_rate(raw)
    report("F", rate, "actors/s", limit, bytes_each=round(held))
    report("F deploy", deploy(), "actors/s", limit)
    took, cpu = deploy_many()
    report("F many", MANY / took, "actors/s", limit, took_s=round(took, 2), cpu_s=round(cpu, 2))


if __name__ == "__main__":
    main()
