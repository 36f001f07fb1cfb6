"""The link over a wire that loses, repeats, delays, reorders, breaks and comes back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from link_world import FATES, WINDOW, World, run_with_fates, run_with_seed


@pytest.mark.slow
def test_all_arrives_once_and_in_order_whatever_befalls_the_first_frames() -> None:
    for fates in itertools.product(FATES, repeat=5):
        run_with_fates(fates).finish()


def test_nothing_is_silent_when_a_peer_dies_after_any_few_faults() -> None:
    for count in range(5):
        for fates in itertools.product(FATES, repeat=count):
            run_with_fates(fates).die()


@pytest.mark.parametrize("first", [0, 100, 200, 300])
def test_all_arrives_once_and_in_order_in_long_runs(first: int) -> None:
    for seed in range(first, first + 100):
        run_with_seed(seed, 200).finish()


def test_nothing_is_silent_when_a_peer_dies_in_a_long_run() -> None:
    for seed in range(1_000, 1_200):
        run_with_seed(seed, 30 + seed % 100).die()


def test_items_without_a_credit_arrive_though_the_peer_consumes_nothing() -> None:
    for seed in range(50):
        world = run_with_seed(seed, 60)
        for end in world.ends:
            world.submit(end, [(True, 5, 1 + seed % 3)] * 3 * WINDOW + [(False, 5)] * 5)
        world.settle(consume=False)
        for end in world.ends:
            assert end.ledger.delivered[False] == end.ledger.submitted[False]
            assert len(end.ledger.delivered[True]) == end.ledger.consumed + WINDOW
        world.finish()


class LinkRules(RuleBasedStateMachine):
    """Hypothesis looks for the shortest story that breaks the ledger."""

    @initialize()
    def begin(self) -> None:
        self.world = World()

    @rule(side=st.integers(0, 1), things=st.lists(st.tuples(st.booleans(), st.integers(0, 50))))
    def submit(self, side: int, things: list[tuple[bool, int]]) -> None:
        self.world.submit(self.world.ends[side], things)

    @rule(side=st.integers(0, 1), at=st.integers(0, 3))
    def arrive(self, side: int, at: int) -> None:
        self.world.arrive(self.world.ends[side], at)

    @rule(side=st.integers(0, 1), at=st.integers(0, 3), twice=st.booleans())
    def spoil(self, side: int, at: int, twice: bool) -> None:
        (self.world.repeat if twice else self.world.lose)(self.world.ends[side], at)

    @rule(side=st.integers(0, 1), kept=st.integers(0, 2), told=st.booleans())
    def break_wire(self, side: int, kept: int, told: bool) -> None:
        self.world.break_wire(self.world.ends[side], kept, told)

    @rule(side=st.integers(0, 1))
    def connect(self, side: int) -> None:
        self.world.connect(self.world.ends[side])

    @rule(side=st.integers(0, 1), most=st.integers(0, 5))
    def consume(self, side: int, most: int) -> None:
        self.world.consume(self.world.ends[side], most)

    @rule(ms=st.sampled_from((1, 5, 100, 250)))
    def wait(self, ms: int) -> None:
        self.world.wait(ms)

    @invariant()
    def nothing_was_refused(self) -> None:
        assert not self.world.trouble

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()
            self.world.die()


TestLinkRules = LinkRules.TestCase
TestLinkRules.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, database=None, derandomize=True
)
