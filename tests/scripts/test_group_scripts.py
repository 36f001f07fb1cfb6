"""Stories of whole clusters: the transcript is the test. See zactor/testing/group_sim/script.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor.kernel.errors import ConfigError
from zactor.kernel.groups.settings import Settings
from zactor.testing.group_sim.script import Script, play_script

_FOLDER = Path(__file__).parent
_STORIES = sorted(path.name for path in _FOLDER.glob("*.txt"))
_SETTINGS = Settings(
    window_messages=4, packet_messages=1, ack_messages=2, backlog_messages=2, queue_soft=8
)


@pytest.mark.parametrize("story", _STORIES)
def test_the_story_goes_as_it_is_written(story: str, pytestconfig: pytest.Config) -> None:
    path = _FOLDER / story
    text = path.read_text(encoding="utf-8")
    settings = _SETTINGS if "slow" in story else None
    played = play_script(text, settings)
    if pytestconfig.getoption("--rewrite-scripts", default=False):
        path.write_text(played, encoding="utf-8")
        return
    assert played.splitlines() == text.splitlines()


def test_every_story_that_matters_is_there() -> None:
    names = {story.removesuffix(".txt") for story in _STORIES}
    assert names >= {
        "bridge",
        "crash",
        "crash_during_flush",
        "crash_of_the_coordinator_between_two_installs",
        "join",
        "merge_of_three",
        "one_way_cut",
        "restart_during_merge",
        "slow_member",
        "split_in_three",
        "split_in_two",
        "stuck_member",
    }


def test_an_unknown_command_is_named() -> None:
    with pytest.raises(ConfigError, match="dance"):
        Script().do("dance n1")
