"""What people and programs read: tables, records, JSON, events."""

from __future__ import annotations

import json
import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zactor.cli import output
from zactor.cli.event_lines import News
from zactor.cli.kb import export_prolog
from zactor.commands.catalogue import find_words
from zactor.commands.text import cell


def shown(words: str, result: object, *, as_json: bool = False) -> str:
    said: list[str] = []
    output.show(find_words(words), result, as_json=as_json, say=said.append)
    return "\n".join(said)


NOON = time.mktime((*time.localtime()[:3], 12, 0, 0, 0, 0, -1))
TODAY = "12:00:00"
NAMES = ("emitter", "action", "reactor", "service", "meanwhile", "state", "since")
WIRES = [
    dict(zip(NAMES, ("g1", "inc", "counter_of_all", "fifo", "drop", "up", NOON), strict=True)),
    dict(zip(NAMES, ("long_name", "updateVal", "g1", "agreed", "drop", "down", 1e9), strict=True)),
]


def test_a_table_has_a_header_and_aligned_columns() -> None:
    assert shown("wires", WIRES).splitlines() == [
        "EMITTER    ACTION     REACTOR         SERVICE  MEANWHILE  STATE  SINCE",
        f"g1         inc        counter_of_all  fifo     drop       up     {TODAY}",
        "long_name  updateVal  g1              agreed   drop       down   2001-09-09",
    ]


def test_an_empty_table_is_its_header() -> None:
    assert shown("wires", []) == "EMITTER  ACTION  REACTOR  SERVICE  MEANWHILE  STATE  SINCE"


def test_json_is_one_document_with_everything_in_it() -> None:
    rows = [{"name": "c1", "uid": 5, "unknown": [1, None, True]}]
    assert json.loads(shown("ps", rows, as_json=True)) == rows


def test_json_keeps_other_alphabets_and_never_fails() -> None:
    text = output.to_json({"name": "è", "raw": b"\x01\xff", "other": object()})
    assert "è" in text
    assert json.loads(text)["raw"] == "01ff"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("reason", None, "-"),
        ("reason", "", "-"),
        ("ok", True, "yes"),
        ("clock", [3, 17], "3.17"),
        ("asserted", ["node(n1,'h')", "b"], "node(n1,'h') b"),
        ("actors", 0, "0"),
        ("name", "a\x1b[2J\nb", "a\\x1b[2J\\nb"),
    ],
)
def test_a_cell_is_one_line_of_plain_text(column: str, value: object, expected: str) -> None:
    assert cell(column, value) == expected


def test_a_bundle_is_short_in_a_table_and_whole_in_a_record() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    row = {"type": "counter", "bundle": digest}
    assert shown("factories", [row]).split() == ["TYPE", "BUNDLE", "counter", digest[:19]]
    assert digest in output.record(row)


def test_the_columns_of_coloured_tables_stand_where_they_stood() -> None:
    rows = [{"state": "running", "name": "c1"}, {"state": "failed", "name": "c2"}]
    plain = output.table(("state", "name"), rows, colour=False)
    painted = output.table(("state", "name"), rows, colour=True)
    assert "\033[32mrunning" in painted
    assert "\033[31mfailed" in painted
    import click

    assert click.unstyle(painted) == plain


def test_nobody_gets_colours_who_has_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert not output.use_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.use_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.use_colour()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([], "no"),
        ([{}], "yes"),
        (
            [{"X": "c1", "N": 5}, {"X": "a b", "N": [1, "C"]}],
            "X = c1, N = 5\nX = 'a b', N = [1,'C']",
        ),
    ],
)
def test_solutions_are_bindings_or_yes_or_no(result: object, expected: str) -> None:
    assert shown("query", result) == expected


