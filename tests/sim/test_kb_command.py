"""`python -m zactor.testing.kb_sim`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from zactor.testing.kb_sim import __main__ as kb_sim


def test_one_seed_prints_what_happened() -> None:
    done = CliRunner().invoke(kb_sim.main, ["--seed", "3"])
    assert done.exit_code == 0
    assert done.output.startswith("seed 3: ")
    assert "kb_apply" in done.output


def test_many_seeds_of_the_knowledge_base_are_counted() -> None:
    done = CliRunner().invoke(kb_sim.main, ["--seeds", "3..4"])
    assert done.exit_code == 0
    assert "2 runs, 0 failed" in done.output


@pytest.mark.parametrize("words", [[], ["--seed", "1", "--seeds", "1..2"], ["--seeds", "5..1"]])
def test_what_is_no_range_of_runs_is_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(kb_sim.main, words).exit_code == 2


def test_a_broken_promise_is_named_with_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kb_sim, "check_all", lambda lines: {"K1": ["two histories"] * 5})
    for words in (["--seed", "3"], ["--seeds", "3..3"]):
        done = CliRunner().invoke(kb_sim.main, words)
        assert done.exit_code == 1
        assert "replay: python -m zactor.testing.kb_sim --seed 3" in done.output
        assert "2 more" in done.output
