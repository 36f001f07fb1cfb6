"""What the benchmarks share: one JSON line per row, the best of some rounds, and raw limits."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol


def report(row: str, value: float, unit: str, raw: float, **more: object) -> None:
    """Print one row: `raw` is the same work without zactor, measured in the same run."""
    line = {"row": row, "value": round(value), "unit": unit, "raw": round(raw)}
    print(json.dumps({**line, "ratio": round(value / raw, 3), **more}))


def best_rate(work: Callable[[], int], rounds: int = 5) -> float:
    """The highest number of units per second that `work` (which returns a count) reached."""
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        count = work()
        best = max(best, count / (time.perf_counter() - start))
    return best


def options(text: str | None) -> argparse.ArgumentParser:
    """What rows across nodes have in common: `--cpu`."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--cpu", action="store_true", help="µs of CPU a message, all nodes")
    return parser


class HasNodes(Protocol):
    """A cluster of `zactor.local`."""

    nodes: list[str]

    def pid(self, name: str, /) -> int:
        """Return a node's process."""
        ...


class Cpu:
    """What the nodes of a cluster take of the processor for each message, while a block runs."""

    def __init__(self, cluster: HasNodes, wanted: bool) -> None:
        self._pids = [cluster.pid(name) for name in cluster.nodes]
        self._wanted = wanted

    def of(self, work: Callable[[], float], messages: int) -> tuple[float, dict[str, float]]:
        """Run `work`, which handles so many `messages`; return what it returned and `cpu_us`."""
        before = cpu_s(self._pids)
        result = work()
        spent = (cpu_s(self._pids) - before) / messages * 1e6
        return result, {"cpu_us": round(spent, 2)} if self._wanted else {}


def cpu_s(pids: Iterable[int]) -> float:
    """What processes have taken of the processor, all their threads together."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes() -> int:
    """What this process holds of memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def raw_ready_queue(count: int) -> int:
    """Two objects that send each other messages through a mailbox and a ready queue, bare."""

    class Node:
        def __init__(self) -> None:
            self.mailbox: deque[tuple[str, tuple[int, ...]]] = deque()
            self.left = count
            self.peer: Node = self

        def take(self, number: int) -> None:
            self.left -= 1
            if self.left > 0:
                peer = self.peer
                if not peer.mailbox:
                    ready.append(peer)
                peer.mailbox.append(("take", (number,)))

    ready: deque[Node] = deque()
    one, other = Node(), Node()
    one.peer, other.peer = other, one
    handlers = {"take": Node.take}
    for node in (one, other):
        node.mailbox.extend([("take", (1,))] * 100)
        ready.append(node)
    while ready:
        node = ready.popleft()
        mailbox = node.mailbox
        for _ in range(len(mailbox)):
            action, args = mailbox.popleft()
            handlers[action](node, *args)
    return 2 * count - one.left - other.left
