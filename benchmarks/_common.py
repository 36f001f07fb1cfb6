"""What the benchmarks share: one JSON line per row, the best of some rounds, and raw limits."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path


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


def cpu_s(pids: Iterable[int]) -> float:
    """What processes have taken of the processor, all their threads together."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


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
