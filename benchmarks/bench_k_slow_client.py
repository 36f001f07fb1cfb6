"""Row K: a member that reads 10 messages/s slows who sends to its group; what memory that takes.

Three nodes with a client each: one sends as fast as it may, one reads as fast as it can, one is
slow. Printed: messages sent in each second of the second half (raw: without the slow one's pause),
and the highest resident memory of nodes and clients in MB.

And what ten busy groups beside it lose: two nodes, a sender and a reader in each of ten groups;
messages read in a second while a member of an eleventh group reads nothing and its sender waits for
it. Raw is the same without these two, in rounds that alternate; the medians are compared. As other
programs want the processor too, it is also told what the nodes took of it for a message, in us.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from _common import cpu_s, report

from zactor import Mailbox, ZactorError
from zactor.lab.lab import Lab

CLIENT = Path(__file__).with_name("_slow_client.py")
BUSY = Path(__file__).with_name("_busy_groups.py")
ROUND_S = 2.0  # below GROUP_CLIENT_STALL_MS, or the sleeper is closed
WAITS_S = 1.0  # a sender that has sent nothing for so long waits
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


class Round(NamedTuple):
    """What ten groups did for a while."""

    rate: float  # messages read in a second
    node_us: float  # what both nodes took of the processor for each


@contextlib.contextmanager
def sleeper(lab: Lab) -> Iterator[None]:
    """A member at n1 that reads nothing, and a sender at n2 that waits for it."""
    sent_at = time.monotonic()

    def send() -> None:
        nonlocal sent_at
        with contextlib.suppress(ZactorError):
            while not is_over.is_set():
                box.multicast("room", b"x" * 10_000)
                sent_at = time.monotonic()

    is_over = threading.Event()
    sending = threading.Thread(target=send)
    with Mailbox("writer", lab.endpoint("n2"), home=lab.home) as box:
        with Mailbox("sleeper", lab.endpoint("n1"), home=lab.home) as asleep:
            asleep.join("room")
            sending.start()
            while time.monotonic() - sent_at < WAITS_S:
                time.sleep(0.01)
            yield
            is_over.set()
        sending.join()


def beside(rounds: int) -> tuple[list[Round], list[Round]]:
    """What ten groups read: in rounds without a sleeper, and in those beside one."""
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        children = []
        try:
            for node in ("n1", "n2"):
                lab.start(node)
            for node, what in (("n1", "read"), ("n2", "send")):
                words = [sys.executable, str(BUSY), home, lab.endpoint(node), what]
                pipe = subprocess.PIPE
                children.append(subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True))
            reader = children[0]
            while not count(reader):
                time.sleep(0.1)
            without: list[Round] = []
            with_one: list[Round] = []
            for _ in range(rounds):
                without.append(play_round(lab, reader))
                with sleeper(lab):
                    with_one.append(play_round(lab, reader))
            return without, with_one
        finally:
            for child in children:
                child.communicate()
            lab.close()


def count(child: subprocess.Popen[str]) -> int:
    """What it has read so far."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return int(child.stdout.readline())


def play_round(lab: Lab, reader: subprocess.Popen[str]) -> Round:
    """Let it read for a while."""
    pids = [lab.pid(node) for node in ("n1", "n2")]
    before, cpu_before, began = count(reader), cpu_s(pids), time.monotonic()
    time.sleep(ROUND_S)
    read, cpu = count(reader) - before, cpu_s(pids) - cpu_before
    return Round(read / (time.monotonic() - began), cpu / read * 1e6)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    without, with_one = beside(options.rounds)
    report(
        "K beside",
        median(one.rate for one in with_one),
        "msgs/s read in ten groups beside a sleeper",
        median(one.rate for one in without),
        node_us=round(median(one.node_us for one in with_one), 2),
        node_us_raw=round(median(one.node_us for one in without), 2),
    )
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
