"""The stories that come along with zactor play as they are told; a wrong one says where."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from lab_world import LabWorld

STORIES = sorted((Path(__file__).resolve().parents[2] / "demos" / "lab").glob("*.story"))

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]


@pytest.mark.parametrize("story", STORIES, ids=[file.stem for file in STORIES])
def test_a_story_plays_as_it_is_told(lab_is_possible: None, home: Path, story: Path) -> None:
    began = time.monotonic()
    done = LabWorld(home).zactor("lab", "run", str(story))
    print(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    print(f"{story.stem}: {time.monotonic() - began:.1f} s")


def test_a_story_that_differs_says_where(lab_is_possible: None, home: Path, tmp_path: Path) -> None:
    story = tmp_path / "wrong.story"
    story.write_text("lab 2 bare\nspawn n1 one echo first\nexpect one: second\n")
    done = LabWorld(home).zactor("lab", "run", str(story), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["as_expected"]
    assert told["difference"] == f"{story}: line 3: one saw 'first' where 'second' is expected"
    story.write_text("lab 2 bare\nspawn n1 one echo first\nexpect one: f*st\n")
    done = LabWorld(home).zactor("lab", "run", str(story))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (f"{story}: one also saw 'ended', which nobody expects")


def test_what_was_done_by_hand_becomes_a_story_and_is_graded(
    lab_is_possible: None, home: Path, tmp_path: Path
) -> None:
    world = LabWorld(home)
    assert world.zactor("lab", "up", "2", "--bare").returncode == 0
    try:
        world.lab.spawn("n1", "talker", "sh", "-c", "echo hello; read line; echo $line")
        world.lab.type("n1", "talker", "bye")
        while len(world.seen(lambda row: row["what"] == "ended")) < 1:
            time.sleep(0.01)
        story = tmp_path / "mine.story"
        assert world.zactor("lab", "record", str(story)).returncode == 0
    finally:
        world.zactor("lab", "down")
    lines = story.read_text().splitlines()
    assert lines[:2] == [
        "lab 2 bare",
        "spawn n1 talker sh -c 'echo hello; read line; echo $line'",
    ]
    assert [line for line in lines if line.startswith("expect")] == [
        "expect talker: hello",
        "expect talker: bye",
        "expect talker: ended",
    ]
    done = world.zactor("lab", "grade", str(story))
    assert done.returncode == 1
    assert done.stdout.count("MISSED") == 8
