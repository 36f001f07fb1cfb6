"""State folders that are lost or old while all nodes are down: the disks that are whole count."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rude_clients import COUNTER, DONE_S, Unmet, demand

from zactor import NotPrimary, ZactorError, connect
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


def _store_deleted(home: Path) -> None:
    shutil.rmtree(home / "state" / "n1")


def _run_deleted_too(home: Path) -> None:
    shutil.rmtree(home / "state" / "n1")
    shutil.rmtree(home / "run")


def _store_emptied(home: Path) -> None:
    for file in (home / "state" / "n1").glob("kb.sqlite-*"):
        file.unlink()
    (home / "state" / "n1" / "kb.sqlite").write_bytes(b"")


def _key_only(home: Path) -> None:
    folder = home / "state" / "n1"
    for file in folder.iterdir():
        if file.name.startswith("kb.sqlite") or file.name == "incarnation":
            file.unlink()


def _nothing(home: Path) -> None:
    """The store is whole; another name is given."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (_store_deleted, "n1"),
        (_run_deleted_too, "n1"),
        (_store_emptied, "n1"),
        (_key_only, "n1"),
        (_nothing, "n9"),
    ],
)
def test_who_lost_its_store_founds_no_cluster_and_joins_its_own(
    lab: Lab, damage: Callable[[Path], None], name: str
) -> None:
    start(lab, *NAMES)
    declare(lab, "n1", "counter")
    for one in NAMES:
        lab.kill(one)
    damage(lab.home)
    lab.start(name)
    with connect(lab.endpoint(name), home=lab.home, timeout=20) as m:
        file = lab.home / "keys" / "founding"
        said = f"{name} has a new store, and its home belongs to the cluster n.*remove {file}"
        with pytest.raises(NotPrimary, match=said):
            m.declare_factory("other", lab.home / "counter.py")
        assert m.status()["primary"] == []
        assert any(re.search(said, trouble) for trouble in m.status()["troubles"])
    for one in ("n2", "n3"):
        lab.start(one)
    until("it takes changes", lambda: takes_changes(lab, name, "other"))
    assert "counter" in declared(lab, name)


@pytest.mark.slow
def test_a_home_begins_anew_when_its_word_is_taken_away(lab: Lab) -> None:
    start(lab, "n1")
    declare(lab, "n1", "counter")
    lab.kill("n1")
    shutil.rmtree(lab.home / "state")
    (lab.home / "keys" / "founding").unlink()
    lab.start("n1")
    until("it takes changes", lambda: takes_changes(lab, "n1", "other"))
    assert declared(lab, "n1") == {"other"}


@pytest.mark.slow
def test_a_copied_home_without_its_state_founds_no_cluster(lab: Lab, tmp_path: Path) -> None:
    start(lab, "n1")
    declare(lab, "n1", "counter")
    lab.kill("n1")
    copy = tmp_path / "copy"
    shutil.copytree(lab.home, copy, ignore=shutil.ignore_patterns("state", "run"))
    other = Lab(copy)
    try:
        other.start("n1")
        assert not takes_changes(other, "n1", "other")
    finally:
        other.close()


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
