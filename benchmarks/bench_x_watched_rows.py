"""Rows X: what being watched costs the work of rows A to D on nodes, in ns of CPU a message.

`X A` is signals from actor to actor of one node, `X B` asks there one by one, `X C` and `X D` the
same between two nodes. Each round does a piece of work of each row while nobody watches, and one
while somebody does, as `zactor top` would; the next round the other way about. Value and raw are
the medians of both nodes' CPU for a message, watched and not, `percent` is the median of the
differences between neighbours (budget: 2), with the quarters of the rounds beside it.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median, quantiles

from _common import report

from zactor import BlockingCluster, BlockingMaster, connect, local
from zactor.client.rates import Rates
from zactor.kernel.limits import COUNTING_S, COUNTS_EVERY_S

ACTORS = Path(__file__).with_name("_actors.py")
SIGNALS, ASKS_HERE, ASKS_FAR = 300_000, 30_000, 4_000
BURST = 100


class Watcher:
    """Looks on, while a block runs."""

    def __init__(self, cluster: BlockingCluster) -> None:
        self._home = cluster.home
        self._over = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        rates = Rates()
        with connect(home=self._home) as m:
            while not self._over.is_set():
                rates.take(m.watch(rates.after, 2.0))
                self._begun.set()

    def __enter__(self) -> Watcher:
        """Return when the first sample is there."""
        self._thread.start()
        if not self._begun.wait(30.0):
            raise SystemExit("nobody answers who watches")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is counted any more when this returns."""
        self._over.set()
        self._thread.join()
        time.sleep(COUNTING_S + 2 * COUNTS_EVERY_S)  # so long it counts for who may come back


def signals(m: BlockingMaster, source: str, sink: str) -> int:
    """Have them sent and handled; return how many."""
    m.ask(sink, "reset", SIGNALS)
    m.tell(source, "run", SIGNALS, BURST)
    while not m.ask(sink, "took"):
        time.sleep(0.02)
    return SIGNALS


def asks(m: BlockingMaster, echo: str, count: int) -> int:
    """Have them asked and answered; return how many."""
    m.ask("asker", "measure", echo, count)
    return count


def cpu_ns(pids: Iterable[int]) -> int:
    """What processes have taken, finer than /proc tells: see clock_getcpuclockid(3)."""
    return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in pids)


def deploy(m: BlockingMaster) -> dict[str, Callable[[], int]]:
    """Make the actors; return a piece of work for each row."""
    for kind in ("source", "sink", "asker", "echo"):
        m.declare_factory(kind, ACTORS)
    m.deploy_actor("asker", "asker", "n1")
    for row, node in (("A", "n1"), ("C", "n2")):
        m.deploy_actor("source", f"source{row}", "n1")
        m.deploy_actor("sink", f"sink{row}", node)
        m.react_interaction(f"sink{row}", f"source{row}", "number")
    m.deploy_actor("echo", "echoB", "n1")
    m.deploy_actor("echo", "echoD", "n2")
    return {
        "A": lambda: signals(m, "sourceA", "sinkA"),
        "B": lambda: asks(m, "echoB", ASKS_HERE),
        "C": lambda: signals(m, "sourceC", "sinkC"),
        "D": lambda: asks(m, "echoD", ASKS_FAR),
    }


def main() -> None:
    """Print a row for each of A to D."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    with local(nodes=2) as cluster:
        work = deploy(cluster.master)
        pids = [cluster.pid(name) for name in ("n1", "n2")]

        def cost(row: str) -> float:
            before = cpu_ns(pids)
            count = work[row]()
            return (cpu_ns(pids) - before) / count

        def costs(is_watched: bool) -> dict[str, float]:
            if not is_watched:
                return {row: cost(row) for row in work}
            with Watcher(cluster):
                return {row: cost(row) for row in work}

        costs(False)
        rounds = []
        for number in range(chosen.rounds):
            order = (False, True) if number % 2 else (True, False)
            rounds.append({is_watched: costs(is_watched) for is_watched in order})
        for row in work:
            more = [(each[True][row] / each[False][row] - 1) * 100 for each in rounds]
            low, middle, high = quantiles(more, n=4)
            report(
                f"X {row} watched",
                median(each[True][row] for each in rounds),
                "ns of CPU a message",
                median(each[False][row] for each in rounds),
                percent=round(middle, 1),
                quarters=[round(low, 1), round(high, 1)],
                load=round(os.getloadavg()[0], 1),
            )


if __name__ == "__main__":
    main()
