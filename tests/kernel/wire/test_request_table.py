"""Answers find who asked, whole; what answers nothing finds nobody."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import NoSuchThing, RemoteProtocolError
from zactor.kernel.messages.operations import Answer
from zactor.kernel.wire import results
from zactor.kernel.wire.request_table import Outcome, RequestTable


def test_each_answer_finds_who_asked_in_whatever_order_they_come() -> None:
    table: RequestTable[str] = RequestTable()
    first, second = table.add("ann"), table.add("bob")
    assert table.take(Answer(second, False, b"2"), "n1") == Outcome("bob", b"2")
    assert table.take(Answer(first, False, b"1"), "n1") == Outcome("ann", b"1")
    assert len(table) == 0


def test_the_pages_of_an_answer_are_joined_while_others_come_between() -> None:
    table: RequestTable[str] = RequestTable()
    long, short = table.add("long"), table.add("short")
    assert table.take(Answer(long, True, b"ab"), "n1") is None
    assert table.take(Answer(short, False, b"x"), "n1") == Outcome("short", b"x")
    assert table.take(Answer(long, True, b"cd"), "n1") is None
    assert table.take(Answer(long, False, b"e"), "n1") == Outcome("long", b"abcde")


def test_what_is_paged_for_the_wire_is_read_as_it_was() -> None:
    table: RequestTable[str] = RequestTable()
    number = table.add("ann")
    result = ["x" * 900_000, "y" * 900_000]
    *rest, last = results.answers(number, result)
    assert rest, "a result that fits one page shows nothing"
    assert all(table.take(page, "n1") is None for page in rest)
    outcome = table.take(last, "n1")
    assert outcome is not None
    assert isinstance(outcome.result, bytes)
    assert results.read_result(outcome.result) == result


def test_a_problem_ends_a_request_even_between_two_pages() -> None:
    table: RequestTable[str] = RequestTable()
    number = table.add("ann")
    table.take(Answer(number, True, b"ab"), "n1")
    outcome = table.take(results.problem(number, NoSuchThing("no actor is called a1")), "n1")
    assert outcome is not None
    assert isinstance(outcome.result, NoSuchThing)
    assert "no actor is called a1" in str(outcome.result)
    assert table.take(Answer(number, False, b"cd"), "n1") is None


def test_an_answer_without_end_is_an_error_that_says_whose() -> None:
    table: RequestTable[str] = RequestTable(bytes_max=4)
    number = table.add("ann")
    assert table.take(Answer(number, True, b"abcd"), "n7") is None
    outcome = table.take(Answer(number, True, b"e"), "n7")
    assert outcome is not None
    assert isinstance(outcome.result, RemoteProtocolError)
    assert "n7" in str(outcome.result)
    assert len(table) == 0


@pytest.mark.parametrize("number", [0, 1, 2, 99])
def test_what_answers_nothing_finds_nobody(number: int) -> None:
    table: RequestTable[str] = RequestTable()
    ended, removed = table.add("ended"), table.add("removed")
    table.take(Answer(ended, False, b""), "n1")
    table.remove(removed)
    table.remove(removed)
    assert (ended, removed) == (1, 2)
    assert table.take(Answer(number, False, b"x"), "n1") is None
    assert table.find(number) is None


def test_no_number_is_used_twice_even_after_all_was_forgotten() -> None:
    table: RequestTable[str] = RequestTable()
    before = [table.add(name) for name in ("ann", "bob")]
    assert list(table) == [(before[0], "ann"), (before[1], "bob")]
    assert table.clear() == ["ann", "bob"]
    assert table.add("cleo") not in before
