"""Row Q: frames a second of the page with 2,000 live actors, and with 12 actors and wires.

Frames are counted by requestAnimationFrame while numbers come in; raw is what an empty page of the
same browser reaches in the same run. `long_ms` is the longest wait for a frame, `task_pct` how busy
the page's main thread was. No GPU: the browser has no window.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from _common import report
from _page import opened_browser, opened_page, served
from _page_network import declare, deploy

from zactor import local

if TYPE_CHECKING:
    from playwright.sync_api import Page

COUNT = """seconds => new Promise((done) => {
    let frames = 0, longest = 0, last = performance.now();
    const begun = last;
    const step = (now) => {
        frames += 1;
        longest = Math.max(longest, now - last);
        last = now;
        if (now - begun < seconds * 1000) requestAnimationFrame(step);
        else done([frames / ((now - begun) / 1000), longest]);
    };
    requestAnimationFrame(step);
})"""


def frames(page: Page, seconds: float) -> tuple[float, dict[str, Any]]:
    """Frames a second, the longest wait in ms, and how busy the main thread was."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = task_s(session)
    rate, longest = page.evaluate(COUNT, seconds)
    busy = (task_s(session) - before) / seconds
    load = round(os.getloadavg()[0], 1)
    return rate, {"long_ms": round(longest), "task_pct": round(busy * 100), "load": load}


def task_s(session: Any) -> float:
    """What the page's main thread has worked."""
    found = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--actors", type=int, default=2_000)
    options = parser.parse_args()
    for count, nodes, beating, rate in ((12, 3, 6, 20.0), (options.actors, 4, 100, 1.0)):
        with local(nodes=nodes) as cluster, served(cluster.home) as site:
            declare(cluster.master)
            deploy(cluster.master, cluster.nodes, count, beating, rate)
            with opened_browser() as browser:
                empty = browser.new_page()
                raw, _ = frames(empty, options.seconds)
                empty.close()
                page = opened_page(browser, site)
                page.wait_for_timeout(3_000)
                value, more = frames(page, options.seconds)
                report(f"Q {count} actors", value, "frames/s", raw, **more)


if __name__ == "__main__":
    main()
