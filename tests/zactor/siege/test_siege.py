"""The siege's plan, audit and report: pure, each check shown to find what it looks for."""

from __future__ import annotations

from typing import Any

import pytest

from zactor.lab.faults import PROCESS_WORDS, Faults, change
from zactor.siege.audit import Audit, audit, with_deaths
from zactor.siege.fault_plan import FaultPlan
from zactor.siege.report import FaultBar, Plot, grown_up, page, slope, slope_of_lives

HOSTS = ("n1", "n2", "n3", "n4", "n5")
S = 1_000_000_000


def test_a_seed_draws_the_same_faults_and_all_kinds_are_lines_that_a_lab_knows() -> None:
    drawn = [FaultPlan(HOSTS, 7).draw() for _ in range(2)]
    assert drawn[0] == drawn[1]
    plan, faults, kinds = FaultPlan(HOSTS, 1), Faults(HOSTS), set()
    for _ in range(300):
        fault = plan.draw()
        kinds.add(fault.kind)
        for line in (*fault.begin, *fault.end):
            if line.split()[0] not in PROCESS_WORDS:
                change(faults, line.split())
        assert faults == Faults(HOSTS), f"what {fault} begins it ends"
    assert kinds == {
        *("cable", "cut", "one-way", "loss", "delay", "duplicate", "freeze", "kill", "crash"),
        *("disk", "clock", "mtu"),
    }


def view(p: str, epoch: int, *members: str, at: int = 0) -> dict[str, Any]:
    return {"t": at, "k": "view", "p": p, "v": [epoch, "n1@1"], "members": list(members)}


def test_who_is_killed_is_down_in_the_log() -> None:
    lines = [view("n1@1", 1, "n1@1", at=1), view("n1@2", 2, "n1@2", at=9)]
    found = with_deaths(lines, [(5, "n1"), (5, "n2")])
    assert [line["k"] for line in found] == ["view", "down", "view"]
    assert found[1] == {"t": 5, "k": "down", "p": "n1@1"}


GOOD: list[dict[str, Any]] = [
    view("n1@1", 1, "n1@1", "n2@1"),
    view("n2@1", 1, "n1@1", "n2@1"),
    {"t": 1, "k": "kb_apply", "p": "n1@1", "clock": [1, 1], "hash": "a"},
    {"t": 2, "k": "accept", "p": "n1@1", "sig": "s1", "to": "b"},
    {"t": 3, "k": "handle", "p": "n2@1", "sig": "s1", "to": "b"},
    {"t": 4, "k": "suspect", "p": "n1@1", "q": "n2@1"},
]


def journal(*texts: str) -> list[dict[str, Any]]:
    return [{"what": "said", "host": "n1", "name": "client", "text": text} for text in texts]


def complaints(
    *more: dict[str, Any], said: tuple[str, ...] = (), facts: dict[str, list[str]] | None = None
) -> set[str]:
    found = audit([*GOOD, *more], journal(*said), facts or {}, [(0, 5)], 90 * S)
    return set(found.complaints)


def test_what_is_good_is_not_complained_of() -> None:
    said = (
        '{"asked":"deploy","name":"a"}',
        '{"done":"deploy","name":"a"}',
        '{"done":"deploy","name":"b"}',
        '{"asked":"destroy","name":"b"}',
        '{"done":"destroy","name":"b"}',
    )
    assert complaints(said=said, facts={"n1": ["actor(a,tally,n1)"]}) == set()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ({"k": "kb_apply", "p": "n2@1", "clock": [1, 1], "hash": "b"}, "K1 one history"),
        ({"k": "handle", "p": "n2@1", "sig": "s1", "to": "b"}, "A1 once"),
        ({"k": "accept", "p": "n1@1", "sig": "s2", "to": "b"}, "A3 nothing silent"),
        ({"k": "suspect", "p": "n1@1", "q": "n2@1", "t": 60 * S}, "L6 false suspicion"),
    ],
)
def test_what_is_wrong_is_found(line: dict[str, Any], name: str) -> None:
    assert complaints({"t": 5, **line}) == {name}


def test_what_was_acknowledged_and_is_not_there_is_found() -> None:
    lost = "K2 nothing acknowledged is lost"
    done = '{"done":"deploy","name":"a"}'
    assert complaints(said=(done,), facts={"n1": []}) == {lost}
    assert complaints(said=(done,), facts={"n1": ["lost(a,tally,n1,why)"]}) == set()
    gone = '{"done":"destroy","name":"a"}'
    assert complaints(said=(done, gone), facts={"n1": ["actor(a,tally,n1)"]}) == {lost}
    again = '{"asked":"deploy","name":"a"}'
    assert complaints(said=(done, gone, again), facts={"n1": ["actor(a,tally,n1)"]}) == set()
    assert complaints(facts={"n1": ["x(1)"], "n2": ["x(2)"]}) == {"facts differ"}


def test_the_page_holds_its_plots_and_what_is_wrong() -> None:
    found = Audit({"K1 <one>": ["two histories"]}, {"views": 3})
    plot = Plot(title="Memory", unit="kB", curves={"n1": [(0.0, 1.0), (10.0, 2.0)]})
    text = page(
        "A siege", found, {"minutes": 1}, [plot], [FaultBar(begin_s=1, end_s=2, text="cut")], 10
    )
    assert "1 violations" in text
    assert "K1 &lt;one&gt;" in text
    assert text.count("<svg") == 1
    assert "<path d=" in text
    assert "src=" not in text
    assert slope([(0.0, 1.0), (10.0, 2.0)]) == pytest.approx(360)


def test_a_life_that_begins_small_is_no_growth_and_none_that_grows_is_missed() -> None:
    """Least squares over all lives would call a killed node's new life a fall, or hide a leak."""
    old = [(float(s), 1, 60.0) for s in range(0, 100, 10)]
    new = [(float(s), 2, 40.0) for s in range(100, 200, 10)]
    assert slope_of_lives(old + new) == 0
    assert slope([(s, y) for s, _, y in old + new]) < -100
    leaks = [(s, life, y + (s - 100 * (life - 1)) / 36) for s, life, y in old + new]
    assert slope_of_lives(leaks) == pytest.approx(100)
    assert slope_of_lives([(1.0, 1, 5.0)]) == 0, "one sample has no slope"


def test_what_a_node_takes_at_its_beginning_is_no_growth() -> None:
    points = [(float(s), 1, 40.0 + min(s, 50)) for s in range(0, 200, 10)]
    assert slope_of_lives(points) > 100
    assert slope_of_lives(grown_up(points, 0, 60)) == 0
    assert [s for s, _, _ in grown_up(points, 150, 60)] == [150.0, 160.0, 170.0, 180.0, 190.0]
