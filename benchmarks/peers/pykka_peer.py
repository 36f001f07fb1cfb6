"""Pykka: actors with a thread each, in one process."""

from __future__ import annotations

import sys
import threading

from _peer import TEXT, best, report, timed

try:
    import pykka
except ImportError:
    sys.exit("no pykka here: pip install pykka")

COUNT = 50_000


class Ponger(pykka.ThreadingActor):
    """Sends back what it gets, until it has had enough; counts; answers."""

    def __init__(self, left: int = 0, done: threading.Semaphore | None = None) -> None:
        super().__init__()
        self.left = left
        self.done = done

    def on_receive(self, message: object) -> object:
        """A number is an ask, a pair goes back to its sender, a text is counted."""
        if isinstance(message, int):
            return message
        self.left -= 1
        if self.left == 0 and self.done is not None:
            self.done.release()
        if isinstance(message, tuple) and self.left > 0:
            message[0].tell((self.actor_ref, message[1]))
        return None


def one_way() -> tuple[int, float]:
    """Two actors, a hundred messages under way."""
    done = threading.Semaphore(0)
    one, other = Ponger.start(COUNT, done), Ponger.start(COUNT, done)

    def run() -> None:
        for number in range(100):
            one.tell((other, number))
        done.acquire()

    took = timed(run)
    pykka.ActorRegistry.stop_all()
    return 2 * COUNT, took


def asks() -> tuple[int, float]:
    """One after the other."""
    echo = Ponger.start()
    took = timed(lambda: [echo.ask(number) for number in range(COUNT // 5)])
    echo.stop()
    return COUNT // 5, took


def creation() -> tuple[int, float]:
    """Idle actors."""
    count = 500
    took = timed(lambda: [Ponger.start() for _ in range(count)])
    pykka.ActorRegistry.stop_all()
    return count, took


def fan_out() -> tuple[int, float]:
    """One sends to a hundred."""
    done = threading.Semaphore(0)
    each = 1_000
    sinks = [Ponger.start(each, done) for _ in range(100)]

    def run() -> None:
        for _ in range(each):
            for sink in sinks:
                sink.tell(TEXT)
        for _ in sinks:
            done.acquire()

    took = timed(run)
    pykka.ActorRegistry.stop_all()
    return each * len(sinks), took


if __name__ == "__main__":
    report("pykka", "A", best(one_way), "msgs/s")
    report("pykka", "B", best(asks), "calls/s")
    report("pykka", "F", best(creation), "actors/s")
    report("pykka", "H", best(fan_out), "signals/s")
