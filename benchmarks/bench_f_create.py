"""Rows F: idle actors: how many are made in a second on a node, and what each holds of memory.

The raw limit is as many plain objects with a name, in a dict. `F deploy` is what a console gets:
actors that are in the knowledge base of a cluster of one node, asked for one after the other.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

from _common import best_rate, report, resident_bytes

from zactor import Actor, local
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

ACTORS = Path(__file__).with_name("_actors.py")
COUNT = 20_000
DEPLOYED = 300


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


def main() -> None:
    """Print two rows."""
    rate, held = create()
    limit = best_rate(raw)
    report("F", rate, "actors/s", limit, bytes_each=round(held))
    report("F deploy", deploy(), "actors/s", limit)


if __name__ == "__main__":
    main()
