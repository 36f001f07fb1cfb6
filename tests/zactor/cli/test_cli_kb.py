"""`zactor why`, `kb log`, `kb --at`, `status`: what is remembered, and what is under way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import connect
from zactor.cli.main import run
from zactor.client.author import author
from zactor.demos.counter import Counter, LazyCounter
from zactor.demos.gui import Gui
from zactor.lab.lab import Lab, until

Zactor = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """n1 and n2; c1 -> g1 was there, and c1 is gone."""
    made = Lab(tmp_path_factory.mktemp("kb"))
    try:
        for name in ("n1", "n2"):
            made.start(name)
        until("they meet", lambda: made.names_up("n1") == made.names_up("n2") == {"n1", "n2"})
        with connect(made.endpoint("n1"), home=made.home) as m:
            m.deploy_actor(Counter, "c1", "n1")
            m.deploy_actor(Gui, "g1", "n2")
            m.react_interaction("g1", "c1", "updateVal")
            m.destroy_actor("c1", todo=True)
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def home() -> None:
    """The nodes outlive a test here: the watch of conftest.py is for tests that end theirs."""


@pytest.fixture
def zactor(lab: Lab, capsys: pytest.CaptureFixture[str]) -> Zactor:
    def call(*words: str) -> tuple[int, str, str]:
        code = run(["--home", str(lab.home), *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def rows(zactor: Zactor, *words: str) -> list[dict[str, Any]]:
    code, out, err = zactor(*words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_why_tells_of_each_fact_who_wrote_it_and_who_took_it_back(zactor: Zactor) -> None:
    found = {row["fact"]: row for row in rows(zactor, "why", "c1")}
    actor = found["actor(c1,counter,n1)"]
    assert (actor["who"], actor["why"]) == (author(), "deployActor(counter, c1, n1)")
    assert re.fullmatch(r"\S+@\S+ \S+", author())
    assert (actor["until_who"], actor["until_why"]) == ("n1", "c1 was destroyed")
    assert not actor["present"]
    assert actor["clock"] < actor["until"]
    wire = found["reacts(g1,c1,updateVal,fifo)"]
    assert wire["until_why"].startswith("destroyActor(c1, true) of n1@1: no references to it")
    assert not any(row["present"] for row in found.values())
    clause = next(row for fact, row in found.items() if fact.startswith("todo("))
    assert (
        clause["why"] == "destroyActor(c1, true) of n1@1: n1 is to finish it"
        or "n2" in (clause["why"])
    )
    code, out, _ = zactor("why", "c1")
    assert code == 0
    assert "actor(c1,counter,n1)  (gone)\n  since " in out
    assert f"{author()}: deployActor(counter, c1, n1)" in out
    verdict, *lines = out.splitlines()
    assert verdict.startswith("c1 was an actor and is gone since 20")
    assert verdict.endswith(": c1 was destroyed (n1)")
    code, out, _ = zactor("why", "g1")
    verdict, *lines = out.splitlines()
    assert verdict.startswith("g1 is a gui on n2, running, since 20")
    assert verdict.endswith(f": {author()} did deployActor(gui, g1, n2)")
    assert " (gone)" not in "".join(lines[:2]), "what is there comes first"


def test_why_nothing_is_known_is_exit_code_5(zactor: Zactor) -> None:
    code, out, err = zactor("why", "c9")
    assert (code, out) == (5, "")
    assert err.startswith("zactor: no fact mentions 'c9'")
    assert err.count("\n") == 1


def test_the_facts_at_every_clock_of_the_log_lead_from_one_to_the_next(zactor: Zactor) -> None:
    log = rows(zactor, "kb", "log")
    assert {"clock", "who", "why", "at", "asserted", "retracted"} <= log[0].keys()
    before: set[str] = set()
    for change in log:
        clock = ".".join(map(str, change["clock"]))
        now = {row["fact"] for row in rows(zactor, "kb", "--at", clock)}
        assert now == before - set(change["retracted"]) | set(change["asserted"]), clock
        before = now
    assert before == {row["fact"] for row in rows(zactor, "kb", "facts")}


def test_kb_at_prints_prolog_in_both_spellings(zactor: Zactor) -> None:
    clock = next(
        ".".join(map(str, change["clock"]))
        for change in rows(zactor, "kb", "log")
        if change["why"].startswith("remoteReactInteraction")
    )
    code, out, _ = zactor("kb", "--at", clock)
    assert code == 0
    assert "reacts(g1,c1,updateVal,fifo).\n" in out
    assert zactor("kb", "facts", "--at", clock)[1] == out
    assert "reacts(" not in zactor("kb", "facts")[1]
    exported = zactor("kb", "export", "--prolog", "--at", clock)[1]
    assert "\nreacts(g1,c1,updateVal,fifo).  % " in exported
    assert "\nreacts(" not in zactor("kb", "export", "--prolog")[1]


@pytest.mark.parametrize("words", [("query", "actor(X, Y, Z)"), ("log",), ("facts",)])
def test_a_clock_before_a_command_is_refused_and_not_overlooked(
    zactor: Zactor, words: tuple[str, ...]
) -> None:
    code, out, err = zactor("kb", "--at", "1.1", *words)
    assert (code, out) == (2, "")
    assert err.startswith("zactor: --at goes behind the command")


@pytest.mark.parametrize(
    ("clock", "code", "told"),
    [
        ("soon", 2, "'soon' is no clock"),
        ("", 2, "'' is no clock"),
        ("99.1", 5, "clock 99.1 has not come yet: the knowledge base is at "),
        ("0.1", 5, "clock 0.1 is older than what is kept here of the past, which begins at 1.1"),
    ],
)
def test_a_clock_that_cannot_be_shown_is_one_line(
    zactor: Zactor, clock: str, code: int, told: str
) -> None:
    found, out, err = zactor("kb", "--at", clock)
    assert (found, out) == (code, "")
    assert told in err
    assert err.count("\n") == 1


def test_kb_alone_still_helps(zactor: Zactor) -> None:
    code, out, _ = zactor("kb")
    assert code == 2
    assert "--at CLOCK" in out


def test_status_tells_what_is_under_way(zactor: Zactor, lab: Lab) -> None:
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.deploy_actor(LazyCounter, "l1", "n1", seconds=0.5)
        m.deploy_actor(LazyCounter, "l2", "n1", seconds=0.5)
        for name in ("l1", "l2"):
            m.tell(name, "inc")
            m.tell(name, "inc")
        first = m.connection.request(_destroy("l1", todo=False))
        second = m.connection.request(_destroy("l2", todo=True))
        assert m.wait("state(l1, stopping, _), state(l2, stopping, _)", 5.0)
        status = json.loads(zactor("status", "--json")[1])
        assert status["under_way"] == [
            "l1 is being destroyed and finishes its work on n1",
            "l2 is being destroyed for n1@1, and n2 watches",
        ]
        assert "finishes its work" in zactor("status")[1]
        assert first.result(DEADLINE_S) == second.result(DEADLINE_S) == {}
        assert m.status()["under_way"] == []


def test_a_second_destroy_with_less_time_counts(lab: Lab) -> None:
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.deploy_actor(LazyCounter, "l3", "n1", seconds=20.0)
        m.tell("l3", "inc")
        waiting = m.connection.request(_destroy("l3", todo=True), 60.0)
        assert m.wait("state(l3, stopping, _)", 5.0)
        m.destroy_actor("l3", drain=0.1, timeout=DEADLINE_S)
        assert waiting.result(DEADLINE_S) == {}


def _destroy(name: str, *, todo: bool) -> Any:
    from zactor.kernel.messages.operations import DestroyActor

    return DestroyActor(name=name, todo=todo, drain_s=-1.0)
