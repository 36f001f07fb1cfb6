"""State folders that are lost or old while all nodes are down: the disks that are whole count."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rude_clients import COUNTER, DONE_S, Unmet, demand

from zactor import ZactorError, connect
from zactor.lab.lab import Lab, until

NAMES = ("n1", "n2", "n3")
ALONE = 5  # starts of n3 with its old folder; each takes a higher epoch
WATCHED_S = 6.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "counter.py").write_text(COUNTER)
    made = Lab(home)
    try:
        yield made
    finally:
        made.close()


def start(lab: Lab, *names: str) -> None:
    for name in names:
        lab.start(name)
    until("they meet", lambda: all(lab.names_up(at) == {*names} for at in names))


def declare(lab: Lab, at: str, name: str) -> None:
    with connect(lab.endpoint(at), home=lab.home, timeout=10) as m:
        m.declare_factory(name, lab.home / "counter.py")


def declared(lab: Lab, at: str) -> set[str]:
    with connect(lab.endpoint(at), home=lab.home, timeout=10) as m:
        return {str(row["type"]) for row in m.factories()}


def takes_changes(lab: Lab, at: str, name: str) -> bool:
    try:
        declare(lab, at, name)
    except ZactorError:
        return False
    return True


def comes(condition: Callable[[], bool], within_s: float) -> None:
    """Wait until it holds, but no longer than that."""
    with contextlib.suppress(AssertionError):
        until("it may hold", condition, within_s)


@pytest.mark.slow
def test_a_node_without_its_folder_does_what_it_is_asked_when_all_come_back(lab: Lab) -> None:
    start(lab, *NAMES)
    with connect(lab.endpoint("n3"), home=lab.home, timeout=20) as m:
        m.declare_factory("counter", lab.home / "counter.py")
        for number in range(12):
            m.deploy_actor("counter", f"a{number}", "n3")
            m.destroy_actor(f"a{number}", todo=True)
    for name in NAMES:
        lab.kill(name)
    shutil.rmtree(lab.home / "state" / "n3")
    start(lab, *NAMES)
    with connect(lab.endpoint("n3"), home=lab.home, timeout=DONE_S) as m:
        m.status()
        try:
            m.deploy_actor("counter", "b", "n3")
            answer = m.ask("b", "ping")
            m.destroy_actor("b", todo=True)
        except ZactorError as error:
            raise Unmet(f"at n3: {error}") from error
        demand(answer == 1, f"the actor answers {answer!r}")
        demand(m.actors() == [], "it is destroyed")


@pytest.mark.slow
def test_an_old_folder_at_one_node_does_not_overrule_two_that_are_whole(lab: Lab) -> None:
    folder, copy = lab.home / "state" / "n3", lab.home / "copy"
    start(lab, "n3")
    declare(lab, "n3", "old")
    lab.stop("n3", timeout=10)
    assert lab.wait("n3", 0) == 0
    shutil.copytree(folder, copy)
    start(lab, "n3")
    lab.start("n1")
    lab.start("n2")
    until("they meet", lambda: all(lab.names_up(at) == {*NAMES} for at in NAMES))
    acknowledged = {f"f{number}" for number in range(5)}
    for name in sorted(acknowledged):
        declare(lab, "n1", name)
    until("all know all", lambda: all(acknowledged <= declared(lab, at) for at in NAMES))
    for name in NAMES:
        lab.kill(name)
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    for number in range(ALONE):
        lab.start("n3")
        # Today it takes changes alone. It may as well refuse them, or not start.
        comes(lambda name=f"alone{number}": takes_changes(lab, "n3", name), 5.0)
        if number < ALONE - 1:
            lab.kill("n3")
    lab.start("n1")
    lab.start("n2")
    end = time.monotonic() + WATCHED_S
    until("a majority takes changes", lambda: takes_changes(lab, "n1", "after"))
    while time.monotonic() < end:
        for at in ("n1", "n2"):
            lost = acknowledged - declared(lab, at)
            demand(not lost, f"acknowledged in the three, and gone at {at}: {sorted(lost)}")
