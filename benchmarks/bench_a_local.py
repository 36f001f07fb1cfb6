"""Row A: one-way messages between two actors of one node, a hundred in flight."""

from __future__ import annotations

import sys
import threading

from _common import best_rate, raw_ready_queue, report

from zactor import Actor, action, signal
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

COUNT = 500_000  # messages that each of the two handles
IN_FLIGHT = 100


class Pinger(Actor):
    """Emits `ping`, reacts to `pong` with the next one until it has had enough."""

    ping = signal(int)

    def __init__(self, done: threading.Semaphore) -> None:
        self.left = 0
        self.done = done

    @action
    def begin(self) -> None:
        self.left = COUNT
        for number in range(IN_FLIGHT):
            self.ping.emit(number)

    @action
    def pong(self, number: int) -> None:
        self.left -= 1
        if self.left > 0:
            self.ping.emit(number)
        elif self.left == 0:
            self.done.release()


class Ponger(Actor):
    """Emits `pong`, reacts to `ping`."""

    pong = signal(int)

    @action
    def ping(self, number: int) -> None:
        self.pong.emit(number)


def main() -> None:
    """Print the row."""
    runtime = Runtime(dead_letter=lambda letter: None)
    runtime.start()
    done = threading.Semaphore(0)
    runtime.spawn(blueprint_of(Pinger, name="a", uid=1, args=(done,))).result()
    runtime.spawn(blueprint_of(Ponger, name="b", uid=2)).result()
    runtime.connect("a", "ping", ("b",))
    runtime.connect("b", "pong", ("a",))
    begin = runtime.ref("a").begin

    def work() -> int:
        begin.tell()
        done.acquire()
        return 2 * COUNT

    value = best_rate(work)
    runtime.close()
    report("A", value, "msgs/s", best_rate(lambda: raw_ready_queue(COUNT)), python=sys.version[:4])


if __name__ == "__main__":
    main()
