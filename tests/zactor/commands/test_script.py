"""Reading script files: two spellings, comments, dots, lines that go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zactor.cli.script_runner import read_call
from zactor.commands.command import CommandCall
from zactor.commands.script_reader import is_unfinished, read_script
from zactor.kernel.errors import ConfigError, ScriptError


def operations(text: str) -> list[tuple[int, str]]:
    return [(line.number, line.text) for line in read_script(text)]


def words(text: str) -> list[list[str]]:
    return [[word.text for word in line.words] for line in read_script(text)]


def call(text: str) -> CommandCall:
    (line,) = read_script(text)
    return read_call(line)


def spelled(text: str) -> tuple[str, dict[str, object]]:
    found = call(text)
    return found.command.words, dict(found.values)


def problem(text: str) -> str:
    (line,) = read_script(text)
    return line.problem


# -- where commands begin and end ----------------------------------------------------------
def test_each_line_is_an_operation_with_its_number() -> None:
    text = "declareNode(n1, '127.0.0.1').\n\nps\n"
    assert operations(text) == [(1, "declareNode(n1, '127.0.0.1')"), (3, "ps")]


def test_several_operations_fit_on_one_line_with_dots_between_them() -> None:
    text = "declareNode(n1, 'h'). deploy counter c1 n1. ps. sendSignal(g1, inc, [])."
    assert [line for _, line in operations(text)] == [
        "declareNode(n1, 'h')",
        "deploy counter c1 n1",
        "ps",
        "sendSignal(g1, inc, [])",
    ]


def test_the_dot_at_the_end_may_be_left_out() -> None:
    assert operations("deployActor(counter, c1, n1)") == [(1, "deployActor(counter, c1, n1)")]
    assert words("deploy counter c1 n1.") == [["deploy", "counter", "c1", "n1"]]


def test_both_comment_signs_end_a_line() -> None:
    text = "% all\n# of\nps % this\nps # is\nquery(a) % not\nquery(b). # done\n#! nothing"
    assert [line for _, line in operations(text)] == ["ps", "ps", "query(a)", "query(b)"]


def test_a_comment_sign_inside_quotes_or_inside_a_word_is_text() -> None:
    assert operations("query(a('%#'))") == [(1, "query(a('%#'))")]
    assert words("tell g1 say '100 %' 50% c#") == [["tell", "g1", "say", "100 %", "50%", "c#"]]


def test_a_term_goes_on_until_its_parenthesis_closes() -> None:
    text = "deployActor(counter, % a type\n  c1,  # a name\n  n1\n).\nps\n"
    assert operations(text) == [(1, "deployActor(counter,\n  c1,\n  n1\n)"), (5, "ps")]


def test_what_follows_a_long_term_bears_the_number_of_its_own_line() -> None:
    text = "query(a(\nX)). ps\nnodes"
    assert operations(text) == [(1, "query(a(\nX))"), (2, "ps"), (3, "nodes")]


def test_operations_come_before_the_text_behind_them_is_read() -> None:
    def lines() -> Iterator[str]:
        yield "ps\n"
        raise AssertionError("read ahead")

    assert next(read_script(lines())).text == "ps"


def test_a_minus_makes_a_line_optional_in_both_spellings() -> None:
    lines = list(read_script("-destroyActor(c1).\n- ps\n  -ps. ps"))
    assert [line.optional for line in lines] == [True, True, True, False]
    assert [line.text for line in lines] == ["destroyActor(c1)", "ps", "ps", "ps"]


def test_windows_line_ends_are_no_part_of_words() -> None:
    assert words("ps\r\nwires\r\n") == [["ps"], ["wires"]]


# -- words -----------------------------------------------------------------------------------
def test_words_are_quoted_as_in_a_shell() -> None:
    assert words(r"""tell g1 say "a \"b\" \n" 'c "d"' e\ f g'h'i""") == [
        ["tell", "g1", "say", 'a "b" \\n', 'c "d"', "e f", "ghi"]
    ]


def test_json_needs_no_quotes_around_it() -> None:
    assert words('ask c1 set {"a": [1, "x y"]} [2, 3].') == [
        ["ask", "c1", "set", '{"a": [1, "x y"]}', "[2, 3]"]
    ]


def test_a_dot_that_is_quoted_or_a_folder_is_no_end() -> None:
    assert words("tell g1 say 'end.' ps") == [["tell", "g1", "say", "end.", "ps"]]
    assert words("declare-factory a . ") == [["declare-factory", "a", "."]]
    assert words("declare-factory a ..") == [["declare-factory", "a", ".."]]
    assert words("tell g1 say 1.5 2") == [["tell", "g1", "say", "1.5", "2"]]
    assert words("tell g1 say 'a'. ps") == [["tell", "g1", "say", "a"], ["ps"]]


# -- what can't be read ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("query(a) ps", "after 'query(a)' comes a `.` or the end of the line"),
        ("query(a(]).", "']' closes nothing"),
        ("query('a).", "the quote ' is never closed"),
        ("tell g1 'a", "the quote ' is never closed"),
        ("tell g1 say [1, 2", "']' is missing"),
        ("tell g1 say [1}", "'}' closes another bracket"),
        ('tell g1 say ["a]', 'the quote " is never closed'),
        ("query(a(b)", "')' is missing at the end of the script"),
    ],
)
def test_a_broken_line_says_what_is_wrong(text: str, expected: str) -> None:
    assert expected in problem(text)
    with pytest.raises(ScriptError, match=r".+"):
        call(text)


def test_lines_before_and_after_a_broken_one_are_still_there() -> None:
    lines = list(read_script("ps\ntell 'a\nps"))
    assert [bool(line.problem) for line in lines] == [False, True, False]


def test_only_an_open_term_waits_for_another_line() -> None:
    assert is_unfinished("query(a(")
    assert is_unfinished("ps. deployActor(a,")
    assert not is_unfinished("query(a)")
    assert not is_unfinished("tell g1 'a")
    assert not is_unfinished("")


def test_a_script_that_never_closes_a_term_is_read_in_linear_time() -> None:
    lines = list(read_script("query(a(\n" * 20_000))
    assert [line.unfinished for line in lines] == [True]


# -- both spellings are one command ---------------------------------------------------------
@pytest.mark.parametrize(
    ("term", "shell"),
    [
        ("declareNode(n1, '127.0.0.1')", "declare-node n1 127.0.0.1"),
        ("declarePhysicalNode(n1, 'h:4811')", "declare-node n1 h:4811"),
        ("declareNode (n1, 192.168.70.39)", "declare-node n1 192.168.70.39"),
        ("declareFactory(counter, 'demos/counter.py')", "declare-factory counter demos/counter.py"),
        ("deployActor(counter, c1, n1)", "deploy counter c1 n1"),
        (
            "deployActor(counter, c1, n1, [start=5, name_='x y', deep=[1, null]])",
            "deploy counter c1 n1 --arg start=5 --arg 'name_=x y' --arg 'deep=[1, null]'",
        ),
        ("remoteReactInteraction(c1, g1, inc)", "wire g1.inc c1"),
        ("reactInteraction(c1, g1, inc, agreed)", "wire g1.inc c1 --service AGREED"),
        ("removeInteraction(c1, g1, inc)", "unwire g1.inc c1"),
        ("destroyActor(c1)", "destroy c1"),
        ("destroyActor(c1, true)", "destroy c1 --todo"),
        ('sendSignal(g1, inc, [1, -2.5, "a", b, true])', "signal g1 inc 1 -2.5 a b true"),
        ("sendSignal(g1, inc, 5)", "signal g1 inc 5"),
        ("sendSignal(g1, inc)", "signal g1 inc"),
        ("ask(c1, inc, [[1, 2]])", "ask c1 inc [1,2]"),
        ("tell(c1, inc)", "tell c1 inc"),
        ("wait(state(c1,running,_), 5)", "wait state(c1, running, _) 5"),
        ("query(factory(T,'sha256:x'))", "query factory(T, 'sha256:x')."),
        ("sleep(0.5)", "sleep 0.5"),
        ("describe(c1)", "describe c1"),
        ("undeclareFactory(counter)", "undeclare-factory counter"),
        ("upgradeActor(c1)", "upgrade c1"),
        ("moveActor(c1, n2)", "move c1 n2"),
        ("upgradeActor([c1, c2])", "upgrade c1 c2"),
    ],
)
def test_a_term_and_the_words_of_the_shell_mean_the_same(term: str, shell: str) -> None:
    name, values = spelled(f"{term}.")
    assert name == spelled(shell)[0]
    if "goal" in values:
        values["goal"] = str(values["goal"]).replace(" ", "")
    mine = dict(spelled(shell)[1])
    if "goal" in mine:
        mine["goal"] = str(mine["goal"]).replace(" ", "")
    if values.get("arguments") == []:
        del values["arguments"]
    assert values == mine


def test_a_goal_of_several_conditions_stays_whole() -> None:
    goal = "(actor(X, counter, n1), \\+ state(X, failed, _))"
    assert spelled(f"query({goal}).")[1]["goal"]
    assert spelled("query actor(X, counter, n1), \\+ state(X, failed, _)")[1] == {
        "goal": "actor(X, counter, n1), \\+ state(X, failed, _)"
    }


def test_a_goal_in_quotes_is_taken_out_of_them() -> None:
    assert spelled("kb query 'actor(X, T, n1)'") == ("kb query", {"goal": "actor(X, T, n1)"})


def test_what_is_no_json_is_a_string() -> None:
    assert spelled("tell g1 say NaN 1x 'null' '\"5\"' '\"-x\"'")[1] == {
        "actor": "g1",
        "action": "say",
        "arguments": ["NaN", "1x", None, "5", "-x"],
    }


def test_a_big_integer_stays_what_it_is_in_both_spellings() -> None:
    big = 2**200
    assert spelled(f"ask c1 inc {big} [{-big}]")[1]["arguments"] == [big, [-big]]
    assert spelled(f"ask(c1, inc, [{big}, [{-big}]]).")[1]["arguments"] == [big, [-big]]
    assert spelled(f"deploy counter c1 n1 --arg start={big}")[1]["arg"] == {"start": big}


@pytest.mark.parametrize("seconds", ["", " 5", " 0.5"])
def test_a_goal_may_be_waited_for_with_and_without_seconds(seconds: str) -> None:
    for goal in (
        "done",
        "state(c1, running, _)",
        "node(X, _), \\+ actor(_, _, X)",
        "a(b), x = 'y'",
    ):
        values = {"goal": goal} | ({"seconds": float(seconds)} if seconds else {})
        assert spelled(f"wait {goal}{seconds}") == ("wait", values)
    term = f"wait(done{',' if seconds else ''}{seconds})."
    assert ("seconds" in spelled(term)[1]) is bool(seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ask c1 inc 1e999", "1e999 is too large for a float"),
        (f"ask c1 inc {'9' * 5000}", "an integer of 5000 digits: at most 4300"),
        ("deployActor(counter, c1).", "want deployActor(type, name, node[, arg])"),
        ("fly(c1).", "fly/1 is no operation"),
        ("fly c1", "'fly' is no operation"),
        ("deploy counter", "deploy: Missing argument 'NAME'"),
        ("ps all", "ps: Got unexpected extra argument (all)"),
        ("wire g1 c1", "'g1' is no EMITTER.ACTION"),
        ("wire g1.inc c1 --service best", "'best' is no service level"),
        ("deployActor(counter, C1, n1).", "name is a name, not C1: write it in quotes, 'C1'"),
        ("deployActor(counter, c1, n1, [5]).", "arg is a list like [start=5]"),
        ("deploy counter c1 n1 --arg start", "'start' is no K=JSON"),
        ("destroyActor(c1, maybe).", "todo is true or false, not maybe"),
        ("sendSignal(g1, inc, [f(x)]).", "f(x) is no plain value"),
        ("sleep(soon).", "is no number of seconds"),
        ("sleep -- -1", "is no number of seconds"),
        ("tell g1 say --loud", "there is no option '--loud'"),
        ("wait actor(c1,_,_) soon", "'soon' is no number of seconds"),
    ],
)
def test_a_wrong_line_says_what_is_expected(text: str, expected: str) -> None:
    with pytest.raises((ScriptError, ConfigError)) as caught:
        call(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_knows_whether_json_was_asked_for() -> None:
    assert call("ps --json").as_json
    assert not call("ps").as_json


def test_a_line_knows_whether_a_traceback_was_asked_for() -> None:
    assert call("ask c1 inc -v").verbose
    assert not call("ask c1 inc").verbose


def test_an_empty_script_has_no_operations() -> None:
    assert list(read_script("")) == []
    assert list(read_script("\n  % nothing\n")) == []
