"""Nodes lost for good, disks and all: what an operator is told, and can do, on real processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_cut import die_at_once

from zactor import MayLose, NoSuchThing, NotPrimary, Refused, connect
from zactor.cli.main import run
from zactor.cli.script_runner import run_script
from zactor.commands.command import ConsoleSession
from zactor.commands.script_reader import read_script
from zactor.lab.lab import Lab, until

ACTOR = """
from zactor import Actor, action


class Counter(Actor):
    def __init__(self):
        self.value = 0

    @action
    def inc(self):
        self.value += 1
        return self.value
"""
NAMES = ("n1", "n2", "n3")
Zactor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "counter.py").write_text(ACTOR)
    made = Lab(home)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def zactor(lab: Lab, capsys: pytest.CaptureFixture[str]) -> Zactor:
    def call(at: str, *arguments: str) -> tuple[int, str, str]:
        place = ("--home", str(lab.home), "--endpoint", lab.endpoint(at))
        code = run([*arguments, *place])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def started(lab: Lab, *names: str) -> None:
    for name in names:
        lab.start(name)
    until("they meet", lambda: all(lab.names_up(at) == {*names} for at in names))


def declare(lab: Lab, at: str, name: str) -> None:
    with connect(lab.endpoint(at), home=lab.home) as m:
        m.declare_factory(name, lab.home / "counter.py")


def declared(lab: Lab, at: str) -> set[str]:
    with connect(lab.endpoint(at), home=lab.home) as m:
        return {str(row["type"]) for row in m.factories()}


def takes_changes(lab: Lab, at: str, name: str) -> bool:
    try:
        declare(lab, at, name)
    except NotPrimary:
        return False
    return True


def folder(lab: Lab, name: str) -> Path:
    return lab.home / "state" / name


def two_of_three_lost(lab: Lab) -> str:
    """n2 and n3 die at once; why n1 refuses."""
    started(lab, *NAMES)
    declare(lab, "n1", "counter")
    die_at_once(lab, "n2", "n3")
    until("n1 knows", lambda: not takes_changes(lab, "n1", "refused"))
    with connect(lab.endpoint("n1"), home=lab.home) as m, pytest.raises(NotPrimary) as caught:
        m.declare_factory("refused", lab.home / "counter.py")
    return str(caught.value)


@pytest.mark.slow
def test_two_of_three_are_lost_for_good_and_the_last_goes_on_by_an_operators_word(
    lab: Lab, zactor: Zactor
) -> None:
    refused = two_of_three_lost(lab)
    assert "if n2, n3 won't come back: `zactor recover n1`" in refused
    shutil.rmtree(folder(lab, "n3"))
    code, out, err = zactor("n1", "recover", "n1", "--json")
    assert (code, out, err.count("\n")) == (7, "", 1)
    assert "n1 would go on as a cluster of their own, without n2, n3" in err
    assert "the last primary known here is n1, n2, n3 (epoch" in err
    assert "`zactor recover n1 --i-know` does it" in err
    assert not takes_changes(lab, "n1", "refused"), "nothing has changed"
    code, out, err = zactor("n1", "recover", "n1", "--i-know", "--json")
    assert (code, err) == (0, "")
    done = json.loads(out)
    assert (done["node"], done["primary"], done["missing"]) == ("n1", ["n1"], ["n2", "n3"])
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.deploy_actor("counter", "c1", "n1")
        assert m.ask("c1", "inc") == 1
        assert any("recovered" in str(row["why"]) for row in m.log())
        with pytest.raises(Refused, match="there is nothing to recover"):
            m.recover("n1", i_know=True)
    lab.start("n2")  # the old one: it wasn't dead for good
    until("it is loud", lambda: "another_cluster" in lab.output("n1"))
    until("at both", lambda: "another_cluster" in lab.output("n2"))
    assert zactor("n1", "status")[0] == 3
    declare(lab, "n1", "later")
    assert declared(lab, "n1") == {"counter", "later"}
    assert "later" not in declared(lab, "n2")


@pytest.mark.slow
def test_after_a_recovery_a_new_machine_joins_and_an_old_one_is_a_stranger(lab: Lab) -> None:
    two_of_three_lost(lab)
    shutil.rmtree(folder(lab, "n3"))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.recover("n1", i_know=True)
        (founded,) = m.query("founded(X)")
    lab.start("n3")  # a new machine of that name
    until("it joins", lambda: lab.names_up("n1") == {"n1", "n3"} == lab.names_up("n3"))
    declare(lab, "n3", "by_n3")
    lab.start("n2")
    until("it is loud", lambda: "another_cluster" in lab.output("n1"))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        assert any("n2 belongs to another cluster" in t for t in m.status()["troubles"])
        assert m.query("founded(X)") == [founded]
    with connect(lab.endpoint("n2"), home=lab.home) as m:
        assert m.query("founded(X)") != [founded]
        with pytest.raises(NotPrimary, match="n1, n3 went to another cluster"):
            m.declare_factory("refused", lab.home / "counter.py")
    assert declared(lab, "n1") == declared(lab, "n3") == {"counter", "by_n3"}
    assert "by_n3" not in declared(lab, "n2")
    lab.kill("n2")
    shutil.rmtree(folder(lab, "n2"))
    lab.start("n2")
    until("it joins", lambda: lab.names_up("n1") == {*NAMES} == lab.names_up("n2"))
    until("it takes changes", lambda: takes_changes(lab, "n2", "by_n2"))


@pytest.mark.slow
def test_members_that_died_for_good_are_forgotten_and_the_rest_goes_on(
    lab: Lab, zactor: Zactor
) -> None:
    two_of_three_lost(lab)
    shutil.rmtree(folder(lab, "n2"))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        with pytest.raises(NoSuchThing, match="n1 doesn't wait for n9, but for n2, n3"):
            m.forget("n9")
        with pytest.raises(Refused, match="n1 is up"):
            m.forget("n1", i_know=True)
        with pytest.raises(MayLose, match="zactor forget n2 --i-know"):
            m.forget("n2")
    code, out, err = zactor("n1", "forget", "n2", "--i-know")
    assert (code, out, err) == (0, "nothing waits for n2: changes are taken by n1\n", "")
    declare(lab, "n1", "later")
    lab.start("n3")
    until("n3 is back", lambda: lab.names_up("n1") == {"n1", "n3"} == lab.names_up("n3"))
    assert declared(lab, "n3") == {"counter", "later"}
    code, out, err = zactor("n3", "forget", "n2", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"node": "n2", "primary": ["n1", "n3"], "waits": "", "forgot": None}
    assert zactor("n3", "forget", "n1", "--i-know")[0] == 6, "it is up"


@pytest.mark.slow
def test_what_was_forgotten_is_on_disk_and_may_not_be_enough(lab: Lab, zactor: Zactor) -> None:
    started(lab, *NAMES)
    declare(lab, "n3", "counter")
    die_at_once(lab, "n1", "n2")
    until("n3 knows", lambda: not takes_changes(lab, "n3", "refused"))
    code, out, _ = zactor("n3", "forget", "n1", "--i-know")
    assert code == 3, "it is done, and not enough"
    assert "n3 sees 1 of 2 members of the last primary view (n2, n3)" in out
    lab.kill("n3")
    lab.start("n3")
    code, out, _ = zactor("n3", "forget", "n2", "--i-know")
    assert (code, out) == (0, "nothing waits for n2: changes are taken by n3\n")
    declare(lab, "n3", "later")


@pytest.mark.slow
def test_scripts_say_it_too(lab: Lab, zactor: Zactor) -> None:
    two_of_three_lost(lab)
    script = lab.home / "way_out.zs"
    script.write_text("-recover(n1).\nrecover n1 --i-know\nforget(n2).\n")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        warned: list[str] = []
        run_script(
            ConsoleSession(master=m, home=lab.home),
            read_script(script.read_text()),
            "way_out.zs",
            show=lambda call, result: None,
            warn=warned.append,
        )
    assert len(warned) == 1
    assert "--i-know` does it" in warned[0]
    assert takes_changes(lab, "n1", "later")
