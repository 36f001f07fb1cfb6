"""Never two of one name: kept actors in a network that is cut, freezes and dies, on virtual time.

`SEEDS` of them run with the others; the marked test runs 2,000.
"""

from __future__ import annotations

import pytest
from keeping_world import KeepingWorld

from zactor.kernel import limits
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.membership import keeping

SEEDS, ALL_SEEDS = range(40), range(2_000)
LASTS_S = 120.0


def run(seed: int) -> KeepingWorld:
    world = KeepingWorld(seed)
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


def finds(seeds: range = SEEDS) -> bool:
    return any(run(seed).twice for seed in seeds)


def test_who_waits_too_short_for_silence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SAFE_AFTER_S", 4)
    assert finds()


def test_who_never_stops_what_may_run_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STOPPED_AFTER_S", 1_000)
    assert finds()


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
