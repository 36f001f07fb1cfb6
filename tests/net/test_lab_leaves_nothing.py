"""Nothing of a lab stays, however it ends: namespaces, links, processes, mounts, files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end, running
from lab_world import LabWorld, lab_processes, namespaces

from zactor.lab.lab import until
from zactor.lab.topology import counted

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]

STORY = "lab 2 bare\nspawn n1 sleeper sleep 600\nwait 600\n"


class Before:
    """What there was."""

    def __init__(self, temp: Path, home: Path) -> None:
        self._temp, self._home = temp, home
        self._seen = self._look()

    def _look(self) -> dict[str, object]:
        return {
            "links": run_to_end(["ip", "-o", "link"]).stdout.count("\n"),
            "named namespaces": run_to_end(["ip", "netns", "list"]).stdout,
            "mounts": Path("/proc/self/mountinfo").read_text(),
            "files": sorted(self._temp.iterdir()),
            "processes": lab_processes(self._home),
        }

    def until_again(self) -> None:
        until(f"nothing is left: {self._look()}", lambda: self._look() == self._seen)


@pytest.fixture
def before(lab_is_possible: None, home: Path, private_temp: Path) -> Iterator[Before]:
    made = Before(private_temp, home)
    yield made
    made.until_again()


def words(*rest: str) -> list[str]:
    return [sys.executable, "-P", "-m", "zactor", "lab", *rest]


def test_up_and_down(before: Before, home: Path) -> None:
    world = LabWorld(home)
    others = namespaces()
    done = world.zactor("lab", "up", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one view of n1 n2 after ")
    assert lab_processes(home)
    assert len(namespaces() - others) >= 3
    again = world.zactor("lab", "up", "2")
    assert (again.returncode, again.stderr) == (
        6,
        "zactor: this home has a lab already: `zactor lab down`\n",
    )
    assert world.zactor("lab", "down").stdout == "the lab has ended, and nothing of it is left\n"
    assert not lab_processes(home), "at once"
    assert world.zactor("lab", "down").stdout == "no lab runs here\n"
    assert world.zactor("lab", "ps").returncode == 5


def test_kill_9_of_the_warden(before: Before, home: Path) -> None:
    world = LabWorld(home)
    world.lab.begin(counted(2))
    world.lab.wait_formed()
    (warden, *_) = [line for line in lab_processes(home) if "zactor.lab.warden" in line]
    wardens = [line.split()[0] for line in lab_processes(home) if "zactor.lab.warden" in line]
    first = min(map(int, wardens))
    os.kill(first, signal.SIGKILL)
    before.until_again()
    world.lab.close()
    assert warden


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_story_that_is_ended(
    before: Before, home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    story = tmp_path / "long.story"
    story.write_text(STORY)
    environment = {**os.environ, "ZACTOR_HOME": str(home), "LAB_TEST": str(home)}
    with running(words("run", str(story)), env=environment, stderr=subprocess.PIPE) as child:
        until("it plays", lambda: any("sleep 600" in line for line in lab_processes(home)))
        child.send_signal(number)
        child.wait(20)


def test_a_user_who_is_not_root_has_labs_too(before: Before, home: Path, tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no `unshare` to become somebody else with")
    somebody = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if run_to_end([*somebody, "true"]).returncode:
        pytest.skip("users may make no namespaces here")
    story = tmp_path / "users.story"
    story.write_text(
        "lab 2 bare\nspawn n1 one sh -c 'hostname; id -u'\nexpect one: n1\nexpect one: 0\n"
        "expect one: ended\ncut n1 / n2\ndelay 5\ncrash n1\nstart n1\nexec n1 true\n"
    )
    done = run_to_end([*somebody, *words("run", str(story), "--json")])
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
