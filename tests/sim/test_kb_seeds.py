"""Whole clusters with knowledge bases under all faults: every invariant holds in every run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys

import pytest
from deadlines import run_to_end
from kb_mutants import storm
from slow_marks import slow_after

from zactor.testing.kb_sim.__main__ import check
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.rare_run import play
from zactor.testing.kb_sim.run import KbRun, draw_plan
from zactor.testing.seeds import check_seeds

_DIGEST = (
    "import hashlib, json; from zactor.testing.kb_sim.rare_run import play;"
    "print(hashlib.sha256(json.dumps([play(s) for s in (3, 5)]).encode()).hexdigest())"
)


def _say(failed: dict[int, dict[str, list[str]]]) -> str:
    return "\n".join(
        f"python -m zactor.testing.kb_sim --seed {seed}: {name}: {wrong[0]}"
        for seed, found in failed.items()
        for name, wrong in found.items()
    )


@pytest.mark.parametrize("first", slow_after(1, range(0, 40, 10)))
def test_every_invariant_of_the_knowledge_base_holds_under_all_faults(first: int) -> None:
    failed = check_seeds(check, range(first, first + 10))
    assert not failed, _say(failed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1_000, 2_000, 50))
def test_every_invariant_of_the_knowledge_base_holds_in_a_thousand_runs(first: int) -> None:
    failed = check_seeds(check, range(first, first + 50))
    assert not failed, _say(failed)


@pytest.mark.parametrize("seed", slow_after(3, range(10)))
def test_without_a_bug_the_storms_of_the_knowledge_base_are_right(seed: int) -> None:
    assert check_all(KbRun(storm(seed)).play()) == {}


@pytest.mark.slow
def test_the_fixed_seeds_meet_every_kind_of_trouble() -> None:
    plans = [draw_plan(seed) for seed in range(40)]
    kinds = ("crashes", "pauses", "partitions", "one_way_cuts", "bridges", "breaks", "spike")
    assert all(any(getattr(plan.faults, kind) for plan in plans) for kind in kinds)
    troubles = ("power_losses", "full_disks", "slow_disks", "loses_disk", "leaves")
    assert all(any(getattr(plan.kb_faults, kind) for plan in plans) for kind in troubles)
    lines = [line for seed in (*range(6), 33) for line in play(seed)]
    lines += [line for seed in range(10) for line in KbRun(storm(seed)).play()]
    kinds_of_lines = {line["k"] for line in lines}
    assert {"kb_take", "kb_full", "kb_retired", "lost", "kb_value"} <= kinds_of_lines
    ends = {line["kind"] for line in lines if line["k"] == "kb_decided"}
    assert {"", "NotPrimary", "AlreadyExists", "Refused", "OutcomeUnknown"} <= ends


@pytest.mark.parametrize("hash_seed", slow_after(1, ["2", "1"]))
def test_a_seed_gives_the_same_knowledge_under_every_hash_seed(hash_seed: str) -> None:
    done = run_to_end(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        timeout=120,
        check=True,
        cwd="/",
    )
    assert done.stdout.strip() == _here()


@functools.cache
def _here() -> str:
    return hashlib.sha256(json.dumps([play(seed) for seed in (3, 5)]).encode()).hexdigest()
