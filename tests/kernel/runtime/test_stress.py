"""Many threads at once: nothing is lost, doubled or reordered, however they meet."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from deadlines import DEADLINE_S, join

from zactor import Actor, action
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import ActorError, NotDelivered

SENDERS_COUNT = 4
MESSAGES_COUNT = 3_000


class Ledger(Actor):
    """Notes what it gets in a list that outlives it."""

    def __init__(self, seen: list[tuple[int, int]]) -> None:
        self.seen = seen
        self.inside = False

    @action
    def take(self, sender: int, number: int) -> None:
        assert not self.inside
        self.inside = True
        self.seen.append((sender, number))
        self.inside = False

    @action
    async def take_slowly(self, sender: int, number: int) -> None:
        assert not self.inside
        self.inside = True
        if number % 100 == 0:
            import asyncio

            await asyncio.sleep(0)
        self.seen.append((sender, number))
        self.inside = False


def together(*work: Any) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    join(*threads)


@pytest.mark.parametrize("name", ["take", "take_slowly"])
def test_each_message_is_handled_once_and_in_its_senders_order(
    world: Any, make: Any, until: Any, name: str
) -> None:
    seen: list[tuple[int, int]] = []
    tell = getattr(world.spawn(make(Ledger), "l", seen), name).tell

    def send(sender: int) -> None:
        for number in range(MESSAGES_COUNT):
            tell(sender, number)

    together(*[lambda sender=n: send(sender) for n in range(SENDERS_COUNT)])
    until(lambda: len(seen) >= SENDERS_COUNT * MESSAGES_COUNT)
    assert len(seen) == SENDERS_COUNT * MESSAGES_COUNT
    for sender in range(SENDERS_COUNT):
        assert [n for s, n in seen if s == sender] == list(range(MESSAGES_COUNT))
    assert world.dead == []


@pytest.mark.parametrize("drain_s", [None, 0])
def test_a_stop_among_many_senders_loses_nothing_in_silence(
    world: Any, make: Any, until: Any, drain_s: float | None
) -> None:
    for _ in range(10):
        seen: list[tuple[int, int]] = []
        world.dead.clear()
        tell = world.spawn(make(Ledger), "l", seen).take.tell
        sent = threading.Event()

        def send(sender: int, tell: Any = tell, sent: Any = sent) -> None:
            for number in range(300):
                tell(sender, number)
                if number == 100:
                    sent.set()

        def stop(sent: Any = sent) -> None:
            sent.wait(DEADLINE_S)
            world.stop("l", drain_s).result(DEADLINE_S)

        together(*[lambda sender=n: send(sender) for n in range(3)], stop)
        until(lambda seen=seen: len(seen) + len(world.dead) == 900)
        assert max(Counter(seen).values(), default=0) <= 1
        world.runtime.place("l", None)


def test_asks_from_many_threads_all_end_while_actors_come_and_go(world: Any, make: Any) -> None:
    class Adder(Actor):
        @action
        def add(self, one: int, other: int) -> int:
            return one + other

    ends: Counter[str] = Counter()

    def ask() -> None:
        replies: list[Reply[int]] = [world.runtime.ref("a").add(n, 1) for n in range(400)]
        for number, reply in enumerate(replies):
            try:
                assert reply.result(DEADLINE_S) == number + 1
                ends["answered"] += 1
            except NotDelivered:
                ends["refused"] += 1
            except ActorError as error:  # nothing else may happen
                ends[repr(error)] += 1

    def come_and_go() -> None:
        for _ in range(20):
            world.runtime.place("a", None)
            world.spawn(make(Adder), "a")
            world.stop("a", 0).result(DEADLINE_S)

    world.spawn(make(Adder), "a")
    together(ask, ask, come_and_go)
    assert set(ends) <= {"answered", "refused"}
    assert ends.total() == 800
