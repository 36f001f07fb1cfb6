"""Never two of one name: kept actors in a network that is cut, freezes and dies, on virtual time.

`SEEDS` of them run with the others; the marked test runs 2,000.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keeping_world
import pytest
from keeping_world import KeepingWorld

from zactor.kernel import limits
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.membership import keeping

SEEDS, ALL_SEEDS = range(40), range(2_000)
LASTS_S = 120.0


def run(seed: int, **world_of: float) -> KeepingWorld:
    world = KeepingWorld(seed, **world_of)
    world.run(LASTS_S)
    return world


def check(seeds: range) -> None:
    restored = 0
    for seed in seeds:
        world = run(seed)
        assert not world.twice, (seed, world.twice[:3])
        restored += world.restored
    assert restored > len(seeds)  # they met what they are about


def test_no_name_runs_twice() -> None:
    check(SEEDS)


@pytest.mark.soak
@pytest.mark.limit(1_500)
def test_no_name_runs_twice_in_many_more() -> None:
    check(ALL_SEEDS)


def finds(seeds: range = SEEDS, **world_of: float) -> bool:
    return any(run(seed, **world_of).twice for seed in seeds)


def test_who_waits_too_short_for_silence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SAFE_AFTER_S", 4)
    assert finds()


def test_who_never_stops_what_may_run_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STOPPED_AFTER_S", 1_000)
    assert finds()


def test_who_believes_that_a_node_ends_what_it_never_heard_of_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = keeping.Silences.is_safe

    def is_safe(silences: keeping.Silences, row: orders.LostRow, *seen: Any) -> bool:
        return right(silences, dataclasses.replace(row, yields=True), *seen)

    monkeypatch.setattr(keeping.Silences, "is_safe", is_safe)
    assert finds()


def test_who_ends_only_what_it_knows_and_not_what_it_has_said_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping_world, "must_end", policies.may_leave)
    assert finds(range(10, 20), wishes_change=0.6)  # rare: the only one of the first 60


def test_who_believes_at_once_after_standing_still_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "DETECTED_S", 0.0)
    assert finds(range(400))


def test_in_the_end_all_are_there_again() -> None:
    for seed in range(10):
        world = run(seed)
        for node in world.nodes.values():
            node.alone, node.frozen_until = False, 0.0
            if not node.alive:
                node.alive, node.life, node.in_primary = True, node.life + 1, False
        world.chance.random = lambda: 1.0  # type: ignore[method-assign]  # no more faults
        world.run(LASTS_S + 30.0)
        rows = facts.actors(world.theory)
        assert [row.state for row in rows] == ["running"] * 6, (seed, rows)
        assert not orders.all_lost(world.theory)
