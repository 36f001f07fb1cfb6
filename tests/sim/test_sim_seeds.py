"""Whole clusters under all faults: every invariant holds in every run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from deadlines import run_to_end
from slow_marks import slow_after

from zactor.testing.engine_coverage import EngineCoverage
from zactor.testing.group_sim.__main__ import check
from zactor.testing.group_sim.run import draw_plan, play, play_storm
from zactor.testing.seeds import check_seeds

_ROOT = Path(__file__).resolve().parents[2]
_OTHERS = ("python3.11", "python3.12", "python3.13")
_DIGEST = (
    "import hashlib, json; from zactor.testing.group_sim.run import play;"
    "print(hashlib.sha256(json.dumps([play(s) for s in (3, 5)]).encode()).hexdigest())"
)


def _say(failed: dict[int, dict[str, list[str]]]) -> str:
    return "\n".join(
        f"python -m zactor.testing.group_sim --seed {seed}: {name}: {wrong[0]}"
        for seed, found in failed.items()
        for name, wrong in found.items()
    )


@pytest.mark.parametrize("first", slow_after(1, range(0, 100, 10)))
def test_every_invariant_holds_under_all_faults(first: int) -> None:
    failed = check_seeds(check, range(first, first + 10))
    assert not failed, _say(failed)


def test_the_fixed_seeds_meet_every_kind_of_fault() -> None:
    plans = [draw_plan(seed).faults for seed in range(100)]
    kinds = ("loss", "duplication", "reordering", "breaks", "crashes", "stops", "pauses", "hangs")
    kinds += ("partitions", "one_way_cuts", "bridges", "clock_rates", "slow_members", "spike")
    kinds += ("grabs", "bytes_per_ms", "sleepers")
    assert all(any(getattr(faults, kind) for faults in plans) for kind in kinds)


NOT_HERE = {
    "O9 a member that takes nothing": "it takes longer than a run",
    "O10 without credit": "no knowledge base speaks here",
    "M1 refused": "nobody errs here",
    "V1 out of reach": "nobody errs here",
}
"""What the fixed seeds needn't exercise, and why."""


@pytest.mark.slow
def test_the_fixed_seeds_exercise_every_row_and_rule_that_can_be() -> None:
    coverage = EngineCoverage()
    for seed in range(100):
        play(seed, coverage=coverage)
    for seed in range(20):
        play_storm(seed, crashes=0.3, coverage=coverage)
    assert set(coverage.never()) <= set(NOT_HERE)


def test_the_fixed_seeds_change_views_under_traffic() -> None:
    lines = [line for seed in range(6) for line in play(seed)]
    kinds = [line["k"] for line in lines]
    assert kinds.count("view") > 50
    assert sum(1 for line in lines if line["k"] == "deliver" and line["trans"]) > 5
    assert {line["service"] for line in lines if line["k"] == "deliver"} == {
        "unreliable",
        "reliable",
        "fifo",
        "causal",
        "agreed",
        "safe",
    }


def _digest_of(python: str, hash_seed: str) -> str:
    # Without site-packages of its own the other interpreter borrows what has no compiled parts.
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = run_to_end([python, "-c", _DIGEST], env=environment, timeout=120, cwd="/")
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


@functools.cache
def _here() -> str:
    return hashlib.sha256(json.dumps([play(seed) for seed in (3, 5)]).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", slow_after(1, ["2", "1"]))
def test_a_seed_gives_the_same_trace_under_every_hash_seed(hash_seed: str) -> None:
    assert _digest_of(sys.executable, hash_seed) == _here()


def test_a_seed_gives_the_same_trace_on_another_python() -> None:
    """Set ZACTOR_OTHER_PYTHON to an interpreter of another version with zactor installed."""
    mine = f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = [os.environ.get("ZACTOR_OTHER_PYTHON"), *(o for o in _OTHERS if o != mine)]
    problems = []
    for other in filter(None, others):
        path = shutil.which(other)
        if path is None:
            continue
        try:
            assert _digest_of(path, "0") == _here()
        except RuntimeError as problem:
            problems.append(f"{other}: {problem}")
            continue
        return
    pytest.skip(f"no other Python can import zactor here: {problems or 'none found'}")


def test_the_given_seed_holds(pytestconfig: pytest.Config) -> None:
    seed = pytestconfig.getoption("--seed", default=None)
    if seed is None:
        pytest.skip("for `pytest tests/sim --seed N`")
    failed = check_seeds(check, [seed])
    assert not failed, _say(failed)