@pytest.mark.parametrize(
    ("words", "result", "expected"),
    [
        ("deploy", {"name": "c1", "type": "counter", "node": "n1"}, "c1: counter on n1"),
        (
            "wire",
            {"emitter": "g1", "action": "inc", "reactor": "c1", "service": "fifo"},
            "g1.inc -> c1 (fifo)",
        ),
        ("signal", {"actor": "g1", "action": "inc", "reached": 1}, "g1.inc reached 1 actor"),
        ("signal", {"actor": "g1", "action": "inc", "reached": 0}, "g1.inc reached 0 actors"),
        ("tell", {"actor": "g1", "action": "inc"}, ""),
        ("ask", {"a": [1]}, '{"a": [1]}'),
        ("kb facts", [{"fact": "node(n1,'h')"}, {"fact": "x"}], "node(n1,'h').\nx."),
        ("status", {"nodes": 2, "degraded": False}, "nodes:    2\ndegraded: no"),
    ],
)
def test_a_result_is_said_in_few_words(words: str, result: object, expected: str) -> None:
    assert shown(words, result) == expected


def test_each_sentence_of_a_list_has_a_line_of_its_own() -> None:
    fields = {"primary": ["n1", "n2"], "troubles": ["n3 is gone", "n4 is gone"], "nodes": 2}
    assert output.record(fields) == (
        "primary:  n1 n2\ntroubles: n3 is gone\n          n4 is gone\nnodes:    2"
    )


def test_degraded_and_unhealthy_have_an_exit_code_of_their_own() -> None:
    assert find_words("status").exit_code({"degraded": True}) == 3
    assert find_words("status").exit_code({"degraded": False}) == 0
    assert find_words("doctor").exit_code([{"ok": True}, {"ok": False}]) == 3
    assert find_words("doctor").exit_code([{"ok": True}]) == 0


def test_the_doctor_says_first_what_it_comes_to() -> None:
    good = {"node": "n1", "check": "loop", "ok": True, "detail": "0 ms late"}
    bad = {"node": "n2", "check": "actors", "ok": False, "detail": "b1 blocks"}
    assert shown("doctor", [good]).splitlines()[0] == "all is well: 1 checks at 1 node"
    told = shown("doctor", [good, bad]).splitlines()
    assert told[0] == "1 of 2 checks at 2 nodes failed, the first at n2: actors: b1 blocks"
    assert told[1].split() == ["NODE", "OK", "CHECK", "DETAIL"]


def test_an_event_is_one_line_with_its_fields() -> None:
    event = {"number": 4, "at": 0.5, "node": "n1", "event": "actor_started", "actor": "c1\n"}
    line = output.event_line(event)
    assert re.search(r"\.500[+-]\d\d:\d\d n1 actor_started actor=c1\\n$", line)
    assert "number" not in line


def test_a_change_shows_what_came_and_what_went() -> None:
    event = {
        "at": 0.5,
        "node": "n1",
        "event": "changed",
        "retracted": ["b"],
        "asserted": ["a", "c"],
    }
    assert output.event_line(event).endswith("n1 changed -b +a +c")


def test_a_change_of_no_fact_says_so_and_long_hashes_are_short() -> None:
    event = {"at": 0.5, "node": "n1", "event": "changed", "retracted": [], "asserted": []}
    assert output.event_line(event).endswith("n1 changed no fact")
    digest = "sha256:" + "0123456789abcdef" * 4
    event["asserted"] = [f"factory(counter,'{digest}')"]
    assert output.event_line(event).endswith("n1 changed +factory(counter,'sha256:0123456789ab')")
    assert digest in output.to_json(event)


