"""The rarer faults really happen, every invariant holds under them, and all rules are exercised."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest
from kb_mutants import storm

from zactor.testing.group_sim.faults import Faults
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.coverage import KbCoverage
from zactor.testing.kb_sim.rare_faults import FAULTS, RareFaults
from zactor.testing.kb_sim.rare_run import RareRun
from zactor.testing.kb_sim.run import KbFaults, KbPlan, draw_plan
from zactor.testing.seeds import Found

# Of each kind so many runs that what it is for is met several times.
_AIMED = (
    (range(200, 230), RareFaults(strikes=1.0, shatters=0.5)),
    (range(300, 320), RareFaults(goes_back=True)),
    (range(400, 420), RareFaults(lies=1.0, held=0.3)),
    (range(500, 515), RareFaults(lost_disks=3, gone=1)),
    (range(600, 603), RareFaults(more_nodes=5)),
)
_IN_STORMS = ((range(15), RareFaults(strikes=1.0, lag_ms=20.0)),)

_ONE_SESSION = "each node has one session, in one group, with messages that are ordered"
_OPERATOR = "there is no operator here"
NOT_HERE = {
    "O0a a parcel": _ONE_SESSION,
    "O0a in company": _ONE_SESSION,
    "O1 a hole": "links keep their order, and what comes early finds room",
    "O3 overtakes": _ONE_SESSION,
    "O4 no room": "there is room for more than comes",
    "O8 no credit": _ONE_SESSION,
    "O8a behind": _ONE_SESSION,
    "O8a crowded": _ONE_SESSION,
    "O8a told": _ONE_SESSION,
    "O8a caught up": _ONE_SESSION,
    "O8b held": _ONE_SESSION,
    "O8b let go": _ONE_SESSION,
    "O8b dropped": _ONE_SESSION,
    "O8 paused": _ONE_SESSION,
    "O8 refused": _ONE_SESSION,
    "O9 a member that takes nothing": "it takes longer than a run",
    "O10 without credit": "a window isn't full of what is said here",
    "G1 in the order": _ONE_SESSION,
    "G2 the network": _ONE_SESSION,
    "G2 undisturbed": _ONE_SESSION,
    "G3 signal": _ONE_SESSION,
    "G4 after the signal": _ONE_SESSION,
    "undecided first: submission ordered": "its moment is too short for chance",
    "undecided reshape: submission ordered": "its moment is too short for chance",
    "P14 frozen": "its moment is too short for chance",
    "P14 the primary waits": "few disks are full at once here",
    "formation WAITING: QUORUM": _OPERATOR,
    "formation WAITING: NO_QUORUM": _OPERATOR,
    "formation WAITING: RECOVERED": _OPERATOR,
    "P13 forgotten": _OPERATOR,
    "P13 a first attempt fails": _OPERATOR,
    "WAITING: submission dropped": "it stands behind its sender's standing",
    "FORMING: submission dropped": "later than EXCHANGING only a stranger's is",
}
"""What these runs needn't exercise, and why. (The groups' simulator does, and the replicas'.)"""


def _old_copy(seed: int) -> KbPlan:
    """Nothing but a disk that goes back: of three nodes two have another history than the third."""
    return replace(
        draw_plan(seed),
        roles=dict.fromkeys(("n0", "n1", "n2"), "node"),
        faults=Faults(),
        kb_faults=KbFaults(),
        rare=RareFaults(goes_back=True),
        changes_per_s=15.0,
        faulty_ms=9_000.0,
    )


def _plans() -> Iterator[KbPlan]:
    yield from map(draw_plan, range(40))
    for seeds, rare in _AIMED:
        for seed in seeds:
            yield replace(draw_plan(seed), rare=rare)
    yield from map(_old_copy, range(20))
    for seeds, rare in _IN_STORMS:
        for seed in seeds:
            yield replace(storm(seed), rare=rare)


@functools.cache
def _played() -> tuple[KbCoverage, list[tuple[int, RareFaults, Found]]]:
    coverage = KbCoverage()
    found = []
    for plan in _plans():
        wrong = check_all(RareRun(plan, coverage).play())
        if wrong:
            found.append((plan.seed, plan.rare, wrong))
    return coverage, found


@pytest.mark.slow
@pytest.mark.limit(900)
def test_every_invariant_holds_under_rare_faults() -> None:
    _, found = _played()
    assert not found


@pytest.mark.slow
@pytest.mark.limit(900)
def test_the_fixed_runs_meet_every_rare_fault() -> None:
    coverage, _ = _played()
    assert coverage.faults.never() == []


@pytest.mark.slow
@pytest.mark.limit(900)
def test_the_fixed_runs_exercise_every_row_and_rule_that_can_be() -> None:
    coverage, _ = _played()
    assert set(coverage.never()) <= set(NOT_HERE)


def _happened(seeds: range, rare: RareFaults, wanted: Collection[str] = ()) -> set[str]:
    """Return what happened in these runs, the last of which is that in which all `wanted` had."""
    coverage = KbCoverage()
    for seed in seeds:
        if wanted and not set(wanted) & set(coverage.faults.never()):
            break
        assert check_all(RareRun(replace(draw_plan(seed), rare=rare), coverage).play()) == {}
    return set(FAULTS) - set(coverage.faults.never())


@pytest.mark.parametrize(
    ("rare", "kinds"),
    [
        pytest.param(
            RareFaults(strikes=1.0),
            {"a view ended between two KbAttempted"},
            marks=pytest.mark.slow,
        ),
        (RareFaults(lies=2.0), {"a ballot out of reach", "a promise out of reach"}),
        (RareFaults(lost_disks=3), {"a disk was lost"}),
    ],
)
def test_a_rare_fault_that_is_drawn_happens(rare: RareFaults, kinds: set[str]) -> None:
    assert kinds <= _happened(range(30), rare, kinds)


def test_without_rare_faults_nothing_of_them_happens() -> None:
    happened = _happened(range(3), RareFaults())
    by_chance = {"a view began during an attempt", "an attempt was left undecided"}
    by_chance |= {"a write was torn", "behind more than is kept", "a heartbeat overtook its link"}
    assert happened <= by_chance
