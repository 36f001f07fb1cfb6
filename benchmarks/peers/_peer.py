"""What the peers' scripts share: one JSON line a row, as zactor's have them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

TEXT = "x" * 60  # with a number beside it a message has about 100 B


def report(peer: str, row: str, value: float, unit: str) -> None:
    """Print one row of a peer."""
    print(json.dumps({"peer": peer, "row": row, "value": round(value), "unit": unit}), flush=True)


def best(work: Callable[[], tuple[int, float]], rounds: int = 3) -> float:
    """The highest rate of `work`, which returns a count and the seconds it took."""
    return max(count / took for count, took in (work() for _ in range(rounds)))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
