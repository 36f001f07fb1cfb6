"""Terms are read and printed as SWI-Prolog reads and prints them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel import errors, limits
from zactor.kernel.errors import TermError
from zactor.kernel.knowledge import reader
from zactor.kernel.knowledge.reader import parse_clause_line, parse_goal, parse_term
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var, is_ground, variables
from zactor.kernel.knowledge.writer import format_term, quote_atom, quote_string, text_of, to_json

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
ATOM_NAMES = st.one_of(
    TEXTS,
    st.sampled_from(
        ["[]", "{}", "!", ";", ",", "|", ".", "-", "+", "=", "\\+", ":-", "/*", "*/", "//", "is"]
    ),
    st.from_regex(r"[a-z][a-zA-Z0-9_]{0,6}", fullmatch=True),
    st.text("#$&*+-./:<=>?@^~\\", min_size=1, max_size=3),
)
NUMBERS = st.one_of(
    st.integers(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False)
)
VARIABLES = st.from_regex(r"[A-Z_][a-zA-Z0-9_]{0,4}", fullmatch=True)
LEAVES = st.one_of(ATOM_NAMES.map(Atom), TEXTS, NUMBERS, VARIABLES.map(Var))
FUNCTORS = st.one_of(
    ATOM_NAMES, st.sampled_from(["=", "\\=", ",", "\\+", "-", "+", "*", "/", ":", "<", "=:="])
)


def _compounds(children: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    arguments = st.lists(children, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Compound, FUNCTORS, arguments), st.lists(children, max_size=3).map(tuple)
    )


TERMS: st.SearchStrategy[Term] = st.recursive(LEAVES, _compounds, max_leaves=12)


def test_a_negated_compound_whose_functor_is_an_infix_operator_reads_as_it_was() -> None:
    term = Compound("\\+", (Compound(":", (Atom("a"),)),))
    assert format_term(term) == "\\+(:(a))"
    assert parse_term(format_term(term)) == term


@settings(max_examples=250, deadline=None)
@given(TERMS)
def test_what_was_printed_reads_as_the_same_term(term: Term) -> None:
    text = format_term(term)
    again = parse_term(text)
    assert repr(again) == repr(term), text  # repr tells 1 from 1.0 and 0.0 from -0.0
    assert format_term(again) == text


@settings(max_examples=250, deadline=None)
@given(st.one_of(TEXTS, st.text("ab(),[]'\"\\.=-+ 01xX_%#\n", max_size=14)))
def test_any_text_is_a_term_or_a_term_error(text: str) -> None:
    places: list[tuple[int, str]] = []
    for parse in (parse_term, parse_clause_line):
        try:
            term = parse(text)
        except TermError as error:
            places.append((error.column, error.expected))
            continue
        if term is not None:
            assert parse_term(format_term(term)) == term
    assert all(1 <= column <= len(text) + 1 and expected for column, expected in places)


@settings(max_examples=150, deadline=None)
@given(TERMS)
def test_the_fast_path_reads_what_the_slow_one_reads(term: Term) -> None:
    text = format_term(Compound("fact", (term, Atom("a"), 7)))
    for one in (text, f"\\+ {text}"):
        slow = reader._Reader(one, addresses=False).whole()
        assert repr(parse_term(one)) == repr(slow)


PRINTED = [
    (Atom("c1"), "c1"),
    (Atom("127.0.0.1"), "'127.0.0.1'"),
    (Atom("Hello"), "'Hello'"),
    (Atom("it's"), "'it\\'s'"),
    (Atom("two\nlines"), "'two\\nlines'"),
    (Atom(""), "''"),
    (Atom("[]"), "'[]'"),
    (Atom("é"), "'é'"),
    (Atom("."), "'.'"),
    (Atom("/*"), "'/*'"),
    (Atom("\x01"), "'\\x1\\'"),
    ((), "[]"),
    ((1, (Atom("a"), "b")), '[1,[a,"b"]]'),
    ('say "hi"\\', '"say \\"hi\\"\\\\"'),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (1e22, "1.0e22"),
    (1e-7, "1.0e-7"),
    (2**70, "1180591620717411303424"),
    (Compound("=", (Atom("start"), 5)), "start=5"),
    (Compound("f", ((Compound("=", (Atom("a"), -1)),),)), "f([a= -1])"),
    (Compound("-", (1,)), "-(1)"),
    (Compound("-", (Atom("a"), Compound("-", (1, 2)))), "a-(1-2)"),
    (Compound(",", (Atom("a"), Atom("b"))), "a,b"),
    (Compound("p", (Compound(",", (Atom("a"), Atom("b"))),)), "p((a,b))"),
    (Compound("\\+", (Compound("a", (Var("X"),)),)), "\\+a(X)"),
    (Compound("Node", (Atom("a"),)), "'Node'(a)"),
    (Compound("=", (Atom("-"), Atom("is"))), "(-)=(is)"),
]


@pytest.mark.parametrize(("term", "text"), PRINTED, ids=[text for _, text in PRINTED])
def test_a_term_prints_as_prolog_prints_it(term: Term, text: str) -> None:
    assert format_term(term) == text


READ = [
    ("0x1F", 31),
    ("0'a", 97),
    ("0'\\n", 10),
    ("1e3", 1000.0),
    ("- 1", Compound("-", (1,))),
    ("-1", -1),
    ("3-1", Compound("-", (3, 1))),
    ("'don''t'", Atom("don't")),
    ('"a\\u00e9\\x41\\b"', "aéAb"),
    ("'a\\\nb'", Atom("ab")),
    (" f( a , % why\n b /* this */ ) . ", Compound("f", (Atom("a"), Atom("b")))),
    ("été", Atom("été")),
]


@pytest.mark.parametrize(("text", "term"), READ, ids=[text for text, _ in READ])
def test_other_spellings_read_as_the_term_they_mean(text: str, term: Term) -> None:
    assert repr(parse_term(text)) == repr(term)


WRONG = [
    ("", 1, "a term"),
    ("f(a", 4, "',' or ')'"),
    ("f(a))", 5, "an operator or the end"),
    ("f()", 3, "an argument of f (without any: no parentheses)"),
    ("[a|B]", 3, "',' or ']'"),
    ("'abc", 1, "a closing '"),
    ("f('\\q')", 4, "an escape such as \\n, \\\\ or \\x41\\"),
    ("a b", 3, "an operator or the end"),
    ("12abc", 3, "an operator or ',' after the number"),
    ("f(a). g", 7, "nothing after the '.'"),
    ("1.0e999", 1, "a finite number"),
    ("f(127.0.0.1)", 3, "quotes around an address, as in '127.0.0.1'"),
    ("'\ud800'", 2, "whole characters"),
    ("'\\xd800\\'", 2, "an escape such as \\n, \\\\ or \\x41\\"),
    ("9" * 5000, 1, f"an integer of at most {limits.TERM_INTEGER_BITS_MAX} bits"),
]


@pytest.mark.parametrize(
    ("text", "column", "expected"), WRONG, ids=[text[:12] for text, *_ in WRONG]
)
def test_what_is_no_term_is_an_error_that_points(text: str, column: int, expected: str) -> None:
    with pytest.raises(TermError) as caught:
        parse_term(text)
    assert (caught.value.column, caught.value.expected) == (column, expected)
    assert str(caught.value).startswith(f"column {column}: expected {expected}, found ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("declareNode(n1, '127.0.0.1').", "declareNode(n1,'127.0.0.1')"),
        ("declareNode(n1, 192.168.70.39)", "declareNode(n1,'192.168.70.39')"),
        ("declareNode(n1, 192.168.70.39:4811). # there", "declareNode(n1,'192.168.70.39:4811')"),
        ("  deployActor(counter, c1, n1, [start=5]). % go", "deployActor(counter,c1,n1,[start=5])"),
        ("sendSignal(g1, inc, []).", "sendSignal(g1,inc,[])"),
        ("wait(actor(c1, _, _), 2.5).", "wait(actor(c1,_,_),2.5)"),
    ],
)
def test_a_line_of_a_script_is_read_with_its_full_stop_and_comment(line: str, printed: str) -> None:
    term = parse_clause_line(line)
    assert term is not None
    assert format_term(term) == printed


@pytest.mark.parametrize("line", ["", "   \n", "# all of it", "  % all of it"])
def test_a_line_without_a_term_is_none(line: str) -> None:
    assert parse_clause_line(line) is None


def test_limits_of_depth_and_length_are_errors_and_not_crashes() -> None:
    depth = limits.TERM_DEPTH_MAX
    deep = "f(" * (depth + 1) + "a" + ")" * (depth + 1)
    with pytest.raises(TermError, match="nested at most"):
        parse_term(deep)
    with pytest.raises(TermError, match="nested at most"):
        parse_term("[" * 100_000)
    nest: Term = Atom("a")
    for _ in range(depth + 3):
        nest = (nest,)
    with pytest.raises(TermError, match="nested more than"):
        format_term(nest)
    with pytest.raises(TermError, match="too long"):
        parse_term("f('" + "a" * limits.TERM_CHARS_MAX + "')")


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), "\ud800", Var("x"), 1 << 9000])
def test_a_value_that_has_no_text_is_an_error(value: Term) -> None:
    with pytest.raises(TermError):
        format_term(value)


def test_json_of_a_term_is_plain() -> None:
    term = parse_term("f(a, \"s\", 1, 2.5, [b, 'C', [1]], g(x), k=v)")
    assert isinstance(term, Compound)
    assert [to_json(one) for one in term.args] == [
        "a", "s", 1, 2.5, ["b", "C", [1]], "g(x)", "k=v",
    ]  # fmt: skip


def test_texts_are_quoted_only_where_they_must_be() -> None:
    assert (quote_atom("c1"), quote_atom("n-1"), quote_string("x")) == ("c1", "'n-1'", '"x"')
    assert [text_of(one) for one in (Atom("n-1"), "a b", 3, (1,))] == ["n-1", "a b", "3", "[1]"]


def test_variables_come_in_order_and_once() -> None:
    goal = parse_goal("a(X,Y), \\+ b(Y,[Z|_])".replace("|_", ",_"))
    assert variables(goal) == ["X", "Y", "Z"]
    assert not is_ground(goal)
    assert not is_ground(parse_term("f(_)"))
    assert is_ground(parse_term("f([a,1])"))


def test_a_term_error_keeps_its_column_over_the_wire() -> None:
    with pytest.raises(TermError) as caught:
        parse_term("f(a b)")
    again = errors.from_wire(*errors.to_wire(caught.value))
    assert isinstance(again, TermError)
    assert (again.column, again.expected, str(again)) == (5, "',' or ')'", str(caught.value))


@pytest.mark.parametrize("text", ["reacts({},c1,'updateVal',fifo)", "\\+ reacts(_, {}, X, _)"])
def test_flat_facts_and_patterns_are_read_fast_enough(text: str) -> None:
    facts = [text.format(f"g{number}") for number in range(20_000)]
    best = min(_seconds(facts) for _ in range(3))
    assert len(facts) / best > 60_000


def _seconds(facts: list[str]) -> float:
    start = time.process_time()
    for fact in facts:
        parse_term(fact)
    return time.process_time() - start
