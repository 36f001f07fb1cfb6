"""Row S: from kill -9 of a node to red on the page, each of many kills (budget: 250 ms).

The moment of red is noted by the page itself, by an observer of its lanes. Raw is the same time
until a program that follows the events has heard that the view has changed.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from statistics import median

from _common import report
from _page import opened_browser, opened_page, served
from _page_network import declare, deploy, until

from zactor import BlockingCluster, local

WATCH_LANES = """() => {
    window.red = 0;
    new MutationObserver(() => {
        if (!window.red && document.querySelector('.lane.gone')) window.red = Date.now();
    }).observe(
        document.getElementById('lanes'), { subtree: true, attributes: true, childList: true });
}"""


class Heard(threading.Thread):
    """Follows the events, and notes when a view changes."""

    def __init__(self, cluster: BlockingCluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self.at = 0.0

    def run(self) -> None:
        for event in self._cluster.master.events(True, "", 1):
            if not self.at and event["event"] in ("view", "node_gone", "left", "gone"):
                self.at = time.time()


def main() -> None:
    """Print the row with the whole distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    options = parser.parse_args()
    taken, heard = [], []
    with local(nodes=3) as cluster, served(cluster.home) as site, opened_browser() as browser:
        declare(cluster.master)
        deploy(cluster.master, ["n1", "n2"], 12, 6, 5.0)
        page = opened_page(browser, site)
        listener = Heard(cluster)
        listener.start()
        for _ in range(options.kills):
            page.evaluate(WATCH_LANES)
            listener.at = 0.0
            began = time.time()
            cluster.kill("n3")
            page.wait_for_function("() => window.red > 0", timeout=60_000)
            taken.append(page.evaluate("window.red") - began * 1000)
            until(lambda: listener.at, "the event", 10.0)
            heard.append((listener.at - began) * 1000)
            cluster.start("n3")
            page.wait_for_function("() => !document.querySelector('.lane.gone')", timeout=60_000)
        load = round(os.getloadavg()[0], 1)
        all_ms = sorted(round(each) for each in taken)
        report("S red", median(taken), "ms p50", median(heard), all_ms=all_ms, load=load)


if __name__ == "__main__":
    main()
