"""Whatever crashes, restarts and joins, and whenever it is noticed: one history, nothing lost.

Replay one seed with `KB_SEED=N pytest tests/kernel/knowledge/test_replica_simulation.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from kb_world import Node, Simulation

from zactor.kernel import config
from zactor.kernel.knowledge import replica

SEEDS = int(os.environ.get("KB_SEEDS", "500"))  # 24,000 were run when this was written


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots and pieces in every run."""
    monkeypatch.setattr(config, "HISTORY_KEPT", 6)
    monkeypatch.setattr(config, "KB_PIECE_BYTES", 300)


def test_live_nodes_always_come_to_one_history() -> None:
    only = os.environ.get("KB_SEED")
    for seed in range(SEEDS) if only is None else [int(only)]:
        try:
            Simulation(seed).run()
        except Exception as error:
            again = f"KB_SEED={seed} pytest {Path(__file__).name}"
            raise AssertionError(f"{error!r}; again with {again}") from error


def test_the_runs_meet_what_they_are_meant_to_meet() -> None:
    met: Counter[str] = Counter()

    class Watched(Simulation):
        def carry_out(self, node: Node, effects: list[replica.Effect]) -> None:
            for effect in effects:
                what = effect.message if isinstance(effect, replica.Send) else effect
                met[type(what).__name__] += 1
                met["refused"] += isinstance(effect, replica.Decided) and effect.kind != ""
            super().carry_out(node, effects)

    for seed in range(60):
        Watched(seed).run()
    for what in ("KbLog", "KbSnapshot", "KbWant", "Replaced", "Decided", "refused", "Trace"):
        assert met[what] >= 10, (what, met)
