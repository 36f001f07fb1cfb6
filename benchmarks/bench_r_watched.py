"""Row R: what being watched costs a node of 1,000 actors at 50,000 signals/s, in CPU.

The node's CPU time is taken in rounds that alternate: nobody watches, somebody does, as the page's
server would. Value is the median of the differences between neighbours, in ms of CPU a second
(budget: 20, that is 2 % of a core); raw is what the node takes unwatched. `samples` is how many
were taken in a time in which nobody watched (0).
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median

from _common import cpu_s, report
from _page_network import declare, deploy

from zactor import BlockingMaster, local
from zactor.client.rates import Rates
from zactor.kernel.limits import COUNTING_S, COUNTS_EVERY_S


def unwatched(pid: int, seconds: float) -> float:
    """Share of a core that a process takes while nobody watches."""
    time.sleep(COUNTING_S + 2 * COUNTS_EVERY_S)  # so long it counts for who may come back
    before, began = cpu_s([pid]), time.monotonic()
    time.sleep(seconds)
    return (cpu_s([pid]) - before) / (time.monotonic() - began)


def watched(m: BlockingMaster, rates: Rates, pid: int, seconds: float) -> float:
    """The same while somebody does."""
    rates.take(m.watch(rates.after, 2.0, "n1"))  # who comes first is told all
    before, began = cpu_s([pid]), time.monotonic()
    while time.monotonic() < began + seconds:
        rates.take(m.watch(rates.after, 2.0, "n1"))
    return (cpu_s([pid]) - before) / (time.monotonic() - began)


def samples_unwatched(m: BlockingMaster, rates: Rates) -> int:
    """How many samples were taken while nobody watched, beside those for who may come back."""
    rates.take(m.watch(rates.after, 0.0, "n1"))
    before, quiet_s = rates.after["n1"], 4 * COUNTING_S
    time.sleep(quiet_s)
    rates.take(m.watch(rates.after, 0.0, "n1"))
    due = int(COUNTING_S / COUNTS_EVERY_S) + 2
    return max(0, rates.after["n1"] - before - due)


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")
    parser.add_argument("--rate", type=int, default=50_000, help="signals a second")
    options = parser.parse_args()
    with local(nodes=1) as cluster:
        m, pid = cluster.master, cluster.pid("n1")
        declare(m)
        deploy(m, ["n1"], 1_000, 0, 0.0)
        m.deploy_actor("firehose", "hose", "n1")
        m.deploy_actor("ear", "ear", "n1")
        m.react_interaction("ear", "hose", "beat")
        m.ask("hose", "run", options.rate)
        rates = Rates()
        pairs = [
            (unwatched(pid, options.seconds), watched(m, rates, pid, options.seconds))
            for _ in range(options.rounds)
        ]
        more = sorted((after - before) * 1000 for before, after in pairs)
        report(
            "R watched node",
            median(more),
            "ms of CPU a second",
            median(before for before, _ in pairs) * 1000,
            least=round(more[0]),
            most=round(more[-1]),
            signals=round(rates.actors["hose"].sent_rate),
            samples=samples_unwatched(m, rates),
            load=round(os.getloadavg()[0], 1),
        )


if __name__ == "__main__":
    main()
