"""The log: what was applied, and behind it what is ordered only."""

from __future__ import annotations

import pytest
from kb_writes import blank, changes, transaction

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Entry, Transaction
from zactor.kernel.replication.log import Kept, Log, next_chain


def test_what_is_ordered_changes_nothing_before_it_is_applied() -> None:
    log = Log(blank())
    log.extend([Entry(3, 0.5, transaction(1)), Entry(3, 0.5, transaction(2))])
    assert (log.number, log.end, log.clock, len(log.theory)) == (0, 2, ORIGIN, 0)
    (outcome,) = log.commit(1)
    assert (outcome.id, outcome.clock, outcome.kind) == ("t1", Clock(3, 1), "")
    assert (log.number, log.end, log.theory.texts()) == (1, 2, ["last(1)", "p(1)"])
    assert log.commit(1) == []


def test_one_that_is_refused_takes_a_number_and_no_clock() -> None:
    log = Log(blank())
    refused = Transaction("no", "me", "why", (("q(1)", "NoSuchThing", "no q"),), (), ("x",))
    log.extend([Entry(3, 0.5, one) for one in (transaction(1), refused, transaction(2))])
    first, second, third = log.commit(3)
    assert (first.clock, third.clock) == (Clock(3, 1), Clock(3, 2))
    assert (second.change, second.clock, second.kind, second.message) == (
        None,
        ORIGIN,
        "NoSuchThing",
        "no q",
    )
    assert third.change is not None
    assert third.change.number == 3
    assert "x" not in log.theory


def test_the_index_begins_anew_with_an_epoch() -> None:
    log = Log(blank())
    log.extend([Entry(3, 0.5, transaction(1)), Entry(5, 0.5, transaction(2))])
    assert [outcome.clock for outcome in log.commit(2)] == [Clock(3, 1), Clock(5, 1)]
    assert log.epoch == 5


def test_one_that_took_place_before_ends_as_it_ended_then() -> None:
    log = Log(blank())
    log.extend([Entry(3, 0.5, transaction(1)), Entry(4, 9.5, transaction(1))])
    first, again = log.commit(2)
    assert (again.clock, again.kind, again.change) == (first.clock, "", None)


def test_equal_logs_have_equal_chains_and_others_have_not() -> None:
    entries = [Entry(3, 0.5, transaction(number)) for number in (1, 2)]
    one, other = Log(blank()), Log(blank())
    one.extend(entries)
    other.extend(entries)
    other.commit(1)
    assert one.end_chain == other.end_chain
    chains = {
        next_chain(one.end_chain, entry)
        for entry in (
            Entry(3, 0.5, transaction(3)),
            Entry(4, 0.5, transaction(3)),
            Entry(3, 0.6, transaction(3)),
            Entry(3, 0.5, transaction(4)),
        )
    }
    assert len(chains) == 4


def test_a_tail_that_is_cut_leaves_what_was_applied() -> None:
    log = Log(blank())
    log.extend([Entry(3, 0.5, transaction(number)) for number in (1, 2, 3)])
    log.commit(1)
    chain = log.chain
    log.cut()
    assert (log.end, log.end_chain, log.tail) == (1, chain, ())


def test_who_follows_changes_stands_where_they_were_made() -> None:
    there, here = Log(blank()), Log(blank())
    made = changes(there, 3)
    for change in made:
        here.follow(change)
    assert (here.number, here.chain) == (there.number, there.chain)
    assert (here.clock, here.digest) == (there.clock, there.digest)
    assert here.theory.rows() == there.theory.rows()


def test_a_change_that_does_not_follow_changes_nothing() -> None:
    there, here = Log(blank()), Log(blank())
    first, second, third = changes(there, 3)
    here.follow(first)
    for wrong in (third, first):
        with pytest.raises(RemoteProtocolError, match="doesn't follow"):
            here.follow(wrong)
    assert here.clock == Clock(1, 1)
    here.follow(second)


def test_what_was_kept_goes_on_where_it_was() -> None:
    log = Log(blank())
    changes(log, 2)
    entries = (Entry(2, 0.5, transaction(3)),)
    kept = Kept(
        theory=Theory(log.theory.rows()),
        clock=log.clock,
        digest=log.digest,
        changes=log.history.changes(),
        ids=log.history.ids(),
        number=log.number,
        chain=log.chain,
        epoch=1,
        tail=entries,
    )
    again = Log(kept)
    log.extend(entries)
    assert (again.end, again.end_chain, again.epoch) == (log.end, log.end_chain, 2)
    assert again.commit(3) == log.commit(3)
    assert again.digest == log.digest
