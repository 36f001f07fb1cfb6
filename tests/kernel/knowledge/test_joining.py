"""Whose history counts when nodes meet: a newcomer takes that of those it meets.

Replay one seed with `KB_SEED=N pytest tests/kernel/knowledge/test_joining.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from kb_joining import Joining
from kb_wires import Wires, actors, create, stands

from zactor.kernel import config
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge import leader
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.leader import chosen
from zactor.kernel.knowledge.replica import Replica
from zactor.kernel.protocol.messages import KbState

SEEDS = int(os.environ.get("KB_SEEDS", "150"))  # 30,000 were run when this was written
MUTANT_SEEDS = 300  # within so many the checker must find every mutant


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots and pieces in every run."""
    monkeypatch.setattr(config, "HISTORY_KEPT", 6)
    monkeypatch.setattr(config, "KB_PIECE_BYTES", 300)


@pytest.mark.usefixtures("small_limits")
def test_no_newcomer_takes_from_a_cohort_what_was_decided_there() -> None:
    only = os.environ.get("KB_SEED")
    kept = 0
    for seed in range(SEEDS) if only is None else [int(only)]:
        run = Joining(seed)
        try:
            run.run()
        except Exception as error:
            again = f"KB_SEED={seed} pytest {Path(__file__).name}"
            raise AssertionError(f"{error!r}; again with {again}") from error
        kept += len(run.protected)
    assert kept > 10 * (SEEDS if only is None else 0)


# -- stories -----------------------------------------------------------------------------------
def saved(replica: Replica) -> Saved:
    """What its disk holds; facts are copied, since a Saved's theory goes on living."""
    return Saved(
        theory=type(replica.theory)(replica.theory.rows()),
        clock=replica.clock,
        digest=replica.digest,
        promised=replica.promised,
        changes=replica.changes(),
    )


def restart(wires: Wires, name: str) -> None:
    """Begin another life of `name` with what it has on disk."""
    wires.replicas[name] = Replica(name, saved(wires.replicas[name]))
    wires.lives[name] += 1


def lead_alone(wires: Wires, name: str, *, times: int) -> None:
    for run in range(times):
        if run:
            restart(wires, name)
        wires.members(name)
        wires.ready(name)


def cluster(*names: str) -> Wires:
    """m1 and n2 have two facts; who is named besides has nothing and knows nobody."""
    wires = Wires(**{n: "master" if n[0] == "m" else "node" for n in ("m1", "n2", *names)})
    wires.members("m1", "n2")
    wires.ready("m1", "n2")
    wires.submit("m1", create("c1"))
    wires.submit("n2", create("c2"))
    return wires


OURS = ("actor(c1)", "actor(c2)")


@pytest.mark.parametrize("newcomer", ["n1", "n3", "m0", "m2"])
@pytest.mark.parametrize("first", [("m1", "n2"), ("m1",), ("n2",)])
def test_who_led_alone_nine_times_takes_the_history_of_those_it_joins(
    newcomer: str, first: tuple[str, ...]
) -> None:
    wires = cluster(newcomer)
    lead_alone(wires, newcomer, times=9)
    wires.submit(newcomer, create("alien"))
    assert wires.replicas[newcomer].promised == 9
    for name in first:
        wires.run(newcomer, wires.replicas[newcomer].members(wires.view(newcomer, *first), 0.0))
        view = wires.view("m1", "n2", newcomer)
        wires.run(name, wires.replicas[name].members(view, 0.0))
    wires.members("m1", "n2", newcomer)
    for now_ms in (10_000, 20_000):
        for name, replica in wires.replicas.items():
            wires.run(name, replica.tick(now_ms, 0.0))
    assert wires.facts() == {OURS}
    assert len({replica.digest for replica in wires.replicas.values()}) == 1
    wires.submit(newcomer, create("c3"))
    assert wires.facts() == {(*OURS, "actor(c3)")}


def test_a_former_member_that_led_alone_since_then_takes_what_the_others_did() -> None:
    wires = cluster("n1")
    wires.members("m1", "n1", "n2")
    wires.ready("n1")
    wires.members("m1", "n2")
    lead_alone(wires, "n1", times=5)
    wires.submit("n1", create("mine"))
    wires.submit("m1", create("c3"))
    assert wires.replicas["n1"].clock > wires.replicas["m1"].clock
    wires.members("m1", "n1", "n2")
    assert wires.facts() == {(*OURS, "actor(c3)")}


def test_a_master_that_returns_takes_what_was_done_without_it() -> None:
    wires = cluster()
    returning = saved(wires.replicas.pop("m1"))
    wires.members("n2")
    wires.ready("n2")
    wires.submit("n2", create("c3"))
    wires.replicas["m1"], wires.lives["m1"] = Replica("m1", returning), 2
    wires.members("m1", "n2")
    wires.ready("m1")
    assert wires.replicas["n2"].leader == "m1"
    assert wires.facts() == {(*OURS, "actor(c3)")}


def test_a_fresh_master_takes_the_history_of_two_nodes() -> None:
    wires = Wires(n1="node", n2="node", m1="master")
    wires.members("n1", "n2")
    wires.ready("n1", "n2")
    wires.submit("n2", create("c1"))
    wires.members("m1", "n1", "n2")
    wires.ready("m1")
    assert wires.replicas["n2"].leader == "m1"
    assert wires.facts() == {("actor(c1)",)}


