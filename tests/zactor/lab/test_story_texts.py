"""Stories, sightings, pictures and grades: pure, from text to text."""

from __future__ import annotations

import json

import pytest

from zactor.kernel.errors import ScriptError
from zactor.lab.grade import grade
from zactor.lab.sightings import Sightings
from zactor.lab.space_time import Moment, picture
from zactor.lab.story import fits, parse, recorded

SPUSER = """
============================
Received REGULAR membership for group lab with 2 members, where I am member 0:
\t#ana#d1
\t#bea#d2
grp id is 1 2 3
Due to the JOIN of #bea#d2

User>
received SAFE message from #bea#d2, of type 1, (endian 0) to 1 groups
(6 bytes): hello

received TRANSITIONAL membership for group lab
Received REGULAR membership for group lab with 3 members, where I am member 0:
\t#ana#d1
\t#bea#d2
\t#eva#d3
grp id is 1 2 4
Due to NETWORK change with 2 VS sets
LOCAL VS set 0 has 2 members:
\t#ana#d1
\t#bea#d2
OTHER VS set 1 has 1 members:
\t#eva#d3
received membership message that left group lab"""


def rows(spawned: str, text: str) -> list[dict[str, object]]:
    said = [
        {"n": number, "t": number, "what": "said", "host": "d1", "name": "ana", "text": line}
        for number, line in enumerate(text.splitlines(), 1)
    ]
    return [{"n": 0, "t": 0, "what": "did", "line": f"spawn d1 ana {spawned}"}, *said]


def texts(spawned: str, text: str) -> list[str]:
    return [one.text for one in Sightings().take(rows(spawned, text))]


def test_what_spuser_shows_is_understood() -> None:
    assert texts("zactor spuser -u ana", SPUSER) == [
        "join #bea#d2: #ana#d1 #bea#d2",
        "safe #bea#d2: hello",
        "transitional",
        "network: #ana#d1 #bea#d2 #eva#d3 | #ana#d1 #bea#d2 / #eva#d3",
        "left",
    ]


def test_what_listen_shows_is_understood() -> None:
    base = {"kind": "membership", "transitional": False, "members": ["#a#n1"]}
    lines = [
        {**base, "cause": "join", "changed": "#a#n1", "vs_sets": [["#a#n1"]]},
        {"kind": "message", "service": "fifo", "sender": "#b#n2", "text": "hi\n"},
        {**base, "transitional": True, "cause": "network", "vs_sets": []},
        {**base, "cause": "network", "changed": None, "vs_sets": [["#a#n1"]]},
    ]
    text = "\n".join(["no json", *map(json.dumps, lines)])
    assert texts("zactor group listen lab --json", text) == [
        "join #a#n1: #a#n1",
        "fifo #b#n2: hi",
        "transitional",
        "network: #a#n1 | #a#n1",
    ]


def test_other_programs_are_taken_by_the_line_and_nodes_by_their_views() -> None:
    assert texts("python3 x.py", "one\n\n  two") == ["one", "two"]
    seen = Sightings().take(
        [
            {"n": 0, "t": 5, "what": "node", "host": "n1", "kind": "view", "text": "n1 n2"},
            {"n": 1, "t": 6, "what": "node", "host": "n1", "kind": "suspect", "text": "n2"},
            {"n": 2, "t": 7, "what": "said", "host": "n1", "name": "node", "text": "{}"},
            {"n": 3, "t": 8, "what": "ended", "host": "n1", "name": "node"},
        ]
    )
    assert [(one.who, one.text) for one in seen] == [("n1", "view n1 n2")]


STORY = """# a comment
lab spread.conf
spawn d1 ana zactor spuser -u 'an a'
type d1 ana s lab
expect ana, bea within 1.5: network: #ana#d1 *
silent ana,bea 0.5
until ana: transitional
cut d1,d2 / d3
"""


