"""Row W: how long an actor under 1,000 signals/s handles nothing while it gets other code."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from _common import report

from zactor import Actor, action, signal
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

EXCHANGES = 20
PERIOD_S = 0.01  # of ten signals
PER_PERIOD = 10


class Source(Actor):
    """Emits 1,000 signals a second until it is told to end."""

    take = signal(int)

    def __init__(self) -> None:
        self.number = 0

    def on_start(self) -> None:
        self.timer = self.every(PERIOD_S, self.emit)

    def emit(self) -> None:
        for _ in range(PER_PERIOD):
            self.take.emit(self.number)
            self.number += 1

    @action
    def end(self) -> int:
        self.timer.cancel()
        return self.number


def made(on: Any) -> type[Actor]:
    """A class that notes the numbers it gets."""

    class Target(Actor, dispatcher=on):
        def __init__(self) -> None:
            self.seen: list[int] = []

        def state(self) -> list[int]:
            return self.seen

        def restore(self, seen: list[int]) -> None:
            self.seen = seen

        @action
        def take(self, number: int) -> None:
            self.seen.append(number)

        @action
        def all(self) -> list[int]:
            return self.seen

    return Target


def pauses_us(on: str) -> list[float]:
    """Exchange the code of an actor again and again; return the pauses, sorted.

    Raises:
        AssertionError: a signal was lost, came twice, or out of order.
    """
    runtime = Runtime(dead_letter=lambda letter: None)
    runtime.start()
    runtime.spawn(blueprint_of(made(on), name="c", uid=1)).result()
    runtime.spawn(blueprint_of(Source, name="s", uid=2)).result()
    runtime.connect("s", "take", ("c",))
    found = []
    for _ in range(EXCHANGES):
        done = runtime.exchange(blueprint_of(made(on), name="c", uid=1)).result()
        found.append(done.pause_s * 1e6)
    count = runtime.ref("s").end().result()
    while len(seen := runtime.ref("c").all().result()) < count:
        time.sleep(0.01)
    runtime.close()
    assert seen == list(range(count)), f"{on}: {len(seen)} of {count} signals, or out of order"
    return sorted(found)


def by_hand_us() -> float:
    """What the same hooks take without a runtime."""
    former = made("shared")()
    began = time.perf_counter()
    for _ in range(EXCHANGES):
        new: Any = made("shared")()
        new.restore(former.state())  # type: ignore[attr-defined]  # it is one of ours
        former.on_stop("")
        new.on_start()
        former = new
    return (time.perf_counter() - began) / EXCHANGES * 1e6


def main() -> None:
    """Print a row for each dispatcher."""
    for on in ("shared", "thread", "process"):
        found = pauses_us(on)
        report(
            f"W {on}",
            statistics.median(found),
            "us",
            by_hand_us(),
            longest_us=round(found[-1]),
            exchanges=EXCHANGES,
            python=sys.version[:4],
        )


if __name__ == "__main__":
    main()