def test_a_history_is_founded_once_and_every_member_knows_by_whom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "HISTORY_KEPT", 2)
    wires = cluster("n1")
    restart(wires, "m1")
    wires.members("m1", "n1", "n2")
    wires.ready("m1")
    founded = [replica.theory.facts("founded", 1) for replica in wires.replicas.values()]
    assert [[fact.text for fact in facts] for facts in founded] == [["founded('m1@1/0')"]] * 3


def test_all_who_begin_anew_take_what_most_of_them_have() -> None:
    wires = cluster("n1")
    lead_alone(wires, "n1", times=9)
    for name in wires.replicas:
        restart(wires, name)
    wires.members("m1", "n1", "n2")
    wires.ready("m1", "n1", "n2")
    assert {actors(replica) for replica in wires.replicas.values()} == {OURS}


# -- the rule ----------------------------------------------------------------------------------
K = ("m1@1:3",)
RULES = [
    ("all are empty", {"a": stands(1), "b": stands(1)}, False, "a"),
    ("any history before none", {"a": stands(9), "b": stands(1, Clock(1, 1), root="r")}, True, "b"),
    (
        "a cohort before any clock, root and leader",
        {
            "a": stands(9, Clock(9, 1), root="x"),
            "b": stands(1, Clock(3, 1), root="r", led=K),
            "c": stands(9, Clock(9, 9), root="x"),
        },
        True,
        "b",
    ),
    (
        "the larger cohort, with those we don't see yet",
        {
            "a": stands(9, Clock(9, 1), root="x", led=("a@1:9",)),
            "b": stands(1, Clock(3, 1), root="r", led=K, beside=("d",)),
        },
        True,
        "b",
    ),
    (
        "who stands here is not counted twice",
        {
            "a": stands(9, Clock(9, 1), root="x", led=("a@1:9",)),
            "b": stands(1, Clock(3, 1), root="r", led=K, beside=("a",)),
        },
        False,
        "a",
    ),
    (
        "in a cohort the highest clock, though one went on alone",
        {
            "a": stands(4, Clock(3, 1), root="r", led=K),
            "b": stands(4, Clock(4, 2), root="r", led=(*K, "b@1:4")),
            "c": stands(4, Clock(3, 7), root="r", led=K),
        },
        True,
        "b",
    ),
    (
        "without cohorts the root that most have",
        {
            "a": stands(9, Clock(9, 1), root="x"),
            "b": stands(1, Clock(3, 1), root="r"),
            "c": stands(1, Clock(3, 2), root="r"),
        },
        True,
        "c",
    ),
    (
        "then our own root, in it the highest clock",
        {
            "a": stands(1, Clock(3, 1), root="r"),
            "b": stands(9, Clock(9, 1), root="x"),
            "c": stands(9, Clock(9, 2), root="x"),
            "d": stands(1, Clock(3, 2), root="r"),
        },
        False,
        "d",
    ),
    (
        "then our own if we lead",
        {"a": stands(1, Clock(3, 1), root="r"), "b": stands(9, Clock(9, 1), root="r")},
        True,
        "a",
    ),
]


@pytest.mark.parametrize(
    ("states", "leads", "wanted"), [r[1:] for r in RULES], ids=[r[0] for r in RULES]
)
def test_whose_history_counts(states: Mapping[str, KbState], leads: bool, wanted: str) -> None:
    assert chosen("a", states, leads=leads) == wanted


# -- the checker -------------------------------------------------------------------------------
def _with(patch: pytest.MonkeyPatch, change: Callable[[KbState], KbState]) -> None:
    def choose(me: str, states: Mapping[str, KbState], *, leads: bool) -> str:
        return chosen(me, {name: change(state) for name, state in states.items()}, leads=leads)

    patch.setattr(leader, "chosen", choose)


def _takes_the_highest_clock(patch: pytest.MonkeyPatch) -> None:
    def choose(me: str, states: Mapping[str, KbState], *, leads: bool) -> str:
        return max(states, key=lambda name: states[name].clock)

    patch.setattr(leader, "chosen", choose)


def _keeps_its_own_once_it_leads(patch: pytest.MonkeyPatch) -> None:
    def choose(me: str, states: Mapping[str, KbState], *, leads: bool) -> str:
        return me if leads else chosen(me, states, leads=leads)

    patch.setattr(leader, "chosen", choose)


def _knows_no_cohorts(patch: pytest.MonkeyPatch) -> None:
    _with(patch, lambda state: msgspec.structs.replace(state, led=()))


def _forgets_whom_it_does_not_see(patch: pytest.MonkeyPatch) -> None:
    _with(patch, lambda state: msgspec.structs.replace(state, beside=()))


def _overwrites_whom_it_meets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leader.Leadership, "yields_to", lambda self, sender, state: False)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    "mutant",
    [
        _takes_the_highest_clock,
        _keeps_its_own_once_it_leads,
        _knows_no_cohorts,
        _forgets_whom_it_does_not_see,
        _overwrites_whom_it_meets,
    ],
)
def test_the_checker_finds_every_mutant(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for seed in range(MUTANT_SEEDS):
        try:
            Joining(seed).run()
        except AssertionError:
            return
    pytest.fail(f"{mutant.__name__} lived through {MUTANT_SEEDS} seeds")
