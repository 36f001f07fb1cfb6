"""What the knowledge base remembers of its facts, and what it was at a clock."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError, NoSuchThing
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term
from zactor.kernel.messages.knowledge import Change
from zactor.supervisor.kb.provenance import ChangeReport, facts_at, mentions, read_clock, why


class Past:
    """A theory and the changes that made it, of which the first may be forgotten."""

    def __init__(self) -> None:
        self.theory = Theory()
        self.history: list[ChangeReport] = []

    def change(self, who: str, came: list[str], went: list[str] | None = None) -> None:
        came, gone = ([_as_it_prints(text) for text in texts] for texts in (came, went or []))
        clock = Clock(1, len(self.history) + 1)
        why = f"change {clock.index}"
        change = Change(*clock, "", who, why, 7.0, tuple(gone), tuple(came), b"")
        self.theory.apply(change)
        self.history.append(ChangeReport.of(change))

    @property
    def now(self) -> Clock:
        return Clock(1, len(self.history))


def _as_it_prints(text: str) -> str:
    return format_term(parse_term(text))


@pytest.fixture
def past() -> Past:
    made = Past()
    made.change("m1", ["node(n1, 'h:1')"])
    made.change("anna", ["actor(c1, counter, n1)", 'state(c1, starting, "")'])
    made.change("n1", ['state(c1, running, "")'], ['state(c1, starting, "")'])
    made.change("anna", ["reacts(g1, c1, up, fifo)"])
    made.change("anna", ["reacts(g1, c1, up, fifo)"], ["reacts(g1, c1, up, fifo)"])
    made.change("m2", [], ["reacts(g1, c1, up, fifo)"])
    return made


def test_each_coming_of_a_fact_has_a_row_that_says_who_and_why(past: Past) -> None:
    rows = why("c1", past.theory, past.history)
    assert [(row.fact, row.who, row.clock, row.until) for row in rows] == [
        ("actor(c1,counter,n1)", "anna", (1, 2), None),
        ('state(c1,starting,"")', "anna", (1, 2), (1, 3)),
        ('state(c1,running,"")', "n1", (1, 3), None),
        ("reacts(g1,c1,up,fifo)", "anna", (1, 4), (1, 5)),
        ("reacts(g1,c1,up,fifo)", "anna", (1, 5), (1, 6)),
    ]
    assert rows[-1].until_who == "m2"
    assert rows[-1].until_why == "change 6"
    assert [row.present for row in rows].count(True) == 2


def test_what_is_older_than_the_kept_past_is_told_as_far_as_it_is_known(past: Past) -> None:
    rows = why("c1", past.theory, past.history[3:])
    told = {row.fact: row for row in rows if row.present}
    assert told["actor(c1,counter,n1)"].why == "change 2", "the fact itself knows"
    rows = why("c1", past.theory, past.history[5:])
    (gone,) = [row for row in rows if not row.present]
    assert (gone.clock, gone.who, gone.until_why) == (None, "", "change 6")


def test_a_name_that_nothing_mentions_is_no_such_thing(past: Past) -> None:
    with pytest.raises(NoSuchThing, match=r"no fact mentions 'c9'.*, which begins at 1\.1"):
        why("c9", past.theory, past.history)
    with pytest.raises(NoSuchThing, match="which is nothing"):
        why("c9", past.theory, [])


def test_only_whole_names_count_and_strings_do_too() -> None:
    assert mentions(parse_term("todo(t1, destroy_actor(c1), m1, n2)"), "c1")
    assert not mentions(parse_term("actor(c11, counter, n1)"), "c1")
    assert mentions(parse_term('state(c1, failed, "it\'s odd")'), "it's odd")
    assert mentions(parse_term("f([a, [b]])"), "b")
    odd = Past()
    odd.change("m1", ["actor('it''s', counter, n1)"])
    assert len(why("it's", odd.theory, odd.history)) == 1


def test_the_facts_at_a_clock_are_those_that_were_there(past: Past) -> None:
    seen = Past()
    for change in past.history:
        seen.change(change.who, [*change.asserted], [*change.retracted])
        found = facts_at(change.clock, past.now, past.theory, past.history)
        assert found == {fact.text: fact.clock for fact in seen.theory}, change.clock


def test_with_a_past_that_is_cut_off_the_facts_are_the_same_and_some_clocks_unknown(
    past: Past,
) -> None:
    whole = facts_at(Clock(1, 5), past.now, past.theory, past.history)
    short = facts_at(Clock(1, 5), past.now, past.theory, past.history[4:])
    assert list(short) == list(whole)
    known = {text: clock for text, clock in short.items() if clock is not None}
    assert known == {text: whole[text] for text in known}


def test_a_clock_that_is_too_old_or_has_not_come_is_told(past: Past) -> None:
    with pytest.raises(NoSuchThing, match=r"clock 1\.2 is older than what .* begins at 1\.4"):
        facts_at(Clock(1, 2), past.now, past.theory, past.history[3:])
    with pytest.raises(NoSuchThing, match=r"clock 2\.1 has not come yet: .* is at 1\.6"):
        facts_at(Clock(2, 1), past.now, past.theory, past.history)
    with pytest.raises(NoSuchThing, match="which is nothing"):
        facts_at(Clock(1, 2), past.now, past.theory, [])
    assert len(facts_at(past.now, past.now, past.theory, [])) == 3


@pytest.mark.parametrize("text", ["", "3", "3,17", "-1.2", "1.2.3", "a.b", "1." + "9" * 30])
def test_what_is_no_clock_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no clock"):
        read_clock(text)


def test_a_clock_is_read() -> None:
    assert read_clock(" 3.17") == Clock(3, 17)
