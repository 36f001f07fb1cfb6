"""Transactions against a theory: all or nothing, alike everywhere, refused in their own words."""

from __future__ import annotations

import random

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import (
    AlreadyExists,
    LocalProtocolError,
    NoSuchThing,
    Refused,
    TermError,
    ZactorError,
)
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import FactRow, Prepared, Theory
from zactor.kernel.messages.knowledge import Change, Transaction

ROWS: list[FactRow] = [
    ("node(n1,'h:1')", 1, 1, "m1", "declareNode", 5.0),
    ("factory(counter,'sha256:a')", 1, 2, "m1", "declareFactory", 6.0),
    ("actor(c1,counter,n1)", 1, 3, "m1", "deployActor", 7.0),
    ("state(c1,running,'')", 1, 3, "m1", "deployActor", 7.0),
    ("reacts(g1,c1,up,fifo)", 1, 4, "m1", "react", 8.0),
    ("reacts(c1,g1,inc,fifo)", 1, 5, "m1", "react", 9.0),
]


def transaction(
    *,
    require: tuple[tuple[str, str, str], ...] = (),
    retract: tuple[str, ...] = (),
    assert_: tuple[str, ...] = (),
) -> Transaction:
    return Transaction("t1", "m1", "test", require, retract, assert_)


def change(retracted: tuple[str, ...], asserted: tuple[str, ...], index: int = 9) -> Change:
    return Change(2, index, "t1", "m2", "why", 10.0, retracted, asserted, b"")


def test_requirements_bind_what_is_asserted() -> None:
    prepared = Theory(ROWS).prepare(
        transaction(
            require=(("factory(counter,H)", "NoSuchThing", "no type"), ("node(n1,A)", "", "")),
            assert_=("spec(c2,H,[start=5])", "actor(c2,counter,n1)", "at(c2,A)"),
        )
    )
    assert prepared == Prepared(
        retracted=(),
        asserted=("actor(c2,counter,n1)", "at(c2,'h:1')", "spec(c2,'sha256:a',[start=5])"),
    )


def test_retract_takes_every_match_and_none_is_no_error() -> None:
    theory = Theory(ROWS)
    goes = transaction(retract=("reacts(c1,_,_,_)", "reacts(_,c1,_,_)", "state(c1,_,_)", "x(_)"))
    assert theory.prepare(goes).retracted == (
        "reacts(c1,g1,inc,fifo)",
        "reacts(g1,c1,up,fifo)",
        "state(c1,running,'')",
    )


REFUSALS = [
    ((("node(n9,_)", "NoSuchThing", "no node n9"),), NoSuchThing, "no node n9"),
    ((("\\+ actor(c1,_,_)", "AlreadyExists", "c1 exists"),), AlreadyExists, "c1 exists"),
    ((("node(n9,_)", "", ""),), Refused, "it does not hold that node(n9,_)"),
    (
        (("node(N,_)", "", ""), ("actor(c1,_,N)", "", ""), ("N = n2", "NoSuchThing", "not there")),
        NoSuchThing,
        "not there",
    ),
    ((("node(n1", "", ""),), TermError, "column 8: expected ',' or ')', found the end"),
    ((("X", "", ""),), TermError, "X is no goal"),
]


