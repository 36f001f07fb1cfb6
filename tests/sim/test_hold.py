"""Wires that hold, in small worlds: all is handled once and in order, whatever comes when."""

from __future__ import annotations

import pytest
from hold_world import HoldWorld, Place, run

from zactor.kernel.runtime.hold_queue import HeldSignal, HoldQueue

SEEDS = range(2_000)


class Unsorted(HoldQueue):
    """A mutant: what came back goes in the order in which it did, behind what waits."""

    def came_back(self, held: HeldSignal, place: object) -> bool:
        taken = super().came_back(held, place)
        if taken:
            self._waiting.append(self._returned.pop())
        return taken


class OfUnsorted(HoldWorld):
    queue_class = Unsorted


class Unfenced(HoldWorld):
    fences_early = True


class Restarting(HoldWorld):
    forgets_due_back = True


def test_what_is_held_is_handled_once_and_in_order() -> None:
    worlds = [run(seed) for seed in SEEDS]
    assert sum(world.moves for world in worlds) > len(worlds)


def holds(seed: int, world: type[HoldWorld]) -> bool:
    try:
        run(seed, world)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("mutant", [OfUnsorted, Unfenced, Restarting])
def test_without_a_rule_of_it_some_seed_fails(mutant: type[HoldWorld]) -> None:
    assert not all(holds(seed, mutant) for seed in SEEDS)


def test_what_comes_back_from_where_nothing_was_sent_is_too_late() -> None:
    queue, here, there = HoldQueue(), Place("a"), Place("b")
    queue.lives(1, here)
    assert queue.fence() is here
    queue.settled()
    assert queue.next() is None
    assert queue.is_open
    late = HeldSignal(("e", "a"), 1, b"x", 1)
    assert not queue.came_back(late, there)
    assert queue.came_back(late, here)
    assert not queue.is_open
    assert queue.next() is None  # that life is over, whatever the theory says still
    queue.look_again()
    assert queue.fence() is here
    queue.settled()
    assert queue.next() is late


def test_a_wire_that_goes_takes_along_what_waits_on_it() -> None:
    queue = HoldQueue()
    mine, other = HeldSignal(("e", "a"), 1, b"x", 1), HeldSignal(("e", "b"), 2, b"y", 1)
    queue.put(mine)
    queue.put(other)
    assert queue.drop(("e", "a")) == [mine]
    assert (len(queue), queue.waiting(("e", "b")), queue.size) == (1, 1, other.size)
