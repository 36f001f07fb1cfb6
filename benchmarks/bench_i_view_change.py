"""Row I: kill -9 of one node of 3 and of 20: ms until every survivor works in the view without it.

The times are those of the nodes' own event logs (one monotonic clock on one machine). The raw limit
is what the kernel needs to tell another process that its TCP peer is dead.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _common import report

from zactor.lab.lab import Lab, until
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.history import Line, read_logs

_CHILD = """
import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).recv(1)
"""


def raw_ms() -> float:
    """Milliseconds from kill -9 of a process to the end of its connection here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        with subprocess.Popen([sys.executable, "-c", _CHILD, port]) as child:
            connection, _ = listener.accept()
            with connection:
                began = time.monotonic()
                child.kill()
                connection.recv(1)
                return (time.monotonic() - began) * 1000


def views_after(folder: Path, since_ns: int) -> dict[str, Line]:
    """The last view of every node that it installed since then."""
    return {
        line["p"]: line
        for line in read_logs(folder)
        if line["k"] == "view" and line["t"] >= since_ns
    }


def one_death(count: int) -> float:
    """Milliseconds from the kill to the last survivor's view."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "trace"
        os.environ[VARIABLE] = str(folder)
        lab = Lab(Path(home))
        try:
            names = [f"n{number:02}" for number in range(1, count + 1)]
            for name in names:
                lab.start(name)

            def all_in(members: set[str], since_ns: int) -> bool:
                views = views_after(folder, since_ns)
                last = [views.get(f"{name}@1") for name in sorted(members)]
                return all(
                    line is not None and {m.split("@")[0] for m in line["members"]} == members
                    for line in last
                )

            until("one view of all", lambda: all_in(set(names), 0), 60)
            victim = names[-1]
            left = set(names) - {victim}
            killed_ns = time.monotonic_ns()
            lab.kill(victim)
            until("one view of the survivors", lambda: all_in(left, killed_ns), 60)
            last = max(line["t"] for line in views_after(folder, killed_ns).values())
            return (last - killed_ns) / 1e6
        finally:
            lab.close()
            del os.environ[VARIABLE]


def main() -> None:
    """Print a row for each size: the median of the rounds, and all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, nargs="*", default=[3, 20])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for count in options.nodes:
        times = [one_death(count) for _ in range(options.rounds)]
        raw = median(raw_ms() for _ in range(5))
        rounded = [round(ms, 1) for ms in times]
        report(f"I{count}", median(times), "ms", raw, rounds=rounded)


if __name__ == "__main__":
    main()
