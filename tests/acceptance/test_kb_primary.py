"""Who takes changes after which losses, on real processes; and clusters that were founded apart."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from power_cut import die_at_once
from slowness import Slowness

from zactor import NotPrimary, connect
from zactor.lab.lab import Lab, until

ACTOR = """
from zactor import Actor


class Nothing(Actor):
    pass
"""
REFUSED_WITHIN_S = 2.0  # 1 s, and what a busy machine adds


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "nothing.py").write_text(ACTOR)
    made = Lab(home)
    yield made
    made.close()


def started(lab: Lab, *names: str) -> None:
    for name in names:
        lab.start(name, role="master" if name.startswith("m") else "node")
    until("they meet", lambda: all(lab.names_up(at) == {*names} for at in names))


def declare(lab: Lab, at: str, name: str) -> None:
    with connect(lab.endpoint(at), home=lab.home) as m:
        m.declare_factory(name, lab.home / "nothing.py")


def declared(lab: Lab, at: str) -> set[str]:
    with connect(lab.endpoint(at), home=lab.home) as m:
        return {row["type"] for row in m.factories()}


def takes_changes(lab: Lab, at: str, name: str) -> bool:
    try:
        declare(lab, at, name)
    except NotPrimary:
        return False
    return True


@pytest.mark.parametrize(
    "lost",
    [
        ("n3", "n2"),
        pytest.param(("n2", "n3"), marks=pytest.mark.slow),
        pytest.param(("n1", "n3"), marks=pytest.mark.slow),
    ],
)
def test_three_nodes_lose_one_then_another_and_the_last_takes_changes(
    lab: Lab, lost: tuple[str, str]
) -> None:
    started(lab, "n1", "n2", "n3")
    (last,) = {"n1", "n2", "n3"} - {*lost}
    declare(lab, last, "f0")
    left = {"n1", "n2", "n3"}
    for name in lost:
        lab.kill(name)
        left.discard(name)
        until("they are fewer", lambda: lab.names_up(last) == left)
        declare(lab, last, f"without_{name}")
    for name in lost:
        lab.start(name)
    until("all are back", lambda: all(lab.names_up(at) == {"n1", "n2", "n3"} for at in left))
    wanted = {"f0", *(f"without_{name}" for name in lost)}
    until("all know all", lambda: all(declared(lab, at) == wanted for at in ("n1", "n2", "n3")))


@pytest.mark.slow
def test_the_half_without_the_decider_refuses_within_a_second_and_says_why(
    lab: Lab, slowness: Slowness
) -> None:
    started(lab, "m1", "n1")
    declare(lab, "m1", "f0")
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        m.deploy_actor("f0", "a1", "n1")
    lab.kill("n1")
    until("it knows", lambda: not takes_changes(lab, "m1", "f1"))
    began = time.monotonic()
    with pytest.raises(NotPrimary) as caught:
        declare(lab, "m1", "f2")
    assert slowness.quiet_s(time.monotonic() - began) < REFUSED_WITHIN_S
    assert str(caught.value) == (
        "m1 sees 1 of 2 members of the last primary view (m1, n1):"
        " of two halves the one with n1 takes changes, bring it back;"
        " if n1 won't come back: `zactor recover m1`"
    )
    assert declared(lab, "m1") == {"f0"}, "reading goes on"
    with connect(lab.endpoint("m1"), home=lab.home) as m:
        troubles = m.status()["troubles"]
        assert f"no changes are taken here: {caught.value}" in troubles
        assert any(re.fullmatch(r"the facts are those of \d+\.\d+, \d+ s old", t) for t in troubles)
        assert [(row["node"], row["state"]) for row in m.actors()] == [("n1", "unreachable")]
        (check,) = [row for row in m.doctor() if row["check"] == "knowledge base"]
    assert not check["ok"]
    assert str(caught.value) in check["detail"]
    lab.start("n1")
    until("it takes changes again", lambda: takes_changes(lab, "m1", "f3"))


@pytest.mark.slow
def test_who_comes_back_and_decides_forgets_nobody_who_is_there(lab: Lab) -> None:
    started(lab, "n1", "n2", "n3")
    declare(lab, "n3", "f0")
    with connect(lab.endpoint("n3"), home=lab.home) as m:
        m.deploy_actor("f0", "a3", "n3")
        (row,) = m.actors()
        lab.kill("n2")
        until("they are two", lambda: not m.query("node(n2, X)"))
        lab.kill("n1")
        until("it is alone", lambda: lab.names_up("n3") == {"n3"})
        lab.start("n1")  # of the two it decides
        until("it takes changes again", lambda: takes_changes(lab, "n3", "f1"))
        assert m.actors() == [row], "the actor lives, as it was"


def test_a_master_goes_on_without_a_node_that_left_in_good_order(lab: Lab) -> None:
    started(lab, "m1", "n1")
    lab.stop("n1", timeout=DEADLINE_S)
    assert lab.wait("n1", 0) == 0
    until("n1 is gone", lambda: lab.names_up("m1") == {"m1"})
    declare(lab, "m1", "f1")
    assert declared(lab, "m1") == {"f1"}


@pytest.mark.slow
def test_all_at_once_killed_and_started_again_know_what_was_acknowledged(lab: Lab) -> None:
    started(lab, "m1", "n1", "n2")
    for number in range(5):
        declare(lab, "n2", f"f{number}")
    die_at_once(lab, *lab.names)
    for name in ("n2", "n1"):
        lab.start(name)
    wanted = {f"f{number}" for number in range(5)}
    until("two of three go on", lambda: takes_changes(lab, "n2", "f5"))
    assert declared(lab, "n1") == wanted | {"f5"}


def test_clusters_founded_apart_do_not_mix_and_lose_nothing(lab: Lab) -> None:
    started(lab, "n1")
    declare(lab, "n1", "ours")
    lab.kill("n1")
    (lab.home / "keys" / "founding").unlink()  # as if their homes had been two
    started(lab, "n2")
    declare(lab, "n2", "theirs")
    lab.start("n1")
    until("they have met", lambda: "another_cluster" in lab.output("n2"))
    until("each says so", lambda: "another_cluster" in lab.output("n1"))
    assert "founded apart: n1; to let a node join, stop it and move" in lab.output("n2")
    until("n1 takes changes", lambda: takes_changes(lab, "n1", "ours_too"))
    declare(lab, "n2", "theirs_too")
    assert declared(lab, "n1") == {"ours", "ours_too"}
    assert declared(lab, "n2") == {"theirs", "theirs_too"}
    assert lab.names_up("n2") == {"n2"}


@pytest.mark.slow
def test_the_first_look_at_a_node_that_comes_back_shows_what_was_acknowledged(lab: Lab) -> None:
    started(lab, "n1", "n2", "n3")
    for number in range(3):
        lab.kill("n3")
        declare(lab, "n1", f"f{number}")
        lab.start("n3")
        assert declared(lab, "n3") == {f"f{before}" for before in range(number + 1)}


@pytest.mark.parametrize("has_copy", [False, True])
@pytest.mark.slow
def test_a_node_whose_state_folder_is_lost_or_an_old_copy_comes_back(
    lab: Lab, has_copy: bool
) -> None:
    """It counts its lives anew, so the others take it for dead until it is past what they know."""
    started(lab, "n1", "n2", "n3")
    folder, copy = lab.home / "state" / "n3", lab.home / "copy"
    lab.kill("n3")
    shutil.copytree(folder, copy)
    for number in range(3):
        lab.start("n3")
        until("it is back", lambda: lab.names_up("n1") == {"n1", "n2", "n3"})
        declare(lab, "n3", f"f{number}")
        lab.kill("n3")
    shutil.rmtree(folder)
    if has_copy:
        copy.rename(folder)
    lab.start("n3")
    for at in ("n1", "n3"):
        until("it is back", lambda at=at: lab.names_up(at) == {"n1", "n2", "n3"})
    until("it takes changes", lambda: takes_changes(lab, "n3", "f3"))
    assert declared(lab, "n3") == declared(lab, "n1") == {"f0", "f1", "f2", "f3"}
