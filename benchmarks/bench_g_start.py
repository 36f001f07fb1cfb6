"""Row G: from nothing to the first answer of an actor on a node: two nodes and a master start.

The raw limit is what two Python processes take, side by side, that import the same libraries.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from _common import report

from zactor import local

ACTORS = Path(__file__).with_name("_actors.py")
IMPORTS = "import asyncio, sqlite3, zmq, msgspec, cloudpickle, structlog"


def first_answer() -> float:
    """Seconds to the first answer; what it takes to stop isn't counted."""
    began = time.perf_counter()
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("echo", ACTORS)
        m.deploy_actor("echo", "echo", "n2")
        m.ask("echo", "echo", 1)
        return time.perf_counter() - began


def raw_start() -> float:
    """Seconds until two interpreters have imported what a node needs."""
    began = time.perf_counter()
    children = [subprocess.Popen([sys.executable, "-c", IMPORTS]) for _ in range(2)]
    for child in children:
        child.wait()
    return time.perf_counter() - began


def main() -> None:
    """Print the row, the best of five."""
    best = min(first_answer() for _ in range(5))
    raw = min(raw_start() for _ in range(5))
    report("G", best * 1000, "ms", raw * 1000)


if __name__ == "__main__":
    main()
