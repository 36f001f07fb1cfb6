"""The places where a process kills itself: all of them come from the workflows, and no other is."""

from __future__ import annotations

import sys

import pytest
from deadlines import run_to_end

from zactor.kernel.errors import ConfigError
from zactor.supervisor.operations.crash_points import (
    TURNS,
    CrashAt,
    crash_at,
    kill_this_process,
    points,
)
from zactor.supervisor.operations.workflows import WORKFLOWS


def test_every_place_of_the_tables_can_be_chosen() -> None:
    places = points(WORKFLOWS)
    assert (
        len(places)
        == sum(2 * len(workflow.steps) + 1 for workflow in WORKFLOWS)
        == len(set(places))
    )
    for place in places:
        assert crash_at({"ZACTOR_CRASH_AT": place}) == CrashAt(place, TURNS, kill_this_process)


def test_without_the_variable_nobody_dies() -> None:
    assert crash_at({}) is None
    assert crash_at({"ZACTOR_CRASH_AT": ""}) is None


def test_a_place_within_a_step_takes_a_number_of_turns() -> None:
    found = crash_at({"ZACTOR_CRASH_AT": "react:wire.during@16"})
    assert found is not None
    assert (found.point, found.turns) == ("react:wire.during", 16)


@pytest.mark.parametrize(
    "wrong",
    [
        "react",
        "react:wire",
        "react:wire.after",
        "connect:wire.before",
        "react:wire.before@3",
        "react:wire.during@0",
        "react:wire.during@x",
        "react:wire.during@99999",
        "react:wire.during@",
    ],
)
def test_what_is_no_place_is_refused_in_one_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match="ZACTOR_CRASH_AT=") as found:
        crash_at({"ZACTOR_CRASH_AT": wrong})
    assert "\n" not in str(found.value)


def test_only_the_chosen_place_kills() -> None:
    died: list[str] = []
    crash = CrashAt("react:end", 1, lambda: died.append("now"))
    crash.reach("react:wire.before")
    assert not died
    crash.reach("react:end")
    assert died == ["now"]


def test_the_places_are_printed_one_a_line() -> None:
    command = [sys.executable, "-P", "-m", "zactor.supervisor.operations.crash_points"]
    done = run_to_end([*command, "--list"], check=True)
    assert done.stdout.splitlines() == points(WORKFLOWS)
    wrong = run_to_end([*command, "--all"])
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("usage: ")