# -- news, above the console's prompt --------------------------------------------------------
@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        ("node_up", {"name": "n2", "incarnation": 3}, ["n2 is up"]),
        ("node_gone", {"name": "n2", "why": "silent"}, ["n2 is gone: silent"]),
        ("actor_failed", {"actor": "c1", "reason": "no\nway"}, ["c1 failed: no\\nway"]),
        (
            "action_failed",
            {"actor": "c1", "action": "inc", "error": "ValueError: x"},
            ["c1.inc on n1 raised ValueError: x"],
        ),
        (
            "dead_letter",
            {"sender": "g1", "target": "c1", "action": "inc", "reason": "gone"},
            ["dead letter: c1.inc from g1: gone"],
        ),
        ("new_kind", {"name": "x", "n": 5}, ["new kind name=x n=5"]),
        ("node_gone", {"named": "otherwise"}, ["node gone named=otherwise"]),
        ("primary", {"members": ["n1"]}, []),
        ("knowledge_base_taken_over", {"clock": [1, 2]}, []),
        ("changed", {"retracted": ["b"], "asserted": ["a", 'state(c1,running,"")']}, []),
        (
            "changed",
            {"retracted": [], "asserted": ['state(c1,failed,"no way")', "state(,failed,"]},
            ["c1 failed: no way"],
        ),
    ],
)
def test_news_are_short_words_and_leave_the_knowledge_base_out(
    event: str, fields: dict[str, object], expected: list[str]
) -> None:
    happened = {"number": 4, "at": 0.5, "node": "n1", "event": event, **fields}
    told = [line.split(" ", 2)[2] for line in News("n1").lines(happened, 90)]
    assert told == expected


def test_who_comes_is_news_once_and_not_to_who_joins() -> None:
    up = {"at": 0.5, "event": "node_up", "name": "n2"}
    news = News("m1")
    assert len(news.lines({**up, "node": "m1"}, 80)) == 1
    assert news.lines({**up, "node": "n1"}, 80) == [], "as n1 sees it"
    assert news.lines({**up, "node": "m1", "joining": True}, 80) == []
    change = {"event": "changed", "node": "m1", "asserted": ['state(c1,failed,"no way")']}
    assert news.lines({**change, "joining": True}, 80) == [], "it failed before"
    assert len(news.lines(change, 80)) == 1


def test_a_failure_that_comes_twice_is_news_once() -> None:
    news = News("n1")
    failed = {"event": "actor_failed", "node": "n1", "actor": "c1", "reason": "no way"}
    change = {"event": "changed", "node": "n1", "asserted": ['state(c1,failed,"no way")']}
    assert [len(news.lines(event, 80)) for event in (failed, change, change)] == [1, 0, 1]
    news = News("n1")
    assert [len(news.lines(event, 80)) for event in (change, failed, failed)] == [1, 0, 1]


def test_news_are_no_wider_than_the_screen() -> None:
    event = {"at": 0.5, "node": "n1", "event": "node_up", "name": "n" * 99}
    (line,) = News("n1").lines(event, 40)
    assert len(line) == 40
    assert line.endswith("n…")


@pytest.mark.parametrize("indent", [True, False])
def test_numbers_that_json_lacks_are_strings(indent: bool) -> None:
    value = {"a": [math.nan, (math.inf, -math.inf)], "b": 0.5, "c": 2**80}

    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(output.to_json(value, indent=indent), parse_constant=refuse) == {
        "a": ["NaN", ["Infinity", "-Infinity"]],
        "b": 0.5,
        "c": 2**80,
    }


# -- the export ------------------------------------------------------------------------------
def test_an_export_declares_what_it_holds_and_what_it_could_hold() -> None:
    facts = [
        {"fact": "node(n1,'h:1')", "functor": "node", "args": ["n1", "h:1"], "clock": [1, 2]},
        {"fact": "'My Fact'(1)", "functor": "My Fact", "args": [1], "clock": [3, 4]},
    ]
    lines = export_prolog(facts).splitlines()
    assert lines[0].startswith("%")
    assert ":- encoding(utf8)." in lines
    assert ":- dynamic(actor/3)." in lines
    assert ":- dynamic('My Fact'/1)." in lines
    assert ":- discontiguous(node/2)." in lines
    assert lines[-2:] == ["'My Fact'(1).  % 3.4", "node(n1,'h:1').  % 1.2"]


TEXTS = st.recursive(
    st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@given(value=TEXTS)
def test_json_has_no_control_characters_and_means_the_same(value: object) -> None:
    text = output.to_json(value)
    assert json.loads(text) == value
    assert text.isprintable()
