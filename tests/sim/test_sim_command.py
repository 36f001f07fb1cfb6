"""`python -m zactor.testing.group_sim`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from zactor.testing.group_sim import __main__ as sim
from zactor.testing.group_sim.run import draw_plan


def test_one_seed_prints_its_trace() -> None:
    done = CliRunner().invoke(sim.main, ["--seed", "3"])
    assert done.exit_code == 0
    assert "installs view" in done.output
    assert done.output.startswith(f"seed 3: {draw_plan(3).node_count} nodes")


def test_many_seeds_are_counted() -> None:
    done = CliRunner().invoke(sim.main, ["--seeds", "3..4"])
    assert done.exit_code == 0
    assert "2 runs, 0 failed" in done.output


@pytest.mark.parametrize("words", [[], ["--seed", "1", "--seeds", "1..2"], ["--seeds", "5..1"]])
def test_what_is_no_range_is_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(sim.main, words).exit_code == 2


def test_a_violation_is_named_with_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sim, "check_all", lambda lines: {"G7": ["a cycle"] * 5})
    for words in (["--seed", "3"], ["--seeds", "3..3"]):
        done = CliRunner().invoke(sim.main, words)
        assert done.exit_code == 1
        assert "replay: python -m zactor.testing.group_sim --seed 3" in done.output
        assert "2 more" in done.output
