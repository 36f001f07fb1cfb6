"""Row U: what `zactor web` takes for ten pages of 2,000 actors (budget: 5 % of a core, 80 MB).

Ten browsers' worth of streams, each read by a program as fast as it comes, and one real page that
must stay live. Value is ms of CPU a second; raw is the same with one reader.
"""

from __future__ import annotations

import argparse
import http.client
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from _common import cpu_s, report
from _page import Site, opened_browser, opened_page, served
from _page_network import declare, deploy

from zactor import local


@contextmanager
def reader(site: Site) -> Iterator[list[int]]:
    """Read the stream as a page does; yields a list that grows by each rates' size."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request("GET", "/api/v1/stream", headers={"Authorization": f"Bearer {site.token}"})
    stream = connection.getresponse()
    sizes: list[int] = []

    def read() -> None:
        is_rates = False
        try:
            while line := stream.readline():
                if is_rates and line.startswith(b"data: "):
                    sizes.append(len(line))
                if line.startswith(b"event: "):
                    is_rates = line == b"event: rates\n"
        except (OSError, ValueError, AttributeError):
            return  # the block has ended

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield sizes
    finally:
        if connection.sock is not None:
            connection.sock.shutdown(2)
        stream.close()
        thread.join()


def share(site: Site, seconds: float) -> float:
    """Share of a core that the server takes."""
    before, began = cpu_s([site.pid]), time.monotonic()
    time.sleep(seconds)
    return (cpu_s([site.pid]) - before) / (time.monotonic() - began)


def memory_mb(pid: int) -> int:
    """Highest resident memory of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--actors", type=int, default=2_000)
    options = parser.parse_args()
    with local(nodes=4) as cluster, served(cluster.home) as site:
        declare(cluster.master)
        deploy(cluster.master, cluster.nodes, options.actors, 100, 1.0)
        with ExitStack() as stack:
            readers = [stack.enter_context(reader(site))]
            time.sleep(5.0)
            one = share(site, options.seconds)
            readers += [stack.enter_context(reader(site)) for _ in range(9)]
            time.sleep(5.0)
            before = [len(each) for each in readers]
            ten = share(site, options.seconds)
            fewest = min(len(each) - was for each, was in zip(readers, before, strict=True))
            peak = memory_mb(site.pid)
            with opened_browser() as browser:
                page = opened_page(browser, site)
                page.wait_for_function(
                    "() => document.querySelector('#vitals').textContent.includes('2000')"
                )
        report(
            "U ten pages",
            ten * 1000,
            "ms of CPU a second",
            one * 1000,
            memory_mb=peak,
            rates_a_reader=fewest,
            load=round(os.getloadavg()[0], 1),
        )


if __name__ == "__main__":
    main()
