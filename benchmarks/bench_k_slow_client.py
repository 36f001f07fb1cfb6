"""Row K: a member that reads 10 messages/s slows who sends to its group; what memory that takes.

Three nodes with a client each: one sends as fast as it may, one reads as fast as it can, one is
slow. Printed: messages sent in each second of the second half (raw: without the slow one's pause),
and the highest resident memory of nodes and clients in MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _common import report

from zactor.lab.lab import Lab

CLIENT = Path(__file__).with_name("_slow_client.py")
PLAYERS = (("n1", "send"), ("n2", "read"), ("n3", "read"))


def rss_mb(pid: int) -> int:
    """Highest resident memory of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    raise OSError("no VmHWM")


def play(seconds: float, pause: float) -> tuple[list[dict[str, int]], list[int]]:
    """Return what each client printed, and the memory of each node in MB."""
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        try:
            for node, _ in PLAYERS:
                lab.start(node)
            children = [
                subprocess.Popen(
                    [
                        *(sys.executable, str(CLIENT), home, lab.endpoint(node), f"c{node}"),
                        *(str(pause if node == "n3" else 0), str(seconds), what),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                for node, what in PLAYERS
            ]
            found = []
            for child in children:
                assert child.stdout is not None
                found.append(json.loads(child.stdout.readline()))
            nodes = [rss_mb(lab.pid(node)) for node, _ in PLAYERS]
            for child in children:
                child.communicate()
            return found, nodes
        finally:
            lab.close()


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    half, _ = play(options.seconds / 2, 0.1)
    whole, nodes = play(options.seconds, 0.1)
    quick, _ = play(5, 0)
    pace = (whole[0]["sent"] - half[0]["sent"]) / (options.seconds / 2)
    clients = [each["rss"] for each in whole]
    report(
        *("K", pace, "msgs/s sent beside a slow reader", quick[0]["sent"] / 5),
        sent=whole[0]["sent"],
        slow_read=whole[2]["read"],
        changes=[each["changes"] for each in whole],
        nodes_mb=nodes,
        clients_mb=clients,
    )


if __name__ == "__main__":
    main()