def test_a_story_is_taken_apart() -> None:
    story = parse(STORY, "F")
    assert (story.lab, story.is_bare) == ("spread.conf", False)
    spawn, typed, expect, silent, until, cut = story.lines
    assert spawn.words == ("spawn", "d1", "ana", "zactor", "spuser", "-u", "an a")
    assert (typed.number, typed.text) == (4, "type d1 ana s lab")
    assert (expect.who, expect.within_s, expect.wanted) == (
        ("ana", "bea"),
        1.5,
        "network: #ana#d1 *",
    )
    assert silent.who == ("ana", "bea")
    assert (until.words, until.wanted) == (("until",), "transitional")
    assert cut.words == ("cut", "d1,d2", "/", "d3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cut a / b",
        "lab",
        "lab 3\nexpect ana",
        "lab 3\nwait",
        "lab 3\ndance",
        "lab 3\nspawn a b",
    ],
)
def test_what_is_no_story_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ScriptError, match=r"^F:[12]: "):
        parse(text, "F")


@pytest.mark.parametrize(
    ("text", "wanted", "does"),
    [("a b", "a b", True), ("a b", "a *", True), ("a.b", "a?b", False), ("xa", "a", False)],
)
def test_what_fits(text: str, wanted: str, does: bool) -> None:
    assert fits(text, wanted) is does


def test_what_was_recorded_is_a_story_again() -> None:
    journal = [
        {"n": 0, "t": 0, "what": "did", "line": "lab 3"},
        {"n": 1, "t": 1, "what": "node", "host": "n1", "kind": "view", "text": "n1"},
        {"n": 2, "t": 2, "what": "did", "line": "cable n3 out"},
        {"n": 3, "t": 3, "what": "node", "host": "n1", "kind": "view", "text": "n1 n2"},
    ]
    text = recorded(journal)
    assert text == "lab 3\ncable n3 out\nexpect n1: view n1 n2\n"
    assert parse(text, "F").lines[1].wanted == "view n1 n2"


def test_the_picture_has_a_column_for_each_and_a_line_for_what_was_done() -> None:
    drawn = picture(
        [
            Moment(at_ns=1_500_000_000, who="n2", text="view n1 n2"),
            Moment(at_ns=1_000_000_000, who="", text="cable n3 out"),
        ],
        ["n1", "n2"],
    )
    assert drawn.splitlines() == [
        "          n1 n2",
        "    0.000 ┼──┼── cable n3 out",
        "    0.500 │  ●   view n1 n2",
    ]


FULL = """lab spread.conf
spawn d1 ana zactor spuser -u ana
expect ana: join #eva#d3: #ana#d1 #bea#d2 #eva#d3
type d2 bea s lab
expect ana: safe #bea#d2: hello
exec d1 ./simple_user -s 4803
cable d3 out
expect ana: network: #ana#d1 #bea#d2 | #ana#d1 #bea#d2
cable d3 in
kill d3 eva
expect ana: disconnect #eva#d3: #ana#d1 #bea#d2
kill d3
expect ana: network: #ana#d1 #bea#d2 | #ana#d1 #bea#d2
crash d2
expect ana: network: #ana#d1 | #ana#d1
"""


def test_a_whole_exercise_is_graded_as_whole_and_what_is_missing_is_named() -> None:
    assert [mark.activity for mark in grade(FULL, "F") if not mark.is_shown] == []
    assert len(grade(FULL, "F")) == 8
    lines = FULL.splitlines(keepends=True)
    for gone, activity in (
        (4, "3 spuser"),
        (5, "4 simple_user"),
        (7, "5 network of a host lost"),
        (10, "5 death of a member"),
        (12, "5 death of a daemon"),
        (14, "5 crash of a host"),
    ):
        text = "".join(line for number, line in enumerate(lines) if number != gone)
        missed = [mark for mark in grade(text, "F") if not mark.is_shown]
        assert [mark.activity for mark in missed] == [activity]