@pytest.mark.parametrize(("require", "kind", "words"), REFUSALS, ids=[w for *_, w in REFUSALS])
def test_the_requirement_that_fails_names_the_error(
    require: tuple[tuple[str, str, str], ...], kind: type[ZactorError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        Theory(ROWS).prepare(transaction(require=require, assert_=("a",)))
    assert type(caught.value) is kind
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "fact", ["p(X)", "p(_)", "3", '"text"', "[a]", "a, b", "\\+ a", "a = b", "true", "p("]
)
def test_only_ground_facts_are_asserted(fact: str) -> None:
    with pytest.raises(TermError):
        Theory(ROWS).prepare(transaction(assert_=(fact,)))
    with pytest.raises(TermError):
        Theory([(fact, 1, 1, "", "", 0.0)])


def test_a_fact_that_is_there_is_asserted_again_only_after_a_retract() -> None:
    theory = Theory(ROWS)
    fact = "state(c1,running,'')"
    assert theory.prepare(transaction(assert_=(fact,))) == Prepared((), ())
    again = transaction(retract=("state(c1,_,_)",), assert_=(fact,))
    assert theory.prepare(again) == Prepared((fact,), (fact,))


def test_a_change_too_long_for_a_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHANGE_BYTES_MAX", 60)
    with pytest.raises(Refused, match="make it in several steps"):
        Theory(ROWS).prepare(transaction(retract=("reacts(_,_,_,_)", "actor(_,_,_)")))


def test_a_transaction_of_endless_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUERY_STEPS_MAX", 100)
    with pytest.raises(Refused, match="more than 100 facts"):
        Theory(ROWS).prepare(transaction(retract=("reacts(_,_,_,_)",) * 60))


def test_a_transaction_may_require_thousands_of_things() -> None:
    require = (("actor(c1,_,_)", "", ""),) * 5_000
    assert Theory(ROWS).prepare(transaction(require=require)) == Prepared((), ())
    with pytest.raises(Refused, match="it does not hold that false"):
        Theory(ROWS).prepare(transaction(require=(*require, ("false", "", ""))))


def test_every_fact_remembers_where_it_comes_from() -> None:
    theory = Theory(ROWS)
    theory.apply(change(("state(c1,running,'')",), ("state(c1,stopping,'')",)))
    fact = theory.get("state(c1,stopping,'')")
    assert fact is not None
    assert (fact.clock, fact.who, fact.why, fact.at) == (Clock(2, 9), "m2", "why", 10.0)
    kept = theory.get("actor(c1,counter,n1)")
    assert kept is not None
    assert kept.row() == ROWS[2]
    assert "state(c1,running,'')" not in theory


@pytest.mark.parametrize(
    ("retracted", "asserted", "error"),
    [
        (("actor(c1,counter,n1)", "actor(c9,a,b)"), ("x",), LocalProtocolError),
        (("actor(c1,counter,n1)",), ("x", "p(X)"), TermError),
        (("actor(c1,counter,n1)",), ("x", "p( a )"), TermError),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(
    retracted: tuple[str, ...], asserted: tuple[str, ...], error: type[ZactorError]
) -> None:
    theory = Theory(ROWS)
    with pytest.raises(error):
        theory.apply(change(retracted, asserted))
    assert theory.rows() == sorted(ROWS)


def test_facts_that_are_equal_in_python_and_not_in_prolog_are_two() -> None:
    theory = Theory([(fact, 1, 1, "", "", 0.0) for fact in ("p(1)", "p(1.0)", 'p("1")', "p('1')")])
    assert len(theory) == 4
    assert theory.prepare(transaction(retract=("p(1)",))).retracted == ("p(1)",)


def test_the_same_facts_decide_alike_whatever_their_past() -> None:
    rng = random.Random(7)
    wanted = transaction(
        require=(("reacts(X,Y,_,_)", "", ""),), retract=("reacts(X,_,_,_)",), assert_=("lost(Y)",)
    )
    found = set()
    for _ in range(20):
        theory = Theory()
        rows = rng.sample(ROWS, len(ROWS))
        theory.load([("reacts(a,b,c,d)", 1, 1, "", "", 0.0), *rows])
        theory.apply(change(("reacts(a,b,c,d)",), ()))
        found.add(theory.prepare(wanted))
    assert found == {Prepared(("reacts(c1,g1,inc,fifo)",), ("lost(g1)",))}


def test_what_went_leaves_no_trace_in_the_index() -> None:
    theory = Theory(ROWS)
    theory.apply(change(tuple(theory.texts()), ()))
    assert len(theory) == 0
    assert not theory._by_kind
    assert not theory._by_argument
