"""Goals against a theory: what holds, in which order, and how fast."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slowness import Slowness

from zactor.kernel import limits
from zactor.kernel.errors import Refused, TermError
from zactor.kernel.knowledge.query import Search, in_order, solve, solve_in_steps
from zactor.kernel.knowledge.reader import parse_goal
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.knowledge.values import Atom, Compound, Term
from zactor.kernel.knowledge.writer import format_term


def theory_of(*facts: str) -> Theory:
    return Theory((fact, 1, number, "me", "test", 0.0) for number, fact in enumerate(facts))


NETWORK = theory_of(
    "node(n1,'127.0.0.1:4811')",
    "node(n2,'127.0.0.1:4812')",
    "actor(c1,counter,n1)",
    "actor(g1,gui,n1)",
    "actor(g2,gui,n2)",
    "reacts(g1,c1,updateVal,fifo)",
    "reacts(c1,g1,inc,fifo)",
    "size(c1,1)",
    "size(g1,1.0)",
    "size(g2,7)",
    "primary",
)

HOLDS = [
    ("actor(c1,T,N)", ["N=n1, T=counter"]),
    ("actor(X,gui,_)", ["X=g1", "X=g2"]),
    ("actor(X,gui,N), node(N,'127.0.0.1:4812')", ["N=n2, X=g2"]),
    ("actor(X,_,_), \\+ reacts(X,_,_,_)", ["X=g2"]),
    ("\\+ actor(c9,_,_)", [""]),
    ("\\+ actor(c1,_,_)", []),
    ("\\+ (actor(X,_,n2), reacts(X,_,_,_))", [""]),
    ("primary", [""]),
    ("secondary", []),
    ("actor(X,_,_), X \\= c1, X \\= g1", ["X=g2"]),
    ("X = f(Y,b), Y = a", ["X=f(a,b), Y=a"]),
    ("X = f(X)", []),
    ("f(X,[X,_]) = f(1,[1,2])", ["X=1"]),
    ("1 = 1.0", []),
    ("size(X,1)", ["X=c1"]),
    ("size(X,1.0)", ["X=g1"]),
    ("size(X,S), S =:= 1", ["S=1, X=c1", "S=1.0, X=g1"]),
    ("size(X,S), S > 1", ["S=7, X=g2"]),
    ("size(_,S), S =< 1.0, S == 1", ["S=1"]),
    ("a == a, a \\== b", [""]),
    ("true", [""]),
    ("fail", []),
    ("actor(X,T,N,_)", []),
    ("reacts(X,Y,_,_), reacts(Y,X,_,_)", ["X=c1, Y=g1", "X=g1, Y=c1"]),
    ("X = Y, Y = Z, Z = 3", ["X=3, Y=3, Z=3"]),
]


@pytest.mark.parametrize(("goal", "solutions"), HOLDS, ids=[goal for goal, _ in HOLDS])
def test_a_goal_has_these_solutions_in_this_order(goal: str, solutions: list[str]) -> None:
    found = [
        ", ".join(f"{name}={format_term(value)}" for name, value in sorted(solution.items()))
        for solution in solve(goal, NETWORK)
    ]
    assert found == solutions


@pytest.mark.parametrize(
    "goal", ["X", "3", '"text"', "[a]", "a :- b", "X > a", "X < 3", "!", "a ; b"]
)
def test_what_is_no_goal_is_a_term_error(goal: str) -> None:
    with pytest.raises(TermError):
        list(solve(goal, NETWORK))


def test_the_order_of_solutions_depends_on_the_facts_alone() -> None:
    facts = [f"p({letter})" for letter in "dacb"]
    orders = {
        tuple(format_term(one["X"]) for one in solve("p(X)", theory_of(*order)))
        for order in itertools.permutations(facts)
    }
    assert orders == {("a", "b", "c", "d")}


def test_a_query_that_would_look_at_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUERY_STEPS_MAX", 1_000)
    many = theory_of(*[f"p(a{number})" for number in range(100)])
    assert len(list(solve("p(X)", many))) == 100
    with pytest.raises(Refused, match="more than 1000 facts"):
        list(solve("p(X), p(Y)", many))
    with pytest.raises(Refused, match="more than 1000 facts"):
        list(solve("p(X), \\+ (p(_), fail), fail", many))  # few are taken, all are sorted


# -- long queries ----------------------------------------------------------------------------
FIFTY = theory_of(*[f"p(a{number},b)" for number in range(50)])
MANY = theory_of(*[f"p(a{number},b)" for number in range(60_000)])
DOUBLED = ", ".join(f"X{number + 1} = f(X{number},X{number})" for number in range(40))
CHAIN = ",".join(f"X{number}" for number in range(700))
LONG: dict[str, str] = {
    "a join": ", ".join(f"p(X{number},_)" for number in range(9)) + ", nope",
    "a negated join": f"\\+ ({', '.join(f'p(X{number},_)' for number in range(9))}, nope)",
    "negations in negations": "p(X,_), \\+ (p(Y,_), \\+ (p(Z,_), \\+ (p(W,_), nope)))",
    "arguments": f"f({','.join('a' * 500_000)})",
    "a list": f"X = [{','.join('a' * 500_000)}]",
    "as long a list as may be": f"X = [{','.join('a' * 4_000)}]",
    "as deep a term as may be": f"X = {'f(' * 90}a{')' * 90}",
    "terms that double": f"{DOUBLED}, p(X0,X40)",
    "terms that double, compared": f"{DOUBLED}, X40 == X39",
    "terms that double, not equal": f"{DOUBLED}, X40 \\= X39",
    "terms that double in a fact": f"{DOUBLED}, p(X40,b)",
    "a chain of variables": f"[{CHAIN}] = [X1,{CHAIN[3:]},a], p(X0,_), p(X0,_), p(X0,X1)",
    "many variables": f"p(A,_), p(B,_), f({CHAIN}) = f({CHAIN.replace('X', 'Y')}), fail",
    "many comparisons": "p(A,_), p(B,_), (" + ",".join(["A \\== B"] * 50) + "), fail",
    "a long string": f'p(X,_), p(Y,_), X == "{"é" * 8_000}"',
}
ATOMIC_S = 0.1  # of one step: tests run beside others


def longest_step_s(goal: str, theory: Theory) -> float:
    """How long a query works at a stretch, until its end."""
    steps, longest = solve_in_steps(goal, theory), 0.0
    while True:
        begin = time.process_time()
        try:
            next(steps)
        except (StopIteration, Refused):
            return max(longest, time.process_time() - begin)
        longest = max(longest, time.process_time() - begin)


@pytest.mark.parametrize("name", LONG)
def test_no_query_works_for_long_at_a_stretch(name: str, slowness: Slowness) -> None:
    assert slowness.quiet_s(longest_step_s(LONG[name], FIFTY)) < ATOMIC_S


@pytest.mark.slow
def test_nor_does_one_that_looks_at_many_facts(slowness: Slowness) -> None:
    for goal in ("p(X,_)", "p(X,_), nope", "\\+ p(_,c)", "p(X,_), p(X,Y), Y == c"):
        assert slowness.quiet_s(longest_step_s(goal, MANY)) < ATOMIC_S, goal


def test_a_query_that_is_too_long_to_read_is_refused() -> None:
    most = limits.QUERY_CHARS_MAX
    assert list(solve(f"X = '{'a' * (most - 6)}'", NETWORK))
    with pytest.raises(Refused, match=f"{most + 1} characters is too long: at most {most}"):
        list(solve(f"X = '{'a' * (most - 5)}'", NETWORK))


@pytest.mark.parametrize("name", [name for name in LONG if name.startswith("terms that double")])
def test_a_term_with_too_many_parts_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"more than {limits.QUERY_TERM_PARTS_MAX} parts"):
        list(solve(LONG[name], FIFTY))


def test_what_is_sorted_bit_by_bit_is_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUERY_SORTED_AT_ONCE", 10)
    for count in (0, 9, 10, 11, 95):
        words = [f"{number * 37 % 100}" for number in range(count)]
        found = list(in_order(words, str))
        assert [word for word in found if word is not None] == sorted(words)
        assert found.count(None) == (-(-count // 10) if count > 10 else 0)
    many = theory_of(*[f"p({number * 37 % 100})" for number in range(100)])
    assert [str(one["X"]) for one in solve("p(X)", many)] == sorted(map(str, range(100)))


NAMES = st.sampled_from("abc")
FACTS = st.lists(st.tuples(st.sampled_from(["p", "q"]), NAMES, NAMES), max_size=8)
SLOTS = st.sampled_from(["a", "b", "c", "X", "Y", "Z", "_"])
LITERALS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["p", "q"]), SLOTS, SLOTS), min_size=1, max_size=3
)


@settings(max_examples=250, deadline=None)
@given(FACTS, LITERALS)
def test_solutions_are_those_that_trying_everything_finds(
    facts: list[tuple[str, str, str]], literals: list[tuple[bool, str, str, str]]
) -> None:
    theory = theory_of(*sorted({f"{name}({one},{two})" for name, one, two in facts}))
    positive = [literal for literal in literals if not literal[0]]
    ordered = positive + [literal for literal in literals if literal[0]]
    goal = _goal_text(ordered)
    found = {_key(solution) for solution in solve(goal, theory)}
    assert found == set(_brute_force(set(facts), ordered))


def _goal_text(literals: list[tuple[bool, str, str, str]]) -> str:
    parts = []
    for negated, name, one, two in literals:
        parts.append(("\\+ " if negated else "") + f"{name}({one},{two})")
    return ", ".join(parts)


def _key(solution: dict[str, Term]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, format_term(value)) for name, value in solution.items()))


def _brute_force(
    facts: set[tuple[str, str, str]], literals: list[tuple[bool, str, str, str]]
) -> Iterator[tuple[tuple[str, str], ...]]:
    positive = [literal for literal in literals if not literal[0]]
    names = sorted({slot for _, _, *slots in positive for slot in slots if slot in "XYZ"})
    for values in itertools.product("abc", repeat=len(names)):
        bound = dict(zip(names, values, strict=True))
        if all(_holds(facts, literal, bound) for literal in literals):
            yield tuple(sorted(bound.items()))


def _holds(
    facts: set[tuple[str, str, str]], literal: tuple[bool, str, str, str], bound: dict[str, str]
) -> bool:
    negated, name, *slots = literal
    one, two = [bound.get(slot, slot) for slot in slots]
    found = any(
        fact == name
        and (one in "XYZ_" or one == left)
        and (two in "XYZ_" or two == right)
        and (one != two or one not in "XYZ" or left == right)
        for fact, left, right in facts
    )
    return found != negated


def test_a_bound_argument_finds_its_facts_among_a_hundred_thousand_at_once(
    slowness: Slowness,
) -> None:
    rows: list[FactRow] = [
        (f"reacts(g{number % 1000},c{number},updateVal,fifo)", 1, number, "", "", 0.0)
        for number in range(100_000)
    ]
    theory = Theory(rows)
    for goal, count in (("reacts(g7,X,_,_)", 100), ("reacts(_,c77,_,S)", 1)):
        best = min(_timed(goal, theory, count) for _ in range(3))
        assert slowness.quiet_s(best) < 0.005, goal


def _timed(goal: str, theory: Theory, count: int) -> float:
    parsed = parse_goal(goal)
    assert isinstance(parsed, Compound)
    start = time.process_time()
    found = list(solve(parsed, theory))
    spent = time.process_time() - start
    assert len(found) == count
    return spent


def test_facts_are_found_by_leading_arguments_whether_atom_or_string() -> None:
    theory = theory_of("node(n1,'h:1')", 'node(n2,"h:1")', "node(n3,'h:2')")
    assert [fact.text for fact in theory.facts("node", 2, None, "h:1")] == [
        "node(n1,'h:1')",
        'node(n2,"h:1")',
    ]
    assert [fact.text for fact in theory.facts("node", 2, None, Atom("h:1"))] == ["node(n1,'h:1')"]
    assert [fact.text for fact in theory.facts("node", 2, "n3", "h:2")] == ["node(n3,'h:2')"]
    assert theory.facts("node", 2, "n3", "h:1") == []
    assert theory.facts("node", 3) == []


def test_thousands_of_goals_hold_together_and_the_one_that_fails_is_told() -> None:
    goals = [parse_goal("actor(c1, Type, N)"), *[parse_goal("actor(_, Type, N)")] * 3_000]
    assert Search(NETWORK).first(goals) == ({"Type": Atom("counter"), "N": Atom("n1")}, 3_001)
    assert Search(NETWORK).first([*goals, parse_goal("node(N, N)"), *goals]) == (None, 3_001)


def test_goals_are_tried_again_with_what_else_holds_of_those_before_them() -> None:
    goals = [
        parse_goal(text) for text in ("actor(A, _, N)", "reacts(A, c1, _, _)", "\\+ size(A, 2)")
    ]
    assert list(Search(NETWORK).all(goals)) == [{"A": Atom("g1"), "N": Atom("n1")}]
    assert list(Search(NETWORK).all([])) == [{}]
