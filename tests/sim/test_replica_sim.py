"""Replicas under an adversary: runs that hold, that are the same each time, and that are told."""

from __future__ import annotations

import hashlib
import os
import sys

import kb_mutants
import pytest
from click.testing import CliRunner
from deadlines import run_to_end
from slow_marks import slow_after

from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim import __main__ as replica_sim
from zactor.testing.replica_sim.run import play_seed, replay
from zactor.testing.replica_sim.shrink import shrink

_DIGEST = (
    "import hashlib; from zactor.testing.replica_sim.run import play_seed;"
    "runs = [play_seed(seed) for seed in (3, 48)];"
    "print(hashlib.sha256(repr([(p.actions, p.found) for p in runs]).encode()).hexdigest())"
)


@pytest.mark.parametrize("first", slow_after(1, range(0, 300, 50)))
def test_every_invariant_holds_under_the_adversary(first: int) -> None:
    seeds = range(first, first + 50)
    failed = {seed: found for seed in seeds if (found := play_seed(seed).found)}
    assert not failed, f"python -m zactor.testing.replica_sim --seed {min(failed)}"


@pytest.mark.soak
@pytest.mark.parametrize("first", range(10_000, 60_000, 1_000))
def test_every_invariant_holds_in_many_runs_under_the_adversary(first: int) -> None:
    failed = {
        seed: found for seed in range(first, first + 1_000) if (found := play_seed(seed).found)
    }
    assert not failed, f"python -m zactor.testing.replica_sim --seed {min(failed)}"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_run_under_every_hash_seed(hash_seed: str) -> None:
    done = run_to_end(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        timeout=120,
        check=True,
        cwd="/",
    )
    runs = [play_seed(seed) for seed in (3, 48)]
    here = repr([(played.actions, played.found) for played in runs])
    assert done.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_the_moves_of_a_run_played_again_are_that_run() -> None:
    for seed in (3, 48):
        played = play_seed(seed)
        assert replay(played.plan, played.actions) == played.found


@pytest.mark.slow
def test_a_failing_run_is_made_short_and_still_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    kb_mutants.MUTANTS["anybody decides"].patch(monkeypatch)
    played = play_seed(15)
    invariant = "K3 one primary"
    assert invariant in played.found
    short = shrink(played.plan, played.actions, invariant)
    assert len(short) < len(played.actions) / 3
    assert invariant in replay(played.plan, short)
    for left_out in range(len(short)):
        rest = short[:left_out] + short[left_out + 1 :]
        assert invariant not in replay(played.plan, rest)


NOT_HERE = {
    "WAITING: submission dropped": "it stands behind its sender's standing",
    "FORMING: submission dropped": "later than EXCHANGING only a stranger's is",
    "formation WAITING: QUORUM": "counted as P13",
    "formation WAITING: NO_QUORUM": "counted as P13",
    "formation WAITING: RECOVERED": "nobody recovers here",
    "P9 strangers": "clusters are founded apart by chance, and rarely meet",
    "P6 first attempt yields": "the same",
    "P11 another number": "nobody errs here",
    "P11 out of reach": "nobody errs here",
    "D10 a fork": "no disk goes back",
    "D10 told of a fork": "no disk goes back",
    "D10 outvoted": "no disk goes back",
    "T2 kept meanwhile": "an observer is brought up at once, but for a moment",
}
"""What these runs needn't exercise, and why. (The simulator of whole clusters does.)"""


@pytest.mark.slow
def test_the_adversary_exercises_every_rule_that_can_be() -> None:
    coverage = ReplicaCoverage()
    for seed in range(300):
        play_seed(seed, coverage)
    assert set(coverage.never()) <= set(NOT_HERE)


_FOUND = {
    13164: "a founding that failed, with who has it still, and is told that the others are dead",
    50440: "a primary that none of its members lived to be in",
    74466: "the same",
    70383: "what a dead node decided alone is with a newcomer, who has no vote",
    71998: "the same",
}
"""Seeds of many thousands that showed something."""


@pytest.mark.parametrize("seed", sorted(_FOUND))
def test_what_many_thousand_runs_showed_holds(seed: int) -> None:
    assert not play_seed(seed).found, _FOUND[seed]


def test_one_run_under_the_adversary_is_told() -> None:
    done = CliRunner().invoke(replica_sim.main, ["--seed", "3"])
    assert done.exit_code == 0
    assert done.output.startswith("seed 3: ")
    assert "founds a cluster" in done.output


def test_many_runs_under_the_adversary_end_with_a_table_of_rules() -> None:
    done = CliRunner().invoke(replica_sim.main, ["--seeds", "3..5"])
    assert done.exit_code == 0
    assert "3 runs, 0 failed" in done.output
    assert "never exercised: " in done.output


@pytest.mark.parametrize("words", [[], ["--seed", "1", "--explore", "split"]])
def test_what_names_no_runs_of_the_adversary_is_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(replica_sim.main, words).exit_code == 2


def test_a_promise_that_the_adversary_broke_is_told_as_a_short_story(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kb_mutants.MUTANTS["anybody decides"].patch(monkeypatch)
    done = CliRunner().invoke(replica_sim.main, ["--seed", "0"])
    assert done.exit_code == 1
    assert "made short to" in done.output
    assert "!!! K3 one primary: " in done.output
    assert "replay: python -m zactor.testing.replica_sim --seed 0" in done.output
