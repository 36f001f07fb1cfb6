"""Row T: what the page's memory grows by while it is live (budget: 20 MB in an hour).

The heap of the page after a collection, and the resident memory of its server, at the begin (after
half a minute of settling) and at the end. Value is the growth of the heap in an hour, extrapolated
where --minutes is less; raw is the heap at the begin.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from _common import report
from _page import opened_browser, opened_page, served
from _page_network import declare, deploy

from zactor import local

SETTLE_S = 30.0
EVERY_S = 15.0


def heap_kb(session: Any) -> float:
    """What the page's heap holds after a collection."""
    session.send("HeapProfiler.collectGarbage")
    found = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in found if each["name"] == "JSHeapUsedSize") / 1024


def resident_kb(pid: int) -> int:
    """What a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    with local(nodes=3) as cluster, served(cluster.home) as site, opened_browser() as browser:
        declare(cluster.master)
        deploy(cluster.master, cluster.nodes, 40, 20, 10.0)
        page = opened_page(browser, site)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        page.wait_for_timeout(SETTLE_S * 1000)
        first, server = heap_kb(session), resident_kb(site.pid)
        heaps = [first]
        for _ in range(max(1, round(options.minutes * 60 / EVERY_S))):
            page.wait_for_timeout(EVERY_S * 1000)
            heaps.append(heap_kb(session))
        half = len(heaps) // 2
        # Lines and events fill what is kept of them first: the second half shows what goes on.
        an_hour = (heaps[-1] - heaps[half]) / ((len(heaps) - 1 - half) * EVERY_S) * 3600
        report(
            "T page",
            an_hour,
            "KB of memory an hour",
            first,
            heaps_kb=[round(each) for each in heaps],
            server_kb=[server, resident_kb(site.pid)],
            minutes=options.minutes,
            load=round(os.getloadavg()[0], 1),
        )


if __name__ == "__main__":
    main()
