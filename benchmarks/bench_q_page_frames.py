"""Row Q: frames a second of the page with 2,000 live actors, and with 12 actors and wires.

Frames are counted by requestAnimationFrame while numbers come in; raw is what an empty page of the
same browser reaches in the same run. `long_ms` is the longest wait for a frame. `busy_pct` is the
CPU of the page's main thread, as the system counts it, while nobody counts frames (which would have
the page painted sixty times a second); `counted_pct` the same while they are counted. No GPU: the
browser has no window.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _common import report
from _page import Site, opened_browser, opened_page, served
from _page_network import declare, deploy

from zactor import local

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

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


WORK = "ms => { const end = performance.now() + ms; while (performance.now() < end); }"


def frames(page: Page, seconds: float) -> tuple[float, float]:
    """Frames a second, and the longest wait for one in ms."""
    rate, longest = page.evaluate(COUNT, seconds)
    return float(rate), float(longest)


class MainThread:
    """The thread of a page that runs its script, lays it out and paints it."""

    def __init__(self, browser: Browser, page: Page) -> None:
        """It is the one of the browser's renderers that works when the page is told to."""
        session = browser.new_browser_cdp_session()
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        pids = [int(each["id"]) for each in found if each["type"] == "renderer"]
        before = {pid: _thread_s(pid) for pid in pids}
        page.evaluate(WORK, 500)
        self._pid = max(pids, key=lambda pid: _thread_s(pid) - before[pid])

    def busy_pct(self, work: Callable[[], object]) -> int:
        """Do something meanwhile; return how busy it was, in hundredths of a core."""
        before, began = _thread_s(self._pid), time.monotonic()
        work()
        return round((_thread_s(self._pid) - before) / (time.monotonic() - began) * 100)


def _thread_s(pid: int) -> float:
    """What the first thread of a process has taken of the processor."""
    text = Path(f"/proc/{pid}/task/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime


def measure(site: Site, count: int, seconds: float) -> None:
    """Print the row of a page that shows `count` actors."""
    with opened_browser() as browser:
        empty = browser.new_page()
        raw, _ = frames(empty, seconds)
        empty.close()
        page = opened_page(browser, site)
        page.wait_for_timeout(3_000)
        thread, counted = MainThread(browser, page), list[tuple[float, float]]()
        busy = thread.busy_pct(lambda: page.wait_for_timeout(seconds * 1000))
        painted = thread.busy_pct(lambda: counted.append(frames(page, seconds)))
        value, longest = counted[0]
        report(
            f"Q {count} actors",
            value,
            "frames/s",
            raw,
            long_ms=round(longest),
            busy_pct=busy,
            counted_pct=painted,
            load=round(os.getloadavg()[0], 1),
        )


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
            measure(site, count, options.seconds)


if __name__ == "__main__":
    main()
